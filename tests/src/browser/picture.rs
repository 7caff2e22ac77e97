//! Pictures and prints of a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Page;

/// At this quality text stays sharp and a page is 20 to 80 KB.
const QUALITY: u32 = 80;

impl Page {
    /// What is on the screen, as WebP.
    ///
    /// # Panics
    /// If there is no picture.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.capture(json!({ "format": "webp", "quality": QUALITY })).await
    }

    /// The whole page from top to bottom, as WebP.
    ///
    /// # Panics
    /// If there is no picture.
    pub async fn full_screenshot(&self) -> Vec<u8> {
        self.capture_whole(json!({ "format": "webp", "quality": QUALITY })).await
    }

    /// The whole page with each pixel as it is drawn, as PNG.
    ///
    /// # Panics
    /// If there is no picture.
    pub async fn full_png(&self) -> Vec<u8> {
        self.capture_whole(json!({ "format": "png" })).await
    }

    async fn capture_whole(&self, mut how: Value) -> Vec<u8> {
        let size = self.must("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        how["captureBeyondViewport"] = true.into();
        how["clip"] = clip;
        self.capture(how).await
    }

    async fn capture(&self, what: Value) -> Vec<u8> {
        self.script("document.fonts.ready.then(() => 0)").await;
        decoded(&self.must("Page.captureScreenshot", what).await)
    }

    /// The page as it is printed, with the paper that its style asks for.
    ///
    /// # Panics
    /// If it cannot be printed.
    pub async fn print(&self) -> Print {
        let options = json!({ "printBackground": true, "preferCSSPageSize": true });
        Print(decoded(&self.must("Page.printToPDF", options).await))
    }
}

fn decoded(answer: &Value) -> Vec<u8> {
    let data = answer["data"].as_str().unwrap_or_default();
    BASE64_STANDARD.decode(data).expect("Chromium writes base64")
}

/// A PDF document.
pub struct Print(pub Vec<u8>);

impl Print {
    /// How many sheets it takes.
    pub fn sheets(&self) -> usize {
        const PAGE: &[u8] = b"/Type /Page";
        let ends_there = |rest: &[u8]| rest.get(PAGE.len()).is_none_or(|next| !next.is_ascii_alphabetic());
        let places = 0..self.0.len();
        places.filter(|at| self.0[*at..].starts_with(PAGE) && ends_there(&self.0[*at..])).count()
    }
}
