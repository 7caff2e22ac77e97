//! What comes by mail: a new password for a forgotten one, and the proof that an address is one's own.

use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{ApiProblem, refusal};
use crate::fields::{Form, Query};
use crate::html::{Answered, form_page, page};
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "forgot_password.html")]
struct ForgotPage {
    shell: Shell,
    email: String,
    sent: bool,
    problem: Option<ApiProblem>,
}

#[derive(Template)]
#[template(path = "reset_password.html")]
struct ResetPage {
    shell: Shell,
    token: String,
    done: bool,
    problem: Option<ApiProblem>,
}

#[derive(Template)]
#[template(path = "verify_email.html")]
struct VerifyPage {
    shell: Shell,
    token: String,
    done: bool,
    problem: Option<ApiProblem>,
}

/// The token in the link of a mail.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Token {
    #[serde(default)]
    token: String,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Forgotten {
    email: String,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Reset {
    token: String,
    password: String,
}

pub(crate) async fn forgot_form(visit: Visit) -> Answered {
    page(&ForgotPage { shell: visit.shell().await?, email: String::new(), sent: false, problem: None })
}

/// Has a mail sent, if there is an account; the page says the same if there is none.
pub(crate) async fn forgot(visit: Visit, form: Form<Forgotten>) -> Answered {
    let Form(Forgotten { email }) = form;
    let outcome = visit.post::<Value>("/api/users/forgot-password", &json!({ "email": email })).await;
    let problem = refusal(outcome)?;
    let sent = problem.is_none();
    form_page(problem.clone().as_ref(), &ForgotPage { shell: visit.shell().await?, email, sent, problem })
}

pub(crate) async fn reset_form(visit: Visit, token: Query<Token>) -> Answered {
    page(&ResetPage { shell: visit.shell().await?, token: token.0.token, done: false, problem: None })
}

pub(crate) async fn reset(visit: Visit, form: Form<Reset>) -> Answered {
    let Form(Reset { token, password }) = form;
    let wish = json!({ "token": token, "password": password });
    let problem = refusal(visit.post::<Value>("/api/users/reset-password", &wish).await)?;
    let done = problem.is_none();
    form_page(problem.clone().as_ref(), &ResetPage { shell: visit.shell().await?, token, done, problem })
}

/// A button, because programs that look through mails follow links, and would use the token up.
pub(crate) async fn verify_form(visit: Visit, token: Query<Token>) -> Answered {
    page(&VerifyPage { shell: visit.shell().await?, token: token.0.token, done: false, problem: None })
}

pub(crate) async fn verify(visit: Visit, form: Form<Token>) -> Answered {
    let Form(Token { token }) = form;
    let problem = refusal(visit.post::<Value>("/api/users/verify-email", &json!({ "token": token })).await)?;
    let done = problem.is_none();
    form_page(problem.clone().as_ref(), &VerifyPage { shell: visit.shell().await?, token, done, problem })
}
