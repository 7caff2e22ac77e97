//! Forgotten passwords, replaced passwords, verified addresses, and the mails about them.

use std::net::SocketAddr;

use docket_tests::{Answer, App, PASSWORD, Person, SmtpMail, SmtpSink, eventually};
use futures::future::{join, join_all};
use mail_parser::MessageParser;
use secrecy::SecretString;
use serde_json::{Value, json};

const NEW: &str = "a staple for the battery";
const RESET: &str = "Set a new password";
const VERIFY: &str = "Is this your address?";

/// The mails that an address was sent about a matter, the newest first.
async fn mails(app: &App, to: &str, subject: &str) -> Vec<Value> {
    let items = app.visitor().get("/api/users/dev/mail").await.expect(200)["items"].as_array().unwrap().clone();
    items.into_iter().filter(|mail| mail["to"] == to && mail["subject"] == subject).collect()
}

async fn until_mails(app: &App, to: &str, subject: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} mails to {to}: {subject}"), 20, || async {
        let mails = mails(app, to, subject).await;
        (mails.len() >= count).then_some(mails)
    })
    .await
}

/// The token in the link of a mail.
fn token_in(text: &str) -> &str {
    let after = text.split_once("token=").expect("the mail has a link").1;
    after.split_whitespace().next().unwrap()
}

fn token_of(mail: &Value) -> String {
    token_in(mail["text"].as_str().unwrap()).to_owned()
}

async fn forget(app: &App, email: &str) -> Answer {
    app.visitor().post("/api/users/forgot-password", json!({ "email": email })).await
}

/// The token that somebody who forgot their password is sent.
async fn reset_token(app: &App, email: &str) -> String {
    let before = mails(app, email, RESET).await.len();
    forget(app, email).await.expect(202);
    token_of(&until_mails(app, email, RESET, before + 1).await[0])
}

async fn reset(app: &App, token: &str, password: &str) -> Answer {
    app.visitor().post("/api/users/reset-password", json!({ "token": token, "password": password })).await
}

async fn sign_in(app: &App, email: &str, password: &str) -> Answer {
    app.visitor().post("/api/users/signin", json!({ "email": email, "password": password })).await
}

/// Other services of the same Docket, in another process for all they know.
async fn beside(app: &App, services: Vec<common::service::Service>, ahead_ms: i64) -> App {
    App::of(services, |settings| {
        settings.namespace.clone_from(&app.settings_used().namespace);
        settings.jwks_url = Some(format!("{}/.well-known/jwks.json", app.base()).parse().unwrap());
        settings.clock_offset_ms = ahead_ms;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_answered_alike_for_everybody() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let (known, unknown) = (forget(&app, &ana.email).await, forget(&app, "nobody@example.org").await);
    assert_eq!((known.status, &known.body), (202, &unknown.body));
    assert_eq!(unknown.status, 202);
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&known), names(&unknown));
    forget(&app, "nobody").await.refuses("email");
    until_mails(&app, &ana.email, RESET, 1).await;
    let requests = app.database("auth").await.collection::<bson::Document>("reset_requests");
    eventually("all requests are looked after", 10, || async {
        (requests.estimated_document_count().await.unwrap() == 0).then_some(())
    })
    .await;
    assert_eq!(mails(&app, "nobody@example.org", RESET).await, Vec::<Value>::new());

    // Known or not, five mails an hour are enough.
    for email in [&ana.email, "nobody@example.org"] {
        let answers = join_all((0..5).map(|_| forget(&app, email))).await;
        let refused: Vec<_> = answers.into_iter().filter(|answer| answer.status == 429).collect();
        assert_eq!(refused.len(), 1, "{email}");
        assert!(refused[0].headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 3600);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_all_sessions_on_every_service() {
    let app = App::start().await;
    let orders = beside(&app, vec![orders::service()], 0).await;
    let ana = app.sign_up().await;
    let phone = ana.elsewhere().await;
    ana.at(&orders.base()).get("/api/orders").await.expect(200);
    let token = reset_token(&app, &ana.email).await;
    reset(&app, &token, "short").await.refuses("password");
    reset(&app, &token, NEW).await.expect(200);
    for device in [&ana, &phone] {
        for base in [app.base(), orders.base()] {
            eventually("the session has ended there", 1, || async {
                (device.at(&base).get("/api/orders").await.status == 401).then_some(())
            })
            .await;
        }
        device.post("/api/users/refresh", Value::Null).await.problem(401, "refresh_token_invalid");
    }
    sign_in(&app, &ana.email, PASSWORD).await.problem(401, "invalid_credentials");
    let account = sign_in(&app, &ana.email, NEW).await.expect(200);
    assert_eq!(account["emailVerified"], true, "who resets a password reads the mail");
    orders.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_token_is_good_once_and_ends_with_the_password_it_was_for() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let (older, token) = (reset_token(&app, &ana.email).await, reset_token(&app, &ana.email).await);
    let passwords = ["the first new password", "the second new password"];
    let (one, other) = join(reset(&app, &token, passwords[0]), reset(&app, &token, passwords[1])).await;
    let won = usize::from(one.status != 200);
    let (winner, loser) = if won == 0 { (one, other) } else { (other, one) };
    winner.expect(200);
    loser.problem(400, "reset_token_invalid");
    sign_in(&app, &ana.email, passwords[won]).await.expect(200);
    sign_in(&app, &ana.email, passwords[1 - won]).await.problem(401, "invalid_credentials");
    for spent in [&*token, &*older, "forged", &"A".repeat(43)] {
        reset(&app, spent, NEW).await.problem(400, "reset_token_invalid");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_token_ends_after_an_hour_and_is_stored_as_its_hash_only() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let token = reset_token(&app, &ana.email).await;
    let tokens = app.database("auth").await.collection::<bson::Document>("account_tokens");
    let stored =
        tokens.find_one(bson::doc! { "purpose": "reset-password", "_id": { "$gt": "" } }).await.unwrap().unwrap();
    assert!(!stored.to_string().contains(&token), "{stored}");
    assert_eq!(stored.get_str("_id").unwrap().len(), 64);
    let later = beside(&app, vec![auth::service()], 3_600_000).await;
    reset(&later, &token, NEW).await.problem(400, "reset_token_invalid");
    later.stop().await;
    reset(&app, &token, NEW).await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_the_password_stays_signed_in_alone() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let phone = ana.elsewhere().await;
    let change = async |current: &str, new: &str| {
        ana.post("/api/users/change-password", json!({ "currentPassword": current, "newPassword": new })).await
    };
    change("not this one", NEW).await.refuses("currentPassword");
    change("short", NEW).await.refuses("currentPassword");
    change(PASSWORD, "short").await.refuses("newPassword");
    assert_eq!(change(PASSWORD, NEW).await.expect(200)["email"], ana.email);
    eventually("the other session has ended", 1, || async {
        (phone.get("/api/orders").await.status == 401).then_some(())
    })
    .await;
    ana.get("/api/orders").await.expect(200);
    ana.post("/api/users/refresh", Value::Null).await.expect(200);
    sign_in(&app, &ana.email, NEW).await.expect(200);

    // Two of the ten tries were made above. For some of ten at once there may be no place, and those are not counted.
    let (mut looked_at, mut refused) = (2, 0);
    while refused == 0 {
        for answer in join_all((0..10).map(|_| change("not this one", NEW))).await {
            match answer.status {
                429 => refused += 1,
                503 => {}
                _ => {
                    answer.refuses("currentPassword");
                    looked_at += 1;
                }
            }
        }
    }
    assert_eq!(looked_at, 10);
    app.stop().await;
}

/// The process died after it had replaced the password, and before it ended the sessions. So it had for somebody else before,
/// who has a session that only a later build can end.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_a_crash_left_are_ended() {
    let app = App::start().await;
    let (ana, bo) = (app.sign_up().await, app.sign_up().await);
    let phone = ana.elsewhere().await;
    let sessions = ana.get("/api/users/sessions").await.expect(200);
    let own = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    let users = app.database("auth").await.collection::<bson::Document>("users");
    let sessions = app.database("auth").await.collection::<bson::Document>("sessions");
    let of_a_later_build = bson::doc! { "$set": { "schema": 99 } };
    sessions.update_one(bson::doc! { "userId": bo.id.as_str().unwrap() }, of_a_later_build).await.unwrap();
    let left = bson::doc! { "number": 1_i64, "spared": null, "at": bson::DateTime::from_millis(0) };
    let bo_only = bson::doc! { "_id": bo.id.as_str().unwrap() };
    users.update_one(bo_only, bson::doc! { "$push": { "endings": left } }).await.unwrap();
    let long_ago = bson::DateTime::from_millis(1);
    let left = bson::doc! { "number": 1_i64, "spared": own["id"].as_str().unwrap(), "at": long_ago };
    let ana_only = bson::doc! { "_id": ana.id.as_str().unwrap() };
    users.update_one(ana_only.clone(), bson::doc! { "$push": { "endings": left } }).await.unwrap();
    eventually("the other session has ended", 15, || async {
        (phone.get("/api/orders").await.status == 401).then_some(())
    })
    .await;
    ana.get("/api/orders").await.expect(200);
    eventually("it is noted as done", 5, || async {
        let user = users.find_one(ana_only.clone()).await.unwrap().unwrap();
        user.get_array("endings").unwrap().is_empty().then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_by_the_mail_that_a_sign_up_sends() {
    let app = App::start().await;
    let (ana, bo) = (app.sign_up().await, app.sign_up().await);
    let verified = async |person: &Person| {
        person.get("/api/users/currentuser").await.expect(200)["currentUser"]["emailVerified"].clone()
    };
    let verify = async |token: &str| app.visitor().post("/api/users/verify-email", json!({ "token": token })).await;
    assert_eq!(verified(&ana).await, false);
    let mail = until_mails(&app, &ana.email, VERIFY, 1).await.remove(0);
    let one = app.visitor().get(&format!("/api/users/dev/mail/{}", mail["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(one, mail);
    let link = format!("{}/verify-email?token={}", app.base(), token_of(&mail));
    assert!(mail["text"].as_str().unwrap().contains(&link) && mail["html"].as_str().unwrap().contains(&link), "{mail}");
    reset(&app, &token_of(&mail), NEW).await.problem(400, "reset_token_invalid");
    verify(&token_of(&mail)).await.expect(200);
    ana.post("/api/users/refresh", Value::Null).await.expect(200);
    assert_eq!((verified(&ana).await, verified(&bo).await), (json!(true), json!(false)));
    verify(&token_of(&mail)).await.problem(400, "verification_token_invalid");

    let first = token_of(&until_mails(&app, &bo.email, VERIFY, 1).await[0]);
    bo.post("/api/users/verify-email/request", Value::Null).await.expect(202);
    let second = token_of(&until_mails(&app, &bo.email, VERIFY, 2).await[0]);
    assert_ne!(first, second);
    verify(&first).await.expect(200);
    bo.post("/api/users/refresh", Value::Null).await.expect(200);
    assert_eq!(verified(&bo).await, true);
    bo.post("/api/users/verify-email/request", Value::Null).await.expect(202);
    app.visitor().post("/api/users/verify-email/request", Value::Null).await.problem(401, "unauthenticated");
    app.stop().await;
}

/// What somebody may guess who comes from one place, for one address.
const GUESSES: usize = 10;

async fn guess(app: &App, email: &str, times: usize) {
    for _ in 0..times {
        sign_in(app, email, "battery staple").await.problem(401, "invalid_credentials");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_is_made_to_wait_and_learns_nothing_by_it() {
    let app = App::start().await;
    let (admin, ana, bob) = (app.admin().await, app.sign_up().await, app.sign_up().await);
    guess(&app, &ana.email, GUESSES - 1).await;
    sign_in(&app, &ana.email, PASSWORD).await.expect(200);
    for email in [&*ana.email, "nobody@example.org"] {
        guess(&app, email, GUESSES).await;
        let refused = sign_in(&app, email, PASSWORD).await;
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((840..=900).contains(&wait), "{wait}");
        refused.problem(429, "too_many_requests");
    }
    let token = json!({ "email": ana.email, "password": PASSWORD });
    app.visitor().post("/api/users/token", token).await.problem(429, "too_many_requests");
    sign_in(&app, &bob.email, PASSWORD).await.expect(200);
    ana.get("/api/orders").await.expect(200);
    eventually("the trail tells of it, once", 10, || async {
        let lines = admin.get("/api/users/audit").await.expect(200);
        let lines = lines["items"].as_array().unwrap().iter();
        let refused: Vec<&Value> = lines.filter(|line| line["event"] == "user.sign-ins-refused").collect();
        (refused.len() == 1 && refused[0]["userId"] == ana.id && refused[0]["actor"].is_null()).then_some(())
    })
    .await;
    reset(&app, &reset_token(&app, &ana.email).await, NEW).await.expect(200);
    sign_in(&app, &ana.email, NEW).await.expect(200);

    guess(&app, &bob.email, GUESSES).await;
    sign_in(&app, &bob.email, PASSWORD).await.problem(429, "too_many_requests");
    let later = beside(&app, vec![auth::service()], 15 * 60_000).await;
    sign_in(&later, &bob.email, PASSWORD).await.expect(200);
    later.stop().await;
    app.stop().await;
}

/// A key that somebody made with an earlier password, who may be anybody, and the token that came of it.
#[tokio::test(flavor = "multi_thread")]
async fn keys_end_with_the_password_they_were_made_for() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let exchange = async |key: &Value| app.visitor().post("/api/users/api-keys/exchange", json!({ "key": key })).await;
    let make = async |person: &Person| {
        let key = json!({ "name": "till", "scopes": ["*:write"] });
        person.post("/api/users/api-keys", key).await.expect(201)["key"].clone()
    };
    let listed =
        async |person: &Person| person.get("/api/users/api-keys").await.expect(200)["items"].as_array().unwrap().len();
    let key = make(&ana).await;
    let machine = exchange(&key).await.expect(200)["accessToken"].as_str().unwrap().to_owned();
    reset(&app, &reset_token(&app, &ana.email).await, NEW).await.expect(200);
    exchange(&key).await.problem(401, "invalid_api_key");
    eventually("its token has ended too", 2, || async {
        let header = [("authorization", &*format!("Bearer {machine}"))];
        let orders = app.visitor().send(reqwest::Method::GET, "/api/orders", &header, Value::Null).await;
        (orders.status == 401).then_some(())
    })
    .await;
    let email = ana.email;
    let ana = app.visitor();
    ana.post("/api/users/signin", json!({ "email": email, "password": NEW })).await.expect(200);
    assert_eq!(listed(&ana).await, 0, "the profile shows none that is not good");

    let (key, other) = (make(&ana).await, make(&ana).await);
    let change = json!({ "currentPassword": NEW, "newPassword": PASSWORD });
    ana.post("/api/users/change-password", change).await.expect(200);
    for key in [key, other] {
        exchange(&key).await.problem(401, "invalid_api_key");
    }
    exchange(&make(&ana).await).await.expect(200);
    app.stop().await;
}

/// Behind a proxy that does not say for whom it comes, everybody has one address: nobody is refused for what others do.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_share_an_address_do_not_share_a_count() {
    let app = App::start().await;
    let visitor = app.visitor();
    for _ in 0..121 {
        let token = json!({ "token": "A".repeat(43) });
        visitor.post("/api/users/verify-email", token).await.problem(400, "verification_token_invalid");
    }
    for nth in 0..61 {
        forget(&app, &format!("somebody{nth}@example.org")).await.expect(202);
    }
    app.stop().await;
}

/// Strangers guess from many places, until nobody is let in who is not known.
#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_does_not_keep_the_owner_out_of_a_browser_that_is_known() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let change = json!({ "currentPassword": PASSWORD, "newPassword": NEW });
    ana.post("/api/users/change-password", change).await.expect(200);
    let from = async |person: &Person, place: &str, password: &str| {
        let body = json!({ "email": ana.email, "password": password });
        person.send(reqwest::Method::POST, "/api/users/signin", &[("x-forwarded-for", place)], body).await
    };
    let stranger = app.visitor();
    for round in 0..10 {
        let guesses = (0..10).map(|nth| {
            let place = format!("198.51.{round}.{nth}");
            let (from, stranger) = (&from, &stranger);
            async move { from(stranger, &place, "battery staple").await.problem(401, "invalid_credentials") }
        });
        join_all(guesses).await;
    }
    from(&app.visitor(), "203.0.113.9", NEW).await.problem(429, "too_many_requests");
    ana.post("/api/users/signout", Value::Null).await.expect(200);
    from(&ana, "203.0.113.10", NEW).await.expect(200);
    assert_eq!(ana.get("/api/users/currentuser").await.expect(200)["currentUser"]["email"], ana.email);

    // It is known for its own account only, and may guess no more than anybody else.
    let bob = app.sign_up().await;
    let as_bob = json!({ "email": bob.email, "password": "battery staple" });
    for _ in 0..GUESSES {
        ana.post("/api/users/signin", as_bob.clone()).await.problem(401, "invalid_credentials");
        from(&ana, "203.0.113.10", "battery staple").await.problem(401, "invalid_credentials");
    }
    ana.post("/api/users/signin", as_bob).await.problem(429, "too_many_requests");
    from(&ana, "203.0.113.10", NEW).await.problem(429, "too_many_requests");

    // Whoever gets a new password by mail is let in there with it, and not once only.
    reset(&app, &reset_token(&app, &ana.email).await, PASSWORD).await.expect(200);
    for _ in 0..2 {
        from(&ana, "203.0.113.10", PASSWORD).await.expect(200);
    }
    app.stop().await;
}

/// A mailbox takes what is sent to any address with its name and a tag: so a stranger could fill it with letters.
#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_are_few_for_one_mailbox_and_bounded_from_one_place() {
    let app = App::start().await;
    let sign_up = async |email: String, place: &str| {
        let body = json!({ "email": email, "password": PASSWORD });
        let visitor = app.visitor();
        visitor.send(reqwest::Method::POST, "/api/users/signup", &[("x-forwarded-for", place)], body).await
    };
    for nth in 0..5 {
        sign_up(format!("victim+{nth}@example.org"), &format!("198.51.{nth}.1")).await.expect(201);
    }
    let refused = sign_up("victim+5@example.org".to_owned(), "198.51.5.1").await;
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 3600);
    refused.problem(429, "too_many_requests");
    sign_up("victim@example.org".to_owned(), "198.51.6.1").await.expect(201);
    for nth in 0..6 {
        forget(&app, &format!("victim+x{nth}@example.org")).await.expect(202);
    }
    forget(&app, "victim@example.org").await.expect(202);

    let mut answers = Vec::new();
    for eight in 0..8 {
        let signed_up = (0..8).map(|nth| sign_up(format!("one{eight}{nth}@example.org"), "203.0.113.77"));
        answers.extend(join_all(signed_up).await);
    }
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 60, "{:?}", answers.last());
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 4);
    sign_up("neighbour@example.org".to_owned(), "203.0.113.78").await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_reads_the_mail_of_its_address_becomes_the_first_administrator() {
    let app = App::start().await;
    let first = Person::sign_up(&app.base(), docket_tests::ADMIN).await;
    let role =
        async |person: &Person| person.get("/api/users/currentuser").await.expect(200)["currentUser"]["role"].clone();
    assert_eq!(role(&first).await, "member", "anybody can type that address");
    first.get("/api/users").await.problem(403, "role_required");
    let token = token_of(&until_mails(&app, docket_tests::ADMIN, VERIFY, 1).await[0]);
    app.visitor().post("/api/users/verify-email", json!({ "token": token })).await.expect(200);
    first.post("/api/users/refresh", Value::Null).await.expect(200);
    assert_eq!(role(&first).await, "admin");
    first.get("/api/users").await.expect(200);
    app.stop().await;
}

/// By whoever reads the mails of its address.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_administrator_any_more_is_none_again_for_a_new_password() {
    let app = App::start().await;
    let (first, second) = (app.admin().await, app.sign_up().await);
    let role = |person: &Person| format!("/api/users/{}/role", person.id.as_str().unwrap());
    first.put(&role(&second), json!({ "role": "admin" })).await.expect(200);
    let second = second.elsewhere().await;
    second.put(&role(&first), json!({ "role": "member" })).await.expect(200);
    reset(&app, &reset_token(&app, docket_tests::ADMIN).await, NEW).await.expect(200);
    let user = second.get(&format!("/api/users/{}", first.id.as_str().unwrap())).await.expect(200);
    assert_eq!(user["role"], "member");
    app.stop().await;
}

/// The variable is set, or the process died, after the address was confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_address_is_made_administrator_at_the_next_start_unless_there_is_one() {
    let mut app = App::with(|settings| settings.bootstrap_admin_email = None).await;
    let first = Person::sign_up(&app.base(), docket_tests::ADMIN).await;
    reset(&app, &reset_token(&app, docket_tests::ADMIN).await, NEW).await.expect(200);
    let users = app.database("auth").await.collection::<bson::Document>("users");
    let role = async || {
        let user = users.find_one(bson::doc! { "email": docket_tests::ADMIN }).await.unwrap().unwrap();
        user.get_str("role").unwrap().to_owned()
    };
    assert_eq!(role().await, "member", "{}", first.email);
    app.stop_serving().await;
    let beside = App::of(App::services(), |settings| {
        settings.namespace.clone_from(&app.settings_used().namespace);
    })
    .await;
    assert_eq!(role().await, "admin");
    beside.stop().await;
    app.serve_again().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_trail_tells_of_passwords_and_addresses() {
    let app = App::start().await;
    let (admin, ana) = (app.admin().await, app.sign_up().await);
    ana.post("/api/users/verify-email/request", Value::Null).await.expect(202);
    let verification = token_of(&until_mails(&app, &ana.email, VERIFY, 2).await[0]);
    app.visitor().post("/api/users/verify-email", json!({ "token": verification })).await.expect(200);
    ana.post("/api/users/refresh", Value::Null).await.expect(200);
    let passwords = json!({ "currentPassword": PASSWORD, "newPassword": NEW });
    ana.post("/api/users/change-password", passwords).await.expect(200);
    reset(&app, &reset_token(&app, &ana.email).await, PASSWORD).await.expect(200);
    let expected = [
        ("user.email-verification-requested", &ana.id),
        ("user.email-verified", &ana.id),
        ("user.password-changed", &ana.id),
        ("user.password-reset-requested", &Value::Null),
        ("user.password-reset", &ana.id),
        ("session.revoked", &ana.id),
    ];
    eventually("all is on the trail", 10, || async {
        let lines = admin.get("/api/users/audit").await.expect(200);
        let told = |(event, actor): &(&str, &Value)| {
            let mut lines = lines["items"].as_array().unwrap().iter();
            lines.any(|line| line["event"] == *event && line["userId"] == ana.id && line["actor"] == **actor)
        };
        expected.iter().all(told).then_some(())
    })
    .await;
    app.stop().await;
}

fn text_of(mail: &SmtpMail) -> String {
    MessageParser::default().parse(&mail.message).unwrap().body_text(0).unwrap().into_owned()
}

/// A port at which nobody listens yet.
fn silent_port() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_arrive_when_the_mail_server_is_back_once_from_all_replicas() {
    let address = silent_port();
    let smtp = |settings: &mut common::settings::Settings| {
        settings.smtp_url = Some(SecretString::from(SmtpSink::url(address)));
        settings.mail_from = Some("Docket <box@docket.example.org>".parse().unwrap());
    };
    let app = App::with(smtp).await;
    let namespace = app.settings_used().namespace.clone();
    let replica = App::of(vec![auth::service()], |settings| {
        smtp(settings);
        settings.namespace = namespace;
    })
    .await;
    let ana = app.sign_up().await;
    forget(&app, &ana.email).await.expect(202);
    app.visitor().get("/api/users/dev/mail").await.problem(404, "not_found");
    let users = app.database("auth").await.collection::<bson::Document>("users");
    let both_tried = bson::doc! { "_id": ana.id.as_str().unwrap(), "letters": { "$size": 2 },
    "letters.0.tries": { "$gte": 1 }, "letters.1.tries": { "$gte": 1 } };
    let waiting = eventually("both letters were tried in vain", 20, || async {
        users.find_one(both_tried.clone()).await.unwrap()
    })
    .await;
    assert!(!waiting.to_string().contains("token="), "{waiting}");

    let sink = SmtpSink::listen(address, 1).await;
    let mails = eventually("both mails arrive", 30, || async {
        let mails = sink.mails_to(&ana.email);
        (mails.len() == 2).then_some(mails)
    })
    .await;
    eventually("no letter waits any more", 10, || async {
        let user = users.find_one(bson::doc! { "_id": ana.id.as_str().unwrap() }).await.unwrap().unwrap();
        user.get_array("letters").unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(sink.mails_to(&ana.email).len(), 2);
    let mail = mails.iter().find(|mail| mail.message.contains(RESET)).unwrap();
    assert!(mail.message.contains("From: Docket <box@docket.example.org>"), "{}", mail.message);
    reset(&app, token_in(&text_of(mail)), NEW).await.expect(200);
    replica.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_shown_to_nobody_who_may_come_from_elsewhere() {
    let app = App::with(|settings| settings.public_url = Some("https://docket.example.org".parse().unwrap())).await;
    let ana = app.sign_up().await;
    for path in ["/api/users/dev/mail", "/api/users/dev/mail/01932b00-0000-7000-8000-000000000000"] {
        ana.get(path).await.problem(404, "not_found");
    }
    app.stop().await;
}
