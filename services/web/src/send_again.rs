//! A form that was sent, to be sent once more.
//!
//! What a form makes may have no answer, and the page around the form may not be had either, as when the service that has the
//! listing is away. Then a page that needs no service has all that was sent and the key it was sent with: whoever sends it asks
//! for the same thing, which is made once.

use askama::Template;
use serde::Serialize;

use crate::failure::{ApiProblem, Failure};
use crate::html::{Answered, form_page};
use crate::shell::Shell;
use crate::visit::broken;

#[derive(Template)]
#[template(path = "send_again.html")]
struct SendAgainPage {
    shell: Shell,
    heading: &'static str,
    words: String,
    action: String,
    fields: Vec<(String, String)>,
}

/// The page of a form that was sent in vain; if that cannot be had, one that sends the same to `action` again.
pub(crate) fn or_send_again(
    page: Answered,
    problem: &ApiProblem,
    action: &str,
    sent: &impl Serialize,
    key: String,
) -> Answered {
    let failure = match page {
        Err(failure) if !failure.is_final() => failure,
        page => return page,
    };
    tracing::warn!(%failure, action, "the page of a form cannot be had");
    form_page(Some(problem), &again(problem, action, sent, key)?)
}

fn again(problem: &ApiProblem, action: &str, sent: &impl Serialize, key: String) -> Result<SendAgainPage, Failure> {
    let sent = serde_urlencoded::to_string(sent).map_err(broken)?;
    let mut fields: Vec<(String, String)> = serde_urlencoded::from_str(&sent).map_err(broken)?;
    fields.push(("key".to_owned(), key));
    let heading = if problem.status >= 500 { "No answer yet" } else { "That did not work" };
    let (shell, action) = (Shell::new(None, "/"), action.to_owned());
    Ok(SendAgainPage { shell, heading, words: problem.words(), action, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_sent_is_sent_again_with_its_key() {
        let problem = ApiProblem::of_pages(503, "unanswered", "no answer".to_owned());
        let sent = [("title", "\"Jazz\" & more"), ("venue", "")];
        let page = again(&problem, "/sales/new", &sent, "k".to_owned()).unwrap().render().unwrap();
        for part in [
            r#"<form class="form" method="post" action="/sales/new">"#,
            r#"name="title" value="&#34;Jazz&#34; &#38; more""#,
            r#"name="venue" value="""#,
            r#"name="key" value="k""#,
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
