//! What a seller sends, and the offer it says. All that is wrong with it is told at once.

use common::clock::Time;
use common::events::tickets::RefundPolicy;
use common::http::schema::{blank_or_null, nullable};
use common::http::{Fields, Problem};
use common::money::charge::{self, NotChargeable};
use common::money::{Currency, Money, decimal_schema};
use common::open_enum::{NotKnown, OpenEnum as _, known, known_schema};
use common::zone::Zone;
use serde::Deserialize;
use serde_json::{Number, Value};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::fields::{Description, IMAGE_URL, ImageUrl, PerOrderLimit, Quantity, SaleEndsAt, StartsAt, Title, Venue};
use crate::ticket::Offer;

/// A listing as its seller describes it.
///
/// The fields are taken as any JSON, so that a wrong type of one does not hide what is wrong with another.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct TicketInput {
    /// 1 to 200 characters on one line.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200, example = "Jazz by the river")]
    title: Value,
    /// The price of one place in major units, as a decimal string or a number; 0 is free. It must be an amount that can be
    /// charged: at least 0.50 in US dollars, a whole number in Icelandic krónur.
    #[schema(schema_with = decimal_schema, required = true)]
    price: Value,
    /// A currency of ISO 4217 that buyers can pay in. `usd` for a new listing where nothing is said; a change that does not say it keeps what it is.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{3}$", example = "usd")]
    currency: Value,
    /// 1 to 1,000,000 places. 1 for a new listing where nothing is said; a change that does not say it keeps what it is.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, example = 100)]
    quantity: Value,
    /// At most 10,000 characters.
    #[schema(value_type = Option<String>, max_length = 10_000)]
    description: Value,
    /// At most 200 characters on one line.
    #[schema(value_type = Option<String>, max_length = 200)]
    venue: Value,
    /// RFC 3339. For a new listing that does not say when its sale ends it must be in the future.
    #[schema(schema_with = blank_or_null::<Time>)]
    starts_at: Value,
    /// The IANA name of the time zone in which it takes place. That of the business where nothing is said.
    #[schema(value_type = Option<String>, example = "Europe/Rome")]
    time_zone: Value,
    /// When the sale ends (RFC 3339), before the show starts or after that. At its start where nothing is said; never if it has
    /// no start. For a new listing it must be in the future.
    #[schema(schema_with = blank_or_null::<Time>)]
    sale_ends_at: Value,
    /// The most places one order may hold: 1 to 100. Of a free listing one person may have no more in all.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    per_order_limit: Value,
    /// An http or https address of at most 2,000 characters.
    #[schema(schema_with = image_url_schema)]
    image_url: Value,
    /// `until_start` where nothing is said.
    #[schema(schema_with = refund_policy_schema)]
    refund_policy: Value,
}

fn image_url_schema() -> Schema {
    /// Its schema, where something is said.
    struct Address;

    impl PartialSchema for Address {
        fn schema() -> RefOr<Schema> {
            let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(IMAGE_URL));
            text.format(Some(SchemaFormat::Custom("uri".to_owned()))).into()
        }
    }

    blank_or_null::<Address>()
}

fn refund_policy_schema() -> Schema {
    nullable(known_schema::<RefundPolicy>())
}

/// What is meant where the seller does not say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsaid {
    /// The number of places.
    pub(crate) quantity: Quantity,
    /// The currency of the price.
    pub(crate) currency: Currency,
}

impl Unsaid {
    /// For a listing that is to be made.
    pub(crate) const NEW: Self = Self { quantity: Quantity::ONE, currency: Currency::USD };

    /// For a listing that has this offer: what is money or stock does not change unless it is said.
    pub(crate) fn of(offer: &Offer) -> Self {
        Self { quantity: offer.quantity, currency: offer.price.currency() }
    }
}

impl TicketInput {
    /// The offer it describes. The sale of one that is `listed_at` some time must end later than that.
    ///
    /// # Errors
    /// 400 with all that is wrong.
    pub(crate) fn offer(&self, unsaid: Unsaid, listed_at: Option<Time>) -> Result<Offer, Problem> {
        let mut fields = Fields::default();
        let title = fields.take("title", required(&self.title, title));
        let currency =
            fields.take("currency", said(&self.currency, currency)).map(|said| said.unwrap_or(unsaid.currency));
        let price =
            fields.take("price", required(&self.price, |value| price(value, currency.unwrap_or(unsaid.currency))));
        let quantity =
            fields.take("quantity", said(&self.quantity, quantity)).map(|said| said.unwrap_or(unsaid.quantity));
        let description = fields.take("description", said_text(&self.description, Description::parse));
        let venue = fields.take("venue", said_text(&self.venue, Venue::parse));
        let past = listed_at.filter(|_| says_nothing(&self.sale_ends_at));
        let starts_at = fields.take("startsAt", said_text(&self.starts_at, |text| starts_at(text, past)));
        let time_zone = fields.take("timeZone", said_text(&self.time_zone, Zone::parse));
        let sale_ends_at =
            fields.take("saleEndsAt", said_text(&self.sale_ends_at, |text| sale_ends_at(text, listed_at)));
        let per_order_limit = fields.take("perOrderLimit", said(&self.per_order_limit, per_order_limit));
        let image_url = fields.take("imageUrl", said_text(&self.image_url, ImageUrl::parse));
        let refund_policy =
            fields.take("refundPolicy", said(&self.refund_policy, refund_policy)).map(Option::unwrap_or_default);
        let offer = (
            title,
            price,
            quantity,
            description,
            venue,
            starts_at,
            time_zone,
            sale_ends_at,
            per_order_limit,
            image_url,
            refund_policy,
        );
        let (
            title,
            price,
            quantity,
            description,
            venue,
            starts_at,
            time_zone,
            sale_ends_at,
            per_order_limit,
            image_url,
            refund_policy,
        ) = fields.finish(offer)?;
        Ok(Offer {
            title,
            price,
            quantity,
            description,
            venue,
            starts_at,
            time_zone,
            sale_ends_at,
            per_order_limit,
            image_url,
            refund_policy,
            words: None,
        })
    }
}

fn said<'v, T>(value: &'v Value, parse: impl FnOnce(&'v Value) -> Result<T, String>) -> Result<Option<T>, String> {
    if value.is_null() { Ok(None) } else { parse(value).map(Some) }
}

fn required<'v, T>(value: &'v Value, parse: impl FnOnce(&'v Value) -> Result<T, String>) -> Result<T, String> {
    said(value, parse)?.ok_or_else(|| "is missing".to_owned())
}

/// A text that says nothing is as good as none: forms send empty fields.
fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn said_text<T, E: ToString>(value: &Value, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Option<T>, String> {
    if says_nothing(value) {
        return Ok(None);
    }
    parse(text(value)?).map(Some).map_err(|error| error.to_string())
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be text".to_owned())
}

fn whole(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| "must be a whole number".to_owned())
}

fn title(value: &Value) -> Result<Title, String> {
    Title::parse(text(value)?).map_err(|fault| fault.to_string())
}

fn currency(value: &Value) -> Result<Currency, String> {
    let currency = Currency::parse(text(value)?).map_err(|error| error.to_string())?;
    charge::check_currency(currency).map_err(|error| error.to_string())?;
    Ok(currency)
}

/// A number is read by its decimal text, the shortest one that names it: no arithmetic is done with floats.
fn price(value: &Value, currency: Currency) -> Result<Money, String> {
    let decimal = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => Number::to_string(number),
        _ => return Err("must be a decimal number, such as \"19.99\"".to_owned()),
    };
    let price = Money::parse(&decimal, currency).map_err(|error| error.to_string())?;
    match charge::check(price) {
        // Of the currency its own field tells.
        Ok(()) | Err(NotChargeable::Currency) => Ok(price),
        Err(refused) => Err(refused.to_string()),
    }
}

fn quantity(value: &Value) -> Result<Quantity, String> {
    Quantity::parse(whole(value)?).map_err(|fault| fault.to_string())
}

fn per_order_limit(value: &Value) -> Result<PerOrderLimit, String> {
    PerOrderLimit::parse(whole(value)?).map_err(|fault| fault.to_string())
}

fn moment(text: &str) -> Result<Time, String> {
    text.parse().map_err(|error: common::clock::NotATime| error.to_string())
}

/// The start of a show whose sale ends with it must be later than `past`.
fn starts_at(text: &str, past: Option<Time>) -> Result<StartsAt, String> {
    let start = StartsAt::parse(moment(text)?).map_err(|fault| fault.to_string())?;
    let in_time = past.map_or(Ok(start), |past| start.after(past));
    in_time.map_err(|_| "must be in the future, or `saleEndsAt` must say until when it is sold".to_owned())
}

fn sale_ends_at(text: &str, listed_at: Option<Time>) -> Result<SaleEndsAt, String> {
    let end = SaleEndsAt::parse(moment(text)?);
    let end = end.and_then(|end| listed_at.map_or(Ok(end), |now| end.after(now)));
    end.map_err(|fault| fault.to_string())
}

fn refund_policy(value: &Value) -> Result<RefundPolicy, String> {
    known(value).map_err(|_: serde_json::Error| NotKnown(RefundPolicy::TEXTS).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Time = Time::from_millis(1_795_000_000_000);

    fn offer(input: Value) -> Result<Offer, Vec<String>> {
        let input: TicketInput = serde_json::from_value(input).unwrap();
        let named = |problem: Problem| problem.errors().iter().filter_map(|error| error.field.clone()).collect();
        input.offer(Unsaid::NEW, Some(NOW)).map_err(named)
    }

    fn minor(price: Value) -> Option<i64> {
        offer(json!({ "title": "t", "price": price })).ok().map(|offer| offer.price.minor())
    }

    #[test]
    fn a_price_is_exact_as_text_and_as_number() {
        let prices = [
            (json!("19.99"), 1999),
            (json!(19.99), 1999),
            (json!(0), 0),
            (json!(20), 2000),
            (json!(1e3), 100_000),
            (json!(999_999.99), 99_999_999),
        ];
        for (price, expected) in prices {
            assert_eq!(minor(price.clone()), Some(expected), "{price}");
        }
        for price in [
            json!("19.999"),
            json!(0.001),
            json!(-1),
            json!("-0.01"),
            json!(1e6),
            json!(1e300),
            json!("1e3"),
            json!("NaN"),
            json!(true),
            json!([1]),
        ] {
            assert_eq!(minor(price.clone()), None, "{price}");
        }
    }

    #[test]
    fn a_price_that_cannot_be_charged_is_not_listed() {
        let wrong = |price: &str, currency: &str| {
            offer(json!({ "title": "t", "price": price, "currency": currency })).map(|offer| offer.price.minor())
        };
        for (price, currency) in [("0.49", "usd"), ("5.125", "kwd"), ("1.50", "mga"), ("10000000", "eur")] {
            assert_eq!(wrong(price, currency), Err(vec!["price".to_owned()]), "{price} {currency}");
        }
        assert_eq!(wrong("5", "irr"), Err(vec!["currency".to_owned()]), "nobody can be charged in rials");
        assert_eq!((wrong("5000", "isk"), wrong("9999999999.99", "idr")), (Ok(5_000), Ok(999_999_999_999)));
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let plain = offer(json!({ "title": " t ", "price": "5", "description": "", "venue": null })).unwrap();
        assert_eq!(
            (plain.title.as_str(), plain.quantity.get(), plain.refund_policy),
            ("t", 1, RefundPolicy::UntilStart)
        );
        assert!(plain.description.is_none() && plain.venue.is_none() && plain.starts_at.is_none());
    }

    #[test]
    fn a_change_keeps_quantity_and_currency_where_it_does_not_say_them() {
        let before =
            offer(json!({ "title": "t", "price": 500, "quantity": 7, "currency": "JPY", "venue": "here" })).unwrap();
        let input: TicketInput = serde_json::from_value(json!({ "title": "t", "price": "600" })).unwrap();
        let after = input.offer(Unsaid::of(&before), None).unwrap();
        assert_eq!((after.quantity.get(), after.price.minor(), after.venue), (7, 600, None));
        assert_eq!(after.price.currency(), before.price.currency());
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        assert_eq!(offer(json!({})).unwrap_err(), ["title", "price"]);
        let wrong = json!({
            "title": 5, "currency": "zzz", "price": "x", "quantity": 1.5, "description": [], "venue": "a\nb",
            "startsAt": "tomorrow", "timeZone": "Mars/Base", "saleEndsAt": "soon", "perOrderLimit": 101, "imageUrl": "javascript:alert(1)", "refundPolicy": "maybe",
        });
        let all = [
            "title",
            "currency",
            "price",
            "quantity",
            "description",
            "venue",
            "startsAt",
            "timeZone",
            "saleEndsAt",
            "perOrderLimit",
            "imageUrl",
            "refundPolicy",
        ];
        assert_eq!(offer(wrong).unwrap_err(), all);
    }

    #[test]
    fn the_sale_of_a_new_listing_ends_later_and_that_of_another_whenever_its_seller_says() {
        let said = |end: &str| json!({ "title": "t", "price": 5, "saleEndsAt": end });
        assert_eq!(offer(said("2020-01-01T00:00:00Z")).unwrap_err(), ["saleEndsAt"]);
        let began =
            |end: &str| json!({ "title": "t", "price": 5, "startsAt": "2020-01-01T00:00:00Z", "saleEndsAt": end });
        assert_eq!(offer(began(" ")).unwrap_err(), ["startsAt"]);
        assert!(offer(began("2099-01-01T00:00:00Z")).is_ok());
        let before = offer(said("2099-01-01T00:00:00Z")).unwrap();
        let input: TicketInput = serde_json::from_value(said("2020-01-01T00:00:00Z")).unwrap();
        let ended = input.offer(Unsaid::of(&before), None).unwrap();
        assert!(ended.sale_end().is_some_and(|end| end < NOW) && before.sale_end().is_some_and(|end| end > NOW));
    }

    #[test]
    fn who_sells_is_not_for_the_client_to_say() {
        let foreign = json!({ "title": "t", "price": 5, "userId": "x" });
        assert!(serde_json::from_value::<TicketInput>(foreign).is_err());
    }
}
