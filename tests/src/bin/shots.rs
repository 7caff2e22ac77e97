//! Pictures of the pages for the README; `cargo xtask shots` builds what it needs and starts it.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use docket_tests::{Browser, Demo, Person};
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// Where the pictures are written
    #[arg(long, default_value = "docs/shots")]
    folder: PathBuf,
    /// Only the pages whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// A page that is pictured on a phone and on a desktop, in light and in dark.
struct Shot {
    /// The picture is called `<name>-<phone or desktop>-<light or dark>.webp`.
    name: &'static str,
    path: String,
    /// Who looks at it.
    who: Person,
    /// What it must show before it is pictured.
    shows: &'static str,
    /// The codes that are checked in at the door before each picture.
    scans: Vec<[String; 3]>,
}

/// The pages in the order in which they stand in the README. What they show beyond the demo data is made here first.
async fn shots(demo: &Demo) -> Vec<Shot> {
    let (visitor, seller, buyer) = (demo.visitor(), demo.seller().await, demo.buyer().await);
    let tickets = visitor.get("/api/tickets").await.expect(200);
    let ticket = listed(&tickets, "The Late Trains");
    sell(demo, &seller, ticket).await;
    sell_out(demo, listed(&tickets, "Sixteen hands")).await;
    let waiting = buyer.hold(ticket, 2).await.expect(201);
    let paid = buyer.hold(listed(&tickets, "Night of the short film"), 2).await.expect(201);
    buyer.pay(&paid, "pm_card_visa").await.expect(201);
    buyer.until_order(&paid, "complete").await;
    let shot =
        |name, path: String, who: &Person, shows| Shot { name, path, who: who.clone(), shows, scans: Vec::new() };
    let door = shot("check-in", format!("/check-in/{}", id(ticket)), &seller, "inside");
    let elsewhere = code(&buyer.passes(&paid).await[0]);
    let scans = scans(demo, &seller, ticket, &elsewhere).await;
    let bought = format!("/sales/{}/orders/{}", paid["ticketId"].as_str().expect("it is of a listing"), id(&paid));
    vec![
        shot("on-sale", "/".to_owned(), &visitor, "Sold out"),
        shot("ticket", format!("/tickets/{}", id(ticket)), &visitor, "Hold places"),
        shot("checkout", format!("/orders/{}", id(&waiting)), &buyer, "Held for you for"),
        shot("passes", format!("/orders/{}", id(&paid)), &buyer, "Pass 2 of 2"),
        shot("sale", format!("/sales/{}", id(ticket)), &seller, "Checked in"),
        shot("refund", bought, &seller, "Give money back"),
        Shot { scans, ..door },
    ]
}

/// For each picture one who is at the wrong show, one who is inside already, and a guest who comes in.
async fn scans(demo: &Demo, seller: &Person, ticket: &Value, elsewhere: &str) -> Vec<[String; 3]> {
    let guest = Person::sign_up(demo.base(), "party@example.com").await;
    let order = guest.hold(ticket, 5).await.expect(201);
    guest.pay(&order, "pm_card_visa").await.expect(201);
    guest.until_order(&order, "complete").await;
    let passes = guest.passes(&order).await;
    let inside = code(&passes[0]);
    check_in(seller, &passes[0]).await;
    passes[1..].iter().map(|pass| [elsewhere.to_owned(), inside.clone(), code(pass)]).collect()
}

async fn check_in(seller: &Person, pass: &Value) {
    let scan = json!({ "code": pass["code"], "place": "north door" });
    seller.post("/api/passes/check-in", scan).await.expect(200);
}

fn code(pass: &Value) -> String {
    pass["code"].as_str().expect("a pass has a code").to_owned()
}

fn listed<'t>(tickets: &'t Value, title: &str) -> &'t Value {
    let listed = tickets["items"].as_array().into_iter().flatten().find(|ticket| ticket["title"] == title);
    listed.unwrap_or_else(|| panic!("the demo sells {title}"))
}

/// An evening's worth of orders, of which some people have come already and some have not paid yet.
async fn sell(demo: &Demo, seller: &Person, ticket: &Value) {
    for (nth, places) in [4, 2, 6, 1, 2, 3, 5, 2].into_iter().enumerate() {
        let buyer = Person::sign_up(demo.base(), &format!("guest{nth}@example.com")).await;
        let order = buyer.hold(ticket, places).await.expect(201);
        if nth % 4 == 3 {
            continue;
        }
        buyer.pay(&order, "pm_card_visa").await.expect(201);
        buyer.until_order(&order, "complete").await;
        for pass in buyer.passes(&order).await.iter().take(nth) {
            check_in(seller, pass).await;
        }
    }
}

async fn sell_out(demo: &Demo, ticket: &Value) {
    let buyer = Person::sign_up(demo.base(), "subscriber@example.com").await;
    let order = buyer.hold(ticket, 6).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    demo.visitor().until_counts(ticket, 0, 6).await;
}

fn id(of: &Value) -> &str {
    of["id"].as_str().expect("it has an id")
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let demo = Arc::new(Demo::start().await);
    // A panic while pictures are taken must not leave the servers behind.
    let taking = tokio::spawn(take_all(Arc::clone(&demo), arguments)).await;
    if let Some(demo) = Arc::into_inner(demo) {
        demo.stop().await;
    }
    if taking.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn take_all(demo: Arc<Demo>, arguments: Arguments) {
    std::fs::create_dir_all(&arguments.folder).expect("the folder can be made");
    for shot in shots(&demo).await.iter().filter(|shot| shot.name.contains(&arguments.only)) {
        let mut scans = shot.scans.iter();
        for (device, browser) in [("phone", Browser::phone()), ("desktop", Browser::desktop())] {
            for (colours, browser) in [("light", browser.clone()), ("dark", browser.dark())] {
                let file = arguments.folder.join(format!("{}-{device}-{colours}.webp", shot.name));
                let picture = take(shot, &browser, scans.next().map_or(&[], |codes| codes.as_slice())).await;
                std::fs::write(&file, &picture).expect("the picture can be written");
                println!("{} {} KB", file.display(), picture.len().div_ceil(1000));
            }
        }
    }
}

async fn take(shot: &Shot, browser: &Browser, scans: &[String]) -> Vec<u8> {
    let page = browser.clone().reduced_motion().visit_as(&shot.who).await;
    page.open(&shot.path).await;
    page.see(shot.shows).await;
    for (nth, code) in scans.iter().enumerate() {
        page.fill("Code of the pass", code).await;
        page.click_button("Check in").await;
        page.see(["This pass is for", "used already", "Welcome"][nth]).await;
    }
    page.expect_no_errors().await;
    page.screenshot().await
}
