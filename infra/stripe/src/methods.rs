//! Which card a request means.

use serde_json::Value;

use crate::call::Call;
use crate::cards::{self, Card};
use crate::charges::Method;
use crate::error::ApiError;
use crate::params::{CardData, MethodData};
use crate::{ids, render};

/// The payment method of `payment_method` or `payment_method_data`, if the request names one.
pub(crate) fn chosen(
    call: &mut Call<'_>,
    id: Option<&str>,
    data: Option<&MethodData>,
) -> Result<Option<Method>, ApiError> {
    match (id, data) {
        (Some(id), _) => existing(call, id).map(Some),
        (None, Some(data)) => create(call, data).map(Some),
        (None, None) => Ok(None),
    }
}

fn existing(call: &mut Call<'_>, id: &str) -> Result<Method, ApiError> {
    if let Some(method) = call.books.methods.get(id) {
        return Ok(method.clone());
    }
    let card = cards::by_token(id).filter(|_| id.starts_with("pm_")).or_else(|| cards::bank_account(id));
    card.map(|card| issue(call, card)).ok_or_else(|| ApiError::no_such_method(id))
}

fn create(call: &mut Call<'_>, data: &MethodData) -> Result<Method, ApiError> {
    let card = data.card.as_ref().ok_or_else(|| ApiError::missing("card"))?;
    Ok(issue(call, find(card)?))
}

fn find(data: &CardData) -> Result<&'static Card, ApiError> {
    match (&data.token, &data.number) {
        (Some(token), _) => cards::by_token(token).ok_or_else(|| ApiError::no_such("token", "card[token]", token)),
        (None, Some(number)) => cards::by_number(number).ok_or_else(unknown_number),
        (None, None) => Err(ApiError::missing("card[number]")),
    }
}

/// The number is not repeated: it may be that of a real card.
fn unknown_number() -> ApiError {
    ApiError::bad_param("incorrect_number", "number", "Your card number is incorrect: it is not one of the test cards.")
}

fn issue(call: &mut Call<'_>, card: &Card) -> Method {
    let method = Method {
        id: ids::fresh("pm"),
        created: call.now,
        brand: card.brand.to_owned(),
        last4: card.last4().to_owned(),
        behaviour: card.behaviour,
        kind: card.kind,
    };
    call.books.put(method.clone());
    method
}

/// `POST /v1/payment_methods`.
pub(crate) fn register(call: &mut Call<'_>, data: &MethodData) -> Result<Value, ApiError> {
    Ok(render::method(&create(call, data)?))
}
