//! Docket in a real browser: what people do on its pages, and what every page must keep to.

mod account;
mod buying;
mod rules;
mod selling;
mod waiting;
