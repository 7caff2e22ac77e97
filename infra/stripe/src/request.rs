//! The course of an API request: key, parameters, idempotency, faults, work, answer.

use std::io;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::{App, Origin};
use crate::call::Call;
use crate::error::ApiError;
use crate::faults::{Fault, Kind, When};
use crate::idempotency::{Reply, Turn};
use crate::store::Claim;
use crate::{access, form, ids};

const KEY: &str = "Idempotency-Key";

/// One request with what its answer repeats of it.
struct Incoming<'r> {
    app: &'r App,
    req: &'r HttpRequest,
    id: String,
}

/// Serves a GET.
pub(crate) async fn get<P: DeserializeOwned>(
    app: &Data<App>,
    req: &HttpRequest,
    work: impl FnOnce(&mut Call<'_>, P) -> Result<Value, ApiError>,
) -> HttpResponse {
    let incoming = Incoming { app, req, id: ids::fresh("req") };
    let prepared = access::require_secret_key(app, req).and_then(|()| form::decode(req.query_string()));
    match prepared {
        Ok(params) => incoming.perform(None, |call| work(call, params)).await,
        Err(error) => incoming.refuse(&error),
    }
}

/// Serves a POST.
pub(crate) async fn post<P: DeserializeOwned>(
    app: &Data<App>,
    req: &HttpRequest,
    body: &Bytes,
    work: impl FnOnce(&mut Call<'_>, P) -> Result<Value, ApiError>,
) -> HttpResponse {
    match access::require_secret_key(app, req) {
        Ok(()) => post_admitted(app, req, body, work).await,
        Err(error) => Incoming { app, req, id: ids::fresh("req") }.refuse(&error),
    }
}

/// Serves a POST of somebody whose key has been looked at.
pub(crate) async fn post_admitted<P: DeserializeOwned>(
    app: &Data<App>,
    req: &HttpRequest,
    body: &Bytes,
    work: impl FnOnce(&mut Call<'_>, P) -> Result<Value, ApiError>,
) -> HttpResponse {
    let incoming = Incoming { app, req, id: ids::fresh("req") };
    let prepared = text(body).and_then(|text| Ok((form::decode(text)?, incoming.claim(text)?)));
    match prepared {
        Ok((_, Claimed::Replay(reply))) => incoming.replay(&reply),
        Ok((params, Claimed::Work(claim))) => incoming.perform(claim, |call| work(call, params)).await,
        Err(error) => incoming.refuse(&error),
    }
}

fn text(body: &Bytes) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|_| ApiError::malformed("The request body is not UTF-8."))
}

enum Claimed {
    Work(Option<Claim>),
    Replay(Reply),
}

impl Incoming<'_> {
    fn key(&self) -> Option<&str> {
        self.req.headers().get(KEY)?.to_str().ok().filter(|key| !key.is_empty())
    }

    fn claim(&self, body: &str) -> Result<Claimed, ApiError> {
        let Some(key) = self.key() else { return Ok(Claimed::Work(None)) };
        let fingerprint = form::fingerprint(self.req.path(), body);
        let turn = self.app.store.lock().books.idempotency.claim(key, &fingerprint, self.app.now())?;
        Ok(match turn {
            Turn::Replay(reply) => Claimed::Replay(reply),
            Turn::Work => Claimed::Work(Some(Claim::new(self.app.store.clone(), key.to_owned(), fingerprint))),
        })
    }

    async fn perform(
        &self,
        claim: Option<Claim>,
        work: impl FnOnce(&mut Call<'_>) -> Result<Value, ApiError>,
    ) -> HttpResponse {
        let (method, path) = (self.req.method().as_str(), self.req.path());
        self.app.calls().count(method, self.req.match_pattern().as_deref().unwrap_or(path));
        let (latency, fault) = {
            let mut faults = self.app.faults();
            (faults.latency(), faults.strike(method, path))
        };
        let slow = fault.as_ref().filter(|fault| fault.kind == Kind::Slow).map(Fault::hang);
        tokio::time::sleep(latency + slow.unwrap_or_default()).await;
        let fault = fault.filter(|_| slow.is_none());
        if let Some(fault) = fault.as_ref().filter(|fault| fault.when == When::Before) {
            if let Some(claim) = claim.as_ref().filter(|_| fault.remembered) {
                self.app.save(claim, failure(fault));
            }
            return self.fail(fault).await;
        }
        let instead = fault.as_ref().filter(|fault| fault.remembered).map(failure);
        let origin = Origin { request: Some(self.id.clone()), claim: claim.as_ref(), instead };
        let reply = self.app.run(&origin, work);
        drop(claim);
        match fault {
            Some(fault) => self.fail(&fault).await,
            None => self.respond(&reply),
        }
    }

    async fn fail(&self, fault: &Fault) -> HttpResponse {
        let reply = failure(fault);
        match fault.kind {
            Kind::Error | Kind::Slow => self.respond(&reply),
            Kind::Hang => {
                tokio::time::sleep(fault.hang()).await;
                self.respond(&reply)
            }
            Kind::Disconnect => {
                let broken = io::Error::new(io::ErrorKind::ConnectionReset, "asked for by a test");
                self.answer(&reply).streaming(futures::stream::iter([Err::<Bytes, _>(broken)]))
            }
        }
    }

    fn answer(&self, reply: &Reply) -> HttpResponseBuilder {
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        answer.insert_header(("Request-Id", self.id.as_str()));
        if let Some(key) = self.key() {
            answer.insert_header((KEY, key));
        }
        answer
    }

    fn respond(&self, reply: &Reply) -> HttpResponse {
        self.answer(reply).json(&reply.body)
    }

    fn replay(&self, reply: &Reply) -> HttpResponse {
        self.answer(reply).insert_header(("Idempotent-Replayed", "true")).json(&reply.body)
    }

    fn refuse(&self, error: &ApiError) -> HttpResponse {
        self.respond(&Reply { status: error.status(), body: error.body() })
    }
}

fn failure(fault: &Fault) -> Reply {
    let status = if (400..600).contains(&fault.status) { fault.status } else { 500 };
    Reply { status, body: ApiError::unavailable(status).body() }
}
