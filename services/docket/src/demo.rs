//! Examples for an empty installation, made through the API like everything else.

use common::service::StartError;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// Who sells and who buys in the demo, and the password of both.
pub(crate) const SELLER: &str = "seller@example.com";
pub(crate) const BUYER: &str = "buyer@example.com";
pub(crate) const PASSWORD: &str = "docket-demo-2026";

/// Makes two people and a few listings, unless they are there. What fails is logged: Docket runs without a demo too.
pub(crate) async fn seed(base: &str) {
    match try_seed(base).await {
        Ok(()) => {}
        Err(error) => tracing::warn!(%error, "no demo data"),
    }
}

async fn try_seed(base: &str) -> Result<(), StartError> {
    let client = Client::builder().no_proxy().build().map_err(StartError::other)?;
    let there = sign_up(&client, base, SELLER, "Sam Seller").await?;
    sign_up(&client, base, BUYER, "Bea Buyer").await?;
    if there == SignedUp::Before {
        return Ok(());
    }
    let token = token(&client, base).await?;
    for listing in listings() {
        let request = client.post(format!("{base}/api/tickets")).bearer_auth(&token).json(&listing);
        request.send().await.and_then(reqwest::Response::error_for_status).map_err(StartError::other)?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum SignedUp {
    Now,
    Before,
}

async fn sign_up(client: &Client, base: &str, email: &str, name: &str) -> Result<SignedUp, StartError> {
    let person = json!({ "email": email, "password": PASSWORD, "name": name });
    let answer =
        client.post(format!("{base}/api/users/signup")).json(&person).send().await.map_err(StartError::other)?;
    match answer.status() {
        StatusCode::CREATED => Ok(SignedUp::Now),
        StatusCode::CONFLICT => Ok(SignedUp::Before),
        status => Err(StartError::other(format!("sign-up of {email} answered {status}"))),
    }
}

async fn token(client: &Client, base: &str) -> Result<String, StartError> {
    let person = json!({ "email": SELLER, "password": PASSWORD });
    let answer =
        client.post(format!("{base}/api/users/token")).json(&person).send().await.map_err(StartError::other)?;
    let body: Value = answer.json().await.map_err(StartError::other)?;
    body["accessToken"].as_str().map(ToOwned::to_owned).ok_or_else(|| StartError::other("no access token"))
}

fn listings() -> [Value; 3] {
    [
        json!({ "title": "Friday evening: The Late Trains", "price": "24.50", "quantity": 400, "perOrderLimit": 6, "venue": "Old Goods Hall" }),
        json!({ "title": "Matinee for small ears", "price": "9", "quantity": 80, "venue": "Theatre on the Quay" }),
        json!({ "title": "Open rehearsal", "price": "0", "quantity": 30, "venue": "Old Goods Hall" }),
    ]
}
