//! HTTP manners that all services share. Handlers take strict extractors, answer with versions or [`Problem`]s,
//! and stand in a table ([`routes!`]) that names a [`Policy`] for each.

mod admission;
mod answer;
pub mod auth;
mod body;
pub mod cached;
mod client;
mod client_address;
mod connection;
mod csrf;
mod etag;
mod fields;
mod finish;
mod guard;
mod health;
mod host;
mod idempotency;
mod meter;
mod openapi;
mod page;
mod policy;
mod problem;
mod reading;
mod routes;
mod server;
pub mod shares;
mod shed;
mod status;
mod trace;
mod turn;
mod under_way;
mod unread;

pub use admission::{Admission, Gate, Overloaded, Place};
pub use answer::Answer;
pub use auth::{MaybePrincipal, Principal, Revocations, Role, Verifier};
pub use body::{BODY_LIMIT, Body, PathOf, Query};
pub use client::{client, client_to_the_outside, install_tls_provider};
pub use client_address::{ClientAddress, TrustedProxies, client_address, network_around};
pub use etag::{Created, IfMatch, Tagged};
pub use fields::{Fields, Parsed};
pub use finish::FaultPage;
pub use guard::ServiceHttp;
pub use health::{Readiness, serve_ops};
pub use host::asks_this_machine;
#[cfg(test)]
pub(crate) use idempotency::StoredRecord;
pub use idempotency::{Creation, IdempotencyKey, IdempotencyStore};
pub(crate) use meter::AnsweredBy;
pub use openapi::{About, Documented, openapi, schema};
pub use page::{Cursor, Page, Paging};
pub use policy::Policy;
pub use problem::{FieldError, PROBLEM_JSON, Problem, ProblemBody};
pub use routes::{Route, configure};
pub use server::{ServerOptions, bind, serve};
pub use shed::LoadShedder;
pub use status::Status;
pub(crate) use turn::aside;
pub use under_way::{OneOf, UnderWay};

pub use crate::routes;

/// What the macro needs from crates the caller may not name.
#[doc(hidden)]
pub mod __private {
    pub use actix_web::Route;
    pub use pastey::paste;
}
