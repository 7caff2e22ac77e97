use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::clock::Clock as _;
use common::http::Role;
use common::http::auth::{ACCESS_COOKIE, Claims};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;

use super::harness::{Key, TestApp, json_of, problem, status};

#[actix_web::test]
async fn every_policy_admits_whom_it_names() {
    let app = TestApp::start();
    for (path, expected) in [
        ("/api/things/anyone", [200, 200, 200, 200]),
        ("/api/things/signed-in", [401, 200, 200, 200]),
        ("/api/things/owner", [401, 200, 200, 200]),
        ("/api/things/managers", [401, 403, 200, 200]),
    ] {
        let mut seen = vec![status(app.get(path)).await];
        for role in [Role::Member, Role::Manager, Role::Admin] {
            seen.push(status(app.get(path).bearer_auth(app.token(role))).await);
        }
        assert_eq!(seen, expected, "{path}");
    }
}

#[actix_web::test]
async fn a_webhook_sees_no_principal_and_no_origin_matters() {
    let app = TestApp::start();
    let request =
        app.post("/api/things/webhook").bearer_auth(app.token(Role::Admin)).header("sec-fetch-site", "cross-site");
    assert_eq!(json_of(request).await["user"], serde_json::Value::Null);
}

#[actix_web::test]
async fn the_token_may_come_in_the_cookie() {
    let app = TestApp::start();
    let claims = app.claims(Role::Member);
    let cookie = format!("{ACCESS_COOKIE}={}", app.key.sign(&claims));
    let seen = json_of(app.get("/api/things/signed-in").header("cookie", cookie)).await;
    assert_eq!(seen["user"], claims.sub.to_string());
}

#[actix_web::test]
async fn a_bad_token_is_nobody_on_a_public_route() {
    let app = TestApp::start();
    let seen = json_of(app.get("/api/things/anyone").bearer_auth("rubbish")).await;
    assert_eq!(seen["user"], serde_json::Value::Null);
}

#[actix_web::test]
async fn tokens_that_are_not_ours_are_refused() {
    let app = TestApp::start();
    let good = app.claims(Role::Member);
    assert_eq!(app.try_token(&app.key.sign(&good)).await, 200);
    for (what, token) in forgeries(&app, &good) {
        assert_eq!(app.try_token(&token).await, 401, "{what}");
    }
}

fn forgeries(app: &TestApp, good: &Claims) -> Vec<(&'static str, String)> {
    let header = |change: fn(&mut Header)| {
        let mut header = app.key.header();
        change(&mut header);
        app.key.sign_as(&header, good)
    };
    let claims = |change: fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        app.key.sign(&claims)
    };
    vec![
        ("signed with HS256 and the public key", with_hs256(app, good)),
        ("not signed", unsigned(good)),
        ("another type", header(|header| header.typ = Some("JWT".to_owned()))),
        ("no type", header(|header| header.typ = None)),
        ("an unknown key id", header(|header| header.kid = Some("second".to_owned()))),
        ("no key id", header(|header| header.kid = None)),
        ("another audience", claims(|claims| claims.aud = "shop".to_owned())),
        ("another issuer", claims(|claims| claims.iss = "evil".to_owned())),
        ("expired", claims(|claims| claims.exp -= 606)),
        ("from the future", claims(|claims| claims.iat += 60)),
        ("another's key", Key::new("first", 9).sign(good)),
        ("a changed payload", changed(&app.key.sign(good))),
        ("rubbish", "a.b.c".to_owned()),
        ("too long", "a".repeat(5000)),
    ]
}

fn with_hs256(app: &TestApp, claims: &Claims) -> String {
    let mut header = app.key.header();
    header.alg = Algorithm::HS256;
    let public = URL_SAFE_NO_PAD.decode(app.key.published()["x"].as_str().unwrap()).unwrap();
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&public)).unwrap()
}

fn unsigned(claims: &Claims) -> String {
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let header = part(r#"{"alg":"none","typ":"at+jwt","kid":"first"}"#.to_owned());
    format!("{header}.{}.", part(serde_json::to_string(claims).unwrap()))
}

fn changed(token: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let payload = URL_SAFE_NO_PAD.encode(payload.replace("member", "admin"));
    format!("{}.{payload}.{}", parts[0], parts[2])
}

#[actix_web::test]
async fn a_token_ends_when_the_clock_says_so() {
    let app = TestApp::start();
    let token = app.token(Role::Member);
    assert_eq!(app.try_token(&token).await, 200);
    app.clock.advance(Duration::from_secs(610));
    assert_eq!(app.try_token(&token).await, 401);
}

#[actix_web::test]
async fn keys_rotate() {
    let app = TestApp::start();
    let claims = app.claims(Role::Member);
    let second = Key::new("second", 2);
    assert_eq!(app.try_token(&second.sign(&claims)).await, 401);
    app.jwks.publish(&[&app.key, &second]);
    assert_eq!(app.try_token(&second.sign(&claims)).await, 200);
    assert_eq!(app.try_token(&app.key.sign(&claims)).await, 200);
    app.jwks.publish(&[&second]);
    app.clock.advance(Duration::from_secs(3601));
    let later = app.claims(Role::Member);
    assert_eq!(app.try_token(&app.key.sign(&later)).await, 401);
    assert_eq!(app.try_token(&second.sign(&later)).await, 200);
}

#[actix_web::test]
async fn unknown_keys_do_not_make_us_a_hammer() {
    let app = TestApp::with_pause(Duration::from_secs(3600));
    for _ in 0..20 {
        let token = Key::new("second", 2).sign(&app.claims(Role::Member));
        assert_eq!(app.try_token(&token).await, 401);
    }
    assert_eq!(app.jwks.fetched.load(Ordering::SeqCst), 1);
}

#[actix_web::test]
async fn without_keys_nobody_gets_in() {
    let app = TestApp::start();
    app.jwks.down.store(true, Ordering::SeqCst);
    let token = app.token(Role::Member);
    let (refused, code, _) = problem(app.get("/api/things/signed-in").bearer_auth(&token)).await;
    assert_eq!((refused, code.as_str()), (503, "unavailable"));
    assert_eq!(status(app.get("/api/things/signed-in")).await, 401);
    assert_eq!(status(app.get("/api/things/anyone").bearer_auth(&token)).await, 503);
    assert_eq!(status(app.get("/api/things/anyone")).await, 200, "who shows no token asks for no keys");

    app.jwks.down.store(false, Ordering::SeqCst);
    assert_eq!(app.try_token(&token).await, 200);
    app.jwks.down.store(true, Ordering::SeqCst);
    assert_eq!(app.try_token(&app.token(Role::Member)).await, 200, "keys at hand go on");
    app.clock.advance(Duration::from_secs(3601));
    assert_eq!(app.try_token(&app.token(Role::Member)).await, 503, "but not for ever");
}

#[actix_web::test]
async fn what_is_revoked_ends_at_once() {
    let app = TestApp::start();
    let claims = [Role::Member, Role::Member, Role::Member].map(|role| app.claims(role));
    let tokens = claims.each_ref().map(|claims| app.key.sign(claims));
    for token in &tokens {
        assert_eq!(app.try_token(token).await, 200);
    }
    let until = app.clock.now() + Duration::from_secs(600);
    app.verifier.revocations().revoke_session(claims[0].sid, until);
    app.verifier.revocations().require_version(claims[1].sub, 2, until);
    app.verifier.revocations().disable(claims[2].sub, until);
    for token in &tokens {
        assert_eq!(app.try_token(token).await, 401);
    }
}

#[actix_web::test]
async fn a_machines_key_reaches_no_further_than_its_scopes() {
    let app = TestApp::start();
    for (scope, read, write) in
        [("things:read", 200, 403), ("things:write", 200, 204), ("orders:write", 403, 403), ("", 403, 403)]
    {
        let mut claims = app.claims(Role::Admin);
        claims.scope = Some(scope.to_owned());
        let token = app.key.sign(&claims);
        assert_eq!(app.try_token(&token).await, read, "{scope}");
        assert_eq!(status(app.post("/api/things/signed-in").bearer_auth(&token)).await, write, "{scope}");
    }
}

#[actix_web::test]
async fn another_site_cannot_make_a_browser_write() {
    let app = TestApp::start();
    let cookie = format!("{ACCESS_COOKIE}={}", app.token(Role::Member));
    let write = |method| app.request(method, "/api/things/signed-in").header("cookie", &cookie);
    let cross = write(Method::POST).header("sec-fetch-site", "cross-site");
    assert_eq!(problem(cross).await.1, "cross_site_request");
    assert_eq!(status(write(Method::POST).header("origin", "https://evil.example")).await, 403);
    assert_eq!(status(write(Method::POST).header("sec-fetch-site", "same-origin")).await, 204);
    assert_eq!(status(write(Method::GET).header("sec-fetch-site", "cross-site")).await, 200);
}
