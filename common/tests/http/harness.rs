//! Starts the service, publishes keys, and signs tokens good and bad.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use common::clock::{Clock as _, ManualClock, SharedClock, Time};
use common::http::auth::{AUDIENCE, Claims, ISSUER, TOKEN_TYPE};
use common::http::{Admission, IdempotencyStore, Readiness, Role, ServerOptions, ServiceHttp, UnderWay, Verifier};
use common::id::{SessionId, UserId};
use common::settings::Settings;
use common::store::Database;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::service::{self, State};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A key of the auth service.
pub(crate) struct Key {
    pub(crate) kid: &'static str,
    signing: EncodingKey,
}

impl Key {
    pub(crate) fn new(kid: &'static str, seed: u8) -> Self {
        let pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
        let der = [pkcs8, vec![seed; 32]].concat();
        Self { kid, signing: EncodingKey::from_ed_der(&der) }
    }

    pub(crate) fn published(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.signing, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    pub(crate) fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.kid.to_owned());
        header
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.sign_as(&self.header(), claims)
    }

    pub(crate) fn sign_as(&self, header: &Header, claims: &Claims) -> String {
        jsonwebtoken::encode(header, claims, &self.signing).unwrap()
    }
}

/// Where the auth service would publish its keys.
pub(crate) struct Jwks {
    pub(crate) address: SocketAddr,
    keys: Mutex<Value>,
    pub(crate) down: AtomicBool,
    pub(crate) fetched: AtomicU32,
}

impl Jwks {
    pub(crate) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
        *self.keys.lock().unwrap() = json!({ "keys": keys });
    }

    fn start(key: &Key) -> Arc<Self> {
        let (listener, address) = common::http::bind(ANY_PORT).unwrap();
        let jwks = Arc::new(Self {
            address,
            keys: Mutex::default(),
            down: AtomicBool::default(),
            fetched: AtomicU32::default(),
        });
        jwks.publish(&[key]);
        let served = jwks.clone();
        let server = HttpServer::new(move || {
            let served = served.clone();
            App::new().default_service(web::to(move || {
                let served = served.clone();
                async move { served.answer() }
            }))
        });
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        jwks
    }

    fn answer(&self) -> HttpResponse {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            HttpResponse::InternalServerError().finish()
        } else {
            HttpResponse::Ok().json(&*self.keys.lock().unwrap())
        }
    }
}

/// The small service, running.
pub(crate) struct TestApp {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) key: Key,
    pub(crate) jwks: Arc<Jwks>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) state: web::Data<State>,
    pub(crate) readiness: Readiness,
    pub(crate) client: reqwest::Client,
    pub(crate) under_way: UnderWay,
    pub(crate) address: SocketAddr,
}

impl TestApp {
    /// The service without a database, so without its idempotent route.
    pub(crate) fn start() -> Self {
        Self::start_with(None, Duration::ZERO, Settings::default_for_tests())
    }

    pub(crate) fn with_pause(pause: Duration) -> Self {
        Self::start_with(None, pause, Settings::default_for_tests())
    }

    pub(crate) fn with_database(database: &Database) -> Self {
        Self::start_with(Some(database), Duration::ZERO, Settings::default_for_tests())
    }

    /// The service with so many places for those who read, and as many for those who write.
    pub(crate) fn with_places(places: u16) -> Self {
        let settings = Settings { max_in_flight: places, ..Settings::default_for_tests() };
        Self::start_with(None, Duration::ZERO, settings)
    }

    fn start_with(database: Option<&Database>, pause: Duration, settings: Settings) -> Self {
        let clock = ManualClock::at(Time::from_millis(1_790_000_000_000));
        let shared: SharedClock = clock.clone();
        drop(common::telemetry::init(&settings, "tests").unwrap());
        let key = Key::new("first", 1);
        let jwks = Jwks::start(&key);
        let jwks_url = format!("http://{}/", jwks.address).parse().unwrap();
        let verifier = Verifier::with_pause(jwks_url, shared.clone(), pause);
        let idempotency = database.map(|database| IdempotencyStore::new(database, shared));
        let (listener, address) = common::http::bind(ANY_PORT).unwrap();
        let mut routes = service::routes();
        routes.retain(|route| idempotency.is_some() || !route.is_idempotent());
        let http = ServiceHttp {
            service: "things",
            verifier: verifier.clone(),
            idempotency,
            admission: Admission::new(&settings),
            public_url: settings.bound_to(address).public_url(),
        };
        let (state, readiness) = (web::Data::new(State::default()), Readiness::default());
        let shared_state = state.clone();
        let options = ServerOptions::new(&Settings::default_for_tests(), readiness.clone());
        let under_way = options.under_way.clone();
        let server = common::http::serve(listener, options, move |config| {
            config.app_data(shared_state.clone());
            common::http::configure(&routes, config, &http);
        });
        tokio::spawn(server.unwrap());
        let client = common::http::client();
        Self { clock, key, jwks, verifier, state, readiness, client, under_way, address }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// What a member's token says, good for ten minutes.
    pub(crate) fn claims(&self, role: Role) -> Claims {
        let now = self.clock.now();
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: UserId::generate(now),
            sid: SessionId::generate(now),
            role,
            uv: 1,
            email: None,
            name: None,
            verified: false,
            scope: None,
            iat: now.seconds(),
            exp: now.seconds() + 600,
            jti: "1".to_owned(),
        }
    }

    pub(crate) fn token(&self, role: Role) -> String {
        self.key.sign(&self.claims(role))
    }

    /// The status of a route that asks for a principal.
    pub(crate) async fn try_token(&self, token: &str) -> u16 {
        status(self.get("/api/things/signed-in").bearer_auth(token)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

pub(crate) async fn status(request: RequestBuilder) -> u16 {
    send(request).await.status().as_u16()
}

pub(crate) async fn json_of(request: RequestBuilder) -> Value {
    send(request).await.json().await.unwrap()
}

/// The status and code of a problem, which must say that it is one.
pub(crate) async fn problem(request: RequestBuilder) -> (u16, String, Value) {
    let response = send(request).await;
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    assert!(body["errors"][0]["message"].is_string(), "{body}");
    (status, body["code"].as_str().unwrap().to_owned(), body)
}
