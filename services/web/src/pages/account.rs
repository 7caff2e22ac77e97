//! Signing up, in and out.

use askama::Template;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::ApiProblem;
use crate::fields::{Form, Query};
use crate::html::{Answered, form_page, go, page};
use crate::pages::ticket::{Hold, hold_now};
use crate::shell::{Shell, safe_next};
use crate::visit::Visit;

/// Where to go on afterwards.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: String,
    name: Option<String>,
    next: Option<String>,
}

#[derive(Serialize)]
struct SignIn<'a> {
    email: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct SignUp<'a> {
    email: &'a str,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    next: String,
    email: String,
    problem: Option<ApiProblem>,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage {
    shell: Shell,
    next: String,
    email: String,
    name: String,
    problem: Option<ApiProblem>,
}

pub(crate) async fn sign_in_form(visit: Visit, next: Query<Next>) -> Answered {
    let (shell, next) = (visit.shell().await?, safe_next(next.0.next.as_deref()));
    page(&SignInPage { shell, next, email: String::new(), problem: None })
}

pub(crate) async fn sign_in(visit: Visit, form: Form<Credentials>) -> Answered {
    let Form(Credentials { email, password, next, .. }) = form;
    let next = safe_next(next.as_deref());
    let problem = match visit.post::<Value>("/api/users/signin", &SignIn { email: &email, password: &password }).await {
        Ok(_) => return go_on(&visit, &next).await,
        Err(failure) => failure.problem()?,
    };
    form_page(Some(&problem.clone()), &SignInPage { shell: visit.shell().await?, next, email, problem: Some(problem) })
}

pub(crate) async fn sign_up_form(visit: Visit, next: Query<Next>) -> Answered {
    let (shell, next) = (visit.shell().await?, safe_next(next.0.next.as_deref()));
    page(&SignUpPage { shell, next, email: String::new(), name: String::new(), problem: None })
}

pub(crate) async fn sign_up(visit: Visit, form: Form<Credentials>) -> Answered {
    let Form(Credentials { email, password, name, next }) = form;
    let (next, name) = (safe_next(next.as_deref()), name.unwrap_or_default());
    let wish = SignUp { email: &email, password: &password, name: Some(name.trim()).filter(|name| !name.is_empty()) };
    let problem = match visit.post::<Value>("/api/users/signup", &wish).await {
        Ok(_) => return go_on(&visit, &next).await,
        Err(failure) => failure.problem()?,
    };
    form_page(
        Some(&problem.clone()),
        &SignUpPage { shell: visit.shell().await?, next, email, name, problem: Some(problem) },
    )
}

/// On to where somebody was led from, and with what they were about to do there: places are held that they wanted to hold.
async fn go_on(visit: &Visit, next: &str) -> Answered {
    match Hold::at(next) {
        Some((id, hold)) => hold_now(visit, &id, hold).await,
        None => Ok(go(next)),
    }
}

/// What is done after signing in, for the page to say before.
fn then(next: &str) -> Option<String> {
    let (_, hold) = Hold::at(next)?;
    let is = if hold.places().starts_with("1 ") { "is" } else { "are" };
    Some(format!("Then {} {is} held for you.", hold.places()))
}

pub(crate) async fn sign_out(visit: Visit) -> Answered {
    visit.call(Method::POST, "/api/users/signout", &[], None::<&()>).await?;
    Ok(go("/"))
}
