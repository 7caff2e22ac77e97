//! Examples for an empty installation, made through the API like everything else.
//!
//! A file in the data folder says that the demo is complete. A start that finds the seller but not the file completes what a
//! killed one has left: a listing is made once, because one with its title that the seller has already, also one that was
//! withdrawn, is left alone. An `Idempotency-Key` would not do: the key of a request that died with its process is taken for a
//! minute. Once complete, the demo belongs to those who try it, and what they change or take away stays so.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::Time;
use common::mail::{Folder, Mail};
use common::service::StartError;
use common::settings::Settings;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

pub(crate) use auth::known_passwords::{BUYER, PASSWORD, SELLER};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the mail to the seller is waited for, and how often it is looked for.
const MAIL_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes two people and a few listings, unless they are there. What fails is logged: Docket runs without a demo too, and the
/// next start completes it.
pub(crate) async fn seed(base: &str, settings: &Settings, now: Time) {
    let mails = settings.smtp_url.is_none().then(|| Folder::of(&settings.data_dir));
    if let Err(error) = try_seed(base, &Mark::in_folder(&settings.data_dir), mails, now).await {
        tracing::warn!(%error, "the demo data are not complete; the next start goes on with them");
    }
}

/// The file that says that the demo is complete.
struct Mark(PathBuf);

impl Mark {
    fn in_folder(data_dir: &Path) -> Self {
        Self(data_dir.join("demo-complete"))
    }

    fn is_set(&self) -> bool {
        self.0.exists()
    }

    fn set(&self) -> std::io::Result<()> {
        self.0.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&self.0, "")
    }
}

async fn try_seed(base: &str, mark: &Mark, mails: Option<Folder>, now: Time) -> Result<(), StartError> {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build().map_err(StartError::other)?;
    let there = sign_up(&client, base, SELLER, "Sam Seller").await?;
    if there == SignedUp::Before && mark.is_set() {
        return Ok(());
    }
    sign_up(&client, base, BUYER, "Bea Buyer").await?;
    let Some(mails) = mails else { return Err(StartError::other(MAIL_IS_SENT)) };
    let token = confirmed(&client, base, &mails).await?;
    let made = titles(&client, base, &token).await?;
    for show in SHOWS.iter().filter(|show| !made.contains(show.title)) {
        let request = client.post(format!("{base}/api/tickets")).bearer_auth(&token).json(&show.listing(now));
        request.send().await.and_then(reqwest::Response::error_for_status).map_err(StartError::other)?;
    }
    mark.set().map_err(StartError::other)
}

const MAIL_IS_SENT: &str =
    "who sells has confirmed their address, and with SMTP_URL nobody reads the mail to the demo's seller";

/// A token of the seller, who has followed the link in the mail.
async fn confirmed(client: &Client, base: &str, mails: &Folder) -> Result<String, StartError> {
    let of_before = token(client, base).await?;
    if seller(client, base, &of_before).await?["emailVerified"] == true {
        return Ok(of_before);
    }
    // The mail of an earlier start may be too old.
    let again = client.post(format!("{base}/api/users/verify-email/request")).bearer_auth(&of_before);
    again.send().await.map_err(StartError::other)?;
    tokio::time::timeout(MAIL_WITHIN, follow_link(client, base, mails))
        .await
        .map_err(|_| StartError::other("no mail came to the demo's seller"))??;
    token(client, base).await
}

/// Follows the link in each mail to the seller, as it comes, until one is good.
async fn follow_link(client: &Client, base: &str, mails: &Folder) -> Result<(), StartError> {
    let mut tried = HashSet::new();
    loop {
        for mail in mails.newest(MAILS).await.map_err(StartError::other)? {
            let Some(token) = link_to_seller(&mail).filter(|_| tried.insert(mail.id)) else { continue };
            let followed = client.post(format!("{base}/api/users/verify-email")).json(&json!({ "token": token }));
            if followed.send().await.map_err(StartError::other)?.status().is_success() {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How many mails are looked at, the newest ones.
const MAILS: usize = 100;

fn link_to_seller(mail: &Mail) -> Option<&str> {
    let (_, after) = mail.text.split_once("/verify-email?token=").filter(|_| mail.to == SELLER)?;
    after.split_whitespace().next()
}

#[derive(PartialEq, Eq)]
enum SignedUp {
    Now,
    Before,
}

async fn sign_up(client: &Client, base: &str, email: &str, name: &str) -> Result<SignedUp, StartError> {
    let person = json!({ "email": email, "password": PASSWORD, "name": name });
    let answer =
        client.post(format!("{base}/api/users/signup")).json(&person).send().await.map_err(StartError::other)?;
    match answer.status() {
        StatusCode::CREATED => Ok(SignedUp::Now),
        StatusCode::CONFLICT => Ok(SignedUp::Before),
        status => Err(StartError::other(format!("sign-up of {email} answered {status}"))),
    }
}

async fn token(client: &Client, base: &str) -> Result<String, StartError> {
    let person = json!({ "email": SELLER, "password": PASSWORD });
    let answer =
        client.post(format!("{base}/api/users/token")).json(&person).send().await.map_err(StartError::other)?;
    let body: Value = answer.json().await.map_err(StartError::other)?;
    body["accessToken"].as_str().map(ToOwned::to_owned).ok_or_else(|| StartError::other("no access token"))
}

async fn get(client: &Client, base: &str, path: &str, token: &str) -> Result<Value, StartError> {
    let answer = client.get(format!("{base}{path}")).bearer_auth(token).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status).map_err(StartError::other)?;
    answer.json::<Value>().await.map_err(StartError::other)
}

/// The account of the seller.
async fn seller(client: &Client, base: &str, token: &str) -> Result<Value, StartError> {
    Ok(get(client, base, "/api/users/currentuser", token).await?["currentUser"].take())
}

/// The titles of all that the seller has listed, withdrawn or not.
async fn titles(client: &Client, base: &str, token: &str) -> Result<HashSet<String>, StartError> {
    let seller = seller(client, base, token).await?;
    let id = seller["id"].as_str().ok_or_else(|| StartError::other("nobody is signed in"))?;
    let listings = get(client, base, &format!("/api/tickets?sellerId={id}&limit=100"), token).await?;
    let items = listings["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(items.iter().filter_map(|listing| listing["title"].as_str().map(str::to_owned)).collect())
}

/// A listing of the demo: how many days from now it begins, and at which hour of its place.
struct Show {
    title: &'static str,
    venue: &'static str,
    zone: &'static str,
    price: (&'static str, &'static str),
    quantity: u32,
    days: i32,
    hour: i8,
    description: &'static str,
}

const SHOWS: [Show; 8] = [
    Show {
        title: "The Late Trains",
        venue: "Old Goods Hall, Turin",
        zone: "Europe/Rome",
        price: ("24.50", "eur"),
        quantity: 400,
        days: 6,
        hour: 21,
        description: "Six people, two drum kits and a brass section that arrives when it likes.\n\nDoors open an hour before. Standing only.",
    },
    Show {
        title: "Matinee for small ears",
        venue: "Theatre on the Quay, Hamburg",
        zone: "Europe/Berlin",
        price: ("9", "eur"),
        quantity: 80,
        days: 9,
        hour: 11,
        description: "Forty minutes of Saint-Saëns with animals, for everybody between three and eight and whoever brings them.",
    },
    Show {
        title: "Open rehearsal",
        venue: "Old Goods Hall, Turin",
        zone: "Europe/Rome",
        price: ("0", "eur"),
        quantity: 30,
        days: 3,
        hour: 17,
        description: "Come and hear how it is made. It costs nothing; a place has to be held all the same.",
    },
    Show {
        title: "Night of the short film",
        venue: "Paper Mill Cinema, Leeds",
        zone: "Europe/London",
        price: ("12", "gbp"),
        quantity: 140,
        days: 13,
        hour: 20,
        description: "Fourteen films, none longer than twelve minutes. The audience gives the prize.",
    },
    Show {
        title: "Winter garden supper",
        venue: "Glasshouse No. 3, Portland",
        zone: "America/Los_Angeles",
        price: ("68", "usd"),
        quantity: 24,
        days: 20,
        hour: 19,
        description: "One long table among the citrus trees. Five courses, no meat.",
    },
    Show {
        title: "A talk about bridges",
        venue: "Harbour Library, Rotterdam",
        zone: "Europe/Amsterdam",
        price: ("6.50", "eur"),
        quantity: 90,
        days: 16,
        hour: 19,
        description: "Why some of them hum, and what happens when everybody walks in step.",
    },
    Show {
        title: "Sixteen hands",
        venue: "Kleiner Saal, Vienna",
        zone: "Europe/Vienna",
        price: ("31", "eur"),
        quantity: 6,
        days: 27,
        hour: 19,
        description: "Four pianos, eight pianists. The front row only; the rest is subscribed.",
    },
    Show {
        title: "Dawn chorus walk",
        venue: "North Gate, Uppsala",
        zone: "Europe/Stockholm",
        price: ("120", "sek"),
        quantity: 18,
        days: 34,
        hour: 5,
        description: "Wear something warm. We stop where the robins are.",
    },
];

impl Show {
    fn listing(&self, now: Time) -> Value {
        let (price, currency) = self.price;
        json!({
            "title": self.title, "venue": self.venue, "description": self.description, "price": price, "currency": currency,
            "quantity": self.quantity, "perOrderLimit": self.quantity.min(6), "startsAt": self.starts_at(now),
            "timeZone": self.zone,
        })
    }

    fn starts_at(&self, now: Time) -> Option<String> {
        let zone = TimeZone::get(self.zone).ok()?;
        let today = Timestamp::from_millisecond(now.millis()).ok()?.to_zoned(zone.clone()).date();
        let begins = today.checked_add(Span::new().days(self.days)).ok()?.at(self.hour, 0, 0, 0).to_zoned(zone).ok()?;
        Some(begins.timestamp().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_begin_at_their_hour_of_their_place() {
        let now = "2026-11-21T23:30:00Z".parse().unwrap();
        assert_eq!(SHOWS[0].starts_at(now).as_deref(), Some("2026-11-28T20:00:00Z"), "it is the 22nd in Turin");
        assert!(SHOWS.iter().all(|show| show.starts_at(now).is_some()));
    }
}
