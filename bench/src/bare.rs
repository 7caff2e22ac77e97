//! A bare actix handler that serves one fixed answer: the measure for reads.

use std::io::Write;
use std::path::Path;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};

use crate::Result;

/// An answer as bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// The same, ready to be sent.
struct Ready {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Ready {
    fn of(page: Page) -> Result<Self> {
        let header = |(name, value): (String, Vec<u8>)| -> Result<_> {
            Ok((HeaderName::try_from(name)?, HeaderValue::from_bytes(&value)?))
        };
        Ok(Self {
            status: StatusCode::from_u16(page.status)?,
            headers: page.headers.into_iter().map(header).collect::<Result<_>>()?,
            body: page.body.into(),
        })
    }
}

async fn answer(page: Data<Ready>) -> HttpResponse {
    let mut response = HttpResponse::build(page.status);
    for header in &page.headers {
        response.insert_header(header.clone());
    }
    response.body(page.body.clone())
}

/// Serves the answer in `file` at every ticket page, on a free port that it prints.
pub(crate) fn serve(file: &Path) -> Result {
    let page: Page = serde_json::from_slice(&std::fs::read(file)?)?;
    let page = Data::new(Ready::of(page)?);
    actix_web::rt::System::new().block_on(async move {
        let app = move || App::new().app_data(page.clone()).route("/api/tickets/{id}", web::get().to(answer));
        let server = HttpServer::new(app).bind(("127.0.0.1", 0))?;
        let address = *server.addrs().first().ok_or("no address")?;
        writeln!(std::io::stdout(), "{address}")?;
        Ok(server.run().await?)
    })
}
