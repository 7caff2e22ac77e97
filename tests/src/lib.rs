//! The harness of the black-box tests: a whole Docket on real servers, and people who use it over HTTP.

mod app;
mod binaries;
pub mod browser;
pub mod chaos;
mod collector;
mod demo;
mod fault_proxy;
mod person;
mod servers;
mod smtp_sink;
mod stage;
mod wait;

pub use app::{ADMIN, App};
pub use binaries::{Build, Process, begin, free_port, ops_of, path_of as binary, run, run_at_once, spawn};
pub use browser::{Browser, Key, Page};
pub use chaos::{fill_disk, make_room};
pub use collector::{Collector, SeenSpan, Trace};
pub use demo::Demo;
pub use fault_proxy::{FaultProxy, Way};
pub use person::{Answer, PASSWORD, Person};
pub use servers::{Servers, namespace, servers};
pub use smtp_sink::{SmtpMail, SmtpSink};
pub use stage::{Delete, Stage};
pub use wait::{eventually, pause, until};
