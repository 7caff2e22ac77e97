//! A stand-in for Stripe: the subset of its API that Docket's payments use, for test mode and tests.
//!
//! Clients made for Stripe cannot tell the difference: same objects, errors, idempotency and
//! signed webhooks. Beyond that, `/test/…` holds the levers that tests pull: webhooks held back,
//! doubled or forged, calls that fail after they have done their work, charges counted.
//!
//! | call | body | what it does |
//! |---|---|---|
//! | `GET /test/webhooks` | | `{url, mode, held, running}` |
//! | `POST /test/webhooks/url` | `{url}` | another endpoint, or `null` for none |
//! | `POST /test/webhooks/mode` | `{delay_ms, duplicate, hold, shuffle, signature, retry_ms}` | replaces the mode; what is left out returns to normal |
//! | `POST /test/webhooks/flush` | | sends what was held, answers `{events}` after the first attempts |
//! | `POST /test/webhooks/redeliver` | `{event, signature, shuffle}` | sends one event, or all, once more |
//! | `GET /test/webhooks/deliveries` | | every attempt: event, type, attempt, signature, status, error |
//! | `GET /test/charges?payment_intent=…&metadata[order]=…` | | `{succeeded, failed, pending, captured, refunded, charged_back, charges}` |
//! | `GET /test/calls` | | how often each call was made, such as `{"GET /v1/payment_intents/{id}": 3}` |
//! | `POST /test/faults` | `{count, method, path, kind, when, status, hang_ms, remembered}` | the next calls that match fail |
//! | `DELETE /test/faults` | | no more faults, no latency |
//! | `POST /test/latency` | `{ms}` | every call takes that much longer |
//! | `POST /test/payment_intents/{id}/settle` | `{outcome}` | ends `processing`: `succeeded` or `failed` |
//! | `POST /test/payment_intents/{id}/authenticate` | `{outcome}` | ends `requires_action` as the 3-D Secure page does |
//! | `POST /test/payment_intents/{id}/dispute` | `{reason, inquiry}` | the customer's bank takes the money back, or only asks |
//! | `POST /test/disputes/{id}/close` | `{status}` | the bank decides: `won` or `lost` for the seller |
//! | `POST /test/refunds/{id}/bounce` | | a refund fails after all |
//!
//! `signature` is `valid`, `wrong` or `stale`; `kind` is `error`, `hang` or `disconnect`; `when` is
//! `before` or `after` (the work is done, the answer is lost).

mod access;
mod api;
mod app;
mod books;
mod call;
mod calls;
mod cards;
mod charges;
mod clock;
mod control;
mod currencies;
mod deliveries;
mod disputes;
mod error;
mod events;
mod faults;
mod form;
mod idempotency;
mod ids;
mod intents;
mod journal;
mod methods;
mod page;
mod params;
mod payments;
mod refunds;
mod render;
mod request;
mod retention;
mod server;
mod signature;
mod store;
mod three_ds;
mod webhooks;

pub use clock::{Clock, system_clock};
pub use journal::JournalError;
pub use server::{Options, StartError, StripeStandIn};
