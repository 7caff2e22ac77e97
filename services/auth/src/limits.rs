//! How often something may be tried, before one has to wait.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// So many times in a window of time, which begins with the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub name: &'static str,
    /// How many times.
    pub most: i64,
    /// In how long.
    pub window: Duration,
}

/// Mails for a new password to one address, whether or not there is an account.
pub const RESET_MAILS_TO_ADDRESS: Limit = Limit { name: "reset-mails-to-address", most: 5, window: HOUR };
/// Mails for a new password wanted from one place in the network.
pub const RESET_MAILS_BY_CLIENT: Limit = Limit { name: "reset-mails-by-client", most: 60, window: HOUR };
/// Tokens presented from one place in the network.
pub const TOKENS_BY_CLIENT: Limit = Limit { name: "tokens-by-client", most: 120, window: HOUR };
/// Passwords that somebody who is signed in gives as their own.
pub const PASSWORDS_OF_ACCOUNT: Limit =
    Limit { name: "passwords-of-account", most: 10, window: MINUTE.saturating_mul(15) };
/// Mails that verify the address of one account.
pub const VERIFICATIONS_OF_ACCOUNT: Limit = Limit { name: "verifications-of-account", most: 5, window: HOUR };
/// Wrong passwords given for one address from one place in the network.
pub const WRONG_PASSWORDS: Limit = Limit { name: "wrong-passwords", most: 10, window: MINUTE.saturating_mul(15) };
/// Wrong passwords given for one address, from wherever: so many that its owner had better be kept out for a while too.
pub const WRONG_PASSWORDS_FOR_ADDRESS: Limit = Limit { name: "wrong-passwords-for-address", most: 100, window: HOUR };
/// Wrong passwords given from one place in the network, for whomever. Many people may come from one.
pub const WRONG_PASSWORDS_BY_CLIENT: Limit = Limit { name: "wrong-passwords-by-client", most: 200, window: HOUR };
