//! What one client may have of something bounded: places among the requests in work, waits for an event, places in a queue.
//!
//! A client is a person, or, of those who are not signed in, an address that nobody else comes from. Addresses that many share
//! have no share: nobody is refused for somebody else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;

use super::client_address::ClientAddress;
use crate::id::UserId;

/// Who has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Somebody who is signed in.
    Person(UserId),
    /// Whoever comes from an address.
    Address(IpAddr),
}

impl Client {
    /// Who has a share of their own where a request comes from, if anybody.
    pub(super) fn at(request: &HttpRequest) -> Option<Self> {
        ClientAddress::of(request).own().map(Self::Address)
    }
}

/// Counts what each client has, and lets nobody have more than so much.
#[derive(Clone, Debug)]
pub struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<Client, usize>>>,
}

/// One of what a client may have, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    client: Client,
}

impl Shares {
    /// Each client may have `most`.
    pub fn of(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// One more for `client`, if it has not got its share.
    pub fn take(&self, client: Client) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let has = taken.entry(client).or_default();
        if *has >= self.most {
            return None;
        }
        *has += 1;
        Some(Share { of: self.clone(), client })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = taken.get_mut(&self.client) {
            *has -= 1;
            if *has == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    #[test]
    fn nobody_has_more_than_their_share_and_what_is_given_back_is_free() {
        let shares = Shares::of(2);
        let [one, other] = [1, 2].map(|at| Client::Person(UserId::generate(Time::from_millis(at))));
        let first = shares.take(one);
        let second = shares.take(one);
        assert!(first.is_some() && second.is_some() && shares.take(one).is_none());
        let others = shares.take(other);
        assert!(others.is_some());
        drop(first);
        let again = shares.take(one);
        assert!(again.is_some());
        drop((again, second, others));
        assert!(shares.taken.lock().unwrap().is_empty(), "who has nothing is forgotten");
    }
}
