//! What a seller says about a listing, as the fields of the form have it: how it is read from a listing, what is sent to the
//! API, and how two changes that were made at the same time go together. Pure.

use common::clock::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::{ApiProblem, FieldProblem};
use crate::format::Words;
use crate::local_time::{NoMoment, moment, typed};
use crate::model::Ticket;
use crate::typed_amount::NotAnAmount;

/// The fields, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Offer {
    pub(crate) title: String,
    pub(crate) price: String,
    pub(crate) currency: String,
    pub(crate) quantity: String,
    pub(crate) venue: String,
    pub(crate) date: String,
    pub(crate) time: String,
    pub(crate) time_zone: String,
    pub(crate) sale_date: String,
    pub(crate) sale_time: String,
    pub(crate) per_order_limit: String,
    pub(crate) refund_policy: String,
    pub(crate) image_url: String,
    pub(crate) description: String,
}

type Field = fn(&mut Offer) -> &mut String;

/// Each field by the name that people know it by.
const FIELDS: [(&str, Field); 14] = [
    ("Title", |offer| &mut offer.title),
    ("Price", |offer| &mut offer.price),
    ("Currency", |offer| &mut offer.currency),
    ("Places", |offer| &mut offer.quantity),
    ("Venue", |offer| &mut offer.venue),
    ("Day", |offer| &mut offer.date),
    ("Time", |offer| &mut offer.time),
    ("Time zone", |offer| &mut offer.time_zone),
    ("Last day of the sale", |offer| &mut offer.sale_date),
    ("End of the sale", |offer| &mut offer.sale_time),
    ("Places per order", |offer| &mut offer.per_order_limit),
    ("Refunds", |offer| &mut offer.refund_policy),
    ("Picture", |offer| &mut offer.image_url),
    ("Description", |offer| &mut offer.description),
];

/// A field that somebody else has changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherChange {
    pub(crate) field: &'static str,
    pub(crate) before: String,
    pub(crate) now: String,
    /// Whether the person at the form has changed it too, to something else.
    pub(crate) clashes: bool,
}

/// The moments that a form showed: when it starts, and when its sale ends, where its seller has said that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moments {
    pub(crate) starts_at: Option<Time>,
    pub(crate) sale_ends_at: Option<Time>,
}

impl Moments {
    pub(crate) fn of(ticket: &Ticket) -> Self {
        Self { starts_at: ticket.starts_at, sale_ends_at: ticket.sale_ends_at }
    }
}

/// What is not typed as the API takes it: moments and an amount of money.
pub(crate) struct Read {
    pub(crate) starts_at: Result<Option<Time>, NoMoment>,
    pub(crate) sale_ends_at: Result<Option<Time>, NoMoment>,
    pub(crate) price: Result<String, NotAnAmount>,
}

impl Offer {
    /// What a listing says, as this visitor writes it.
    pub(crate) fn of(ticket: &Ticket, words: &Words) -> Self {
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let shown = |at: Option<Time>| at.map(|at| typed(at, &ticket.time_zone)).unwrap_or_default();
        let ((date, time), (sale_date, sale_time)) = (shown(ticket.starts_at), shown(ticket.sale_ends_at));
        Self {
            title: ticket.title.clone(),
            price: words.amount(&ticket.price),
            currency: ticket.currency.to_uppercase(),
            quantity: ticket.quantity.to_string(),
            venue: said(&ticket.venue),
            date,
            time,
            time_zone: ticket.time_zone.clone(),
            sale_date,
            sale_time,
            per_order_limit: ticket.per_order_limit.map(|limit| limit.to_string()).unwrap_or_default(),
            refund_policy: ticket.refund_policy.to_string(),
            image_url: said(&ticket.image_url),
            description: said(&ticket.description).replace("\r\n", "\n"),
        }
    }

    /// The same without what forms and fingers add: spaces at the ends, and the line ends of the web.
    pub(crate) fn tidied(mut self) -> Self {
        for (_, field) in FIELDS {
            let text = field(&mut self);
            *text = text.trim().replace("\r\n", "\n");
        }
        self
    }

    /// What is typed by rules of its own, read. `was` is what it was before.
    pub(crate) fn read(&self, was: Moments, words: &Words) -> Read {
        Read {
            starts_at: self.moment(&self.date, &self.time, was.starts_at),
            sale_ends_at: self.moment(&self.sale_date, &self.sale_time, was.sale_ends_at),
            price: words.read_amount(&self.price),
        }
    }

    /// The moment that two fields say. If they still show what they showed of `was`, they mean that very moment, with its seconds,
    /// and the second of two equal hours.
    fn moment(&self, date: &str, time: &str, was: Option<Time>) -> Result<Option<Time>, NoMoment> {
        let shown = was.map(|at| typed(at, &self.time_zone));
        let said = moment(date, time, &self.time_zone)?;
        let stays = shown.is_some_and(|(day, hour)| (day.as_str(), hour.as_str()) == (date, time));
        Ok(if stays { was } else { said })
    }

    /// What is sent to the API. What could not be read is sent as something that it refuses, so that it tells at once what else is
    /// wrong.
    pub(crate) fn wish(&self, read: &Read) -> Value {
        let said = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        let whole = |text: &str| text.parse::<i64>().map_or_else(|_| said(text), |number| json!(number));
        let moment =
            |read: Result<Option<Time>, NoMoment>| read.map_or_else(|wrong| json!(wrong.to_string()), |at| json!(at));
        json!({
            "title": self.title,
            "price": read.price.as_ref().map_or("unreadable", String::as_str),
            "currency": said(&self.currency),
            "quantity": whole(&self.quantity),
            "venue": said(&self.venue),
            "startsAt": moment(read.starts_at),
            "timeZone": said(&self.time_zone),
            "saleEndsAt": moment(read.sale_ends_at),
            "perOrderLimit": whole(&self.per_order_limit),
            "refundPolicy": said(&self.refund_policy),
            "imageUrl": said(&self.image_url),
            "description": said(&self.description),
        })
    }

    /// Puts this, which was made of `seen`, on top of what is there `now`, and tells what others have changed. Where both have
    /// changed the same field, this stays.
    pub(crate) fn onto(mut self, mut seen: Self, mut now: Self) -> (Self, Vec<OtherChange>) {
        let mut others = Vec::new();
        for (name, field) in FIELDS {
            let (before, now, mine) = (field(&mut seen), field(&mut now), field(&mut self));
            if before == now {
                continue;
            }
            let clashes = mine != before && mine != now;
            if !clashes {
                mine.clone_from(now);
            }
            others.push(OtherChange { field: name, before: before.clone(), now: now.clone(), clashes });
        }
        (self, others)
    }
}

/// The problem, with each thing that is wrong at the field of the form where it can be mended.
pub(crate) fn at_fields(mut problem: ApiProblem, read: &Read) -> ApiProblem {
    if let Err(wrong) = read.starts_at {
        problem.replace("startsAt", wrong.field(), wrong.to_string());
    }
    if let Err(wrong) = read.sale_ends_at {
        problem.replace("saleEndsAt", of_the_sale(wrong.field()), wrong.to_string());
    }
    if let Err(wrong) = &read.price {
        problem.replace("price", "price", wrong.to_string());
    }
    for (told, field) in [("startsAt", "date"), ("saleEndsAt", "saleDate")] {
        for error in problem.errors.iter_mut().filter(|error| error.field.as_deref() == Some(told)) {
            error.field = Some(field.to_owned());
        }
    }
    let refused = match problem.code.as_str() {
        "quantity_below_taken" => Some("quantity"),
        "price_locked" => Some("price"),
        "currency_locked" => Some("currency"),
        _ => None,
    };
    if let Some(field) = refused {
        problem.errors.push(FieldProblem { field: Some(field.to_owned()), message: problem.detail.clone() });
    }
    problem
}

/// The field of the sale's end where that is to be mended which is wrong at a field of the start.
fn of_the_sale(field: &'static str) -> &'static str {
    match field {
        "date" => "saleDate",
        "time" => "saleTime",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        let text = |text: &str| text.to_owned();
        Offer { title: text("Jazz"), price: text("5.00"), quantity: text("10"), ..Offer::default() }
    }

    #[test]
    fn numbers_are_sent_as_numbers_and_nothing_as_nothing() {
        let wish = Offer { per_order_limit: "a few".to_owned(), ..offer() };
        let wish = wish.wish(&wish.read(Moments::default(), &Words::for_languages("en")));
        assert_eq!((&wish["quantity"], &wish["perOrderLimit"]), (&json!(10), &json!("a few")));
        assert_eq!((&wish["venue"], &wish["startsAt"], &wish["price"]), (&Value::Null, &Value::Null, &json!("5.00")));
        assert!(wish.get("timeZone").is_some_and(Value::is_null));
    }

    #[test]
    fn a_start_that_was_not_touched_stays_to_the_second() {
        let was: Time = "2026-10-25T01:30:17Z".parse().unwrap();
        let (date, time) = typed(was, "Europe/Rome");
        let same = Offer { date, time, time_zone: "Europe/Rome".to_owned(), ..offer() };
        let starts_at = |offer: &Offer, was| {
            let was = Moments { starts_at: was, sale_ends_at: None };
            offer.read(was, &Words::for_languages("en")).starts_at
        };
        assert_eq!(starts_at(&same, Some(was)), Ok(Some(was)));
        assert_eq!(starts_at(&same, None).unwrap().unwrap().to_string(), "2026-10-25T00:30:00.000Z");
        let later = Offer { time: "02:31".to_owned(), ..same };
        assert_eq!(starts_at(&later, Some(was)).unwrap().unwrap().to_string(), "2026-10-25T00:31:00.000Z");
        let open = Offer { date: String::new(), time: String::new(), ..later };
        assert_eq!(starts_at(&open, Some(was)), Ok(None));
    }

    #[test]
    fn the_end_of_a_sale_is_typed_as_the_start_is_and_told_at_its_own_fields() {
        let text = |text: &str| text.to_owned();
        let typed = Offer {
            sale_date: text("2026-11-27"),
            sale_time: text("18:00"),
            time_zone: text("Europe/Rome"),
            ..offer()
        };
        let words = Words::for_languages("en");
        let read = |offer: &Offer| offer.read(Moments::default(), &words);
        assert_eq!(typed.wish(&read(&typed))["saleEndsAt"], json!("2026-11-27T17:00:00.000Z"));
        assert_eq!(offer().wish(&read(&offer()))["saleEndsAt"], Value::Null);
        let refused = json!({ "status": 400, "code": "invalid_input", "detail": "d",
            "errors": [{ "field": "saleEndsAt", "message": "m" }] });
        let problem: ApiProblem = serde_json::from_value(refused).unwrap();
        assert_eq!(at_fields(problem.clone(), &read(&typed)).of("saleDate"), Some("m"));
        let no_time = Offer { sale_time: String::new(), ..typed };
        let told = at_fields(problem, &read(&no_time));
        assert_eq!((told.of("saleTime"), told.of("saleDate")), (Some("say the time as well"), None));
    }

    #[test]
    fn changes_of_two_people_go_together_and_a_clash_is_told() {
        let text = |text: &str| text.to_owned();
        let mine = Offer { title: text("Jazz!"), quantity: text("20"), ..offer() };
        let now = Offer { quantity: text("15"), venue: text("Pier 3"), ..offer() };
        let (merged, others) = mine.onto(offer(), now);
        assert_eq!((merged.title.as_str(), merged.quantity.as_str(), merged.venue.as_str()), ("Jazz!", "20", "Pier 3"));
        let told: Vec<_> = others.iter().map(|other| (other.field, other.now.as_str(), other.clashes)).collect();
        assert_eq!(told, [("Places", "15", true), ("Venue", "Pier 3", false)]);
        assert_eq!(offer().onto(offer(), offer()), (offer(), Vec::new()));
    }

    #[test]
    fn what_is_wrong_with_the_start_is_told_at_its_fields() {
        let refused = json!({ "status": 400, "code": "invalid", "detail": "d",
            "errors": [{ "field": "startsAt", "message": "m" }, { "field": "title", "message": "t" }] });
        let problem: ApiProblem = serde_json::from_value(refused).unwrap();
        let read = |starts_at| Read { starts_at, sale_ends_at: Ok(None), price: Ok("5".to_owned()) };
        let told = at_fields(problem.clone(), &read(Err(NoMoment::Skipped)));
        assert_eq!((told.of("startsAt"), told.of("title")), (None, Some("t")));
        assert!(told.of("time").is_some_and(|message| message.contains("skip")));
        assert_eq!(at_fields(problem, &read(Ok(None))).of("date"), Some("m"));
    }

    #[test]
    fn a_price_that_cannot_be_read_is_refused_at_its_field_with_all_else_that_is_wrong() {
        let typed = Offer { price: "1e2".to_owned(), ..offer() };
        let read = typed.read(Moments::default(), &Words::for_languages("de"));
        assert_eq!(typed.wish(&read)["price"], json!("unreadable"));
        let refused = json!({ "status": 400, "code": "invalid_input", "detail": "d",
            "errors": [{ "field": "price", "message": "m" }, { "field": "title", "message": "t" }] });
        let told = at_fields(serde_json::from_value(refused).unwrap(), &read);
        assert_eq!((told.errors.len(), told.of("title")), (2, Some("t")));
        assert_eq!(told.of("price"), Some("must be an amount in digits, such as 1.234,50"));
    }

    #[test]
    fn a_refused_change_is_told_at_its_field() {
        let refused = json!({ "status": 409, "code": "price_locked", "detail": "held" });
        let read = offer().read(Moments::default(), &Words::for_languages("en"));
        let told = at_fields(serde_json::from_value(refused).unwrap(), &read);
        assert_eq!((told.of("price"), told.general()), (Some("held"), None));
    }
}
