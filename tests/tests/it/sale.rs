//! The sale: many buyers, few places, and a process that is killed again and again.

use docket_tests::{App, Person, spawn, until};
use futures::future::join_all;
use secrecy::ExposeSecret;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_buyers_twenty_places() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(20).await;
    let buyers = join_all((0..20).map(|_| app.sign_up())).await;
    let answers = join_all((0..200).map(|nth| buyers[nth % buyers.len()].hold(&ticket, 1))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (20, 180));
    let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
    assert_eq!((&refused.body["code"], &refused.body["available"]), (&"sold_out".into(), &0.into()));
    let shown = seller.until_counts(&ticket, 20, 0).await;
    assert_eq!(shown["available"], 0);
    app.stop().await;
}

/// What a buyer was promised.
struct Promise {
    buyer: Person,
    order: Value,
    paid: bool,
}

const KILLS: usize = 10;
const PLACES: u32 = 150;
/// What a killed process had taken from the bus is given to another one after half a minute.
const SETTLED: u64 = 90;

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_under_load_nothing_is_lost_and_nothing_oversold() {
    let app = App::start().await;
    let variables = variables(&app);
    let seller = app.sign_up().await;
    let ticket = seller.sell(PLACES).await;
    let buyers = join_all((0..8).map(|_| app.sign_up())).await;
    app.stop_serving().await;

    let mut promises = Vec::new();
    for _ in 0..KILLS {
        let docket = spawn("docket", &variables).await;
        let crowd = buyers.iter().map(|buyer| crowd(buyer.at(&docket.http), &ticket));
        let (promised, ()) = tokio::join!(join_all(crowd), async {
            docket_tests::pause(std::time::Duration::from_millis(900)).await;
            docket.kill().await;
        });
        promises.extend(promised.into_iter().flatten());
    }

    let docket = spawn("docket", &variables).await;
    check(&docket.http, &seller.at(&docket.http), &ticket, &buyers, promises).await;
    assert!(docket.terminate().await, "it stops in good order when asked");
    app.stop().await;
}

/// Buys until the process is gone; what was answered with 2xx is a promise.
async fn crowd(buyer: Person, ticket: &Value) -> Vec<Promise> {
    let mut promises = Vec::new();
    loop {
        let wanted = serde_json::json!({ "ticketId": ticket["id"], "quantity": 1 });
        let Ok(held) = buyer.try_post("/api/orders", wanted).await else { return promises };
        if held.status == 409 {
            return promises;
        }
        if held.status != 201 {
            continue;
        }
        let pay = serde_json::json!({ "orderId": held.body["id"], "paymentMethod": "pm_card_visa" });
        let paid = buyer.try_post("/api/payments", pay).await;
        let gone = paid.is_err();
        let paid = paid.is_ok_and(|answer| answer.body["status"] == "succeeded");
        promises.push(Promise { buyer: buyer.clone(), order: held.body, paid });
        if gone {
            return promises;
        }
    }
}

/// Every promise is kept, and the counts come to be those of the orders.
async fn check(base: &str, seller: &Person, ticket: &Value, buyers: &[Person], promises: Vec<Promise>) {
    assert!(promises.len() > KILLS, "the crowd bought something between the kills: {}", promises.len());
    for promise in &promises {
        let buyer = promise.buyer.at(base);
        if promise.paid {
            buyer.until_order_within(SETTLED, &promise.order, "complete").await;
            assert_eq!(buyer.passes(&promise.order).await.len(), 1);
        }
        let path = format!("/api/orders/{}", promise.order["id"].as_str().unwrap());
        buyer.get(&path).await.expect(200);
    }
    let path = format!("/api/tickets/{}", ticket["id"].as_str().unwrap());
    // Orders of holds that a crash left come with the repair, and payments whose answer died with their process come to
    // their end later too: so the orders are read anew each time.
    until("the counts are those of the orders", SETTLED, || async {
        let (mut held, mut sold) = (0, 0);
        for order in join_all(buyers.iter().map(|buyer| async { all_orders(&buyer.at(base)).await })).await.concat() {
            match order["status"].as_str().unwrap() {
                "created" | "awaiting_payment" => held += 1,
                "complete" => sold += 1,
                other => panic!("nobody cancelled and nothing expired, but an order is {other}"),
            }
        }
        assert!(held + sold <= PLACES, "oversold: {held} held and {sold} sold");
        let shown = seller.get(&path).await.expect(200);
        let expected = [held, sold, PLACES - held - sold];
        let counts = ["held", "sold", "available"].map(|count| shown[count].clone());
        if counts == expected.map(Value::from) {
            Ok(())
        } else {
            Err(format!("orders {expected:?}, ticket {counts:?}"))
        }
    })
    .await;
}

async fn all_orders(buyer: &Person) -> Vec<Value> {
    let mut orders = Vec::new();
    let mut path = "/api/orders?limit=100".to_owned();
    loop {
        let page = buyer.get(&path).await.expect(200);
        orders.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["nextCursor"].as_str() else { return orders };
        path = format!("/api/orders?limit=100&cursor={cursor}");
    }
}

/// The variables with which a process joins an app's servers.
pub(crate) fn variables(app: &App) -> Vec<(&'static str, String)> {
    let settings = app.settings_used();
    let secret = |secret: &Option<secrecy::SecretString>| secret.as_ref().unwrap().expose_secret().to_owned();
    vec![
        ("MONGODB_URI", secret(&settings.mongodb_uri)),
        ("NATS_URL", secret(&settings.nats_url)),
        ("DOCKET_NAMESPACE", settings.namespace.clone()),
        ("STRIPE_SECRET_KEY", secret(&settings.stripe_secret_key)),
        ("STRIPE_WEBHOOK_SECRET", settings.stripe_webhook_secret[0].expose_secret().to_owned()),
        ("STRIPE_API_BASE", settings.stripe_api_base.as_ref().unwrap().to_string()),
        ("RUST_LOG", "warn".to_owned()),
    ]
}
