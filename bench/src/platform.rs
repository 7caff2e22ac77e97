//! What people do with Docket, as requests.

use std::net::SocketAddr;
use std::time::Duration;

use common::id::{OrderId, TicketId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Result;
use crate::buyers::Buyer;
use crate::http::{Answer, Call, Connection};

const SELLER: &str = "seller@bench.example";
const PASSWORD: &str = "correct horse battery";

/// The counts of a ticket page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) quantity: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
    pub(crate) available: u32,
}

/// How long somebody waits who was told to make less at a time.
const BREATHER: Duration = Duration::from_secs(1);

/// How long the mail to the seller is waited for, and how often it is looked for.
const MAIL_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Docket as its seller sees it.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) address: SocketAddr,
}

impl Platform {
    /// Signs the seller up, who follows the link in the mail: who sells has confirmed their address.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let platform = Self { address };
        let call = Call::post("/api/users/signup", json!({ "email": SELLER, "password": PASSWORD }).to_string());
        let _: Value = platform.ask(&call, 201).await?;
        let token = tokio::time::timeout(MAIL_WITHIN, platform.mailed_token()).await;
        let token = token.map_err(|_| "no mail came to the seller")??;
        let call = Call::post("/api/users/verify-email", json!({ "token": token }).to_string());
        let _: Value = platform.ask(&call, 200).await?;
        Ok(platform)
    }

    /// What the link in the mail to the seller shows.
    async fn mailed_token(&self) -> Result<String> {
        loop {
            let mails: Value = self.ask(&Call::get("/api/users/dev/mail"), 200).await?;
            let texts = mails["items"].as_array().into_iter().flatten().filter_map(|mail| mail["text"].as_str());
            let mut tokens =
                texts.filter_map(|text| text.split_once("/verify-email?token=")?.1.split_whitespace().next());
            if let Some(token) = tokens.next() {
                return Ok(token.to_owned());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Puts so many listings of `capacity` places each on sale.
    pub(crate) async fn sell(&self, listings: usize, capacity: u32) -> Result<Vec<TicketId>> {
        let seller = self.seller().await?;
        let mut connection = Connection::to(self.address);
        let mut tickets = Vec::with_capacity(listings);
        for nth in 1..=listings {
            let listing = json!({ "title": format!("Friday evening, show {nth}"), "price": "19.99", "quantity": capacity,
                "venue": "Old Goods Hall", "description": "Doors open at seven. Concert at eight, until eleven." });
            let call = Call::post("/api/tickets", listing.to_string()).with("authorization", &seller);
            let made: Made = parse(&patiently(&mut connection, &call).await?, 201)?;
            tickets.push(made.id);
        }
        Ok(tickets)
    }

    async fn seller(&self) -> Result<String> {
        let call = Call::post("/api/users/token", json!({ "email": SELLER, "password": PASSWORD }).to_string());
        let token: Token = self.ask(&call, 200).await?;
        Ok(format!("Bearer {}", token.access_token))
    }

    /// What the ticket page says.
    pub(crate) async fn counts(&self, ticket: TicketId) -> Result<Counts> {
        self.ask(&ticket_page(ticket), 200).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: &Call, status: u16) -> Result<T> {
        parse(&Connection::to(self.address).send(call).await?, status)
    }
}

#[derive(Deserialize)]
struct Made {
    id: TicketId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    access_token: String,
}

/// Sends again after a while what came too fast for one person.
async fn patiently(connection: &mut Connection, call: &Call) -> Result<Answer> {
    loop {
        let answer = connection.send(call).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        tokio::time::sleep(BREATHER).await;
    }
}

/// The body as JSON, if the status is the expected one.
pub(crate) fn parse<T: DeserializeOwned>(answer: &Answer, status: u16) -> Result<T> {
    if answer.status != status {
        return Err(format!("{} instead of {status}: {}", answer.status, String::from_utf8_lossy(&answer.body)).into());
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

/// A look at the ticket page.
pub(crate) fn ticket_page(ticket: TicketId) -> Call {
    Call::get(format!("/api/tickets/{ticket}"))
}

/// A wish to hold one place.
pub(crate) fn hold(buyer: &Buyer, ticket: TicketId) -> Call {
    as_buyer(Call::post("/api/orders", format!(r#"{{"ticketId":"{ticket}","quantity":1}}"#)), buyer)
}

/// A wish to pay with a card that works.
pub(crate) fn pay(buyer: &Buyer, order: OrderId) -> Call {
    as_buyer(Call::post("/api/payments", format!(r#"{{"orderId":"{order}","paymentMethod":"pm_card_visa"}}"#)), buyer)
}

/// The wish to be asked for a card.
pub(crate) fn begin_to_pay(buyer: &Buyer, order: OrderId) -> Call {
    as_buyer(Call::post("/api/payments", format!(r#"{{"orderId":"{order}"}}"#)), buyer)
}

/// A look at an order.
pub(crate) fn order(buyer: &Buyer, order: OrderId) -> Call {
    as_buyer(Call::get(format!("/api/orders/{order}")), buyer)
}

/// A look at the passes of an order.
pub(crate) fn passes(buyer: &Buyer, order: OrderId) -> Call {
    as_buyer(Call::get(format!("/api/orders/{order}/passes")), buyer)
}

/// A look at all orders of a buyer.
pub(crate) fn orders(buyer: &Buyer) -> Call {
    as_buyer(Call::get("/api/orders?limit=100"), buyer)
}

fn as_buyer(call: Call, buyer: &Buyer) -> Call {
    call.with("authorization", &buyer.authorization)
}
