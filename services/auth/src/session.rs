//! Sessions: one sign-in on one device, kept alive by refreshing and ended by time, by its owner or by a stolen token.

use std::time::Duration;

use common::clock::Time;
use common::events::users::{SessionRevoked, SessionStarted};
use common::id::{SessionId, UserId};
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// However often it is refreshed, a session ends after this time.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// A session that is not refreshed for this time ends.
pub const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long an ended session is kept to be looked at.
pub const KEPT: Duration = DAY;

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session's id.
    #[serde(rename = "_id")]
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// On what, as far as it tells.
    pub device: Device,
    /// When it began.
    pub started_at: Time,
    /// When it ends at the latest.
    pub ends_at: Time,
    /// When it was ended before its time.
    pub revoked_at: Option<Time>,
}

impl Session {
    /// A new session.
    pub fn start(user_id: UserId, device: Device, now: Time) -> (Self, SessionStarted) {
        let id = SessionId::generate(now);
        let session = Self { id, user_id, device, started_at: now, ends_at: now + LONGEST, revoked_at: None };
        (session, SessionStarted { session_id: id, user_id })
    }

    /// Ends it; `None` if it was ended already.
    pub fn revoke(&self, now: Time) -> Option<(Self, SessionRevoked)> {
        let event = SessionRevoked { session_id: self.id, user_id: self.user_id };
        self.revoked_at.is_none().then(|| (Self { revoked_at: Some(now), ..self.clone() }, event))
    }

    /// Whether it can go on.
    pub fn is_live(&self, now: Time) -> bool {
        self.revoked_at.is_none() && now < self.ends_at
    }
}

/// What a session runs on: the User-Agent header, cut to a sane length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Device(String);

const BROWSERS: [(&str, &str); 6] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
];

impl Device {
    /// The device that sends this User-Agent header.
    pub fn from_user_agent(header: &str) -> Self {
        Self(header.chars().filter(|c| !c.is_control()).take(200).collect())
    }

    /// The header, as far as it is kept.
    pub fn user_agent(&self) -> &str {
        &self.0
    }

    /// A name that a person knows it by, such as "Firefox on Linux".
    pub fn label(&self) -> String {
        let find = |known: &[(&str, &'static str)]| {
            known.iter().find(|(mark, _)| self.0.contains(mark)).map(|(_, name)| *name)
        };
        match (find(&BROWSERS), find(&SYSTEMS)) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => "Unknown device".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_millis(1_795_000_000_000);

    fn session() -> Session {
        let user = UserId::generate(START);
        Session::start(user, Device::from_user_agent("curl/8.0"), START).0
    }

    #[test]
    fn a_session_ends_after_thirty_days() {
        assert!(session().is_live(START + LONGEST - Duration::from_millis(1)));
        assert!(!session().is_live(START + LONGEST));
    }

    #[test]
    fn a_session_is_revoked_once() {
        let (revoked, event) = session().revoke(START).unwrap();
        assert_eq!(event.session_id, revoked.id);
        assert!(!revoked.is_live(START));
        assert!(revoked.revoke(START).is_none());
    }

    #[test]
    fn a_device_has_a_name_that_people_know() {
        let label = |agent: &str| Device::from_user_agent(agent).label();
        assert_eq!(label("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox on Linux");
        assert_eq!(
            label("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"),
            "Chrome on Android"
        );
        assert_eq!(label("curl/8.5.0"), "curl");
        assert_eq!(label(""), "Unknown device");
        assert_eq!(Device::from_user_agent(&"x".repeat(999)).user_agent().len(), 200);
    }
}
