//! The way out: an SMTP server, or files where there is none.

use std::time::{Duration, SystemTime};

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{Folder, Mail};
use crate::service::StartError;
use crate::settings::Settings;

/// So long a mail server may take for one step of the conversation, and for all of it.
const STEP: Duration = Duration::from_secs(15);
const CONVERSATION: Duration = Duration::from_secs(45);

/// So long it may take to greet, and to take the password, where somebody only wants to know whether it does.
const GREETING: Duration = Duration::from_secs(5);

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The address or the message cannot be written as the format asks.
    #[error("the mail cannot be written: {0}")]
    Message(Box<dyn std::error::Error + Send + Sync>),
    /// The server refused it or was not reached.
    #[error("mail server: {0}")]
    Smtp(#[from] SmtpError),
    /// The server took too long.
    #[error("the mail server did not answer in time")]
    TimedOut,
    /// The file was not written.
    #[error("mail folder: {0}")]
    Folder(#[from] std::io::Error),
}

impl MailError {
    /// Whether the server itself said that it will never take this mail. It may be wrong: an operator may have to mend
    /// a password first.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Message(_) => true,
            Self::Smtp(error) => error.is_permanent(),
            Self::TimedOut | Self::Folder(_) => false,
        }
    }
}

/// Sends mails.
#[derive(Clone, Debug)]
pub struct Post {
    from: Mailbox,
    way: Way,
    preview: bool,
}

#[derive(Clone, Debug)]
enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(Folder),
}

impl Post {
    /// As the settings say. The server is not asked yet.
    ///
    /// # Errors
    /// If the settings name no usable server.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        let from = sender(settings)?;
        let way = match &settings.smtp_url {
            Some(url) => Way::Smtp(transport(url.expose_secret(), &from)?),
            None => Way::Folder(Folder::of(&settings.data_dir)),
        };
        Ok(Self { from, way, preview: settings.previews_mail() })
    }

    /// The mails that were written instead of sent, if this is a test on somebody's own machine. Whoever sees them can
    /// take over every account, so elsewhere there is nothing to be seen.
    pub fn preview(&self) -> Option<&Folder> {
        match &self.way {
            Way::Folder(folder) if self.preview => Some(folder),
            _ => None,
        }
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// [`MailError`]; it may have arrived all the same.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.message(mail)?;
        match &self.way {
            Way::Smtp(smtp) => {
                let sent = tokio::time::timeout(CONVERSATION, smtp.send(message)).await;
                sent.map_err(|_| MailError::TimedOut)??;
            }
            Way::Folder(folder) => folder.keep(mail.id, &message.formatted()).await?,
        }
        Ok(())
    }

    /// Whether the mail server greets, and takes the user and the password, if there are any. Files are always there.
    ///
    /// # Errors
    /// [`MailError`] if it does not.
    pub async fn greet(&self) -> Result<(), MailError> {
        let Way::Smtp(smtp) = &self.way else { return Ok(()) };
        let greeted = tokio::time::timeout(GREETING, smtp.test_connection()).await;
        let goes_on = greeted.map_err(|_| MailError::TimedOut)??;
        if goes_on { Ok(()) } else { Err(MailError::TimedOut) }
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailError> {
        let unfit = |error: Box<dyn std::error::Error + Send + Sync>| MailError::Message(error);
        let to = mail.to.parse().map_err(|error: lettre::address::AddressError| unfit(error.into()))?;
        let at = Duration::from_millis(u64::try_from(mail.at.millis()).unwrap_or(0));
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.clone())
            .date(SystemTime::UNIX_EPOCH + at)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| unfit(error.into()))
    }
}

fn transport(url: &str, from: &Mailbox) -> Result<AsyncSmtpTransport<Tokio1Executor>, StartError> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
    // Without the address, which holds a password.
    let builder = builder.map_err(|_| StartError::other("SMTP_URL: not the address of a mail server"))?;
    Ok(builder.hello_name(ClientId::Domain(from.email.domain().to_owned())).timeout(Some(STEP)).build())
}

/// The configured sender, else one at the host that people know.
fn sender(settings: &Settings) -> Result<Mailbox, StartError> {
    if let Some(from) = &settings.mail_from {
        return Ok(from.clone());
    }
    let url = settings.public_url();
    let host = url.domain().unwrap_or("localhost");
    let address = format!("no-reply@{host}").parse().map_err(|error| {
        StartError::other(format!("MAIL_FROM is not set, and no-reply@{host} cannot be a sender: {error}"))
    })?;
    Ok(Mailbox::new(Some("Docket".to_owned()), address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::id::MailId;

    fn post(flags: &[&str]) -> Post {
        Post::open(&Settings::parse_flags(flags.iter().copied()).unwrap()).unwrap()
    }

    fn mail(id: MailId) -> Mail {
        let words =
            "A line that is so long that it has to be broken: ".repeat(5) + "https://docket.example.org/x?token=y";
        Mail {
            id,
            at: Time::from_millis(1_795_000_000_000),
            to: "ana@example.org".to_owned(),
            subject: "Zoë’s night".to_owned(),
            text: words.clone() + "\n",
            html: format!("<p>{words}</p>\n"),
        }
    }

    #[test]
    fn the_sender_follows_from_the_public_address() {
        assert_eq!(post(&[]).from.to_string(), "Docket <no-reply@localhost>");
        let named = post(&["--public-url", "https://docket.example.org/"]);
        assert_eq!(named.from.email.to_string(), "no-reply@docket.example.org");
        assert_eq!(post(&["--mail-from", "box@example.org"]).from.email.to_string(), "box@example.org");
    }

    #[tokio::test]
    async fn what_is_kept_as_a_file_is_read_as_it_was_sent() {
        let folder = std::env::temp_dir().join(format!("docket-mail-{}", std::process::id()));
        let flags = ["--data-dir", folder.to_str().unwrap()];
        let post = post(&flags);
        let mails: Vec<_> = [1, 2].map(|at| mail(MailId::generate(Time::from_millis(at)))).into();
        for mail in &mails {
            post.send(mail).await.unwrap();
        }
        let kept = post.preview().unwrap();
        assert_eq!(kept.newest(9).await.unwrap(), [mails[1].clone(), mails[0].clone()]);
        assert_eq!(kept.newest(1).await.unwrap(), [mails[1].clone()]);
        assert_eq!(kept.get(MailId::generate(Time::from_millis(3))).await.unwrap(), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
