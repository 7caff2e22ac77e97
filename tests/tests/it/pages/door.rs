//! The door in a browser: choosing the show, scanning, seeing who is inside, and undoing what was a mistake.

use docket_tests::{App, Browser, Page, Person};
use serde_json::{Value, json};

use super::tab::Tab;

async fn show(seller: &Person, title: &str, starts_at: &str) -> Value {
    let listing = json!({ "title": title, "price": "19.99", "quantity": 10, "venue": "Pier 9", "startsAt": starts_at,
        "timeZone": "Europe/Rome", "refundPolicy": "always" });
    seller.list(listing).await.expect(201)
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}

/// The door of a show, with two passes for it.
struct Door {
    app: App,
    seller: Person,
    buyer: Person,
    ticket: Value,
    order: Value,
    passes: Vec<Value>,
}

impl Door {
    async fn open() -> Self {
        let app = App::start().await;
        let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
        let ticket = show(&seller, "Friday evening", "2099-11-27T19:00:00Z").await;
        let order = buyer.buy(&ticket, 2).await;
        let passes = buyer.passes(&order).await;
        Self { app, seller, buyer, ticket, order, passes }
    }

    fn path(&self) -> String {
        format!("/check-in/{}", id(&self.ticket))
    }

    fn code(&self, nth: usize) -> &str {
        self.passes[nth]["code"].as_str().unwrap()
    }

    fn short(&self, nth: usize) -> &str {
        self.passes[nth]["shortCode"].as_str().unwrap()
    }
}

async fn scan(page: &Page, code: &str) {
    page.fill("Code of the pass", code).await;
    page.fill("Door optional", "North door").await;
    page.click_button("Check in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_is_good_once_at_the_door_with_and_without_scripts() {
    let door = Door::open().await;
    for (nth, scripts) in [true, false].into_iter().enumerate() {
        let browser = if scripts { Browser::phone() } else { Browser::phone().without_javascript() };
        let page = browser.visit_as(&door.seller).await;
        page.open(&door.path()).await;
        page.see("Pier 9").await;
        scan(&page, door.code(nth)).await;
        page.see(&format!("Welcome: pass {} of 2, Friday evening", door.passes[nth]["number"])).await;
        assert_eq!(page.value("Code of the pass").await, "", "the field is ready for the next one");
        page.see(&format!("{} of 2 inside", nth + 1)).await;
        if scripts {
            page.expect_accessible().await;
        }
        scan(&page, door.code(nth)).await;
        page.see("This pass for Friday evening was used already.").await;
        page.see("at North door.").await;
        if scripts {
            page.expect_accessible().await;
        }
        scan(&page, "forged").await;
        page.see("This is no pass of ours.").await;
        scan(&page, "ABCDE-FGHJK-1").await;
        page.see("No pass of this show has this code.").await;
    }
    door.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_a_mistake_is_undone_at_the_door_with_and_without_scripts() {
    let door = Door::open().await;
    for scripts in [true, false] {
        let browser = if scripts { Browser::desktop() } else { Browser::desktop().without_javascript() };
        let page = browser.visit_as(&door.seller).await;
        page.open(&door.path()).await;
        scan(&page, door.short(0)).await;
        page.see("Welcome: pass 1 of 2").await;
        page.see("1 of 2 inside").await;
        page.click_button("Undo").await;
        page.see("Undone: pass 1 of 2 is not inside any more.").await;
        page.see("0 of 2 inside").await;
    }
    // Who is scanned twice by mistake can be put right from the second scan too.
    let page = Browser::phone().without_javascript().visit_as(&door.seller).await;
    page.open(&door.path()).await;
    scan(&page, door.short(0)).await;
    page.see("Welcome: pass 1 of 2").await;
    scan(&page, door.code(0)).await;
    page.click_button("Undo that check-in").await;
    page.see("0 of 2 inside").await;
    door.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_scans_of_the_device_stay_in_view_and_can_be_undone() {
    let door = Door::open().await;
    let page = Browser::phone().visit_as(&door.seller).await;
    page.open(&door.path()).await;
    for code in [door.code(0), door.code(0), "forged", door.short(1), "ABCDE-FGHJK-1"] {
        scan(&page, code).await;
        page.until_true("document.querySelector('#check-in [name=code]').value === ''").await;
    }
    page.until_true("document.querySelectorAll('#scans li').length === 5").await;
    // They are there again when the page is.
    page.open(&door.path()).await;
    page.until_true("document.querySelectorAll('#scans li').length === 5").await;
    page.see("This is no pass of ours.").await;
    page.see("2 of 2 inside").await;
    page.expect_accessible().await;
    page.click_button(&format!("Undo Pass 2 of 2 · {}", door.short(1))).await;
    page.see("Undone: pass 2 of 2").await;
    page.see("1 of 2 inside").await;
    page.until_true("document.querySelectorAll('#scans .tag.waiting').length === 1").await;
    page.expect_no_errors().await;
    door.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_at_other_doors_are_counted_while_the_page_is_open() {
    let door = Door::open().await;
    let page = Browser::desktop().visit_as(&door.seller).await;
    page.open(&door.path()).await;
    page.see("0 of 2 inside").await;
    let elsewhere = json!({ "code": door.code(0), "ticketId": door.ticket["id"], "place": "South" });
    door.seller.post("/api/passes/check-in", elsewhere).await.expect(200);
    page.see("1 of 2 inside").await;
    // What somebody types meanwhile stays.
    page.fill("Code of the pass", "K7QM2").await;
    door.buyer.buy(&door.ticket, 1).await;
    page.see("1 of 3 inside").await;
    assert_eq!(page.value("Code of the pass").await, "K7QM2");
    page.see("This device has no camera.").await;
    page.expect_no_errors().await;
    door.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shows_of_the_seller_are_offered_the_next_one_first() {
    let door = Door::open().await;
    let later = show(&door.seller, "Jazz night", "2099-12-05T19:00:00Z").await;
    let page = Browser::phone().in_place("en-GB", "Europe/Rome").visit_as(&door.seller).await;
    page.open("/check-in").await;
    page.see("At which door are you?").await;
    let first = page.script("document.querySelector('main .row-title').textContent").await;
    assert_eq!(first, "Friday evening", "although the other one was listed later");
    page.expect_accessible().await;
    page.open(&format!("/check-in/{}", id(&later))).await;
    scan(&page, door.code(0)).await;
    page.see("This pass is for Friday evening, Fri, 27 Nov 2099, 20:00 (Rome time), not for this show.").await;
    page.expect_accessible().await;
    page.click_link("Open the door of that show").await;
    page.until_at(&door.path()).await;
    scan(&page, door.code(0)).await;
    page.see("Welcome: pass 1 of 2").await;

    // The money goes back, and the guest stays until somebody says that they have left.
    let refunds = format!("/api/payments/{}/refunds", id(&door.order));
    door.seller.post(&refunds, json!({})).await.expect(201);
    door.buyer.until_order(&door.order, "refunded").await;
    page.see("1 of 1 inside").await;
    scan(&page, door.code(1)).await;
    page.see("This pass is not valid any more: its order was refunded.").await;
    scan(&page, door.code(0)).await;
    page.see("their place is still taken").await;
    page.click_button("They have left: free the place").await;
    page.see("0 of 0 inside").await;
    page.expect_no_errors().await;
    door.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_is_opened_by_its_seller_and_by_administrators() {
    let door = Door::open().await;
    let admin = Tab::of(&door.app.admin().await, &door.app.base());
    assert!(admin.get(&door.path()).await.text.contains("Friday evening"));
    let stranger = Tab::of(&door.buyer, &door.app.base());
    for path in [door.path(), format!("{}/live", door.path())] {
        assert_eq!(stranger.get(&path).await.status, 404, "{path}");
        assert_eq!(Tab::new(&door.app.base()).get(&path).await.status, 303, "{path}");
    }
    let scanned = stranger.post(&door.path(), &format!("code={}", door.code(0))).await;
    assert_eq!(scanned.status, 404);
    // A page of an earlier build names no show.
    let old = Tab::of(&door.seller, &door.app.base());
    let told = old.post("/check-in", &format!("code={}&place=&key=one", door.code(0))).await;
    assert!(
        told.text.contains("Welcome: pass 1 of 2") && told.text.contains("At which door are you?"),
        "{}",
        told.text
    );
    assert_eq!(old.get(&format!("{}/undo", door.path())).await.header("location"), door.path());
    door.app.stop().await;
}
