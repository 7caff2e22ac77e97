//! A page of an order that is open, and what it hears.
//!
//! While the order changes by itself, the page shares the look at all of it. Of a paid order it follows the order alone, and more
//! seldom: its show may move, and its money may go back. What has ended otherwise is not looked at any more. The stream goes on in
//! silence then: if it ended, the browser would come back and ask.

use std::pin::Pin;
use std::time::Duration;

use actix_web::web::Data;
use common::clock::SharedClock;
use futures::future::pending;
use futures::stream::{Stream, StreamExt as _};

use super::OrderPage;
use super::standing::{Standing, look, look_at_paid};
use crate::Web;
use crate::failure::Failure;
use crate::fields::Id;
use crate::format::Words;
use crate::model::{Order, OrderStatus, PaymentConfig};
use crate::reader::Reader;
use crate::shell::Shell;

/// How long an open page waits after it could not learn where the bank asks.
const BANK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What an open page hears of.
enum News {
    /// All that changes of an order that is on its way.
    Moving(Pin<Box<dyn Stream<Item = Standing>>>),
    /// What changes of a paid one, of which the rest is known.
    Paid(Pin<Box<dyn Stream<Item = Order>>>, Box<Standing>),
    /// Nothing any more.
    Ended,
}

/// An open page with what it shows.
pub(super) struct Following {
    web: Data<Web>,
    open: OpenPage,
    id: String,
    shown: String,
    news: News,
}

impl Following {
    /// The page of an order that shows the state `shown`.
    ///
    /// # Errors
    /// If there is no such order of the visitor's.
    pub(super) async fn begin(web: Data<Web>, open: OpenPage, id: &Id, shown: String) -> Result<Self, Failure> {
        let id = id.to_string();
        let states = look(&web, &open.reader, &id).await?.states();
        Ok(Self { web, open, id, shown, news: News::Moving(Box::pin(states)) })
    }

    /// What the page is to show next; none if it is not to be shown to this visitor any more.
    pub(super) async fn next(mut self) -> Option<(String, Self)> {
        loop {
            let standing = self.heard().await?;
            self.follow_on(&standing);
            if standing.state() != self.shown {
                let page = self.open.page(standing).await?;
                self.shown.clone_from(&page.state);
                return Some((page.standing_html()?, self));
            }
        }
    }

    /// How the order stands when that may be news.
    async fn heard(&mut self) -> Option<Standing> {
        loop {
            let (order, known) = match &mut self.news {
                News::Moving(states) => return states.next().await,
                News::Paid(orders, known) => (orders.next().await?, known),
                News::Ended => pending().await,
            };
            if order.status == OrderStatus::Complete {
                return Some(Standing { order, ..(**known).clone() });
            }
            // Its payment and its passes have changed with it. If they cannot be read now, the browser comes back.
            let look = look(&self.web, &self.open.reader, &self.id).await.ok()?;
            self.news = News::Moving(Box::pin(look.states()));
        }
    }

    fn follow_on(&mut self, standing: &Standing) {
        let status = standing.order.status;
        if status.is_moving() {
            return;
        }
        match (&self.news, status) {
            (News::Paid(..), OrderStatus::Complete) => {}
            (_, OrderStatus::Complete) => {
                let orders = look_at_paid(&self.web, &self.open.reader, &standing.order).states();
                self.news = News::Paid(Box::pin(orders), Box::new(standing.clone()));
            }
            _ => self.news = News::Ended,
        }
    }
}

/// The page as it stands in a browser.
pub(super) struct OpenPage {
    pub(super) shell: Shell,
    pub(super) reader: Reader,
    pub(super) config: PaymentConfig,
    pub(super) words: Words,
    pub(super) clock: SharedClock,
}

impl OpenPage {
    /// The page as it is to be shown; none if it is not to be shown to this visitor any more.
    async fn page(&self, standing: Standing) -> Option<OrderPage> {
        loop {
            let standing = standing.clone();
            let asked = self.config.publishable_key.is_none();
            let seen = if asked { standing.with_the_banks_page(&self.reader).await } else { Ok(standing) };
            match seen {
                Ok(standing) => {
                    let (shell, config) = (self.shell.clone(), self.config.clone());
                    let page = OrderPage::new(shell, standing, config, &self.words, self.clock.now());
                    return Some(OrderPage { live: true, ..page });
                }
                Err(failure) if failure.is_final() => return None,
                Err(_) => tokio::time::sleep(BANK_AGAIN_AFTER).await,
            }
        }
    }
}
