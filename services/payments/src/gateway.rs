//! The way to Stripe: few calls, each safe to repeat, and few kinds of answers.

use std::collections::HashMap;

use common::http::Status;
use common::id::{OrderId, RefundId};
use common::money::{Currency, Money, charge};
use common::settings::Settings;
use secrecy::ExposeSecret;
use serde::Serialize;
use stripe::{IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_core::PaymentIntent;
use stripe_core::dispute::ListDispute;
use stripe_core::payment_intent::{
    CancelPaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
    RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_shared::PaymentIntentExcludedPaymentMethodTypes as Excluded;
use url::Url;

use crate::dispute::Dispute;
use crate::meter::Calls;

mod answers;
mod client;
mod key;
mod patience;
mod throttle;

pub(crate) use answers::{GatewayError, Intent, SomeDispute, StripeRefund, StripeRefundState};
use client::Client;
use key::Key;
use patience::Patience;
pub(crate) use patience::unwaited;
use throttle::Throttle;

/// Names the order in the metadata of an intent.
pub(crate) const ORDER: &str = "order";

/// How people pay whose bank says only days later whether money comes: <https://docs.stripe.com/payments/payment-methods>. Until
/// then the places would be kept from others.
const DELAYED: [Excluded; 13] = [
    Excluded::AcssDebit,
    Excluded::AuBecsDebit,
    Excluded::BacsDebit,
    Excluded::Boleto,
    Excluded::CustomerBalance,
    Excluded::Konbini,
    Excluded::Multibanco,
    Excluded::NzBankAccount,
    Excluded::Oxxo,
    Excluded::Payto,
    Excluded::SepaDebit,
    Excluded::Sofort,
    Excluded::UsBankAccount,
];

/// So many pages of a hundred refunds are read of one intent.
const MOST_PAGES: usize = 50;

/// Names the refund in the metadata of a refund.
const REFUND: &str = "refund";

/// How a buyer pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A PaymentMethod, such as `pm_card_visa`.
    PaymentMethod(String),
    /// A card token, such as `tok_visa`.
    Token(String),
}

impl Method {
    /// What identifies it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::PaymentMethod(id) | Self::Token(id) => id,
        }
    }
}

/// Stripe, or what has Stripe's API.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    client: Client,
    shop: Url,
    test_mode: bool,
    patience: Patience,
}

impl Gateway {
    /// The gateway that the settings describe. `status` is told whether Stripe takes the key.
    ///
    /// # Errors
    /// If the settings name no key, or one that cannot be sent.
    pub(crate) fn new(settings: &Settings, status: Status) -> Result<Self, GatewayError> {
        let missing = || GatewayError::Misconfigured("STRIPE_SECRET_KEY is not set, so nobody could pay".to_owned());
        let key = settings.stripe_secret_key.as_ref().ok_or_else(missing)?.expose_secret();
        let client = Client::new(settings, key)?;
        let patience = Patience::new(Calls::new(), Throttle::new(settings), Key::new(status));
        Ok(Self { client, shop: settings.public_url(), test_mode: key.contains("_test_"), patience })
    }

    /// Whether Stripe answers and takes the key: an intent that cannot exist is asked for.
    ///
    /// # Errors
    /// What Stripe says instead.
    pub(crate) async fn greet(&self) -> Result<(), GatewayError> {
        match self.retrieve("pi_0").await {
            Ok(_) => Ok(()),
            Err(GatewayError::Refused { code, .. }) if code == "resource_missing" => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether Stripe may be asked for work that nobody waits for. A yes counts as the call.
    pub(crate) fn may_work(&self) -> bool {
        self.patience.throttle().may_work()
    }

    /// Whether Stripe may be asked how something stands although nobody waits for it. A yes counts as the call.
    pub(crate) fn may_look(&self) -> bool {
        self.patience.throttle().may_look()
    }

    /// Whether no real money moves.
    pub(crate) fn test_mode(&self) -> bool {
        self.test_mode
    }

    /// Makes an intent that cannot charge anybody until it is confirmed.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub(crate) async fn create_intent(
        &self,
        order: OrderId,
        title: &str,
        amount: Money,
        attempt: i64,
    ) -> Result<Intent, GatewayError> {
        let units = charge::units(amount).map_err(|error| not_chargeable(error.to_string()))?;
        let currency: stripe_types::Currency =
            amount.currency().to_string().parse().map_err(|_| not_chargeable("unknown currency".to_owned()))?;
        let automatic = CreatePaymentIntentAutomaticPaymentMethods { allow_redirects: None, enabled: true };
        let request = CreatePaymentIntent::new(units, currency)
            .automatic_payment_methods(automatic)
            .excluded_payment_method_types(DELAYED)
            .description(title)
            .metadata(HashMap::from([(ORDER.to_owned(), order.to_string())]));
        let key = format!("create:{order}:{attempt}:{units}{}", amount.currency());
        // On the heap: the library's form is larger than all the rest of the future.
        let request = Box::new(request);
        self.intent(&*request, Some(&key)).await
    }

    /// Charges.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub(crate) async fn confirm(
        &self,
        order: OrderId,
        intent: &str,
        attempt: u32,
        method: &Method,
    ) -> Result<Intent, GatewayError> {
        let return_url = self.return_url(order);
        let confirmation = match method {
            Method::PaymentMethod(id) => {
                Confirmation { payment_method: Some(id), payment_method_data: None, return_url }
            }
            Method::Token(token) => {
                let data = MethodData { r#type: "card", card: Card { token } };
                Confirmation { payment_method: None, payment_method_data: Some(data), return_url }
            }
        };
        let key = idempotency_key(&format!("confirm:{order}:{attempt}:{}", method.name()))?;
        // The library's own form has no field for a card token.
        let request = || ConfirmPaymentIntent::new(intent).build().form(&confirmation).customize::<PaymentIntent>();
        let strategy = RequestStrategy::Idempotent(key);
        let sent = || Box::pin(request().request_strategy(strategy.clone()).send(&self.client));
        self.patience.ask(sent).await.map(Intent::from)
    }

    /// Sees to it that an intent can never succeed.
    ///
    /// # Errors
    /// [`GatewayError::Unexpected`] if it is too late for that.
    pub(crate) async fn cancel(&self, intent: &str) -> Result<Intent, GatewayError> {
        // Without a key: repeated, it must tell the state of now, not that of the first time.
        self.intent(&CancelPaymentIntent::new(intent), None).await
    }

    /// Reads an intent.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub(crate) async fn retrieve(&self, intent: &str) -> Result<Intent, GatewayError> {
        self.intent(&RetrievePaymentIntent::new(intent), None).await
    }

    /// Gives money back, once for each refund's id and number of keys that are spent.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub(crate) async fn refund(
        &self,
        order: OrderId,
        intent: &str,
        refund: RefundId,
        amount: Money,
        spent: u32,
    ) -> Result<StripeRefund, GatewayError> {
        let metadata = HashMap::from([(REFUND.to_owned(), refund.to_string()), (ORDER.to_owned(), order.to_string())]);
        let units = charge::units(amount).map_err(|error| not_chargeable(error.to_string()))?;
        let request = CreateRefund::new().payment_intent(intent).amount(units).metadata(metadata);
        let first = format!("refund:{order}:{refund}");
        let name = if spent == 0 { first } else { format!("{first}:{spent}") };
        let strategy = RequestStrategy::Idempotent(idempotency_key(&name)?);
        let sent = || Box::pin(request.customize().request_strategy(strategy.clone()).send(&self.client));
        self.patience.ask(sent).await.map(|refund| StripeRefund::of(refund, amount.currency()))
    }

    /// Reads the refunds of an intent in its currency, the newest first.
    ///
    /// # Errors
    /// [`GatewayError`], also if there are more than [`MOST_PAGES`] pages: what is not read must not be believed missing.
    pub(crate) async fn refunds(&self, intent: &str, currency: Currency) -> Result<Vec<StripeRefund>, GatewayError> {
        let mut refunds: Vec<StripeRefund> = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut request = ListRefund::new().payment_intent(intent).limit(100);
            if let Some(last) = refunds.last() {
                request = request.starting_after(last.stripe_id.as_str());
            }
            let list = self.patience.ask(|| Box::pin(request.customize().send(&self.client))).await?;
            refunds.extend(list.data.into_iter().map(|refund| StripeRefund::of(refund, currency)));
            if !list.has_more {
                return Ok(refunds);
            }
        }
        Err(GatewayError::Unavailable { reason: "the list of refunds does not end".to_owned(), sticky: false })
    }

    /// Reads the disputes of an intent. There are seldom two.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub(crate) async fn disputes(&self, intent: &str, paid: Money) -> Result<Vec<Dispute>, GatewayError> {
        let request = ListDispute::new().payment_intent(intent).limit(100);
        let list = self.patience.ask(|| Box::pin(request.customize().send(&self.client))).await?;
        Ok(list.data.into_iter().map(|dispute| answers::dispute(dispute, paid)).collect())
    }

    /// Reads the newest hundred disputes of the account.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub(crate) async fn newest_disputes(&self) -> Result<Vec<SomeDispute>, GatewayError> {
        let request = ListDispute::new().limit(100);
        let list = self.patience.ask(|| Box::pin(request.customize().send(&self.client))).await?;
        Ok(list.data.iter().filter_map(SomeDispute::of).collect())
    }

    async fn intent(
        &self,
        request: &impl StripeRequest<Output = PaymentIntent>,
        name: Option<&str>,
    ) -> Result<Intent, GatewayError> {
        let strategy =
            name.map(idempotency_key).transpose()?.map_or(RequestStrategy::Once, RequestStrategy::Idempotent);
        let sent = || Box::pin(request.customize().request_strategy(strategy.clone()).send(&self.client));
        self.patience.ask(sent).await.map(Intent::from)
    }

    /// Where the buyer's bank sends the buyer back to.
    fn return_url(&self, order: OrderId) -> String {
        let mut url = self.shop.clone();
        url.set_path(&format!("orders/{order}"));
        url.into()
    }
}

fn not_chargeable(message: String) -> GatewayError {
    GatewayError::Refused { code: "amount_not_chargeable".to_owned(), message }
}

fn idempotency_key(text: &str) -> Result<IdempotencyKey, GatewayError> {
    let too_long = |_| GatewayError::Refused {
        code: "invalid_payment_method".to_owned(),
        message: "The payment method is not valid.".to_owned(),
    };
    IdempotencyKey::new(text).map_err(too_long)
}

#[derive(Serialize)]
struct Confirmation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method_data: Option<MethodData<'a>>,
    return_url: String,
}

#[derive(Serialize)]
struct MethodData<'a> {
    r#type: &'a str,
    card: Card<'a>,
}

#[derive(Serialize)]
struct Card<'a> {
    token: &'a str,
}
