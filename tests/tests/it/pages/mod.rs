//! Docket in a real browser: what people do on its pages, and what every page must keep to.

mod account;
mod answers;
mod buying;
mod card_form;
mod door;
mod free;
mod keys;
mod limits;
mod money;
mod once;
mod qr;
mod relay;
mod rules;
mod selling;
mod sessions;
mod streams;
mod tab;
mod waiting;
