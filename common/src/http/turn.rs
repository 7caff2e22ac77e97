//! The place that a request has while it is worked on, and how it waits without one.
//!
//! A [`Turn`] goes with the task that works on the request. It holds the place and the client's share of the places until the
//! work ends or is dropped. A request that waits for an event gives both back ([`aside`]), and takes them again before it
//! goes on; if there are none then, it ends. At most [`WAITS_EACH`] requests of one client wait, at most [`WAITS`] of all.

use std::cell::RefCell;
use std::rc::Rc;

use super::admission::{Admission, Gate, Overloaded, Place};
use super::policy::reads;
use super::problem::Problem;
use super::shares::{Client, Share, Shares};

/// How many requests of one client may wait for an event at a time.
pub(super) const WAITS_EACH: usize = 4;
/// How many of all clients may.
pub(super) const WAITS: usize = 256;

tokio::task_local! {
    static TURN: Turn;
}

/// Where the requests of one route take their places.
#[derive(Debug)]
pub(super) struct Places {
    admission: Admission,
    gate: Gate,
    shares: Shares,
}

impl Places {
    /// Where requests of `method` take theirs.
    pub(super) fn new(admission: &Admission, method: &actix_web::http::Method) -> Self {
        let shares = if reads(method) { &admission.read_shares } else { &admission.write_shares };
        Self { gate: admission.gate(method).clone(), shares: shares.clone(), admission: admission.clone() }
    }

    /// A place, before it is known whose request it is.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub(super) fn enter(&self) -> Result<Place, Overloaded> {
        self.gate.enter()
    }

    /// The turn of a client's request that has a place.
    ///
    /// # Errors
    /// 429 if the client has its share already.
    pub(super) fn turn(self: &Rc<Self>, place: Place, client: Option<Client>) -> Result<Turn, Problem> {
        let share = self.share(client)?;
        let held = RefCell::new(Some(Held { _place: place, _share: share }));
        Ok(Turn { places: self.clone(), client, held })
    }

    fn share(&self, client: Option<Client>) -> Result<Option<Share>, Problem> {
        let Some(client) = client else { return Ok(None) };
        self.shares.take(client).map(Some).ok_or_else(|| self.admission.refuse_share())
    }
}

/// A request's turn to be worked on.
#[derive(Debug)]
pub(super) struct Turn {
    places: Rc<Places>,
    client: Option<Client>,
    held: RefCell<Option<Held>>,
}

/// What is given back while a request waits.
#[derive(Debug)]
struct Held {
    _place: Place,
    _share: Option<Share>,
}

/// The right to wait, until it is dropped.
struct Wait {
    _one: Place,
    _of_client: Option<Share>,
}

impl Turn {
    /// Gives the place back, if this request may wait.
    fn leave(&self) -> Option<Wait> {
        let wait = self.may_wait();
        if wait.is_some() {
            self.held.replace(None);
        } else {
            self.places.admission.refused_wait.increment(1);
        }
        wait
    }

    fn may_wait(&self) -> Option<Wait> {
        let admission = &self.places.admission;
        let of_client = match self.client {
            Some(client) => Some(admission.waits_each.take(client)?),
            None => None,
        };
        Some(Wait { _one: admission.waits.enter().ok()?, _of_client: of_client })
    }

    /// Takes a place again.
    fn come_back(&self) -> Option<()> {
        if self.held.borrow().is_none() {
            let place = self.places.enter().inspect_err(|_| self.places.admission.refused_wait.increment(1)).ok()?;
            let share = self.places.share(self.client).ok()?;
            self.held.replace(Some(Held { _place: place, _share: share }));
        }
        Some(())
    }
}

/// Does the work of a request as its turn; answers from memory have none.
pub(super) async fn during<W: Future>(turn: Option<Turn>, work: W) -> W::Output {
    match turn {
        Some(turn) => TURN.scope(turn, work).await,
        None => work.await,
    }
}

/// Waits while the request of this task holds no place. What is no request just waits.
///
/// `None` if too many wait already, or if no place is left when the wait is over.
pub(crate) async fn aside<W: Future>(wait: W) -> Option<W::Output> {
    let _wait = match TURN.try_with(Turn::leave) {
        Ok(left) => Some(left?),
        Err(_) => None,
    };
    let waited = wait.await;
    TURN.try_with(Turn::come_back).unwrap_or(Some(()))?;
    Some(waited)
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;

    use super::*;
    use crate::id::UserId;
    use crate::settings::Settings;

    fn places(most: u16) -> (Admission, Rc<Places>) {
        let admission = Admission::new(&Settings { max_in_flight: most, ..Settings::default_for_tests() });
        let places = Rc::new(Places::new(&admission, &Method::POST));
        (admission, places)
    }

    fn person(nth: u128) -> Option<Client> {
        Some(Client::Person(UserId::derived(uuid::Uuid::from_u128(nth), "person")))
    }

    #[actix_web::test]
    async fn who_waits_holds_no_place_and_takes_one_to_go_on() {
        let (admission, places) = places(1);
        let turn = || places.turn(places.enter().unwrap(), person(1)).unwrap();
        let free = || admission.writes.enter().is_ok();
        let waited = during(Some(turn()), async {
            assert!(!free());
            let inside = aside(async { free() }).await;
            assert!(!free(), "a place is held again");
            inside
        });
        assert_eq!(waited.await, Some(true));
        assert!(free(), "the work is over");
        let mut taken = None;
        let refused = during(Some(turn()), aside(async { taken = admission.writes.enter().ok() })).await;
        assert!(refused.is_none() && taken.is_some(), "somebody else has the place");
        assert_eq!(aside(async { 1 }).await, Some(1), "what is no request just waits");
    }

    #[actix_web::test]
    async fn a_client_waits_with_few_requests() {
        let (_, places) = places(64);
        let turn = |of| places.turn(places.enter().unwrap(), person(of)).unwrap();
        let mut waiting: Vec<_> =
            (0..WAITS_EACH).map(|_| Box::pin(during(Some(turn(1)), aside(std::future::pending::<()>())))).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(during(Some(turn(1)), aside(async {})).await, None);
        assert_eq!(during(Some(turn(2)), aside(async {})).await, Some(()), "somebody else");
        waiting.clear();
        assert_eq!(during(Some(turn(1)), aside(async {})).await, Some(()));
    }

    #[test]
    fn one_client_has_a_share_of_the_places() {
        let (_, places) = places(40);
        let turn = |of| places.turn(places.enter().unwrap(), person(of));
        let mut held: Vec<_> = (0..10).map(|_| turn(1).unwrap()).collect();
        assert_eq!(turn(1).unwrap_err().status().as_u16(), 429);
        assert!(turn(2).is_ok());
        held.pop();
        assert!(turn(1).is_ok());
        assert!((0..11).all(|_| places.turn(places.enter().unwrap(), None).is_ok()), "nobody in particular");
    }
}
