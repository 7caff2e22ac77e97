//! How many streams are open: each has a seat, which it gives back when it ends.
//!
//! One person has a few seats; their next stream takes that of their oldest one, which is most likely a page that they have
//! left. Of people who are not signed in only the address is known, which many may share: there the next one has to wait. All
//! seats together are bounded too, and so is what streams cost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

const OF_ONE_PERSON: usize = 8;
const OF_ONE_ADDRESS: usize = 256;
const OF_ALL: usize = 10_000;

/// Who looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Viewer {
    /// Somebody who is signed in, by their id.
    Person(String),
    /// Anybody at this address.
    Address(String),
}

/// The seats of a process.
#[derive(Clone)]
pub(crate) struct Seats(Arc<Mutex<Room>>);

struct Room {
    most: Most,
    /// The number of the next seat.
    next: u64,
    taken: usize,
    of: HashMap<Viewer, VecDeque<(u64, CancellationToken)>>,
}

struct Most {
    of_person: usize,
    of_address: usize,
    of_all: usize,
}

/// A seat, taken as long as this lives.
pub(crate) struct Seat {
    seats: Seats,
    viewer: Viewer,
    number: u64,
    lost: CancellationToken,
}

impl Seats {
    pub(crate) fn new() -> Self {
        Self::with(Most { of_person: OF_ONE_PERSON, of_address: OF_ONE_ADDRESS, of_all: OF_ALL })
    }

    fn with(most: Most) -> Self {
        Self(Arc::new(Mutex::new(Room { most, next: 0, taken: 0, of: HashMap::new() })))
    }

    /// Takes a seat.
    ///
    /// # Errors
    /// [`Failure::Full`] if there is none for this viewer.
    pub(crate) fn take(&self, viewer: Viewer) -> Result<Seat, Failure> {
        let mut room = self.room();
        room.make_place(&viewer)?;
        let (number, lost) = (room.next, CancellationToken::new());
        room.next += 1;
        room.taken += 1;
        room.of.entry(viewer.clone()).or_default().push_back((number, lost.clone()));
        Ok(Seat { seats: self.clone(), viewer, number, lost })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn make_place(&mut self, viewer: &Viewer) -> Result<(), Failure> {
        let seats = self.of.get_mut(viewer);
        let own = seats.as_ref().map_or(0, |seats| seats.len());
        match viewer {
            Viewer::Person(_) if own >= self.most.of_person => {
                if let Some((_, oldest)) = seats.and_then(VecDeque::pop_front) {
                    oldest.cancel();
                    self.taken -= 1;
                }
            }
            Viewer::Address(_) if own >= self.most.of_address => return Err(Failure::Full),
            _ => {}
        }
        if self.taken >= self.most.of_all { Err(Failure::Full) } else { Ok(()) }
    }
}

impl Seat {
    /// Waits until another stream of the same person has taken the seat.
    pub(crate) async fn lost(self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut room = self.seats.room();
        let Some(seats) = room.of.get_mut(&self.viewer) else { return };
        let before = seats.len();
        seats.retain(|(number, _)| *number != self.number);
        let (given_back, empty) = (before - seats.len(), seats.is_empty());
        if empty {
            room.of.remove(&self.viewer);
        }
        room.taken -= given_back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> Seats {
        Seats::with(Most { of_person: 2, of_address: 3, of_all: 4 })
    }

    fn person(id: &str) -> Viewer {
        Viewer::Person(id.to_owned())
    }

    fn address() -> Viewer {
        Viewer::Address("203.0.113.7".to_owned())
    }

    #[test]
    fn a_persons_next_stream_takes_the_seat_of_their_oldest() {
        let seats = seats();
        let [first, second, third] = [(); 3].map(|()| seats.take(person("a")).unwrap());
        assert_eq!([&first, &second, &third].map(|seat| seat.lost.is_cancelled()), [true, false, false]);
        // The lost seat is given back once only.
        drop(first);
        assert_eq!(seats.room().taken, 2);
        drop((second, third));
        assert!(seats.room().of.is_empty());
        assert_eq!(seats.room().taken, 0);
    }

    #[test]
    fn an_address_that_has_its_share_waits() {
        let seats = seats();
        let taken = [(); 3].map(|()| seats.take(address()).unwrap());
        assert!(matches!(seats.take(address()), Err(Failure::Full)));
        assert!(taken.iter().all(|seat| !seat.lost.is_cancelled()));
        drop(taken);
        assert!(seats.take(address()).is_ok());
    }

    #[test]
    fn all_together_are_bounded() {
        let seats = seats();
        let taken = [person("a"), person("b"), address(), address()].map(|viewer| seats.take(viewer).unwrap());
        assert!(matches!(seats.take(person("c")), Err(Failure::Full)));
        drop(taken);
        assert!(seats.take(person("c")).is_ok());
    }
}
