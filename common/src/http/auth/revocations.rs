use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use super::Principal;
use crate::clock::{SharedClock, Time};
use crate::id::{SessionId, UserId};

/// Tokens that ended before their time, learnt from events. Kept only as long as such a token would live.
#[derive(Clone)]
pub struct Revocations {
    clock: SharedClock,
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    sessions: HashMap<SessionId, Time>,
    versions: HashMap<UserId, (i64, Time)>,
    disabled: HashMap<UserId, Time>,
    /// Of what ended before, some was not told.
    told_from: Option<Time>,
}

impl Revocations {
    /// None yet.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, known: Arc::default() }
    }

    /// Refuses the tokens of a session. `until` is when the last of them ends anyway.
    pub fn revoke_session(&self, session: SessionId, until: Time) {
        self.change(|known| known.sessions.insert(session, until));
    }

    /// Refuses the user's tokens that were made before `version`.
    pub fn require_version(&self, user: UserId, version: i64, until: Time) {
        self.change(|known| {
            let least = known.versions.entry(user).or_insert((version, until));
            *least = (least.0.max(version), least.1.max(until));
        });
    }

    /// Refuses all tokens of the user.
    pub fn disable(&self, user: UserId, until: Time) {
        self.change(|known| known.disabled.insert(user, until));
    }

    /// Takes [`Revocations::disable`] back.
    pub fn enable(&self, user: UserId) {
        self.change(|known| known.disabled.remove(&user));
    }

    /// Refuses the tokens that were made before `told_from`: nobody knows which of them ended since.
    pub fn refuse_made_before(&self, told_from: Time) {
        self.change(|known| known.told_from = known.told_from.max(Some(told_from)));
    }

    /// Whether the principal's token ended before its time.
    pub fn refuse(&self, principal: &Principal) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let least = known.versions.get(&principal.user).map_or(i64::MIN, |(version, _)| *version);
        known.sessions.contains_key(&principal.session)
            || known.disabled.contains_key(&principal.user)
            || principal.user_version < least
            || known.told_from.is_some_and(|told_from| principal.issued_at < told_from)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Known) -> R) {
        let now = self.clock.now();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        forget(&mut known.sessions, |until| *until <= now);
        forget(&mut known.versions, |(_, until)| *until <= now);
        forget(&mut known.disabled, |until| *until <= now);
        change(&mut known);
    }
}

/// Only now and then, when the map is about to grow: an entry costs nothing, a walk on each change does.
fn forget<K: Hash + Eq, V>(entries: &mut HashMap<K, V>, over: impl Fn(&V) -> bool) {
    if entries.len() == entries.capacity() {
        entries.retain(|_, value| !over(value));
    }
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revocations").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::http::auth::Role;

    fn principal(now: Time, user_version: i64) -> Principal {
        let (user, session) = (UserId::generate(now), SessionId::generate(now));
        Principal { user, session, role: Role::Member, verified: false, scopes: None, user_version, issued_at: now }
    }

    #[test]
    fn a_session_a_version_and_a_user_can_end() {
        let now = Time::from_millis(1_000);
        let until = now + Duration::from_secs(600);
        let revocations = Revocations::new(ManualClock::at(now));
        let (a, b, c) = (principal(now, 1), principal(now, 3), principal(now, 1));
        revocations.revoke_session(a.session, until);
        revocations.require_version(b.user, 3, until);
        revocations.disable(c.user, until);
        assert!(revocations.refuse(&a) && !revocations.refuse(&b) && revocations.refuse(&c));
        revocations.require_version(b.user, 4, until);
        revocations.require_version(b.user, 2, until);
        revocations.enable(c.user);
        assert!(revocations.refuse(&b) && !revocations.refuse(&c));
    }

    #[test]
    fn a_token_of_before_what_is_told_may_have_ended() {
        let told_from = Time::from_millis(5_000);
        let revocations = Revocations::new(ManualClock::at(told_from));
        let [before, since] = [4_000, 5_000].map(|at| principal(Time::from_millis(at), 1));
        revocations.refuse_made_before(told_from);
        revocations.refuse_made_before(Time::from_millis(1_000));
        assert!(revocations.refuse(&before) && !revocations.refuse(&since));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let clock = ManualClock::at(Time::from_millis(1_000));
        let revocations = Revocations::new(clock.clone());
        for _ in 0..10_000 {
            let now = clock.now();
            revocations.revoke_session(SessionId::generate(now), now + Duration::from_secs(1));
            clock.advance(Duration::from_millis(100));
        }
        assert!(revocations.known.read().unwrap().sessions.len() < 100);
    }
}
