//! Docket in a real browser: what people do on its pages, and what every page must keep to.

mod buying;
mod waiting;
