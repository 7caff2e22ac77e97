//! What is said to whoever has started Docket.

use common::settings::Settings;

use crate::demo;

/// Says where Docket is and how to get in.
#[expect(clippy::print_stdout, reason = "what a person who starts Docket looks for is not a log line")]
pub(crate) fn greet(base: &str, settings: &Settings, test_mode: bool) {
    println!("\n  Docket is at {base}  (API: {base}/api/docs)");
    if settings.demo {
        println!("  Demo: sign in as {} or {}, password {}", demo::SELLER, demo::BUYER, demo::PASSWORD);
    }
    if test_mode {
        println!("  Test mode: no money moves; pay with pm_card_visa");
    }
    println!("  Ctrl-C stops it\n");
}
