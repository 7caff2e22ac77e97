//! What goes wrong here, as HTTP tells it.

use std::time::Duration;

use common::http::Problem;

use crate::arbiter::SettleError;
use crate::checkout::PayError;
use crate::decline;
use crate::gateway::GatewayError;
use crate::order::NotPayable;
use crate::payment::PaymentError;
use crate::refunds::RefundError;
use crate::webhook::NotGenuine;

const SOON: Duration = Duration::from_secs(2);
const AFTER_MENDING: Duration = Duration::from_secs(30);

impl From<PayError> for Problem {
    fn from(error: PayError) -> Self {
        match error {
            PayError::NoSuchOrder => Self::not_found(),
            PayError::NotPayable(why) => why.into(),
            PayError::Ended => Self::conflict(
                "order_not_payable",
                "The order ended before it was paid. Should money still arrive, it goes back or buys the places after all.",
            ),
            PayError::AlreadyPaid => Self::conflict("already_paid", "The order is paid already."),
            PayError::Declined { code } => Self::payment_required("payment_declined", decline::message(&code))
                .with("declineCode", decline::told(&code)),
            PayError::TooManyAttempts => Self::conflict(
                "too_many_attempts",
                format!("{error}, so no more are made. The places stay held until the order's deadline."),
            ),
            PayError::BadMethod(message) => Self::invalid("paymentMethod", message),
            PayError::NotChargeable(message) => Self::conflict("amount_not_chargeable", message),
            PayError::Gateway(error) => error.into(),
            PayError::Store(error) => error.into(),
        }
    }
}

impl From<NotPayable> for Problem {
    fn from(why: NotPayable) -> Self {
        match why {
            NotPayable::Free => Self::conflict("nothing_to_pay", "The order costs nothing."),
            NotPayable::Ended(state) => {
                let state = serde_json::to_value(state).unwrap_or_default();
                Self::conflict("order_not_payable", "The order does not wait for payment.").with("orderState", state)
            }
        }
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::Payment(PaymentError::ExceedsPayment(left)) => {
                let detail = "That is more than is left of the payment.";
                Self::conflict("refund_exceeds_payment", detail).with("left", left.decimal())
            }
            RefundError::Payment(PaymentError::NotPaid(_)) => {
                Self::conflict("not_paid", "No money came in that could be given back.")
            }
            RefundError::Payment(PaymentError::Disputed) => Self::conflict(
                "disputed",
                "The buyer's bank has the money until it has decided about a dispute, so none can be given back.",
            ),
            RefundError::Refused => Self::conflict("refund_refused", "The payment provider refused the refund."),
            RefundError::NoSuchPayment => Self::not_found(),
            RefundError::Store(error) => error.into(),
        }
    }
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Unavailable { .. } => Self::unavailable(SOON).caused_by(error),
            // The operator's to mend; what is wanted can be had then.
            GatewayError::Misconfigured(_) => Self::unavailable(AFTER_MENDING).caused_by(error),
            error => Self::internal(error),
        }
    }
}

impl From<SettleError> for Problem {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Store(error) => error.into(),
            SettleError::Gateway(error) => error.into(),
        }
    }
}

impl From<NotGenuine> for Problem {
    fn from(why: NotGenuine) -> Self {
        Self::bad_request("webhook_not_genuine", why.to_string())
    }
}
