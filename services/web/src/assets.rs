//! What the browser loads beside the pages: embedded in the binary, named by content, never asked for twice.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

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
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let (body, coding) = asset.coded(accepted.unwrap_or_default());
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, FOREVER)).insert_header((header::VARY, "Accept-Encoding"));
    response.insert_header((header::CONTENT_TYPE, asset.media_type()));
    if let Some(coding) = coding {
        response.insert_header((header::CONTENT_ENCODING, coding));
    }
    response.body(body)
}

impl Asset {
    fn coded(&self, accepted: &str) -> (&'static [u8], Option<&'static str>) {
        let takes =
            |coding: &str| accepted.split(',').any(|one| one.split(';').next().unwrap_or_default().trim() == coding);
        match (self.brotli, self.gzip) {
            (Some(body), _) if takes("br") => (body, Some("br")),
            (_, Some(body)) if takes("gzip") => (body, Some("gzip")),
            _ => (self.body, None),
        }
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
        let (plain, coding) = style.coded("");
        assert_eq!(coding, None);
        for (accepted, expected) in [("gzip, deflate, br", "br"), ("gzip;q=0.5", "gzip")] {
            let (body, coding) = style.coded(accepted);
            assert_eq!(coding, Some(expected));
            assert!(body.len() < plain.len() / 2, "{} of {}", body.len(), plain.len());
        }
        assert_ne!(style.name, style.served, "the name tells the content");
    }
}
