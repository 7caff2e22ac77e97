//! A form that is sent twice makes one thing, and one whose answer was lost too.

use docket_tests::App;
use futures::future::join;

use super::relay::{Fault, Relay, pages_at};
use super::tab::{Shown, Tab};

/// A listing, as the form sends it.
const LISTING: &str = "title=Jazz+night&price=5&currency=USD&quantity=10&timeZone=UTC&refundPolicy=never&key=";

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_makes_one_hold_and_one_listing() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(100).await;
    let person = app.sign_up().await;
    person.confirm().await;
    let tab = Tab::of(&person, &app.base());
    let page = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    let mut key = tab.get(&page).await.hidden("key");
    for _ in 0..8 {
        let (path, fields) = (format!("{page}/hold"), format!("quantity=1&key={key}"));
        let (one, other) = join(tab.post(&path, &fields), tab.post(&path, &fields)).await;
        assert_eq!((one.status, other.status), (303, 303), "{} {}", one.text, other.text);
        assert_eq!(one.header("location"), other.header("location"));
        key = tab.get(&page).await.hidden("key");
    }
    app.visitor().until_counts(&ticket, 8, 0).await;
    for _ in 0..8 {
        let fields = format!("{LISTING}{}", tab.get("/sales/new").await.hidden("key"));
        let (one, other) = join(tab.post("/sales/new", &fields), tab.post("/sales/new", &fields)).await;
        assert_eq!((one.status, other.status), (303, 303), "{} {}", one.text, other.text);
        assert_eq!(one.header("location"), other.header("location"));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let ticket = app.sign_up().await.sell(100).await;
    let person = app.sign_up().await;
    person.confirm().await;
    let tab = Tab::of(&person, &pages.base());
    let page = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    let key = tab.get(&page).await.hidden("key");
    let (path, fields) = (format!("{page}/hold"), format!("quantity=1&key={key}"));
    relay.next("POST /api/orders", Fault::AnswerLost);
    relay.next("POST /api/orders", Fault::Refused(503));
    let held = tab.post(&path, &fields).await;
    assert_eq!((held.status, relay.count("POST /api/orders")), (303, 3), "{}", held.text);

    // An answer that does not come at all leaves the visitor with a form that asks for the same thing.
    let key = tab.get(&page).await.hidden("key");
    let fields = format!("quantity=2&key={key}");
    for _ in 0..4 {
        relay.next("POST /api/orders", Fault::AnswerLost);
    }
    let open = tab.post(&path, &fields).await;
    assert_eq!((open.status, open.hidden("key")), (503, key), "{}", open.text);
    assert!(!open.header("retry-after").is_empty());
    assert!(open.text.contains("<option selected>2</option>"), "what was chosen is chosen still: {}", open.text);
    let held = tab.post(&path, &fields).await;
    assert_eq!(held.status, 303, "{}", held.text);
    app.visitor().until_counts(&ticket, 3, 0).await;

    // So it is with what is put on sale.
    let key = tab.get("/sales/new").await.hidden("key");
    for _ in 0..4 {
        relay.next("POST /api/tickets", Fault::AnswerLost);
    }
    let open = tab.post("/sales/new", &format!("{LISTING}{key}")).await;
    assert_eq!((open.status, open.hidden("key")), (503, key.clone()), "{}", open.text);
    assert!(open.text.contains("Jazz night"));
    let made = tab.post("/sales/new", &format!("{LISTING}{key}")).await;
    assert_eq!(made.status, 303, "{}", made.text);
    pages.stop().await;
    app.stop().await;
}

/// All fields of the page's form that sends once more what was sent, as the browser writes them.
fn sent_again(page: &Shown) -> (String, String) {
    let form = page.text.split("<form").find(|form| form.contains("name=\"key\"")).expect("a form with a key");
    let value = |of: &str, name: &str| {
        let (_, rest) = of.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {of}"));
        rest.split('"').next().unwrap_or_default().replace("&#34;", "\"").replace("&#38;", "&")
    };
    let fields = form.split("<input").skip(1).map(|field| (value(field, " name"), value(field, " value")));
    let written = reqwest::Url::parse_with_params("http://form", fields).unwrap();
    (value(form, "action"), written.query().unwrap().to_owned())
}

/// The service that has the listing is away, and the hold's answer is lost: the person sends the same once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_had_keeps_what_was_sent_and_its_key() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let ticket = app.sign_up().await.sell(100).await;
    let person = app.sign_up().await;
    person.confirm().await;
    let tab = Tab::of(&person, &pages.base());
    let (id, who) = (ticket["id"].as_str().unwrap(), "GET /api/users/currentuser");
    let key = tab.get(&format!("/tickets/{id}")).await.hidden("key");
    for _ in 0..4 {
        relay.next("POST /api/orders", Fault::AnswerLost);
    }
    relay.next(&format!("GET /api/tickets/{id}"), Fault::Refused(503));
    let open = tab.post(&format!("/tickets/{id}/hold"), &format!("quantity=2&key={key}")).await;
    assert_eq!((open.status, open.hidden("key"), open.hidden("quantity")), (503, key, "2".to_owned()));
    assert!(!open.header("retry-after").is_empty() && open.text.contains("nothing is done twice"), "{}", open.text);
    let (action, fields) = sent_again(&open);
    let held = tab.post(&action, &fields).await;
    assert_eq!(held.status, 303, "{}", held.text);
    app.visitor().until_counts(&ticket, 2, 0).await;

    let key = tab.get("/sales/new").await.hidden("key");
    let listing = LISTING.replace("Jazz+night", "%22Jazz%22+%26+more");
    for _ in 0..4 {
        relay.next("POST /api/tickets", Fault::AnswerLost);
    }
    relay.next(who, Fault::Refused(503));
    let open = tab.post("/sales/new", &format!("{listing}{key}")).await;
    assert_eq!((open.status, open.hidden("key")), (503, key), "{}", open.text);
    let (action, fields) = sent_again(&open);
    let made = tab.post(&action, &fields).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let own = app.visitor().get("/api/tickets").await.expect(200);
    let named = own["items"].as_array().unwrap().iter().filter(|listed| listed["title"] == "\"Jazz\" & more");
    assert_eq!(named.count(), 1, "{own}");
    pages.stop().await;
    app.stop().await;
}

/// A pass is good once, and a scan whose answer is lost has used it: asked again, it is the same scan.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_whose_answer_was_lost_is_no_second_scan() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let order = buyer.buy(&ticket, 2).await;
    let (door, path) = (Tab::of(&seller, &pages.base()), format!("/check-in/{}", ticket["id"].as_str().unwrap()));
    for (pass, lost) in buyer.passes(&order).await.iter().zip([1, 4]) {
        for _ in 0..lost {
            relay.next("POST /api/passes/check-in", Fault::AnswerLost);
        }
        let fields =
            |page: &Shown| format!("code={}&place=North&key={}", pass["code"].as_str().unwrap(), page.hidden("key"));
        let mut page = door.get(&path).await;
        let used = fields(&page);
        page = door.post(&path, &used).await;
        if lost > 1 {
            assert_eq!((page.status, fields(&page)), (503, used), "{}", page.text);
            page = door.post(&path, &fields(&page)).await;
        }
        assert!(page.text.contains("Welcome: pass"), "{}", page.text);
        let again = door.post(&path, &fields(&page)).await;
        assert!(again.text.contains("was used already"), "{}", again.text);
    }
    pages.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_a_hidden_field_or_a_cookie_is_no_outage() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(10).await;
    let person = app.sign_up().await;
    person.confirm().await;
    let tab = Tab::of(&person, &app.base());
    let page = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    let long = "k".repeat(300);
    for nonsense in ["%01", "a%0D%0Ab", "two+words", "%C3%A9", long.as_str()] {
        let hold = tab.post(&format!("{page}/hold"), &format!("quantity=1&key={nonsense}")).await;
        assert_eq!(hold.status, 400, "{nonsense}: {}", hold.text);
        let listing = tab.post("/sales/new", &format!("{LISTING}{nonsense}")).await;
        assert_eq!(listing.status, 400, "{nonsense}: {}", listing.text);
        // The page that says so has a key that is good.
        let held = tab.post(&format!("{page}/hold"), &format!("quantity=1&key={}", hold.hidden("key"))).await;
        assert_eq!(held.status, 303, "{}", held.text);
    }
    let made = tab.post("/sales/new", &format!("{LISTING}{}", tab.get("/sales/new").await.hidden("key"))).await;
    let edit = format!("{}/edit", made.header("location"));
    for nonsense in ["%01", "%0A", "x"] {
        let sent = LISTING.replace("key=", &format!("version={nonsense}"));
        let edited = tab.post(&edit, &sent).await;
        assert!((400..500).contains(&edited.status), "{nonsense}: {} {}", edited.status, edited.text);
    }
    let stranger = Tab::new(&app.base());
    stranger.keep("__Host-docket_access", "%0A%01");
    stranger.keep("__Host-docket_refresh", "%0A%01");
    assert_eq!(stranger.get("/").await.status, 200);
    assert_eq!(stranger.get("/orders").await.status, 303);
    app.stop().await;
}
