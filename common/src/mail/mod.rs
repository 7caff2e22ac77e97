//! Mail: what is to be written to people stands as a letter in the document whose change causes it, in the same write, and a
//! job of the service sends it. No request waits for a mail server, and no letter is lost with one.
//!
//! A service names its letters (`L`), pushes a [`Letter`] with [`Change::pushing`](crate::store::Change::pushing) to
//! [`LETTERS`], declares the index ([`Indexes::letters`](crate::store::Indexes::letters)), and has a job call
//! [`Letters::deliver`], which asks it for the words only when a mail is about to be sent. So what is secret in a mail, such
//! as a token, need not lie anywhere before.

mod content;
mod folder;
mod letters;
mod post;

pub use content::{Action, Content};
pub use folder::Folder;
pub use letters::{LETTERS, Letter, Letters};
pub use post::{MailError, Post};

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Time;
use crate::id::MailId;

/// A mail as its reader gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mail {
    /// The letter's id, also in the header `Message-ID`: a mail that is sent twice can be told from two mails.
    pub id: MailId,
    /// When it was written.
    pub at: Time,
    /// The address of the one it is for.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// The words alone.
    pub text: String,
    /// The same as a page.
    pub html: String,
}
