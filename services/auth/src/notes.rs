//! What auth writes to people.

use common::mail::{Action, Content};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::account_token::Purpose;
use crate::secret::Secret;

/// A letter of auth's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// How to replace a forgotten password.
    ResetPassword,
    /// How to show that the address is theirs.
    VerifyEmail,
}

impl Note {
    /// What the token in it is for.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::ResetPassword => Purpose::ResetPassword,
            Self::VerifyEmail => Purpose::VerifyEmail,
        }
    }

    /// The words, with a link to a page of the Docket at `public_url`.
    pub fn content(self, public_url: &Url, secret: &Secret) -> Content {
        match self {
            Self::ResetPassword => Content {
                subject: "Set a new password".to_owned(),
                opening: vec![
                    "Somebody, probably you, asked for a new password for your Docket account.".to_owned(),
                    "The link works once, within an hour. It signs you out everywhere; then sign in with the new password."
                        .to_owned(),
                ],
                action: Some(action("Set a new password", public_url, "reset-password", secret)),
                closing: vec!["If it was not you, do nothing: your password stays as it is.".to_owned()],
            },
            Self::VerifyEmail => Content {
                subject: "Is this your address?".to_owned(),
                opening: vec!["A Docket account was made with this address. If it is yours, please say so.".to_owned()],
                action: Some(action("Yes, it is mine", public_url, "verify-email", secret)),
                closing: vec![
                    "The link works for three days. If you made no account, do nothing: nobody has shown that it is theirs."
                        .to_owned(),
                ],
            },
        }
    }
}

fn action(label: &str, public_url: &Url, page: &str, secret: &Secret) -> Action {
    let mut url = public_url.clone();
    url.set_path(&format!("{}/{page}", public_url.path().trim_end_matches('/')));
    url.set_query(None);
    url.query_pairs_mut().append_pair("token", secret.expose());
    Action { label: label.to_owned(), url }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_page_that_takes_the_token() {
        let secret = Secret::generate();
        for (base, link) in [
            ("https://docket.example.org", "https://docket.example.org/reset-password?token="),
            ("https://example.org/docket/", "https://example.org/docket/reset-password?token="),
        ] {
            let content = Note::ResetPassword.content(&base.parse().unwrap(), &secret);
            assert_eq!(content.action.unwrap().url.as_str(), format!("{link}{}", secret.expose()));
        }
    }
}
