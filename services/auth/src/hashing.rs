//! Argon2id takes memory and time on purpose, so only a few hashes are made at once and only so many may wait.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::password::{ChosenPassword, Password, PasswordHash};

/// How many may wait for each that is being made: about two seconds' worth.
const WAITING_FOR_EACH: usize = 64;

/// Matches no password; verifying against it takes as long as against a real one (same parameters, same lengths).
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy10aGlzIQ$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Why no hash was made or verified.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many are waiting already.
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

/// Makes and verifies hashes, as many at once as there are cores.
#[derive(Clone, Debug)]
pub struct Hashing {
    places: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

impl Hashing {
    /// Hashing on `cores` threads at once.
    pub fn on(cores: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(cores * (WAITING_FOR_EACH + 1))),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`HashingError`].
    pub async fn hash(&self, password: ChosenPassword) -> Result<PasswordHash, HashingError> {
        let hashed =
            self.run(move || Argon2::default().hash_password(password.expose()).map(|phc| phc.to_string())).await?;
        hashed.map(PasswordHash::new).map_err(|error| HashingError::Lost(error.to_string().into()))
    }

    /// Whether the password is the one that was hashed. Without a hash the answer is no, after the same time.
    ///
    /// # Errors
    /// [`HashingError`].
    pub async fn verify(&self, password: Password, hash: Option<&PasswordHash>) -> Result<bool, HashingError> {
        let known = hash.is_some();
        let phc = hash.map_or(NOBODYS_HASH, PasswordHash::as_phc).to_owned();
        let fits = move |form: &[u8]| Argon2::default().verify_password(form, phc.as_str()).is_ok();
        let matches = self.run(move || password.forms().any(fits)).await?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashingError> {
        let place = self.places.clone().try_acquire_owned()?;
        let core = self.cores.clone().acquire_owned().await?;
        // The permits go with the work: a client that hangs up does not make room while its hash is still being made.
        let work = move || with_permits([place, core], work);
        tokio::task::spawn_blocking(work).await.map_err(|error| HashingError::Lost(error.into()))
    }
}

fn with_permits<T>(permits: [OwnedSemaphorePermit; 2], work: impl FnOnce() -> T) -> T {
    let done = work();
    drop(permits);
    done
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text.into()).unwrap()
    }

    fn new(text: &str) -> ChosenPassword {
        ChosenPassword::parse(&text.into()).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let hashing = Hashing::on(1);
        let hash = hashing.hash(new("correct horse")).await.unwrap();
        assert!(hashing.verify(password("correct horse"), Some(&hash)).await.unwrap());
        assert!(!hashing.verify(password("battery staple"), Some(&hash)).await.unwrap());
        assert!(!hashing.verify(password("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_of_what_was_typed_in_another_form_fits_too() {
        let hashing = Hashing::on(1);
        let phc = Argon2::default().hash_password("Zoe\u{308} Lees".as_bytes()).unwrap().to_string();
        let before = PasswordHash::new(phc);
        assert!(hashing.verify(password("Zoe\u{308} Lees"), Some(&before)).await.unwrap());
        let now = hashing.hash(new("Zoe\u{308} Lees")).await.unwrap();
        for typed in ["Zoe\u{308} Lees", "Zo\u{EB} Lees", "Zo\u{EB}\u{A0}Lees"] {
            assert!(hashing.verify(password(typed), Some(&now)).await.unwrap(), "{typed}");
        }
    }

    #[tokio::test]
    async fn nobodys_hash_costs_what_a_real_one_costs() {
        let real = Hashing::on(1).hash(new("correct horse")).await.unwrap();
        let shape = |phc: &str| phc.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(shape(real.as_phc()), shape(NOBODYS_HASH));
        let costs = format!("$m={},t={},p={}$", Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST);
        assert!(NOBODYS_HASH.contains(&costs) && real.as_phc().contains(&costs));
        // A malformed hash would be refused at once, without the work.
        assert!(argon2::PasswordHash::new(NOBODYS_HASH).is_ok());
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_at_once() {
        let hashing = Hashing::on(1);
        let all = u32::try_from(hashing.places.available_permits()).unwrap();
        let taken = hashing.places.clone().try_acquire_many_owned(all).unwrap();
        assert!(matches!(hashing.hash(new("correct horse")).await, Err(HashingError::Busy)));
        drop(taken);
        assert!(hashing.hash(new("correct horse")).await.is_ok());
    }
}
