//! What people type: one person has one account by whatever spelling, what nobody sees is refused, and what is looked for is
//! found however it is written.

use bson::{Document, doc};
use docket_tests::{Answer, App, PASSWORD, Person, eventually, ops_of};
use reqwest::Method;
use serde_json::{Value, json};

const TURNED: &str = "to\u{202E}night";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn sign_in(app: &App, email: &str, password: &str) -> Answer {
    app.visitor().post("/api/users/signin", json!({ "email": email, "password": password })).await
}

async fn sign_up(app: &App, email: &str, password: &str) -> Answer {
    app.visitor().post("/api/users/signup", json!({ "email": email, "password": password })).await
}

const SPELLINGS: [&str; 6] = [
    "Ａnna@Bücher.example",
    "anna@xn--bcher-kva.example",
    "ANNA@BÜCHER.EXAMPLE",
    "anna@bu\u{308}cher.example",
    "\u{A0}anna＠bücher。example ",
    "anna@XN--BCHER-KVA.example",
];

#[tokio::test(flavor = "multi_thread")]
async fn one_person_has_one_account_by_whatever_spelling() {
    let app = App::start().await;
    let made = sign_up(&app, SPELLINGS[0], PASSWORD).await.expect(201);
    assert_eq!(made["email"], "anna@xn--bcher-kva.example");
    for spelling in SPELLINGS {
        sign_up(&app, spelling, PASSWORD).await.problem(409, "email_taken");
        assert_eq!(sign_in(&app, spelling, PASSWORD).await.expect(200)["id"], made["id"], "{spelling}");
    }
    for wrong in ["\"anna\"@example.org", "anna@example", "an\u{200B}na@example.org", "anna@[127.0.0.1]"] {
        sign_up(&app, wrong, PASSWORD).await.refuses("email");
        sign_in(&app, wrong, PASSWORD).await.problem(401, "invalid_credentials");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_sees_is_refused_and_what_looks_the_same_is_the_same() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    for field in ["title", "venue", "description"] {
        for wrong in [TURNED, "a\u{200B}b", "a\u{200D}b", "a\0b", "\u{FEFF}x"] {
            let mut listing = json!({ "title": "Jazz", "price": "5" });
            listing[field] = wrong.into();
            seller.list(listing).await.refuses(field);
        }
    }
    let listing =
        |title: &str| json!({ "title": title, "price": "5", "description": "one\r\ntwo", "venue": " \u{A0} " });
    let composed = seller.list(listing("Z\u{FC}rich")).await.expect(201);
    let decomposed = seller.list(listing("\u{A0}Zu\u{308}rich\u{3000}")).await.expect(201);
    assert_eq!(composed["title"], decomposed["title"]);
    assert_eq!((&composed["description"], &composed["venue"]), (&json!("one\ntwo"), &Value::Null));
    let family = "👨\u{200D}👩\u{200D}👧 می\u{200C}خواهم".to_owned();
    assert_eq!(seller.list(listing(&family)).await.expect(201)["title"], family);
    let (fits, long) = ("👩🏽\u{200D}🎤".repeat(90), "é".repeat(201));
    seller.list(listing(&fits)).await.expect(201);
    seller.list(listing(&long)).await.refuses("title");

    let rename = async |name: &str| buyer.send(Method::PATCH, "/api/users/me", &[], json!({ "name": name })).await;
    rename(TURNED).await.refuses("name");
    assert_eq!(rename("Zoe\u{308}").await.expect(200)["name"], "Zo\u{EB}");
    let named = json!({ "email": "bob@example.org", "password": PASSWORD, "name": TURNED });
    app.visitor().post("/api/users/signup", named).await.refuses("name");
    buyer.post("/api/users/api-keys", json!({ "name": TURNED, "scopes": ["*:read"] })).await.refuses("name");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_code_is_taken_with_what_the_scanner_adds() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let code = buyer.passes(&order).await[0]["code"].clone();
    let scan = |place: &str| json!({ "code": format!("\t{}\r\n", text(&code)), "place": place });
    seller.post("/api/passes/check-in", scan(TURNED)).await.refuses("place");
    let admitted = seller.post("/api/passes/check-in", scan(" Entre\u{301}e\u{A0}")).await.expect(200);
    assert_eq!(admitted["place"], "Entr\u{E9}e");
    let refunds = format!("/api/payments/{}/refunds", text(&order["id"]));
    seller.post(&refunds, json!({ "amount": "1", "reason": TURNED })).await.refuses("reason");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_one_from_every_keyboard_and_none_that_everybody_has() {
    let app = App::start().await;
    let refused = ["12345678", "password1", "Passw0rd", "qwertyuiop", "aaaaaaaa", "docket123", "zoe.lee@example.org"];
    for common in refused {
        sign_up(&app, "zoe.lee@example.org", common).await.refuses("password");
    }
    let zoe = app.visitor();
    let account = json!({ "email": "zoe.lee@example.org", "password": "Zoe\u{308}\u{A0}loves jazz" });
    zoe.post("/api/users/signup", account).await.expect(201);
    for typed in ["Zo\u{EB} loves jazz", "Zoe\u{308}\u{3000}loves jazz"] {
        sign_in(&app, "zoe.lee@example.org", typed).await.expect(200);
    }
    sign_in(&app, "zoe.lee@example.org", "zo\u{EB} loves jazz").await.problem(401, "invalid_credentials");
    let change = |new: &str| json!({ "currentPassword": "Zo\u{EB} loves jazz", "newPassword": new });
    for common in ["12345678", "zoe.lee@example.org", "DocketDocket"] {
        zoe.post("/api/users/change-password", change(common)).await.refuses("newPassword");
    }
    zoe.post("/api/users/change-password", change("a\tbell and a whistle")).await.refuses("newPassword");
    zoe.post("/api/users/change-password", change("bells and whistles 🥳")).await.expect(200);
    sign_in(&app, "zoe.lee@example.org", "bells and whistles 🥳").await.expect(200);
    app.stop().await;
}

async fn found(person: &Person, words: &str) -> Vec<String> {
    let url = reqwest::Url::parse_with_params("http://any/api/tickets", [("search", words)]).unwrap();
    let page = person.get(&format!("{}?{}", url.path(), url.query().unwrap())).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| text(&item["title"]).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_beginnings_of_words_whatever_case_and_accents() {
    let app = App::start().await;
    let (seller, visitor) = (app.sign_up().await, app.visitor());
    let listings = [
        json!({ "title": "Straße", "price": "5", "venue": "Łódź" }),
        json!({ "title": "O’Connor", "price": "5", "description": "l’amour de la Zoë" }),
        json!({ "title": "İstanbul", "price": "5", "venue": "東京" }),
    ];
    for listing in listings {
        seller.list(listing).await.expect(201);
    }
    let searches = [
        ("strasse", "Straße"),
        ("STRASSE", "Straße"),
        ("stra lod", "Straße"),
        ("oconn", "O’Connor"),
        ("O'Connor", "O’Connor"),
        ("amour zoe", "O’Connor"),
        ("istanbul", "İstanbul"),
        ("ISTAN", "İstanbul"),
        ("京", "İstanbul"),
    ];
    for (words, title) in searches {
        assert_eq!(found(&visitor, words).await, [title], "{words}");
    }
    for words in ["trasse", "strasse oconnor", ".*", "!?"] {
        assert_eq!(found(&visitor, words).await, Vec::<String>::new(), "{words}");
    }
    app.stop().await;
}

/// As a build stored it that knew nothing of search words.
#[tokio::test(flavor = "multi_thread")]
async fn listings_of_earlier_builds_are_found_soon() {
    let app = App::start().await;
    let (seller, visitor) = (app.sign_up().await, app.visitor());
    let listing = seller.list(json!({ "title": "Straße", "price": "5" })).await.expect(201);
    let tickets = app.database("tickets").await.collection::<Document>("tickets");
    let one = || doc! { "_id": text(&listing["id"]) };
    let stripped = tickets.update_one(one(), doc! { "$unset": { "offer.words": true } }).await.unwrap();
    assert_eq!(stripped.modified_count, 1);
    eventually("it has its words again", 15, || async {
        let stored = tickets.find_one(one()).await.unwrap().unwrap();
        stored.get_document("offer").unwrap().contains_key("words").then_some(())
    })
    .await;
    eventually("it is found", 5, || async { (found(&visitor, "stras").await == ["Straße"]).then_some(()) }).await;
    let shown = visitor.get(&format!("/api/tickets/{}", text(&listing["id"]))).await.expect(200);
    assert_eq!(shown["version"], listing["version"], "who is about to change it is not disturbed");
    app.stop().await;
}

/// Stores an address and search terms as earlier builds did.
async fn spell_as_before(app: &App, id: &Value, email: &str) {
    let users = app.database("auth").await.collection::<Document>("users");
    let before = doc! { "$set": { "email": email, "search": [email] }, "$unset": { "spelled": true } };
    let changed = users.update_one(doc! { "_id": text(id) }, before).await.unwrap();
    assert_eq!(changed.modified_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_addresses_are_brought_to_one_spelling() {
    let app = App::start().await;
    let admin = app.admin().await;
    let anna = Person::sign_up(&app.base(), "anna@example.org").await;
    anna.send(Method::PATCH, "/api/users/me", &[], json!({ "name": "Anna O’Néill" })).await.expect(200);
    spell_as_before(&app, &anna.id, "ａnna@bücher.example").await;
    sign_in(&app, "Ａnna@bücher.example", PASSWORD).await.expect(200);
    let account = || async { admin.get(&format!("/api/users/{}", text(&anna.id))).await.expect(200) };
    eventually("the address is brought to its spelling", 15, || async {
        (account().await["email"] == "anna@xn--bcher-kva.example").then_some(())
    })
    .await;
    for spelling in SPELLINGS {
        assert_eq!(sign_in(&app, spelling, PASSWORD).await.expect(200)["id"], anna.id, "{spelling}");
    }
    for search in ["oneill", "anna%40xn--b", "anna"] {
        let page = admin.get(&format!("/api/users?search={search}")).await.expect(200);
        assert_eq!(page["items"][0]["id"], anna.id, "{search}");
    }
    let updated = eventually("it is told", 10, || async {
        let told = app.published("auth").await;
        let about = |event: &&common::bus::EventRecord| event.aggregate == text(&anna.id) && event.actor.is_none();
        let told: Vec<_> = told.iter().filter(about).map(|event| event.name.clone()).collect();
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert_eq!(updated, ["user.updated"], "once");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_one_address_are_reported_and_both_stay() {
    let app = App::start().await;
    let first = Person::sign_up(&app.base(), "anna@bücher.example").await;
    let second = Person::sign_up(&app.base(), "other@example.org").await;
    spell_as_before(&app, &second.id, "ａnna@bücher.example").await;
    let told = eventually("the collision is reported", 15, || async {
        let (_, status) = ops_of(&app.ops(), "/status").await.unwrap();
        let told = serde_json::from_str::<Value>(&status).unwrap()["shared"]["addresses"].clone();
        (told["well"] == false).then_some(told)
    })
    .await;
    assert_eq!(told["collisions"], 1);
    for (typed, account) in
        [("anna@xn--bcher-kva.example", &first), ("anna@bücher.example", &first), ("ａnna@bücher.example", &second)]
    {
        assert_eq!(sign_in(&app, typed, PASSWORD).await.expect(200)["id"], account.id, "{typed}");
    }
    let users = app.database("auth").await.collection::<Document>("users");
    let reported = users.find_one(doc! { "collides": { "$gt": "" } }).await.unwrap().unwrap();
    assert_eq!(reported.get_str("_id").unwrap(), text(&second.id));
    assert_eq!(reported.get_str("collides").unwrap(), "anna@xn--bcher-kva.example");
    app.stop().await;
}

/// A title from right to left must not carry along what stands beside it.
#[tokio::test(flavor = "multi_thread")]
async fn names_and_titles_stand_apart_from_the_direction_of_the_page() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let [title, venue, name] = ["ليلة الجاز", "الميناء", "دعاء"];
    for person in [&seller, &buyer] {
        person.send(Method::PATCH, "/api/users/me", &[], json!({ "name": name })).await.expect(200);
    }
    let listing = json!({ "title": title, "venue": venue, "price": "5", "quantity": 5 });
    let listing = seller.list(listing).await.expect(201);
    let order = buyer.hold(&listing, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let (listing, order) = (text(&listing["id"]), text(&order["id"]));
    for (path, person, seen) in [
        ("/".to_owned(), &buyer, &[title, venue, name][..]),
        (format!("/tickets/{listing}"), &buyer, &[title, venue, name]),
        ("/orders".to_owned(), &buyer, &[title, name]),
        (format!("/orders/{order}"), &buyer, &[title, venue, name]),
        (format!("/orders/{order}/passes"), &buyer, &[title, venue, name]),
        ("/sales".to_owned(), &seller, &[title, name]),
        (format!("/sales/{listing}"), &seller, &[title, name]),
    ] {
        let page = person.get(&path).await.expect(200);
        let (_, body) = text(&page).split_once("<body>").unwrap();
        for text in seen {
            let places: Vec<&str> = body.match_indices(text).map(|(at, _)| &body[..at]).collect();
            assert!(!places.is_empty(), "{path} does not show {text}");
            let apart = places.iter().all(|before| before.ends_with("<bdi>") || before.ends_with("=\""));
            assert!(apart, "{path} shows {text} without <bdi>");
        }
    }
    app.stop().await;
}
