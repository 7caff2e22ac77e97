//! Sign-ins, many at once: a guess is counted before it is looked at, and who guesses keeps nobody else out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bson::doc;
use docket_tests::{Answer, App, PASSWORD, Person, eventually, pause};
use futures::future::{join_all, select_all};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const WRONG: &str = "battery staple";
/// Wrong passwords for one account from one place.
const GUESSES: usize = 10;
/// An address that many may have, and one that is somebody's own.
const SHARED: &str = "10.0.0.9";
const OWN: &str = "203.0.113.50";
/// When strangers come again who were refused.
const AGAIN: Duration = Duration::from_secs(2);

async fn from(place: &str, person: &Person, path: &str, body: Value) -> Answer {
    person.send(Method::POST, path, &[("x-forwarded-for", place)], body).await
}

/// Asks for tokens, with which no browser becomes known.
async fn token(visitor: &Person, place: &str, email: &str, password: &str) -> Answer {
    from(place, visitor, "/api/users/token", json!({ "email": email, "password": password })).await
}

fn of(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

/// How often it was told that somebody's sign-ins are refused, when all is told that was to be.
async fn refusals_told(admin: &Person, of: &Person) -> usize {
    of.post("/api/users/verify-email/request", Value::Null).await.expect(202);
    eventually("the trail tells of what came last", 10, || async {
        let trail = admin.get("/api/users/audit").await.expect(200);
        let lines = trail["items"].as_array().unwrap().iter().filter(|line| line["userId"] == of.id);
        let told: Vec<&str> = lines.filter_map(|line| line["event"].as_str()).collect();
        let last = told.contains(&"user.email-verification-requested");
        last.then(|| told.iter().filter(|event| **event == "user.sign-ins-refused").count())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_once_no_more_are_looked_at_than_one_may_make() {
    let app = App::start().await;
    let (admin, ana, bob, visitor) = (app.admin().await, app.sign_up().await, app.sign_up().await, app.visitor());
    for round in 0..4 {
        let guesses = (0..30).map(|_| token(&visitor, SHARED, &ana.email, WRONG));
        let answers = join_all(guesses).await;
        let looked_at = if round == 0 { GUESSES } else { 0 };
        assert_eq!((of(&answers, 401), of(&answers, 429)), (looked_at, 30 - looked_at), "in round {round}");
    }
    let refused = token(&visitor, SHARED, &ana.email, PASSWORD).await;
    assert!((840..=900).contains(&retry_after(&refused)), "{refused:?}");
    refused.problem(429, "too_many_requests");
    assert_eq!(refusals_told(&admin, &ana).await, 1);

    for place in [OWN, SHARED] {
        let answers = join_all((0..120).map(|_| token(&visitor, place, &bob.email, WRONG))).await;
        assert!((1..=GUESSES).contains(&of(&answers, 401)), "{}", of(&answers, 401));
        assert_eq!(of(&answers, 401) + of(&answers, 429) + of(&answers, 503), 120, "{answers:?}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_from_everywhere_a_hundred_are_looked_at_and_their_end_is_told_once() {
    let app = App::start().await;
    let (admin, ana, visitor) = (app.admin().await, app.sign_up().await, app.visitor());
    let mut looked_at = 0;
    for round in 0..4 {
        let places: Vec<String> = (1..=60).map(|nth| format!("198.51.{round}.{nth}")).collect();
        let answers = join_all(places.iter().map(|place| token(&visitor, place, &ana.email, WRONG))).await;
        looked_at += of(&answers, 401);
        assert_eq!(of(&answers, 401) + of(&answers, 429), 60, "{answers:?}");
    }
    assert_eq!(looked_at, 100);
    assert!(retry_after(&token(&visitor, OWN, &ana.email, PASSWORD).await) > 3_000);
    assert_eq!(refusals_told(&admin, &ana).await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_is_let_in_among_wrong_ones_and_costs_nothing() {
    let app = App::start().await;
    let (ana, visitor) = (app.sign_up().await, app.visitor());
    let tried = (0..GUESSES).map(|nth| token(&visitor, SHARED, &ana.email, if nth == 4 { PASSWORD } else { WRONG }));
    let answers = join_all(tried).await;
    assert_eq!((answers[4].status, of(&answers, 401)), (200, GUESSES - 1), "{answers:?}");
    token(&visitor, SHARED, &ana.email, PASSWORD).await.expect(200);

    // Twenty at once, all with the right one: those that are more than the guesses come again in a moment, not in minutes.
    for place in [SHARED, OWN] {
        let answers = join_all((0..20).map(|_| token(&visitor, place, &ana.email, PASSWORD))).await;
        assert!(of(&answers, 200) >= 8, "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            assert!([429, 503].contains(&refused.status) && retry_after(refused) <= 2, "{refused:?}");
        }
        token(&visitor, place, &ana.email, PASSWORD).await.expect(200);
    }
    let attempts = app.database("auth").await.collection::<bson::Document>("attempts");
    let left = attempts.find_one(doc! { "_id": { "$regex": "^wrong-passwords-by" }, "count": { "$ne": 0 } }).await;
    assert_eq!(left.unwrap(), None, "who knew the password has guessed nothing");
    app.stop().await;
}

/// Somebody whose password is in the queue hangs up.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_password_whose_owner_hung_up_is_not_counted_as_a_wrong_one() {
    let app = App::start().await;
    let (ana, visitor) = (app.sign_up().await, app.visitor());
    let attempts = app.database("auth").await.collection::<bson::Document>("attempts");
    let counted = async |count: i64| {
        let by_place = doc! { "_id": { "$regex": "^wrong-passwords-by-client" }, "count": count };
        (attempts.count_documents(by_place).await.unwrap() == 1).then_some(())
    };
    let queue = join_all((0..30).map(|nth| {
        let visitor = &visitor;
        async move { token(visitor, SHARED, &format!("nobody{nth}@example.org"), WRONG).await }
    }));
    let hang_up = async {
        let host = app.base().replace("http://", "");
        let body = json!({ "email": ana.email, "password": PASSWORD }).to_string();
        let head = format!("POST /api/users/token HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: {OWN}\r\n");
        let head = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut socket = TcpStream::connect(&host).await.unwrap();
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        eventually("it is counted", 10, || counted(1)).await;
        socket.set_zero_linger().unwrap();
        drop(socket);
    };
    let (_, ()) = futures::future::join(queue, hang_up).await;
    eventually("it is taken back", 10, || counted(0)).await;
    app.stop().await;
}

/// Strangers with invented addresses, more at a time than may wait, behind one address and behind addresses of their own.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_fill_the_queue_keep_nobody_out_whom_they_have_nothing_in_common_with() {
    let strangers = 100 * std::thread::available_parallelism().unwrap().get();
    let app = App::with(|settings| settings.max_in_flight = u16::MAX).await;
    let (ana, visitor) = (app.sign_up().await, app.visitor());
    let refused = AtomicUsize::new(0);
    let flood = |place: &'static str| {
        let (visitor, refused) = (&visitor, &refused);
        select_all((0..strangers).map(move |nth| {
            Box::pin(async move {
                for again in 0.. {
                    let place = place.replace('#', &(nth % 250).to_string());
                    let nobody = format!("nobody{nth}.{again}@example.org");
                    let answer = token(visitor, &place, &nobody, WRONG).await;
                    if answer.status == 503 {
                        refused.fetch_add(1, Ordering::Relaxed);
                        pause(AGAIN).await;
                    }
                }
            })
        }))
    };
    let known_and_new = async |nth: usize, place: &str| {
        let credentials = json!({ "email": ana.email, "password": PASSWORD });
        from(place, &ana, "/api/users/signin", credentials).await.expect(200);
        let change = json!({ "currentPassword": PASSWORD, "newPassword": PASSWORD });
        from(place, &ana, "/api/users/change-password", change).await.expect(200);
        let new = json!({ "email": format!("new{nth}@example.org"), "password": PASSWORD });
        from(place, &visitor, "/api/users/signup", new).await.expect(201);
    };
    let till_it_is_full = || {
        refused.store(0, Ordering::Relaxed);
        eventually("the queue is full", 20, || async { (refused.load(Ordering::Relaxed) > 100).then_some(()) })
    };
    for (round, flooded, whence) in [(0, SHARED, SHARED), (1, "198.51.#.7", OWN)] {
        let meanwhile = async {
            till_it_is_full().await;
            for nth in 0..2 {
                known_and_new(2 * round + nth, whence).await;
                if flooded == SHARED {
                    // Without anything that is known of them, but an address of their own.
                    token(&visitor, OWN, &ana.email, PASSWORD).await.expect(200);
                }
            }
        };
        tokio::select! {
            () = meanwhile => {}
            _ = flood(flooded) => {}
        }
    }
    app.stop().await;
}
