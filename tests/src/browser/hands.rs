//! What a person does with a page: click, fill in, press keys.

use serde_json::{Value, json};

use super::elements::{CLICKABLE, FIELDS};
use super::{Key, Page};

/// Brings the element to the middle and gives its middle, or says why nobody could click there.
const AIM: &str = "function () {
    if (this.matches(':disabled, [aria-disabled=true]')) return { why: 'it is disabled' };
    this.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    let why = 'it has no size';
    // A check box that is drawn by its label is clicked there.
    for (const target of [this, ...(this.labels ?? [])]) {
        const box = [...target.getClientRects()].find(box => box.width > 0 && box.height > 0);
        if (!box) continue;
        const x = box.x + box.width / 2, y = box.y + box.height / 2;
        const hit = document.elementFromPoint(x, y);
        if (hit && target.contains(hit)) return { x, y };
        why = 'something covers it: ' + (hit ? hit.outerHTML.slice(0, 120) : 'it is outside of the screen');
    }
    return { why };
}";

/// Selects what stands in a field that is typed into; sets the value of one that is chosen from; says which it was.
const PREPARE: &str = "function (text) {
    if (this.matches(':disabled, :read-only:not(select)')) return { why: 'it cannot be changed' };
    this.scrollIntoView({ block: 'center', behavior: 'instant' });
    this.focus();
    if (this instanceof HTMLSelectElement) {
        const option = [...this.options].find(option => option.label.trim() === text);
        if (!option) return { why: 'it offers ' + [...this.options].map(option => option.label.trim()).join(', ') };
        option.selected = true;
    } else if (/^(date|time|datetime-local|month|week|range|color)$/.test(this.type)) {
        this.value = text;
        if (this.value !== text) return { why: 'it takes no ' + text };
    } else {
        if (this.select) this.select(); else getSelection().selectAllChildren(this);
        return { typed: true };
    }
    this.dispatchEvent(new Event('input', { bubbles: true }));
    this.dispatchEvent(new Event('change', { bubbles: true }));
    return { typed: false };
}";

impl Page {
    /// Clicks the button with this name, on a phone with a finger.
    ///
    /// # Panics
    /// If there is none or more than one, or it cannot be clicked: disabled, covered, moving.
    pub async fn click_button(&self, name: &str) {
        self.click_one_of(&["button"], name).await;
    }

    /// The same for a link.
    ///
    /// # Panics
    /// As [`Page::click_button`].
    pub async fn click_link(&self, name: &str) {
        self.click_one_of(&["link"], name).await;
    }

    /// The same for whatever can be clicked: a check box, a tab, a disclosure.
    ///
    /// # Panics
    /// As [`Page::click_button`].
    pub async fn click(&self, name: &str) {
        self.click_one_of(&CLICKABLE, name).await;
    }

    async fn click_one_of(&self, roles: &[&str], name: &str) {
        let last = std::sync::Mutex::new(None);
        let aim = self
            .until(&format!("lets {} {name:?} be clicked", roles[0]), || async {
                let element = self.find(roles, name).await?;
                let aim = self.on(&element, AIM, &[]).await?;
                if let Some(why) = aim["why"].as_str() {
                    return Err(why.to_owned());
                }
                let aim = (aim["x"].as_f64(), aim["y"].as_f64());
                let before = last.lock().expect("no test panics while it holds this").replace(aim);
                if before == Some(aim) { Ok(aim) } else { Err("it moves".to_owned()) }
            })
            .await;
        if self.browser.touch { self.tap(aim).await } else { self.press_mouse(aim).await }
    }

    async fn tap(&self, (x, y): (Option<f64>, Option<f64>)) {
        let down = json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] });
        self.must("Input.dispatchTouchEvent", down).await;
        self.must("Input.dispatchTouchEvent", json!({ "type": "touchEnd", "touchPoints": [] })).await;
    }

    async fn press_mouse(&self, (x, y): (Option<f64>, Option<f64>)) {
        self.must("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y })).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.must("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Replaces what stands in the field with this label. Of a list it chooses the option with this text; dates and times are
    /// given as in HTML (`2027-01-31`, `19:30`).
    ///
    /// # Panics
    /// If there is no such field or more than one, or it does not take it.
    pub async fn fill(&self, label: &str, text: &str) {
        let typed = self
            .until(&format!("lets {label:?} be filled in"), || async {
                let field = self.find(&FIELDS, label).await?;
                let answer = self.on(&field, PREPARE, &[text.into()]).await?;
                answer["why"].as_str().map_or(Ok(answer["typed"] == true), |why| Err(why.to_owned()))
            })
            .await;
        match (typed, text) {
            (true, "") => self.press(Key::Delete).await,
            (true, text) => drop(self.must("Input.insertText", json!({ "text": text })).await),
            (false, _) => {}
        }
    }

    /// What stands in the field with this label.
    ///
    /// # Panics
    /// If there is no such field or more than one.
    pub async fn value(&self, label: &str) -> String {
        let value = self
            .until(&format!("has a field {label:?}"), || async {
                let field = self.find(&FIELDS, label).await?;
                self.on(&field, "function () { return this.value ?? this.textContent }", &[]).await
            })
            .await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key and releases it.
    pub async fn press(&self, key: Key) {
        self.must("Input.dispatchKeyEvent", key.down()).await;
        self.must("Input.dispatchKeyEvent", key.up()).await;
    }

    /// Types a text key by key into what has the focus.
    pub async fn type_text(&self, text: &str) {
        for key in text.chars() {
            self.press(Key::Character(key)).await;
        }
    }

    /// Presses Tab until the element with this name has the focus.
    ///
    /// # Panics
    /// If it never gets it; the message says what got it.
    pub async fn tab_to(&self, name: &str) {
        const MOST: usize = 100;
        let mut passed = Vec::new();
        for _ in 0..MOST {
            self.press(Key::Tab).await;
            let focused = self.focused().await;
            if focused == name {
                return;
            }
            passed.push(focused);
        }
        panic!("Tab never came to {name:?}, but to {passed:?}");
    }

    /// Drags with the mouse from one point to another, in points of the screen.
    pub async fn drag(&self, from: (i32, i32), to: (i32, i32)) {
        let event = |kind: &str, (x, y): (i32, i32), buttons: u32| -> Value {
            json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 })
        };
        self.must("Input.dispatchMouseEvent", event("mousePressed", from, 1)).await;
        self.must("Input.dispatchMouseEvent", event("mouseMoved", to, 1)).await;
        self.must("Input.dispatchMouseEvent", event("mouseReleased", to, 0)).await;
    }
}
