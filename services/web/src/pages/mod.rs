//! The pages: one file for each thing that people deal with.

pub(crate) mod account;
pub(crate) mod check_in;
pub(crate) mod dev_mail;
pub(crate) mod home;
pub(crate) mod offer;
pub(crate) mod order;
pub(crate) mod passes;
pub(crate) mod password;
pub(crate) mod profile;
pub(crate) mod sales;
pub(crate) mod sell;
pub(crate) mod ticket;

use crate::failure::Failure;
use crate::html::Answered;
use crate::visit::Visit;

/// Every other address.
pub(crate) async fn nothing(_: Visit) -> Answered {
    Err(Failure::NotFound)
}
