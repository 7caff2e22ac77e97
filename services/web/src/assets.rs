//! What the browser loads beside the pages: embedded in the binary, named by content, never asked for twice.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::coding::Coding;

/// A file of the front end.
pub(crate) struct Asset {
    /// As the sources name it, such as `main.js`.
    name: &'static str,
    /// As browsers ask for it, with a hash of its content.
    served: &'static str,
    body: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A year, and never to be asked for again: another content has another name.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Where the asset `name` is; none if this binary was built without it.
pub(crate) fn url(name: &str) -> Option<String> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some(format!("/assets/{}", asset.served))
}

/// Where the fonts are that every page needs at once.
pub(crate) fn fonts() -> impl Iterator<Item = String> {
    let fonts =
        ASSETS.iter().filter(|asset| asset.name.ends_with(".woff2") && asset.name.contains("latin-wght-normal"));
    fonts.map(|asset| format!("/assets/{}", asset.served))
}

/// Whether scripts and fonts are there.
pub(crate) fn complete() -> bool {
    url("main.js").is_some()
}

pub(crate) async fn serve(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let Some(asset) = ASSETS.iter().find(|asset| asset.served == *name) else {
        return HttpResponse::NotFound().finish();
    };
    let (body, coding) = asset.coded(Coding::accepted(request.headers()));
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, FOREVER)).insert_header((header::VARY, "Accept-Encoding"));
    response.insert_header((header::CONTENT_TYPE, asset.media_type()));
    if let Some(coding) = coding {
        response.insert_header((header::CONTENT_ENCODING, coding.name()));
    }
    response.body(body)
}

impl Asset {
    fn coded(&self, accepted: Option<Coding>) -> (&'static [u8], Option<Coding>) {
        let coded = match accepted {
            Some(Coding::Brotli) => self.brotli,
            Some(Coding::Gzip) => self.gzip,
            None => None,
        };
        coded.map_or((self.body, None), |body| (body, accepted))
    }

    fn media_type(&self) -> &'static str {
        match self.name.rsplit('.').next().unwrap_or_default() {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "woff2" => "font/woff2",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_there_with_or_without_node_and_are_compressed() {
        let style = ASSETS.iter().find(|asset| asset.name == "style.css").unwrap();
        let (plain, coding) = style.coded(None);
        assert_eq!(coding, None);
        for accepted in [Coding::Brotli, Coding::Gzip] {
            let (body, coding) = style.coded(Some(accepted));
            assert_eq!(coding, Some(accepted));
            assert!(body.len() < plain.len() / 2, "{} of {}", body.len(), plain.len());
        }
        assert_ne!(style.name, style.served, "the name tells the content");
    }
}
