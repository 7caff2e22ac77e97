//! Accounts: signing up and in, sessions and their tokens, roles, and keys for machines.

use docket_tests::{App, Person, eventually};
use futures::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

const ACCESS: &str = "__Host-docket_access";
const REFRESH: &str = "__Host-docket_refresh";
const PASSWORD: &str = "correct horse battery";

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

async fn with_token(app: &App, token: &str, method: Method, path: &str, body: Value) -> docket_tests::Answer {
    app.visitor().send(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
}

/// Waits until a token is refused: that takes a second at most, on every service.
async fn until_refused(app: &App, token: &str) {
    for path in ["/api/users/sessions", "/api/orders"] {
        eventually(&format!("the token is refused at {path}"), 1, || async {
            let answer = with_token(app, token, Method::GET, path, Value::Null).await;
            (answer.status == 401).then_some(())
        })
        .await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_sign_ups_with_one_address_one_succeeds() {
    let app = App::start().await;
    let visitor = app.visitor();
    let answers = join_all((0..50).map(|_| visitor.post("/api/users/signup", credentials("Ana@Example.org ")))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].body["email"], "ana@example.org");
    assert_eq!(made[0].body["role"], "member");
    for answer in refused {
        answer.problem(409, "email_taken");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_tells_all_that_is_wrong_at_once_and_takes_no_role() {
    let app = App::start().await;
    let visitor = app.visitor();
    let wrong = json!({ "email": "ana", "password": "short", "name": "" });
    let problem = visitor.post("/api/users/signup", wrong).await.problem(400, "invalid_input");
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| text(&error["field"])).collect();
    assert_eq!(fields, ["email", "password", "name"]);
    let greedy = json!({ "email": "ana@example.org", "password": PASSWORD, "role": "admin" });
    visitor.post("/api/users/signup", greedy).await.refuses("role");
    let admin = app.admin().await;
    let current = admin.get("/api/users/currentuser").await.expect(200);
    assert_eq!(current["currentUser"]["role"], "admin");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_unknown_wrong_or_closed_gets_the_same_answer() {
    let app = App::start().await;
    let (ana, admin, visitor) = (app.sign_up().await, app.admin().await, app.visitor());
    let sign_in = async |email: &str, password: &str| {
        let body = visitor.post("/api/users/signin", json!({ "email": email, "password": password })).await;
        body.problem(401, "invalid_credentials")
    };
    let unknown = sign_in("nobody@example.org", PASSWORD).await;
    assert_eq!(sign_in(&ana.email, "battery staple").await, unknown);
    assert_eq!(sign_in(&ana.email, "short").await, unknown);
    let closed = admin.post(&format!("/api/users/{}/disable", text(&ana.id)), Value::Null).await.expect(200);
    assert!(closed["disabledAt"].is_string());
    assert_eq!(sign_in(&ana.email, PASSWORD).await, unknown);
    until_refused(&app, &ana.cookie(ACCESS).unwrap()).await;
    ana.post("/api/users/refresh", Value::Null).await.problem(401, "refresh_token_invalid");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_everywhere() {
    let app = App::start().await;
    let (ana, visitor) = (app.sign_up().await, app.visitor());
    assert_eq!(ana.get("/api/users/currentuser").await.expect(200)["currentUser"]["id"], ana.id);
    let access = ana.cookie(ACCESS).unwrap();
    let refresh = ana.cookie(REFRESH).unwrap();
    ana.post("/api/users/signout", Value::Null).await.expect(200);
    assert!(ana.cookie(ACCESS).is_none() && ana.cookie(REFRESH).is_none());
    until_refused(&app, &access).await;
    let again = json!({ "refreshToken": refresh });
    visitor.post("/api/users/refresh", again).await.problem(401, "refresh_token_invalid");
    for nobody in [&ana, &visitor] {
        nobody.post("/api/users/signout", Value::Null).await.expect(200);
        assert_eq!(nobody.get("/api/users/currentuser").await.expect(200), json!({ "currentUser": null }));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_for_a_moment_and_its_later_reuse_ends_the_session() {
    let app = App::start().await;
    let (ana, visitor) = (app.sign_up().await, app.visitor());
    let refresh = async |token: &Value| visitor.post("/api/users/refresh", json!({ "refreshToken": token })).await;
    let first = visitor.post("/api/users/token", credentials(&ana.email)).await.expect(200);
    assert_eq!((&first["tokenType"], &first["expiresIn"]), (&json!("Bearer"), &json!(600)));
    // Two tabs that refresh at once, and one that comes a little later, all go on.
    let (one, other) = join(refresh(&first["refreshToken"]), refresh(&first["refreshToken"])).await;
    let (second, late) = (one.expect(200), other.expect(200));
    refresh(&late["refreshToken"]).await.expect(200);
    refresh(&first["refreshToken"]).await.expect(200);
    let third = refresh(&second["refreshToken"]).await.expect(200);

    // To another replica, whose clock is ahead, the leeway has passed.
    let later = App::of(vec![auth::service()], |settings| {
        settings.namespace.clone_from(&app.settings_used().namespace);
        settings.clock_offset_ms = 10_000;
    })
    .await;
    let reused = json!({ "refreshToken": first["refreshToken"] });
    later.visitor().post("/api/users/refresh", reused).await.problem(401, "refresh_token_reused");
    refresh(&third["refreshToken"]).await.problem(401, "refresh_token_invalid");
    until_refused(&app, text(&third["accessToken"])).await;
    ana.get("/api/users/sessions").await.expect(200);
    later.stop().await;
    app.stop().await;
}

/// The answer to a refresh is lost on its way, and the client tries again when the moment in which a token may be used twice is
/// over. Nobody has used what was lost, so nobody has stolen anything; should it turn up later, somebody has.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_answer_was_lost_is_done_again_and_what_was_lost_is_good_no_more() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let later = App::of(vec![auth::service()], |settings| {
        settings.namespace.clone_from(&app.settings_used().namespace);
        settings.clock_offset_ms = 30_000;
    })
    .await;
    let refresh =
        async |at: &App, token: &Value| at.visitor().post("/api/users/refresh", json!({ "refreshToken": token })).await;
    let first = app.visitor().post("/api/users/token", credentials(&ana.email)).await.expect(200);
    let lost = refresh(&app, &first["refreshToken"]).await.expect(200);
    let again = refresh(&later, &first["refreshToken"]).await.expect(200);
    let next = refresh(&later, &again["refreshToken"]).await.expect(200);
    refresh(&later, &lost["refreshToken"]).await.problem(401, "refresh_token_reused");
    refresh(&later, &next["refreshToken"]).await.problem(401, "refresh_token_invalid");
    until_refused(&app, text(&next["accessToken"])).await;
    later.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_refreshes_by_its_cookie() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let before = ana.cookie(REFRESH).unwrap();
    ana.post("/api/users/refresh", Value::Null).await.expect(200);
    assert_ne!(ana.cookie(REFRESH).unwrap(), before);
    app.visitor().post("/api/users/refresh", json!({})).await.refuses("refreshToken");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sees_and_ends_ones_own_sessions_only() {
    let app = App::start().await;
    let (ana, stranger) = (app.sign_up().await, app.sign_up().await);
    let phone = ana.elsewhere().await;
    let sessions = ana.get("/api/users/sessions").await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(sessions.iter().map(|session| session["current"].clone()).collect::<Vec<_>>(), [false, true]);
    let path = format!("/api/users/sessions/{}", text(&sessions[0]["id"]));
    stranger.delete(&path).await.problem(404, "not_found");
    let access = phone.cookie(ACCESS).unwrap();
    ana.delete(&path).await.expect(204);
    ana.delete(&path).await.expect(204);
    until_refused(&app, &access).await;
    phone.post("/api/users/refresh", Value::Null).await.problem(401, "refresh_token_invalid");
    assert_eq!(ana.get("/api/users/sessions").await.expect(200)["items"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_is_in_force_within_a_second() {
    let app = App::start().await;
    let (ana, admin) = (app.sign_up().await, app.admin().await);
    let role = format!("/api/users/{}/role", text(&ana.id));
    ana.put(&role, json!({ "role": "admin" })).await.problem(403, "role_required");
    admin.put(&role, json!({ "role": "king" })).await.refuses("role");
    let before = ana.cookie(ACCESS).unwrap();
    assert_eq!(admin.put(&role, json!({ "role": "manager" })).await.expect(200)["role"], "manager");
    until_refused(&app, &before).await;
    assert_eq!(ana.post("/api/users/refresh", Value::Null).await.expect(200)["role"], "manager");
    assert_eq!(ana.get("/api/users/currentuser").await.expect(200)["currentUser"]["role"], "manager");
    app.stop().await;
}

/// Two administrators take each other's role away at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_is_always_left() {
    let app = App::start().await;
    let (first, second) = (app.admin().await, app.sign_up().await);
    let role = |person: &Person| format!("/api/users/{}/role", text(&person.id));
    let (admin, member) = (json!({ "role": "admin" }), json!({ "role": "member" }));
    first.put(&role(&first), member.clone()).await.problem(409, "last_admin");
    first.post(&format!("/api/users/{}/disable", text(&first.id)), Value::Null).await.problem(409, "last_admin");
    first.put(&role(&second), admin).await.expect(200);
    until_refused(&app, &second.cookie(ACCESS).unwrap()).await;
    second.post("/api/users/refresh", Value::Null).await.expect(200);
    let (one, other) = join(first.put(&role(&second), member.clone()), second.put(&role(&first), member)).await;
    assert_eq!([one.status, other.status].iter().filter(|status| **status == 200).count(), 1, "{one:?} {other:?}");
    let users = app.database("auth").await.collection::<bson::Document>("users");
    assert_eq!(users.count_documents(bson::doc! { "role": "admin" }).await.unwrap(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_a_machine_what_its_scopes_say_until_it_is_taken_back() {
    let app = App::start().await;
    let (ana, stranger, visitor) = (app.sign_up().await, app.sign_up().await, app.visitor());
    ana.post("/api/users/api-keys", json!({ "name": "till", "scopes": ["everything"] })).await.refuses("scopes");
    let made = ana.post("/api/users/api-keys", json!({ "name": "till", "scopes": ["orders:read"] })).await.expect(201);
    let key = json!({ "key": made["key"] });
    let exchanged = visitor.post("/api/users/api-keys/exchange", key.clone()).await.expect(200);
    let token = text(&exchanged["accessToken"]);
    with_token(&app, token, Method::GET, "/api/orders", Value::Null).await.expect(200);
    with_token(&app, token, Method::POST, "/api/orders", json!({})).await.problem(403, "insufficient_scope");
    with_token(&app, token, Method::GET, "/api/users/sessions", Value::Null).await.problem(403, "insufficient_scope");
    let who = with_token(&app, token, Method::GET, "/api/users/currentuser", Value::Null).await.expect(200);
    assert_eq!(who, json!({ "currentUser": null }), "it may not read people");

    let listed = ana.get("/api/users/api-keys").await.expect(200);
    assert_eq!(listed["items"][0]["name"], "till");
    assert!(listed["items"][0].get("key").is_none() && !listed.to_string().contains("ecret"), "{listed}");
    let path = format!("/api/users/api-keys/{}", text(&made["id"]));
    stranger.delete(&path).await.problem(404, "not_found");
    ana.delete(&path).await.expect(204);
    until_refused(&app, token).await;
    visitor.post("/api/users/api-keys/exchange", key).await.problem(401, "invalid_api_key");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_has_a_hundred_keys_at_most() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let make = async || ana.post("/api/users/api-keys", json!({ "name": "till", "scopes": ["orders:read"] })).await;
    let mut made = Vec::new();
    for _ in 0..100 {
        made.push(make().await.expect(201));
    }
    make().await.problem(409, "too_many_api_keys");
    // They count also where a later build wrote them.
    let keys = app.database("auth").await.collection::<bson::Document>("api_keys");
    let written = async |schema: i32| {
        let later = bson::doc! { "$set": { "schema": schema } };
        keys.update_many(bson::doc! { "userId": text(&ana.id) }, later).await.unwrap();
    };
    written(1_000).await;
    make().await.problem(409, "too_many_api_keys");
    written(1).await;
    ana.delete(&format!("/api/users/api-keys/{}", text(&made[0]["id"]))).await.expect(204);
    make().await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_make_keys() {
    let app = App::start().await;
    let (ana, visitor) = (app.sign_up().await, app.visitor());
    let made = ana.post("/api/users/api-keys", json!({ "name": "robot", "scopes": ["*:write"] })).await.expect(201);
    let exchanged = visitor.post("/api/users/api-keys/exchange", json!({ "key": made["key"] })).await.expect(200);
    let (token, more) = (text(&exchanged["accessToken"]), json!({ "name": "more", "scopes": ["*:write"] }));
    with_token(&app, token, Method::POST, "/api/users/api-keys", more).await.problem(403, "session_required");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_are_refused() {
    let app = App::start().await;
    let ana = app.sign_up().await;
    let keys = ana.get("/.well-known/jwks.json").await;
    assert!(keys.headers["cache-control"].to_str().unwrap().starts_with("public"));
    assert_eq!(keys.body["keys"][0]["crv"], "Ed25519");
    let good = ana.cookie(ACCESS).unwrap();
    let parts: Vec<_> = good.split('.').collect();
    // In turn: alg none, HS256, an unknown kid, another typ.
    let headers = [
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoieCJ9",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ",
        "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ",
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6IngifQ",
    ];
    let mut forged: Vec<_> = headers.iter().map(|header| format!("{header}.{}.{}", parts[1], parts[2])).collect();
    forged.extend([format!("{}.{}.", parts[0], parts[1]), format!("{}.e30.{}", parts[0], parts[2]), "x".repeat(5000)]);
    for token in forged {
        let answer = with_token(&app, &token, Method::GET, "/api/users/sessions", Value::Null).await;
        answer.problem(401, "unauthenticated");
    }
    with_token(&app, &good, Method::GET, "/api/users/sessions", Value::Null).await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_changed_at_the_version_that_was_seen() {
    let app = App::start().await;
    let (ana, other) = (app.sign_up().await, app.sign_up().await);
    let rename = async |tag: &str, name: &str| {
        ana.send(Method::PATCH, "/api/users/me", &[("if-match", tag)], json!({ "name": name })).await
    };
    let renamed = rename("\"1\"", "Ana Lee").await;
    assert!(renamed.headers["etag"].to_str().unwrap().starts_with("\"2."), "{renamed:?}");
    rename("\"1\"", "Ana Ray").await.problem(412, "version_mismatch");
    rename("*", "").await.refuses("name");
    let path = format!("/api/users/{}", text(&ana.id));
    assert_eq!(ana.get(&path).await.expect(200)["email"], ana.email);
    assert_eq!(other.get(&path).await.expect(200), json!({ "id": ana.id, "name": "Ana Lee" }));

    // Somebody else signs in to the same browser, which still has what she saw.
    let seen = ana.get(&path).await.headers["etag"].to_str().unwrap().to_owned();
    let again = async |person: &Person| person.send(Method::GET, &path, &[("if-none-match", &seen)], Value::Null).await;
    again(&ana).await.expect(304);
    assert_eq!(again(&other).await.expect(200), json!({ "id": ana.id, "name": "Ana Lee" }));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_find_people() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (email, name) in [("c@example.org", "Cem"), ("a@example.org", "Ana Lee"), ("b@example.org", "Bo Leeds")] {
        let input = json!({ "email": email, "password": PASSWORD, "name": name });
        app.visitor().post("/api/users/signup", input).await.expect(201);
    }
    let found = async |query: &str| {
        let page = admin.get(&format!("/api/users?{query}")).await.expect(200);
        let emails: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|user| text(&user["email"]).to_owned()).collect();
        (emails, page["nextCursor"].as_str().map(str::to_owned))
    };
    assert_eq!(found("search=LEE").await.0, ["a@example.org", "b@example.org"]);
    assert_eq!(found("search=c%40ex").await.0, ["c@example.org"]);
    assert_eq!(found("search=lee+ana").await.0, ["a@example.org"]);
    assert_eq!(found("search=.*").await.0, Vec::<String>::new());
    assert_eq!(found("role=admin").await.0, std::slice::from_ref(&admin.email));
    let (first, next) = found("role=member&limit=2").await;
    assert_eq!(first, ["a@example.org", "b@example.org"]);
    let (rest, end) = found(&format!("role=member&limit=2&cursor={}", next.unwrap())).await;
    assert_eq!((rest, end), (vec!["c@example.org".to_owned()], None));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_trail_tells_what_happened_to_accounts_newest_first() {
    let app = App::start().await;
    let (admin, person) = (app.admin().await, app.sign_up().await);
    person.post("/api/users/signout", Value::Null).await.expect(200);
    let about = |lines: &Value| -> Vec<String> {
        let lines = lines["items"].as_array().unwrap().iter().filter(|line| line["userId"] == person.id);
        lines.map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    };
    let told = eventually("the sign-out is on the trail", 10, || async {
        let told = about(&admin.get("/api/users/audit").await.expect(200));
        (told.len() == 3).then_some(told)
    })
    .await;
    assert_eq!(told[0], "session.revoked");
    let first = admin.get("/api/users/audit?limit=1").await.expect(200);
    let next = format!("/api/users/audit?limit=1&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = admin.get(&next).await.expect(200);
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    app.stop().await;
}

/// The stream of users is bounded, and what may have ended a session is not in it any more when a process starts.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_before_what_is_known_of_sessions_are_refused() {
    let mut app = App::start().await;
    let before = app.sign_up().await;
    before.get("/api/orders").await.expect(200);
    app.sign_up().await;
    app.stop_serving().await;
    let users = app.jetstream().await.get_stream(app.stream("users")).await.unwrap();
    users.purge().keep(1).await.unwrap();
    app.serve_again().await;
    let before = before.at(&app.base());
    before.get("/api/orders").await.expect(401);
    before.post("/api/users/refresh", Value::Null).await.expect(200);
    before.get("/api/orders").await.expect(200);
    app.stop().await;
}
