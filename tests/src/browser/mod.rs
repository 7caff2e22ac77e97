//! A headless Chromium in which people use Docket's pages.
//!
//! All tests of a process share one Chromium; every visit has a profile of its own (cookies, cache, storage), so visits run side
//! by side. Elements are found as people and screen readers find them: by role and accessible name.
//!
//! It speaks the DevTools protocol itself instead of using a client crate: those bring the whole protocol as generated code (5 MB)
//! or a second program (chromedriver) that must fit the browser's version; and a dozen commands of the protocol are all it takes.

mod axe;
mod chromium;
mod elements;
mod hands;
mod intercept;
mod keys;
mod page;
mod picture;
mod seen;
mod weight;

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use serde_json::{Value, json};

pub use axe::Violation;
pub use intercept::{Intercepted, Request};
pub use keys::Key;
pub use page::Page;
pub use picture::Print;
pub use weight::Weight;

use crate::Person;
use chromium::{Chromium, chromium};
use seen::Seen;

/// With what somebody visits Docket.
#[derive(Clone, Debug)]
pub struct Browser {
    width: u32,
    height: u32,
    density: u32,
    touch: bool,
    dark: bool,
    reduced_motion: bool,
    javascript: bool,
    language: &'static str,
    time_zone: &'static str,
}

impl Browser {
    /// A phone in upright position: 390 x 844 points at 2 pixels each, touched with a finger.
    pub fn phone() -> Self {
        Self { width: 390, height: 844, density: 2, touch: true, ..Self::desktop() }
    }

    /// A screen of 1280 x 800 with mouse and keyboard; light, and its owner reads American English in UTC.
    pub fn desktop() -> Self {
        Self {
            width: 1280,
            height: 800,
            density: 1,
            touch: false,
            dark: false,
            reduced_motion: false,
            javascript: true,
            language: "en-US",
            time_zone: "UTC",
        }
    }

    /// Its screen is so many points wide.
    #[must_use]
    pub fn of_width(self, width: u32) -> Self {
        Self { width, ..self }
    }

    /// Its owner prefers dark colours.
    #[must_use]
    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    /// Its owner wants no animations.
    #[must_use]
    pub fn reduced_motion(self) -> Self {
        Self { reduced_motion: true, ..self }
    }

    /// Pages run no script. What the harness asks still works, except timers.
    #[must_use]
    pub fn without_javascript(self) -> Self {
        Self { javascript: false, ..self }
    }

    /// Its owner reads this language (such as `de-DE`) and lives in this time zone (such as `Europe/Berlin`).
    #[must_use]
    pub fn in_place(self, language: &'static str, time_zone: &'static str) -> Self {
        Self { language, time_zone, ..self }
    }

    /// Opens an empty page, in a profile of its own, for the Docket at `base`.
    ///
    /// `base` is `http://127.0.0.1:PORT`, where Chromium keeps `__Host-` cookies although there is no TLS.
    ///
    /// # Panics
    /// If the tests were not started by `cargo xtask test`.
    pub async fn visit(&self, base: &str) -> Page {
        let chromium = chromium();
        let created = chromium.call(None, "Target.createBrowserContext", json!({})).await.expect("Chromium answers");
        let profile = Arc::new(Profile { chromium, id: text(&created["browserContextId"]) });
        self.open_page(&profile, base).await
    }

    /// The same for somebody who is signed in.
    pub async fn visit_as(&self, person: &Person) -> Page {
        let page = self.visit(person.base()).await;
        page.take_cookies_of(person).await;
        page
    }

    async fn open_page(&self, profile: &Arc<Profile>, base: &str) -> Page {
        let chromium = profile.chromium;
        let target = json!({ "url": "about:blank", "browserContextId": profile.id });
        let target = chromium.call(None, "Target.createTarget", target).await.expect("a page opens");
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = chromium.call(None, "Target.attachToTarget", attached).await.expect("a page is there");
        let page = Page {
            profile: Arc::clone(profile),
            browser: self.clone(),
            session: text(&attached["sessionId"]),
            target: text(&target["targetId"]),
            base: base.trim_end_matches('/').to_owned(),
            seen: Arc::<Mutex<Seen>>::default(),
        };
        chromium.watch(&page.session, &page.seen);
        self.set_up(&page).await;
        page
    }

    /// Sends all at once: Chromium takes a page's commands in their order.
    async fn set_up(&self, page: &Page) {
        let agent = page.must("Browser.getVersion", json!({})).await["userAgent"].take();
        let screen = json!({
            "width": self.width, "height": self.height, "deviceScaleFactor": self.density, "mobile": self.touch,
        });
        let commands = [
            ("Page.enable", json!({})),
            ("Runtime.enable", json!({})),
            ("Log.enable", json!({})),
            ("Network.enable", json!({})),
            ("DOM.enable", json!({})),
            ("Accessibility.enable", json!({})),
            ("Page.setLifecycleEventsEnabled", json!({ "enabled": true })),
            // Pages of other tests do not take the focus from this one.
            ("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })),
            ("Emulation.setDeviceMetricsOverride", screen),
            ("Emulation.setTouchEmulationEnabled", json!({ "enabled": self.touch })),
            ("Emulation.setScriptExecutionDisabled", json!({ "value": !self.javascript })),
            ("Emulation.setLocaleOverride", json!({ "locale": self.language })),
            ("Emulation.setTimezoneOverride", json!({ "timezoneId": self.time_zone })),
            ("Emulation.setUserAgentOverride", json!({ "userAgent": agent, "acceptLanguage": self.language })),
            ("Emulation.setEmulatedMedia", json!({ "features": self.preferences() })),
        ];
        join_all(commands.map(|(method, parameters)| page.must(method, parameters))).await;
    }

    fn preferences(&self) -> Value {
        let scheme = if self.dark { "dark" } else { "light" };
        let motion = if self.reduced_motion { "reduce" } else { "no-preference" };
        json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ])
    }
}

/// Cookies, cache and storage that no other visit sees. They are gone when its last page is dropped.
struct Profile {
    chromium: &'static Chromium,
    id: String,
}

impl Drop for Profile {
    fn drop(&mut self) {
        drop(self.chromium.send(None, "Target.disposeBrowserContext", json!({ "browserContextId": self.id })));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
