//! The door: passes, their uses, and uses that were undone. Pure.
//!
//! A use is known by its pass and its moment: no two uses of a pass have the same one. So whoever undoes a use says which, and
//! what is said late or twice never undoes another.

use std::fmt;
use std::time::Duration;

use common::clock::Time;
use common::events::orders::{PassCheckInUndone, PassCheckedIn, RefundReason};
use common::id::{PassId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Move, Moving, Order, OrderError, OrderState, Step};

/// How many undone uses an order remembers.
pub const UNDONE_REMEMBERED: usize = 100;

/// One admitted place.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// Derived from the order and the number, so that issuing twice issues the same.
    pub id: PassId,
    /// From 1 to the order's quantity.
    pub number: u32,
    /// Its use, if it was used.
    pub checked_in: Option<CheckIn>,
}

/// The use of a pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckIn {
    /// When. No other use of the pass has the same moment.
    pub at: Time,
    /// Who scanned it.
    pub by: UserId,
    /// At which entrance, if said.
    pub place: Option<String>,
    /// The request that used it, the same for each of its repetitions; uses by earlier builds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Uuid>,
}

impl CheckIn {
    /// Whether both are one scan by one person, sent twice.
    fn repeats(&self, first: &Self) -> bool {
        self.request.is_some() && (self.request, self.by) == (first.request, first.by)
    }
}

/// A use of a pass that was undone: somebody was admitted by accident, or has left for good.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// The pass.
    pub pass_id: PassId,
    /// The use as it was.
    pub check_in: CheckIn,
    /// When it was undone.
    pub at: Time,
    /// By whom.
    pub by: UserId,
}

/// Why the passes of an order are not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    /// Where the order stands.
    pub state: OrderState,
    /// Why its money went back or is to, if it did or is.
    pub reason: Option<RefundReason>,
    /// How the pass was used, if it was.
    pub first: Option<CheckIn>,
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.state, self.reason) {
            (OrderState::Refunded, Some(RefundReason::ChargedBack)) => "the buyer's bank took the money back",
            (OrderState::Refunded, _) => "the order was refunded",
            (OrderState::Refunding, _) => "the order is being refunded",
            (OrderState::Cancelled, _) => "the order was cancelled",
            _ => "the order is not complete",
        })
    }
}

impl Order {
    /// The pass with this id.
    pub fn pass(&self, id: PassId) -> Option<&Pass> {
        self.passes.iter().find(|pass| pass.id == id)
    }

    /// Uses a pass; `None` if the same scan has used it before.
    ///
    /// # Errors
    /// If the order is not complete, has no such pass, another scan has used the pass, or this one did and was undone since.
    pub fn check_in(&self, pass: PassId, scan: CheckIn) -> Result<Option<Step>, OrderError> {
        let first = self.pass(pass).and_then(|pass| pass.checked_in.as_ref());
        if first.is_some_and(|first| scan.repeats(first)) {
            return Ok(None);
        }
        if self.state != OrderState::Complete {
            let (state, reason) = (self.state, self.refund_reason);
            return Err(OrderError::Void(Box::new(Void { state, reason, first: first.cloned() })));
        }
        if let Some(first) = first {
            return Err(OrderError::AlreadyCheckedIn(first.clone()));
        }
        let before: Vec<&CheckIn> = self.undone_of(pass).map(|undone| &undone.check_in).collect();
        if before.iter().any(|undone| scan.repeats(undone)) {
            return Err(OrderError::ScanUndone);
        }
        let last = before.iter().map(|undone| undone.at + Duration::from_millis(1)).max();
        let used = CheckIn { at: last.map_or(scan.at, |last| scan.at.max(last)), ..scan };
        let next = self.with_use(pass, Some(used.clone()))?;
        let CheckIn { at, by, place, .. } = used;
        let event = PassCheckedIn { order: self.facts(), pass_id: pass, at, by, place };
        Ok(Some(Step { next, event: event.into(), places: None }))
    }

    /// Undoes the use of a pass that was made at that moment; `None` if it is undone already. The place of somebody whose money
    /// went back is free again with that.
    ///
    /// # Errors
    /// If the order has no such pass, or the pass was not used at that moment.
    pub fn undo_check_in(
        &self,
        pass: PassId,
        used_at: Time,
        by: UserId,
        now: Time,
    ) -> Result<Option<Step>, OrderError> {
        if self.undone_of(pass).any(|undone| undone.check_in.at == used_at) {
            return Ok(None);
        }
        let used = self.pass(pass).ok_or(OrderError::NoSuchPass)?.checked_in.clone();
        let Some(check_in) = used.clone().filter(|used| used.at == used_at) else {
            return Err(OrderError::NotThatUse(used));
        };
        let mut next = self.with_use(pass, None)?;
        let (checked_in_at, checked_in_by, place) = (check_in.at, check_in.by, check_in.place.clone());
        next.undone.push(Undone { pass_id: pass, check_in, at: now, by });
        let forgotten = next.undone.len().saturating_sub(UNDONE_REMEMBERED);
        next.undone.drain(..forgotten);
        let places = (self.inside > 0).then_some(Moving { places: Move::Return, quantity: 1 });
        next.inside = self.inside.saturating_sub(1);
        let order = self.facts();
        let event = PassCheckInUndone { order, pass_id: pass, at: now, by, checked_in_at, checked_in_by, place };
        Ok(Some(Step { next, event: event.into(), places }))
    }

    fn undone_of(&self, pass: PassId) -> impl Iterator<Item = &Undone> {
        self.undone.iter().filter(move |undone| undone.pass_id == pass)
    }

    fn with_use(&self, pass: PassId, used: Option<CheckIn>) -> Result<Self, OrderError> {
        let mut next = self.clone();
        let found = next.passes.iter_mut().find(|found| found.id == pass).ok_or(OrderError::NoSuchPass)?;
        found.checked_in = used;
        next.admitted = next.used();
        Ok(next)
    }

    /// How many of its passes are used.
    pub(super) fn used(&self) -> u32 {
        let used = self.passes.iter().filter(|pass| pass.checked_in.is_some()).count();
        u32::try_from(used).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
