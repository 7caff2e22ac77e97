//! Argon2id takes memory and time on purpose, so only a few hashes are made at once and only so many may wait.
//!
//! They wait in three lanes: those who are known to be somebody, strangers who sign in, and those who sign up. Each lane has places of
//! its own, and their hashes are made in turn: who fills one keeps nobody out of another, and holds nobody up there. In a lane
//! one person has no more than a few places, all behind one address a quarter, and half of it those of one network, and all from addresses
//! that many share.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use common::http::network_around;
use common::http::shares::{Client, Share, Shares};
use common::id::UserId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::password::{ChosenPassword, Password, PasswordHash};

/// How many may wait in a lane for each that is being made: about two seconds' worth, while the other lanes are empty.
const WAITING_FOR_EACH: usize = 64;
/// How many places in a lane one person may have.
const MOST_OF_ONE: usize = 8;

/// Matches no password; verifying against it takes as long as against a real one (same parameters, same lengths).
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy10aGlzIQ$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Why no hash was made or verified.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many are waiting already: all, or those who have to share places.
    #[error("too many passwords are being checked at this moment")]
    Busy,
    /// The work was lost: the process is stopping, or the thread panicked.
    #[error("the hash was not made: {0}")]
    Lost(Box<dyn std::error::Error + Send + Sync>),
}

impl From<TryAcquireError> for HashingError {
    fn from(_: TryAcquireError) -> Self {
        Self::Busy
    }
}

impl From<AcquireError> for HashingError {
    fn from(error: AcquireError) -> Self {
        Self::Lost(error.into())
    }
}

/// Whom a hash is made for.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// Somebody who has shown to be this person, or comes with a browser in which they have signed in.
    Known(UserId),
    /// Whoever says to have an account.
    Stranger,
    /// Whoever wants an account.
    New,
}

/// Makes and verifies hashes, as many at once as there are cores.
#[derive(Clone, Debug)]
pub struct Hashing {
    known: Lane,
    strangers: Lane,
    new: Lane,
    cores: Arc<Semaphore>,
}

impl Hashing {
    /// Hashing on `cores` threads at once.
    pub fn on(cores: usize) -> Self {
        let lane = || Lane::on(cores);
        Self { known: lane(), strangers: lane(), new: lane(), cores: Arc::new(Semaphore::new(cores)) }
    }

    /// A place among those who wait for hashes, as long as it is kept. `address` is that from which nobody else comes, if there is one.
    ///
    /// # Errors
    /// [`HashingError::Busy`] at once, if there is none for them.
    pub fn place(&self, whom: Whom, address: Option<IpAddr>) -> Result<Place, HashingError> {
        let (lane, person) = match whom {
            Whom::Known(person) => (&self.known, Some(person)),
            Whom::Stranger => (&self.strangers, None),
            Whom::New => (&self.new, None),
        };
        let held = Arc::new(lane.enter(person, address)?);
        Ok(Place { held, turns: lane.turns.clone(), cores: self.cores.clone() })
    }
}

/// Those who wait among their like.
#[derive(Clone, Debug)]
struct Lane {
    places: Arc<Semaphore>,
    /// How many of them those may have who come from addresses that many share.
    shared: Arc<Semaphore>,
    people: Shares,
    addresses: Shares,
    networks: Shares,
    /// Whose hashes are made next. Only as many are at the cores as there are cores; so the lanes take turns there.
    turns: Arc<Semaphore>,
}

/// What somebody has of a lane, until it is dropped.
#[derive(Debug)]
struct Held {
    _place: OwnedSemaphorePermit,
    _of_address: Part,
    _of_person: Option<Share>,
}

#[derive(Debug)]
enum Part {
    Own { _shares: [Share; 2] },
    Shared { _permit: OwnedSemaphorePermit },
}

impl Lane {
    fn on(cores: usize) -> Self {
        let places = cores * (WAITING_FOR_EACH + 1);
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            places: semaphore(places),
            shared: semaphore(places / 2),
            people: Shares::of(MOST_OF_ONE),
            addresses: Shares::of(places / 4),
            networks: Shares::of(places / 2),
            turns: semaphore(cores),
        }
    }

    fn enter(&self, person: Option<UserId>, address: Option<IpAddr>) -> Result<Held, HashingError> {
        let share = |of: &Shares, client| of.take(client).ok_or(HashingError::Busy);
        let of_address = match address {
            Some(address) => {
                let network = Client::Address(network_around(address).network());
                let of_both = [share(&self.addresses, Client::Address(address))?, share(&self.networks, network)?];
                Part::Own { _shares: of_both }
            }
            None => Part::Shared { _permit: self.shared.clone().try_acquire_owned()? },
        };
        let of_person = person.map(|person| share(&self.people, Client::Person(person))).transpose()?;
        let place = self.places.clone().try_acquire_owned()?;
        Ok(Held { _place: place, _of_address: of_address, _of_person: of_person })
    }
}

/// A place among those who wait, for one hash after the other.
#[derive(Debug)]
pub struct Place {
    held: Arc<Held>,
    turns: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

impl Place {
    /// Hashes a new password.
    ///
    /// # Errors
    /// [`HashingError::Lost`].
    pub async fn hash(&self, password: ChosenPassword) -> Result<PasswordHash, HashingError> {
        let hashed =
            self.run(pending(), move || Argon2::default().hash_password(password.expose()).map(|phc| phc.to_string()));
        hashed.await?.map(PasswordHash::new).map_err(|error| HashingError::Lost(error.to_string().into()))
    }

    /// Whether the password is the one that was hashed. Without a hash the answer is no, after the same time.
    ///
    /// # Errors
    /// [`HashingError::Lost`].
    pub async fn verify(&self, password: Password, hash: Option<&PasswordHash>) -> Result<bool, HashingError> {
        self.verify_unless(pending(), password, hash).await
    }

    /// The same, unless whoever asks is gone before it begins.
    ///
    /// # Errors
    /// [`HashingError::Lost`], then too.
    pub async fn verify_unless(
        &self,
        gone: impl Future<Output = ()>,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, HashingError> {
        let known = hash.is_some();
        let phc = hash.map_or(NOBODYS_HASH, PasswordHash::as_phc).to_owned();
        let fits = move |form: &[u8]| Argon2::default().verify_password(form, phc.as_str()).is_ok();
        let matches = self.run(gone, move || password.forms().any(fits)).await?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        gone: impl Future<Output = ()>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let (turn, core) = tokio::select! {
            permits = self.permits() => permits?,
            () = gone => return Err(HashingError::Lost("nobody waits for it any more".into())),
        };
        let held = self.held.clone();
        // They go with the work: a client that hangs up does not make room while its hash is still being made.
        let work = move || {
            let done = work();
            drop((held, turn, core));
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| HashingError::Lost(error.into()))
    }

    async fn permits(&self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), AcquireError> {
        let turn = self.turns.clone().acquire_owned().await?;
        Ok((turn, self.cores.clone().acquire_owned().await?))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use argon2::Params;
    use common::clock::Time;
    use futures::future::join_all;

    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text.into()).unwrap()
    }

    fn new(text: &str) -> ChosenPassword {
        ChosenPassword::parse(&text.into()).unwrap()
    }

    const SHARED: Option<IpAddr> = None;

    fn own(nth: u32) -> Option<IpAddr> {
        Some(std::net::Ipv4Addr::from_bits(0xCB00_7100 + nth).into())
    }

    fn somebody() -> Whom {
        Whom::Known(UserId::generate(Time::from_millis(1)))
    }

    fn place(hashing: &Hashing) -> Place {
        hashing.place(Whom::Stranger, own(0)).unwrap()
    }

    fn until_busy(hashing: &Hashing, whom: Whom, address: Option<IpAddr>) -> Vec<Place> {
        std::iter::from_fn(|| hashing.place(whom, address).ok()).collect()
    }

    /// Places of strangers with networks of their own, until there are no more.
    fn fill(hashing: &Hashing) -> Vec<Place> {
        (4..).map_while(|nth| hashing.place(Whom::Stranger, own(nth << 8)).ok()).collect()
    }

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let hashing = Hashing::on(1);
        let place = place(&hashing);
        let hash = place.hash(new("correct horse")).await.unwrap();
        assert!(place.verify(password("correct horse"), Some(&hash)).await.unwrap());
        assert!(!place.verify(password("battery staple"), Some(&hash)).await.unwrap());
        assert!(!place.verify(password("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_of_what_was_typed_in_another_form_fits_too() {
        let place = place(&Hashing::on(1));
        let phc = Argon2::default().hash_password("Zoe\u{308} Lees".as_bytes()).unwrap().to_string();
        let before = PasswordHash::new(phc);
        assert!(place.verify(password("Zoe\u{308} Lees"), Some(&before)).await.unwrap());
        let now = place.hash(new("Zoe\u{308} Lees")).await.unwrap();
        for typed in ["Zoe\u{308} Lees", "Zo\u{EB} Lees", "Zo\u{EB}\u{A0}Lees"] {
            assert!(place.verify(password(typed), Some(&now)).await.unwrap(), "{typed}");
        }
    }

    #[tokio::test]
    async fn nobodys_hash_costs_what_a_real_one_costs() {
        let real = place(&Hashing::on(1)).hash(new("correct horse")).await.unwrap();
        let shape = |phc: &str| phc.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(shape(real.as_phc()), shape(NOBODYS_HASH));
        let costs = format!("$m={},t={},p={}$", Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST);
        assert!(NOBODYS_HASH.contains(&costs) && real.as_phc().contains(&costs));
        // A malformed hash would be refused at once, without the work.
        assert!(argon2::PasswordHash::new(NOBODYS_HASH).is_ok());
    }

    #[tokio::test]
    async fn strangers_who_take_all_their_places_take_nobody_elses() {
        let hashing = Hashing::on(1);
        let taken = fill(&hashing);
        assert_eq!(taken.len(), WAITING_FOR_EACH + 1);
        let busy = |whom, address| matches!(hashing.place(whom, address), Err(HashingError::Busy));
        assert!(busy(Whom::Stranger, own(1)) && busy(Whom::Stranger, SHARED));
        // From where the strangers come, too.
        for address in [own(1), SHARED, own(4 << 8)] {
            assert!(!busy(somebody(), address) && !busy(Whom::New, address), "{address:?}");
        }
        drop(taken);
        assert!(!busy(Whom::Stranger, own(1)));
    }

    #[tokio::test]
    async fn one_person_has_few_places_an_address_a_quarter_a_network_half_and_all_shared_ones_half() {
        let hashing = Hashing::on(1);
        let all = |whom, address| until_busy(&hashing, whom, address);
        let places = WAITING_FOR_EACH + 1;
        let (quarter, half) = (places / 4, places / 2);
        for whom in [Whom::Stranger, Whom::New] {
            let of_one_network = [own(1), own(2), own(1), own(3)].map(|address| all(whom, address));
            assert_eq!(of_one_network.map(|places| places.len()), [quarter, quarter, 0, 0]);
            let elsewhere = [own(1), own(1 << 8), SHARED].map(|address| all(whom, address));
            assert_eq!(elsewhere.map(|places| places.len()), [quarter, quarter, half]);
        }
        let one = somebody();
        let of_one = [own(1), own(2), SHARED].map(|address| all(one, address));
        assert_eq!(of_one.each_ref().map(Vec::len), [MOST_OF_ONE, 0, 0]);
        drop(of_one);
        let behind_one: Vec<_> = (0..12).map_while(|_| hashing.place(somebody(), own(1)).ok()).collect();
        assert_eq!(behind_one.len(), 12, "people behind one address");
    }

    #[tokio::test]
    async fn for_whoever_is_gone_before_it_begins_no_hash_is_made() {
        let hashing = Hashing::on(1);
        let (place, core) = (place(&hashing), hashing.cores.clone().try_acquire_owned().unwrap());
        let (gone, left) = tokio::sync::oneshot::channel::<()>();
        let verified = place.verify_unless(async { drop(left.await) }, password("correct horse"), None);
        futures::pin_mut!(verified);
        assert!(futures::poll!(&mut verified).is_pending());
        drop(gone);
        assert!(matches!(verified.await, Err(HashingError::Lost(_))));
        drop(core);
        assert_eq!(hashing.strangers.turns.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_is_known_does_not_wait_behind_strangers() {
        let hashing = Hashing::on(1);
        let (strangers, known) = (fill(&hashing), hashing.place(somebody(), SHARED).unwrap());
        let new = hashing.place(Whom::New, SHARED).unwrap();
        let made = RefCell::new(Vec::new());
        let make = async |place: &Place, whom: &'static str| {
            place.run(pending(), || {}).await.unwrap();
            made.borrow_mut().push(whom);
        };
        // They begin in this order.
        let (last, of_strangers) = (join_all([make(&known, "known"), make(&new, "new")]), &strangers);
        futures::join!(join_all(of_strangers.iter().map(|place| make(place, "stranger"))), last);
        let made = made.into_inner();
        let nth = |whom| made.iter().position(|of| *of == whom).unwrap();
        assert!(nth("known") < 4 && nth("new") < 4, "{made:?}");
        assert_eq!(made.len(), strangers.len() + 2);
    }

    #[tokio::test]
    async fn who_hangs_up_makes_no_room_while_the_hash_is_made() {
        let hashing = Hashing::on(1);
        let mut others = until_busy(&hashing, Whom::Stranger, own(0));
        let busy = || hashing.place(Whom::Stranger, own(0)).is_err();
        let (hung_up, (end, ended)) = (others.pop().unwrap(), std::sync::mpsc::channel::<()>());
        {
            let making = hung_up.run(pending(), move || ended.recv());
            futures::pin_mut!(making);
            assert!(futures::poll!(making).is_pending());
        }
        drop(hung_up);
        assert!(busy());
        end.send(()).unwrap();
        // The next one has the core when the work before is done.
        others[0].run(pending(), || {}).await.unwrap();
        assert!(!busy());
    }
}
