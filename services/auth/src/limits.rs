//! How often something may be tried, before one has to wait.
//!
//! It is counted by person (an account, an address that letters go to), and by the place in the network where somebody comes from: by
//! its address, and by the network around it, for which five times as many are let through. Where many share an address, as behind a proxy
//! that does not say for whom it comes, places are not counted. Nobody can use up what the owner of an account has: a browser in
//! which they have signed in before is counted by itself.
//!
//! A wrong password is counted before anybody knows that it is wrong (`authentication`), so that many at once are no more.

use std::time::Duration;

use common::http::ClientAddress;

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

impl Limit {
    const fn hourly(name: &'static str, most: i64) -> Self {
        Self { name, most, window: HOUR }
    }
}

/// A limit, and who is counted under it.
pub type Counted = (Limit, String);

/// Limits for a place: for its address, and for the network around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceLimits {
    address: Limit,
    network: Limit,
}

impl PlaceLimits {
    const fn hourly(address: &'static str, network: &'static str, most: i64) -> Self {
        Self { address: Limit::hourly(address, most), network: Limit::hourly(network, 5 * most) }
    }

    /// What is counted of somebody who comes from `place`.
    pub fn of(&self, place: &ClientAddress) -> impl Iterator<Item = Counted> + use<> {
        let address = place.own().map(|ip| (self.address, ip.to_string()));
        address.into_iter().chain(place.network().map(|network| (self.network, network.to_string())))
    }
}

/// Accounts made for one mailbox under addresses with a tag, such as ana+shop@example.org: each is sent a letter. What is counted of a
/// mailbox is letters: who asks for what nobody has costs its owner nothing.
pub const SIGN_UPS_OF_MAILBOX: Limit = Limit::hourly("sign-ups-of-mailbox", 5);
/// Accounts made from one place in the network.
pub const SIGN_UPS: PlaceLimits = PlaceLimits::hourly("sign-ups-by-client", "sign-ups-by-network", 60);
/// Mails for a new password to one address, whether or not there is an account.
pub const RESET_MAILS_TO_ADDRESS: Limit = Limit::hourly("reset-mails-to-address", 5);
/// Mails for a new password that were written to one mailbox, for accounts under addresses with a tag.
pub const RESET_MAILS_TO_MAILBOX: Limit = Limit::hourly("reset-mails-to-mailbox", 5);
/// Mails for a new password wanted from one place in the network.
pub const RESET_MAILS: PlaceLimits = PlaceLimits::hourly("reset-mails-by-client", "reset-mails-by-network", 60);
/// Tokens presented from one place in the network.
pub const TOKENS: PlaceLimits = PlaceLimits::hourly("tokens-by-client", "tokens-by-network", 120);
/// Passwords that somebody who is signed in gives as their own.
pub const PASSWORDS_OF_ACCOUNT: Limit =
    Limit { name: "passwords-of-account", most: 10, window: MINUTE.saturating_mul(15) };
/// Mails that verify the address of one account.
pub const VERIFICATIONS_OF_ACCOUNT: Limit = Limit::hourly("verifications-of-account", 5);
/// Wrong passwords given for one address from one place in the network.
pub const WRONG_PASSWORDS: Limit = Limit { name: "wrong-passwords", most: 10, window: MINUTE.saturating_mul(15) };
/// Wrong passwords given for one address in a browser in which its owner has signed in before.
pub const WRONG_PASSWORDS_IN_BROWSER: Limit =
    Limit { name: "wrong-passwords-in-browser", most: 10, window: MINUTE.saturating_mul(15) };
/// Wrong passwords given for one address, from wherever: so many that its owner had better be kept out for a while too, unless they
/// come with a browser that is known.
pub const WRONG_PASSWORDS_FOR_ADDRESS: Limit = Limit::hourly("wrong-passwords-for-address", 100);
/// Wrong passwords given from one place in the network, for whomever. Many people may come from one.
pub const WRONG_PASSWORDS_BY: PlaceLimits =
    PlaceLimits::hourly("wrong-passwords-by-client", "wrong-passwords-by-network", 200);

/// Where letters to an address with a tag arrive: in the mailbox without it. An address without a tag is its own, so who fills up what
/// is counted of the mailbox takes nothing from its owner.
pub fn tagged_mailbox(address: &str) -> Option<String> {
    let (name, host) = address.rsplit_once('@')?;
    let (mailbox, _) = name.split_once('+').filter(|(mailbox, _)| !mailbox.is_empty())?;
    Some(format!("{mailbox}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_tag_are_of_one_mailbox() {
        let of = tagged_mailbox;
        assert_eq!(of("victim+7@example.org").as_deref(), Some("victim@example.org"));
        assert_eq!(of("victim+a+b@example.org").as_deref(), Some("victim@example.org"));
        assert_eq!((of("victim@example.org"), of("+7@example.org")), (None, None));
    }
}
