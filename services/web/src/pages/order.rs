//! An order: how it stands, the clock that runs while its places are held, paying it, and its passes.

mod changes;
mod following;
mod standing;

use actix_web::HttpResponse;
use askama::Template;
use common::clock::Time;
use futures::stream::unfold;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{From, after, places};
use crate::failure::Failure;
use crate::fields::{Form, Id, Query};
use crate::format::{Words, zone_name};
use crate::html::{Answered, go, page, page_with_stripe};
use crate::model::{Order, OrderStatus, Page, Pass, Payment, PaymentConfig, PaymentStatus, RefundReason};
use crate::reader::Asks as _;
use crate::shell::Shell;
use crate::visit::Visit;

use changes::{Change, Changes};
use following::{Following, OpenPage};
pub(crate) use standing::{Standing, passes};

/// A test card, as the form offers it where no real money moves.
pub(crate) struct TestCard {
    pub(crate) method: &'static str,
    pub(crate) name: &'static str,
    pub(crate) number: &'static str,
}

const TEST_CARDS: [TestCard; 4] = [
    TestCard { method: "pm_card_visa", name: "Pays", number: "4242 4242 4242 4242" },
    TestCard {
        method: "pm_card_threeDSecure2Required",
        name: "Asks the bank (3-D Secure)",
        number: "4000 0000 0000 3220",
    },
    TestCard { method: "pm_card_chargeDeclined", name: "Is declined", number: "4000 0000 0000 0002" },
    TestCard {
        method: "pm_card_chargeDeclinedInsufficientFunds",
        name: "Has no money on it",
        number: "4000 0000 0000 9995",
    },
];

/// An order in the words of the visitor.
pub(crate) struct Docket {
    pub(crate) order: Order,
    pub(crate) total: String,
    pub(crate) price: String,
    pub(crate) when: Option<String>,
    pub(crate) zone: String,
    /// What was told otherwise when the places were held.
    pub(crate) changes: Changes,
}

impl Docket {
    pub(crate) fn new(order: Order, words: &Words) -> Self {
        Self {
            total: words.price(&order.total, &order.currency),
            price: words.price(&order.price, &order.currency),
            when: order.starts_at.map(|at| words.moment(at, &order.time_zone)),
            zone: zone_name(&order.time_zone),
            changes: Changes::of(&order, words),
            order,
        }
    }

    pub(crate) fn renamed(&self) -> Option<&Change> {
        self.changes.title.as_ref()
    }

    pub(crate) fn moved(&self) -> Option<&Change> {
        self.changes.when.as_ref()
    }

    pub(crate) fn venue_changed(&self) -> Option<&Change> {
        self.changes.venue.as_ref()
    }

    pub(crate) fn places(&self) -> String {
        places(self.order.quantity)
    }

    /// How many places at which price; where they are free, how many.
    pub(crate) fn places_at_price(&self) -> String {
        let count = self.order.quantity;
        if self.order.is_free() { count.to_string() } else { format!("{count} × {}", self.price) }
    }
}

#[derive(Template)]
#[template(path = "order.html", blocks = ["standing"])]
struct OrderPage {
    shell: Shell,
    docket: Docket,
    payment: Option<Payment>,
    /// What tells whether there is news.
    state: String,
    config: PaymentConfig,
    passes: Vec<Pass>,
    /// Why the card was not taken.
    declined: Option<String>,
    cards: &'static [TestCard],
    chosen: String,
    /// What the server's clock shows, for the countdown.
    now: Time,
    /// Whether it is a piece for a page that is open.
    live: bool,
}

impl OrderPage {
    async fn of(visit: &Visit, id: &Id) -> Result<Self, Failure> {
        let path = id.to_string();
        let config = visit.get::<PaymentConfig>("/api/payments/config");
        let (own, standing, config) = futures::join!(visit.own_shell(), Standing::of(visit, &path), config);
        let (shell, _) = own?;
        let standing = standing?.with_the_banks_page(visit).await?;
        Ok(Self::new(shell, standing, config?, visit.words(), visit.web().clock.now()))
    }

    fn new(shell: Shell, standing: Standing, config: PaymentConfig, words: &Words, now: Time) -> Self {
        let state = standing.state();
        let Standing { order, payment, passes } = standing;
        let declined = payment.as_ref().filter(|payment| payment.status == PaymentStatus::Failed);
        let declined = declined.and_then(|payment| Some(payment.last_decline.as_ref()?.message.clone()));
        let (docket, chosen) = (Docket::new(order, words), TEST_CARDS[0].method.to_owned());
        Self { shell, docket, payment, state, config, passes, declined, cards: &TEST_CARDS, chosen, now, live: false }
    }

    fn shown(&self) -> Answered {
        if self.takes_cards() { page_with_stripe(self) } else { page(self) }
    }

    /// What changes of the page while it is open.
    fn standing_html(&self) -> Option<String> {
        self.as_standing().render().ok()
    }

    /// Whether somebody who looks at it is to hear what becomes of it.
    fn is_followed(&self) -> bool {
        let status = self.docket.order.status;
        status.is_moving() || status == OrderStatus::Complete
    }

    /// Whether cards may be typed into Stripe's own frames here.
    fn takes_cards(&self) -> bool {
        let order = &self.docket.order;
        self.config.publishable_key.is_some() && order.status.is_payable() && !order.is_free()
    }

    /// Whether the bank wants to ask the buyer something, and where. A card form that is open leads there by itself, and stays.
    fn bank(&self) -> Option<&str> {
        if self.live && self.config.publishable_key.is_some() {
            return None;
        }
        let payment = self.payment.as_ref().filter(|payment| payment.status == PaymentStatus::RequiresAction)?;
        payment.next_action.as_deref()
    }

    fn is_being_paid(&self) -> bool {
        let paid = [PaymentStatus::Processing, PaymentStatus::Succeeded];
        self.docket.order.status.is_payable()
            && self.payment.as_ref().is_some_and(|payment| paid.contains(&payment.status))
    }

    /// Whether it waits for nothing but its passes, which are made at once.
    fn is_being_confirmed(&self) -> bool {
        self.docket.order.status.is_payable() && self.docket.order.is_free()
    }

    /// Whether it is paid in a way that this build does not know. Then the page offers no other way to pay.
    fn is_paid_otherwise(&self) -> bool {
        self.payment.as_ref().is_some_and(|payment| matches!(payment.status, PaymentStatus::Unknown(_)))
    }
}

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    shell: Shell,
    dockets: Vec<Docket>,
    more: Option<String>,
}

/// One's own orders, newest first.
pub(crate) async fn list(visit: Visit, from: Query<From>) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let found = visit.get::<Page<Order>>(&from.0.after("/api/orders")).await;
    if let Some(beginning) = from.0.begin_again(&found, "/orders") {
        return Ok(beginning);
    }
    let found = found?;
    let dockets = found.items.into_iter().map(|order| Docket::new(order, visit.words())).collect();
    page(&OrdersPage { shell, dockets, more: found.next_cursor.map(|cursor| after("/orders", &cursor)) })
}

/// What Stripe adds to the address when it sends the buyer back from the bank: a secret with which the payment can be read.
const OF_STRIPE: [&str; 3] = ["payment_intent", "payment_intent_client_secret", "redirect_status"];

/// The page. Somebody who comes from the bank is led to its own address, so that no secret stays where others see it: in the
/// browser's history, on the screen, in what is copied.
pub(crate) async fn show(visit: Visit, id: Id, query: Query<Vec<(String, String)>>) -> Answered {
    if query.0.iter().any(|(name, _)| OF_STRIPE.contains(&name.as_str())) {
        return Ok(go(&format!("/orders/{id}")));
    }
    OrderPage::of(&visit, &id).await?.shown()
}

/// To the order, for somebody who comes to the address of a form.
pub(crate) async fn back(id: Id) -> Answered {
    Ok(go(&format!("/orders/{id}")))
}

/// What the page shows that asks for news.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    state: String,
}

/// How the order stands, whenever that is not what is shown.
pub(crate) async fn live(visit: Visit, id: Id, shown: Query<Shown>) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let reader = visit.reader()?;
    let config = reader.read::<PaymentConfig>("/api/payments/config").await?;
    let web = visit.web();
    let open = OpenPage { shell, reader, config, words: visit.words().clone(), clock: web.clock.clone() };
    let (viewer, following) =
        (visit.viewer(&open.shell), Following::begin(web.clone(), open, &id, shown.0.state).await?);
    let seat = web.seats.take(viewer)?;
    Ok(web.streams.answer(unfold(following, Following::next), seat))
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Card {
    method: String,
}

/// Pays with a test card. A card that is declined is told where it was chosen.
pub(crate) async fn pay(visit: Visit, id: Id, form: Form<Card>) -> Answered {
    let wish = json!({ "orderId": id.to_string(), "paymentMethod": form.0.method });
    let problem = match visit.post::<Value>("/api/payments", &wish).await {
        Ok(_) => return Ok(go(&format!("/orders/{id}"))),
        Err(failure) => failure.at(&format!("/orders/{id}")).problem()?,
    };
    let status = problem.status_code();
    let mut page = OrderPage::of(&visit, &id).await?;
    page.declined = Some(problem.words());
    page.chosen = form.0.method;
    let mut response = page.shown()?;
    *response.status_mut() = status;
    Ok(response)
}

/// What Stripe's Payment Element needs to take a card for this order.
pub(crate) async fn intent(visit: Visit, id: Id) -> Answered {
    let wish = json!({ "orderId": id.to_string() });
    let payment = visit.post::<Payment>("/api/payments", &wish).await?;
    Ok(HttpResponse::Ok().json(json!({ "clientSecret": payment.client_secret })))
}

/// Gives a hold up, or asks for the money back.
pub(crate) async fn cancel(visit: Visit, id: Id) -> Answered {
    let path = format!("/api/orders/{id}");
    let page = format!("/orders/{id}");
    visit.call(Method::DELETE, &path, &[], None::<&()>).await.map_err(|failure| failure.at(&page))?;
    Ok(go(&page))
}
