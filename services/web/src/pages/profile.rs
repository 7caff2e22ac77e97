//! One's own account: name, password, address, and where one is signed in.

use askama::Template;
use common::clock::Time;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{ApiProblem, Failure, refusal};
use crate::fields::{Form, Id};
use crate::html::{Answered, form_page, go};
use crate::model::{Account, Page};
use crate::shell::Shell;
use crate::visit::Visit;

/// A place where one is signed in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: String,
    device: String,
    current: bool,
    last_used_at: Time,
}

/// The same in words.
struct Place {
    session: Session,
    used: String,
}

/// Which of the forms has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    Name,
    Password,
    Mail,
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage {
    shell: Shell,
    user: Account,
    places: Vec<Place>,
    sent: Sent,
    problem: Option<ApiProblem>,
}

impl ProfilePage {
    /// What is wrong with what `form` has sent.
    fn problem_with(&self, form: Sent) -> Option<&ApiProblem> {
        self.problem.as_ref().filter(|_| self.sent == form)
    }

    /// Whether what `form` has sent is done.
    fn is_done(&self, form: Sent) -> bool {
        self.sent == form && self.problem.is_none()
    }
}

async fn shown(visit: &Visit, sent: Sent, problem: Option<ApiProblem>) -> Answered {
    let (shell, user) = visit.own_shell().await?;
    let sessions = visit.get::<Page<Session>>("/api/users/sessions").await?;
    let words = visit.words();
    let in_words = |session: Session| Place { used: words.moment(session.last_used_at, "UTC"), session };
    let places = sessions.items.into_iter().map(in_words).collect();
    form_page(problem.clone().as_ref(), &ProfilePage { shell, user, places, sent, problem })
}

async fn outcome<T>(visit: &Visit, sent: Sent, outcome: Result<T, Failure>) -> Answered {
    shown(visit, sent, refusal(outcome.map_err(|failure| failure.at("/profile")))?).await
}

pub(crate) async fn show(visit: Visit) -> Answered {
    shown(&visit, Sent::Nothing, None).await
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Name {
    name: String,
}

pub(crate) async fn rename(visit: Visit, form: Form<Name>) -> Answered {
    let wish = json!({ "name": form.0.name.trim() });
    let answer = visit.call(Method::PATCH, "/api/users/me", &[], Some(&wish)).await;
    outcome(&visit, Sent::Name, answer).await
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct NewPassword {
    current: String,
    new: String,
}

pub(crate) async fn change_password(visit: Visit, form: Form<NewPassword>) -> Answered {
    let Form(NewPassword { current, new }) = form;
    let wish = json!({ "currentPassword": current, "newPassword": new });
    outcome(&visit, Sent::Password, visit.post::<Value>("/api/users/change-password", &wish).await).await
}

/// Has another mail sent that proves the address.
pub(crate) async fn send_verification(visit: Visit) -> Answered {
    let answer = visit.call(Method::POST, "/api/users/verify-email/request", &[], None::<&()>).await;
    outcome(&visit, Sent::Mail, answer).await
}

pub(crate) async fn end_session(visit: Visit, id: Id) -> Answered {
    let path = format!("/api/users/sessions/{id}");
    visit.call(Method::DELETE, &path, &[], None::<&()>).await.map_err(|failure| failure.at("/profile"))?;
    Ok(go("/profile"))
}
