//! The mails that were written instead of sent, where no mail server is set.

use actix_web::HttpRequest;
use askama::Template;
use common::clock::Time;
use common::http::asks_this_machine;
use serde::Deserialize;

use crate::failure::Failure;
use crate::html::{Answered, page};
use crate::model::Items;
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Clone, Debug, Deserialize)]
struct Mail {
    at: Time,
    to: String,
    subject: String,
    text: String,
}

/// A mail, and when it was written in words.
struct Letter {
    mail: Mail,
    when: String,
    links: Vec<String>,
}

#[derive(Template)]
#[template(path = "dev_mail.html")]
struct MailPage {
    shell: Shell,
    letters: Vec<Letter>,
}

/// The newest mails; nothing here where mails are sent, nor for a page from elsewhere whose name leads to this machine.
pub(crate) async fn show(visit: Visit, request: HttpRequest) -> Answered {
    if !asks_this_machine(&request) {
        return Err(Failure::NotFound);
    }
    let (shell, mails) = futures::join!(visit.shell(), visit.get::<Items<Mail>>("/api/users/dev/mail"));
    let (shell, mails) = (shell?, mails?);
    let letter = |mail: Mail| Letter {
        when: visit.words().moment(mail.at, "UTC"),
        links: mail.text.split_whitespace().filter(|word| word.starts_with("http")).map(str::to_owned).collect(),
        mail,
    };
    page(&MailPage { shell, letters: mails.items.into_iter().map(letter).collect() })
}
