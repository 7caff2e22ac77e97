//! The PaymentIntent calls: what each of them checks, changes and announces.

use serde_json::Value;

use crate::call::Call;
use crate::cards::{Behaviour, Decline};
use crate::charges::{Charge, ChargeStatus, Method};
use crate::error::ApiError;
use crate::intents::{Accepts, Failure, Intent, Status, Unexpected};
use crate::params::{Automatic, CancelIntent, ConfirmIntent, CreateIntent, Redirects};
use crate::{currencies, ids, methods, render};

pub(crate) fn create(call: &mut Call<'_>, params: CreateIntent) -> Result<Value, ApiError> {
    let mut intent = draft(call, &params)?;
    let confirmation = ConfirmIntent {
        payment_method: params.payment_method,
        payment_method_data: params.payment_method_data,
        return_url: params.return_url,
        error_on_requires_action: params.error_on_requires_action,
        expand: params.expand,
    };
    if params.confirm {
        needs_return_url(&intent, &confirmation)?;
    }
    let id = confirmation.payment_method.as_deref();
    let method = methods::chosen(call, id, confirmation.payment_method_data.as_ref())?;
    if params.confirm && method.is_none() {
        return Err(ApiError::missing("payment_method"));
    }
    if let Some(method) = &method {
        intent.attach(&method.id);
    }
    call.record(&intent, "payment_intent.created");
    match method.filter(|_| params.confirm) {
        Some(method) => attempt(call, intent, &method, confirmation),
        None => Ok(render::intent(&call.view(), &intent, &confirmation.expand)),
    }
}

fn draft(call: &Call<'_>, params: &CreateIntent) -> Result<Intent, ApiError> {
    let (amount, currency) = price(params)?;
    let id = ids::fresh("pi");
    Ok(Intent {
        client_secret: format!("{id}_{}", ids::fresh("secret")),
        id,
        amount,
        currency,
        created: call.now,
        status: Status::RequiresPaymentMethod,
        accepts: accepts(params.automatic_payment_methods.as_ref(), params.payment_method_types.as_deref()),
        excluded: params.excluded_payment_method_types.clone(),
        metadata: params.metadata.clone(),
        description: params.description.clone(),
        receipt_email: params.receipt_email.clone(),
        return_url: None,
        method: None,
        latest_charge: None,
        received: 0,
        last_failure: None,
        canceled_at: None,
        cancellation_reason: None,
    })
}

fn price(params: &CreateIntent) -> Result<(i64, String), ApiError> {
    let amount = params.amount.ok_or_else(|| ApiError::missing("amount"))?;
    let currency = params.currency.as_ref().ok_or_else(|| ApiError::missing("currency"))?.to_ascii_lowercase();
    currencies::check_currency(&currency)?;
    currencies::check_charge(amount, &currency)?;
    Ok((amount, currency))
}

/// Without a word about methods Stripe chooses automatically, redirects included.
fn accepts(automatic: Option<&Automatic>, types: Option<&[String]>) -> Accepts {
    match (automatic, types) {
        (Some(Automatic { enabled: true, allow_redirects }), _) => {
            Accepts::Automatic { redirects: *allow_redirects != Some(Redirects::Never) }
        }
        (_, Some(types)) => Accepts::Listed(types.to_vec()),
        (Some(_), None) => Accepts::Listed(vec!["card".to_owned()]),
        (None, None) => Accepts::Automatic { redirects: true },
    }
}

pub(crate) fn retrieve(call: &mut Call<'_>, id: &str, expand: &[String]) -> Result<Value, ApiError> {
    let intent = call.intent(id, "intent")?;
    Ok(render::intent(&call.view(), &intent, expand))
}

pub(crate) fn confirm(call: &mut Call<'_>, id: &str, params: ConfirmIntent) -> Result<Value, ApiError> {
    let intent = call.intent(id, "intent")?;
    intent.may_confirm().map_err(|why| call.unexpected(&intent, &why))?;
    let named = params.payment_method.as_deref().or(intent.method.as_deref());
    let id = named.filter(|_| params.payment_method.is_some() || params.payment_method_data.is_none());
    let Some(method) = methods::chosen(call, id, params.payment_method_data.as_ref())? else {
        return Err(call.unexpected(&intent, &Unexpected::NoMethod));
    };
    if intent.excludes(method.kind.name()) {
        return Err(ApiError::incompatible_method(method.kind.name()));
    }
    needs_return_url(&intent, &params)?;
    attempt(call, intent, &method, params)
}

/// Stripe refuses this before anything is charged, whatever the card.
fn needs_return_url(intent: &Intent, params: &ConfirmIntent) -> Result<(), ApiError> {
    match (&params.return_url, &intent.accepts) {
        (Some(url), _) if url.starts_with("https://") || url.starts_with("http://") => Ok(()),
        (Some(_), _) => Err(ApiError::bad_param("url_invalid", "return_url", "Not a valid URL")),
        (None, Accepts::Automatic { redirects: true }) => Err(ApiError::malformed(
            "This PaymentIntent accepts payment methods that may redirect the customer: provide a `return_url`, \
             or set `automatic_payment_methods[allow_redirects]` to `never`.",
        )),
        (None, _) => Ok(()),
    }
}

fn attempt(call: &mut Call<'_>, mut intent: Intent, method: &Method, params: ConfirmIntent) -> Result<Value, ApiError> {
    match method.behaviour {
        Behaviour::Approve => approve(call, &mut intent, &method.id),
        Behaviour::Decline(decline) => return Err(decline_with(call, intent, &method.id, decline)),
        Behaviour::Authenticate if params.error_on_requires_action => {
            return Err(decline_with(call, intent, &method.id, Decline::AuthenticationRequired));
        }
        Behaviour::Authenticate => {
            intent.await_customer(&method.id);
            intent.return_url = params.return_url;
            call.record(&intent, "payment_intent.requires_action");
        }
        Behaviour::Process => {
            let charge = charge(call, &intent, &method.id, ChargeStatus::Pending, None);
            intent.await_bank(&method.id, &charge.id);
            call.record(&intent, "payment_intent.processing");
        }
    }
    Ok(render::intent(&call.view(), &intent, &params.expand))
}

fn charge(
    call: &mut Call<'_>,
    intent: &Intent,
    method: &str,
    status: ChargeStatus,
    decline: Option<Decline>,
) -> Charge {
    let charge = Charge {
        id: ids::fresh("ch"),
        intent: intent.id.clone(),
        method: method.to_owned(),
        amount: intent.amount,
        currency: intent.currency.clone(),
        created: call.now,
        status,
        decline,
        refunded: 0,
        disputed: false,
        metadata: intent.metadata.clone(),
    };
    call.books.put(charge.clone());
    charge
}

fn announce(call: &mut Call<'_>, charge: &Charge, event: &str) {
    let object = render::charge(&call.view(), charge);
    call.raise(event, object);
}

fn approve(call: &mut Call<'_>, intent: &mut Intent, method: &str) {
    let charge = charge(call, intent, method, ChargeStatus::Succeeded, None);
    announce(call, &charge, "charge.succeeded");
    intent.succeed(method, &charge.id);
    call.record(intent, "payment_intent.succeeded");
}

fn decline_with(call: &mut Call<'_>, mut intent: Intent, method: &str, decline: Decline) -> ApiError {
    let charge = charge(call, &intent, method, ChargeStatus::Failed, Some(decline));
    announce(call, &charge, "charge.failed");
    let failure = Failure::Declined { decline, charge: Some(charge.id), method: method.to_owned() };
    intent.fail(failure.clone());
    call.record(&intent, "payment_intent.payment_failed");
    ApiError::card(render::failure(call.books, &failure), render::intent(&call.view(), &intent, &[]))
}

pub(crate) fn cancel(call: &mut Call<'_>, id: &str, params: CancelIntent) -> Result<Value, ApiError> {
    let mut intent = call.intent(id, "intent")?;
    let now = call.now;
    intent.cancel(params.cancellation_reason, now).map_err(|why| call.unexpected(&intent, &why))?;
    call.record(&intent, "payment_intent.canceled");
    Ok(render::intent(&call.view(), &intent, &params.expand))
}

/// The customer answered the bank's question.
pub(crate) fn authenticate(call: &mut Call<'_>, id: &str, approved: bool) -> Result<Intent, ApiError> {
    let mut intent = call.intent(id, "intent")?;
    intent.may_authenticate().map_err(|why| call.unexpected(&intent, &why))?;
    let method = intent.method.clone().unwrap_or_default();
    match approved {
        true => approve(call, &mut intent, &method),
        false => {
            intent.fail(Failure::NotAuthenticated { method });
            call.record(&intent, "payment_intent.payment_failed");
        }
    }
    Ok(intent)
}

/// The bank answered about a payment that was processing.
pub(crate) fn settle(call: &mut Call<'_>, id: &str, succeeded: bool) -> Result<Value, ApiError> {
    let mut intent = call.intent(id, "intent")?;
    intent.may_settle().map_err(|why| call.unexpected(&intent, &why))?;
    let mut charge = call.charge(intent.latest_charge.as_deref().unwrap_or_default())?;
    let (method, id) = (charge.method.clone(), charge.id.clone());
    if succeeded {
        charge.status = ChargeStatus::Succeeded;
        intent.succeed(&method, &id);
    } else {
        charge.status = ChargeStatus::Failed;
        charge.decline = Some(Decline::Generic);
        intent.fail(Failure::Declined { decline: Decline::Generic, charge: Some(id), method });
    }
    call.books.put(charge.clone());
    announce(call, &charge, if succeeded { "charge.succeeded" } else { "charge.failed" });
    call.record(&intent, if succeeded { "payment_intent.succeeded" } else { "payment_intent.payment_failed" });
    Ok(render::intent(&call.view(), &intent, &[]))
}
