//! A sale on a replica set of three, whose primary steps down and is killed meanwhile: every key makes one hold, no place is
//! lost, every order ends, and the replica stays in service.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use docket_local::{Options, Primary, ReplicaSet};
use docket_tests::{App, Person, eventually, ops_of};
use futures::future::join_all;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

const MEMBERS: usize = 3;
const PLACES: u32 = 400;
const BUYERS: usize = 8;
const HOLD_SECONDS: u32 = 10;

/// How many more answers there must be before and after each fault, so that the sale is felt to go on.
const GOES_ON: usize = 12;

/// What a key was answered with in the end: an order, or that there are no places.
type Answers = BTreeMap<String, Option<Value>>;

/// The sale as the buyers see it.
struct Sale {
    ticket: Value,
    answered: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

impl Sale {
    /// Asks under a key until there is an answer that stays.
    async fn ask(&self, buyer: &Person, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let answer = eventually(&format!("{path} {key} is answered"), 120, || async {
            let answer = buyer.send(Method::POST, path, &[("idempotency-key", key)], body.clone()).await;
            assert_ne!(answer.status, 500, "{}", answer.body);
            // A lease that could not be given back while there was no primary is given back soon: until then the request is in progress.
            let passes = ["hold_limit", "request_in_progress"].map(Value::from).contains(&answer.body["code"]);
            let passes = passes || [429, 503].contains(&answer.status);
            self.refused.fetch_add(usize::from(answer.status == 503), Ordering::Relaxed);
            (!passes).then_some(answer)
        })
        .await;
        self.answered.fetch_add(1, Ordering::Relaxed);
        (answer.status, answer.body)
    }

    async fn hold(&self, buyer: &Person, key: &str) -> Option<Value> {
        let wish = json!({ "ticketId": self.ticket["id"], "quantity": 1 });
        let (status, body) = self.ask(buyer, "/api/orders", key, &wish).await;
        assert!(status == 201 || body["code"] == "sold_out", "{status} {body}");
        (status == 201).then_some(body)
    }

    /// Buys until the sale is over: of three holds one is paid, one is cancelled, and one runs out.
    async fn buy(&self, buyer: &Person) -> Answers {
        let mut answers = Answers::new();
        for nth in 0.. {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("hold-{nth}");
            let order = self.hold(buyer, &key).await;
            if let Some(order) = &order {
                match nth % 3 {
                    0 => {
                        let wish = json!({ "orderId": order["id"], "paymentMethod": "pm_card_visa" });
                        self.ask(buyer, "/api/payments", &format!("pay-{nth}"), &wish).await;
                    }
                    1 => drop(buyer.delete(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await),
                    _ => {}
                }
            }
            answers.insert(key, order);
        }
        answers
    }

    async fn goes_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("the sale goes on", 90, || async {
            (self.answered.load(Ordering::Relaxed) >= before + GOES_ON).then_some(())
        })
        .await;
    }
}

/// The primary that follows, once the replica says that all is well.
async fn next<'s>(app: &App, set: &'s ReplicaSet, before: Primary<'_>) -> Primary<'s> {
    let primary = set.primary_after(before.term).await.unwrap();
    eventually("the services are ready", 10, || async {
        let (ready, _) = ops_of(&app.ops(), "/readyz").await?;
        let (_, status) = ops_of(&app.ops(), "/status").await?;
        let status: Value = serde_json::from_str(&status).unwrap();
        (ready == 200 && status["shared"]["mongodb"]["well"] == true).then_some(())
    })
    .await;
    primary
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_goes_on_while_its_primary_steps_down_and_the_next_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let set = ReplicaSet::start(Options::for_tests(folder.path()), MEMBERS).await.unwrap();
    let app = App::with(|settings| {
        settings.mongodb_uri = Some(SecretString::from(set.url()));
        (settings.hold_seconds, settings.hold_pause_after) = (HOLD_SECONDS, 0);
    })
    .await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(PLACES).await;
    let buyers = join_all((0..BUYERS).map(|_| app.sign_up())).await;
    let sale =
        Sale { ticket, answered: AtomicUsize::new(0), refused: AtomicUsize::new(0), over: AtomicBool::new(false) };

    let harm = async {
        sale.goes_on().await;
        let first = set.primary().await.unwrap();
        set.step_down().await.unwrap();
        let second = next(&app, &set, first).await;
        sale.goes_on().await;
        second.member.kill().await.unwrap();
        let third = next(&app, &set, second).await;
        sale.goes_on().await;
        second.member.start().await.unwrap();
        sale.goes_on().await;
        sale.over.store(true, Ordering::Relaxed);
        assert!(third.term >= first.term + 2, "two elections");
    };
    let (answers, ()) = tokio::join!(join_all(buyers.iter().map(|buyer| sale.buy(buyer))), harm);

    let mut sold = 0;
    for (buyer, answers) in buyers.iter().zip(&answers) {
        sold += check(&sale, buyer, answers).await;
    }
    assert!(sold > 0, "somebody paid");
    let shown = seller.until_counts(&sale.ticket, 0, sold).await;
    assert_eq!(shown["available"], PLACES - sold, "{} requests were told to come again", sale.refused.into_inner());
    app.stop().await;
    set.stop().await;
}

/// Every key has one order, which is what it was answered with, and which ends. Says how many are paid.
async fn check(sale: &Sale, buyer: &Person, answers: &Answers) -> u32 {
    for (key, order) in answers {
        let again = sale.hold(buyer, key).await;
        assert_eq!(again.map(|order| order["id"].clone()), order.as_ref().map(|order| order["id"].clone()), "{key}");
    }
    let granted = answers.values().flatten().count();
    eventually("all orders end", 120, || async {
        let page = buyer.get("/api/orders?limit=100").await;
        let orders = page.body["items"].as_array()?.clone();
        assert_eq!(orders.len(), granted, "{answers:?}");
        let of = |status: &str| orders.iter().filter(|order| order["status"] == status).count();
        let (complete, gone) = (of("complete"), of("expired") + of("cancelled"));
        (complete + gone == granted).then(|| u32::try_from(complete).unwrap())
    })
    .await
}
