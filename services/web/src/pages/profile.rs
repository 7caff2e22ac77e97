//! One's own account: name, password, address, where one is signed in, and the keys of programs.

use askama::Template;
use common::clock::Time;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::{ACCESS, Key, KeyRow, MadeKey, NewKey};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sent {
    #[default]
    Nothing,
    Name,
    Password,
    Mail,
    Key,
}

/// What came of the form that was sent.
#[derive(Default)]
struct Outcome {
    sent: Sent,
    problem: Option<ApiProblem>,
    /// A new key, which is shown this once.
    key: Option<String>,
    /// What was wanted of a key that was not made.
    wish: NewKey,
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage {
    shell: Shell,
    user: Account,
    places: Vec<Place>,
    keys: Vec<KeyRow>,
    outcome: Outcome,
}

impl ProfilePage {
    /// What is wrong with what `form` has sent.
    fn problem_with(&self, form: Sent) -> Option<&ApiProblem> {
        self.outcome.problem.as_ref().filter(|_| self.outcome.sent == form)
    }

    /// Whether a key was wanted that may do nothing.
    fn nothing_chosen(&self) -> bool {
        self.problem_with(Sent::Key).is_some_and(|problem| problem.of("scopes").is_some())
    }

    /// Whether what `form` has sent is done.
    fn is_done(&self, form: Sent) -> bool {
        self.outcome.sent == form && self.outcome.problem.is_none()
    }
}

async fn shown(visit: &Visit, outcome: Outcome) -> Answered {
    let (shell, user) = visit.own_shell().await?;
    let sessions = visit.get::<Page<Session>>("/api/users/sessions").await;
    let keys = visit.get::<Page<Key>>("/api/users/api-keys?limit=100").await;
    // A key that was made is shown this once, whatever else cannot be.
    let (sessions, keys) = match outcome.key {
        Some(_) => (sessions.unwrap_or_default(), keys.unwrap_or_default()),
        None => (sessions?, keys?),
    };
    let words = visit.words();
    let in_words = |session: Session| Place { used: words.moment(session.last_used_at, "UTC"), session };
    let places = sessions.items.into_iter().map(in_words).collect();
    let keys = keys.items.into_iter().map(|key| KeyRow::of(key, words)).collect();
    form_page(outcome.problem.clone().as_ref(), &ProfilePage { shell, user, places, keys, outcome })
}

async fn outcome<T>(visit: &Visit, sent: Sent, outcome: Result<T, Failure>) -> Answered {
    let problem = refusal(outcome.map_err(|failure| failure.at("/profile")))?;
    shown(visit, Outcome { sent, problem, ..Outcome::default() }).await
}

pub(crate) async fn show(visit: Visit) -> Answered {
    shown(&visit, Outcome::default()).await
}

/// Where the address of a form leads that is opened like a page.
pub(crate) async fn back() -> Answered {
    Ok(go("/profile"))
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
    end(&visit, &format!("/api/users/sessions/{id}")).await
}

/// Makes a key, and shows it this once.
pub(crate) async fn make_key(visit: Visit, form: Form<NewKey>) -> Answered {
    let wish = form.0;
    let made = visit.post::<MadeKey>("/api/users/api-keys", &wish.asked()).await;
    let outcome = match made.map_err(|failure| failure.at("/profile")) {
        Ok(made) => Outcome { sent: Sent::Key, key: Some(made.key), ..Outcome::default() },
        Err(failure) => Outcome { sent: Sent::Key, problem: Some(failure.problem()?), wish, key: None },
    };
    shown(&visit, outcome).await
}

pub(crate) async fn end_key(visit: Visit, id: Id) -> Answered {
    end(&visit, &format!("/api/users/api-keys/{id}")).await
}

async fn end(visit: &Visit, path: &str) -> Answered {
    visit.call(Method::DELETE, path, &[], None::<&()>).await.map_err(|failure| failure.at("/profile"))?;
    Ok(go("/profile"))
}
