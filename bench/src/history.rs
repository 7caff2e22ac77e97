//! What Docket answered: the promises that it has to keep.

use std::collections::BTreeMap;

use common::id::{OrderId, TicketId, UserId};

use crate::http::{Answer, Silence};

/// The answer to a wish to hold a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldAnswer {
    /// 201
    Held(OrderId),
    /// 409 `sold_out`
    SoldOut,
    /// 429 or 503, and whether it said when to come back.
    TurnedAway { status: u16, retry_after: bool },
    /// Any other status.
    Unexpected(u16),
    /// None: whether there is an order now is unknown.
    Silent(Silence),
}

impl HoldAnswer {
    /// Reads it.
    pub(crate) fn of(answer: Result<Answer, Silence>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(silence) => return Self::Silent(silence),
        };
        match answer.status {
            201 => created(&answer).map_or(Self::Unexpected(201), Self::Held),
            409 if answer.says(r#""sold_out""#) => Self::SoldOut,
            status @ (429 | 503) => Self::TurnedAway { status, retry_after: answer.header("retry-after").is_some() },
            status => Self::Unexpected(status),
        }
    }

    /// The order that was promised.
    pub(crate) fn order(self) -> Option<OrderId> {
        match self {
            Self::Held(order) => Some(order),
            _ => None,
        }
    }

    /// For a table.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Held(_) => "201".to_owned(),
            Self::SoldOut => "409 sold_out".to_owned(),
            Self::TurnedAway { status, .. } | Self::Unexpected(status) => status.to_string(),
            Self::Silent(silence) => silence.to_string(),
        }
    }
}

/// The order's id, from `Location: /api/orders/<id>`.
fn created(answer: &Answer) -> Option<OrderId> {
    answer.header("location")?.rsplit_once('/')?.1.parse().ok()
}

/// The answer to a wish to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayAnswer {
    /// 201 `succeeded`
    Paid,
    /// 429 or 503, and whether it said when to come back.
    TurnedAway { status: u16, retry_after: bool },
    /// Anything else that was said.
    Unexpected(u16),
    /// Whether money was taken is unknown.
    Silent(Silence),
}

impl PayAnswer {
    /// Reads it.
    pub(crate) fn of(answer: Result<Answer, Silence>) -> Self {
        match answer {
            Err(silence) => Self::Silent(silence),
            Ok(answer) => match answer.status {
                201 if answer.says(r#""status":"succeeded""#) => Self::Paid,
                status @ (429 | 503) => {
                    Self::TurnedAway { status, retry_after: answer.header("retry-after").is_some() }
                }
                status => Self::Unexpected(status),
            },
        }
    }

    /// For a table.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Paid => "paid".to_owned(),
            Self::TurnedAway { status, .. } | Self::Unexpected(status) => format!("pay {status}"),
            Self::Silent(silence) => format!("pay: {silence}"),
        }
    }
}

/// One wish to hold one place, and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) buyer: UserId,
    pub(crate) ticket: TicketId,
    pub(crate) answer: HoldAnswer,
}

/// Everything that was asked and answered about some listings.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The listings, with their places.
    pub(crate) capacity: BTreeMap<TicketId, u32>,
    pub(crate) attempts: Vec<Attempt>,
    /// By the order that was to be paid.
    pub(crate) payments: BTreeMap<OrderId, PayAnswer>,
}

impl History {
    /// Nothing asked yet.
    pub(crate) fn of(tickets: &[TicketId], capacity: u32) -> Self {
        Self { capacity: tickets.iter().map(|ticket| (*ticket, capacity)).collect(), ..Self::default() }
    }

    /// Held and sold of a listing, if all promises are kept and no answer was lost.
    pub(crate) fn promised(&self) -> BTreeMap<TicketId, (u32, u32)> {
        let mut promised: BTreeMap<_, _> = self.capacity.keys().map(|ticket| (*ticket, (0, 0))).collect();
        for attempt in &self.attempts {
            let (Some(order), Some((held, sold))) = (attempt.answer.order(), promised.get_mut(&attempt.ticket)) else {
                continue;
            };
            let paid = self.payments.get(&order) == Some(&PayAnswer::Paid);
            *(if paid { sold } else { held }) += 1;
        }
        promised
    }

    /// How often each answer was given.
    pub(crate) fn answers(&self) -> BTreeMap<String, usize> {
        let holds = self.attempts.iter().map(|attempt| attempt.answer.label());
        let mut counted = BTreeMap::new();
        holds.chain(self.payments.values().map(|answer| answer.label())).for_each(|label| {
            *counted.entry(label).or_default() += 1;
        });
        counted
    }

    /// How many orders were promised.
    pub(crate) fn orders(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.answer.order().is_some()).count()
    }
}
