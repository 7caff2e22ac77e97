//! What can happen next. Each action is one step between two points at which a process may die.

use orders::order::Input;

use super::state::Answer;

/// How an attempt to pay goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeds,
    Processing,
    Authenticate,
    Declined,
}

/// The number is always the buyer's; `again` says that the message stays on its way and comes once more.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    // People, time and the bank.
    Hold(usize),
    /// A hold whose write is given up.
    HoldIsLost(usize),
    CancelOrder(usize),
    SellerRefunds(usize),
    Pay(usize, Outcome),
    DeadlinePasses(usize),
    BankDecides(usize, bool),
    BankPaysLate(usize),
    RefundBounces(usize),
    /// Somebody comes to the door with the pass of this place.
    Scan(usize, usize),
    /// It was an accident, or they leave for good.
    Undo(usize, usize),

    // Orders.
    StoreOrder(usize),
    DropPending(usize),
    CompleteFree(usize),
    SweepOverdue(usize),
    HearPayment {
        buyer: usize,
        input: Input,
        again: bool,
    },
    HearDue {
        buyer: usize,
        again: bool,
    },
    DeskReads {
        desk: usize,
        buyer: usize,
    },
    DeskConsiders(usize),
    DeskWrites(usize),
    DeskTells(usize),
    DeskClears(usize),
    /// A desk gives its write of a settlement up.
    DeskLosesWrite(usize),
    /// A write that was given up lands after all.
    LateWriteLands(usize),
    /// With a rule that is wrong: the desk takes its lost write for one that was not made, and decides the same hold again.
    HoldIsDecidedAgain(usize),
    AskedAgain {
        desk: usize,
        buyer: usize,
    },
    DeskLooksUp(usize),
    DeskHolds(usize),

    // Expiration and the broker's scheduler.
    SetDeadline {
        buyer: usize,
        again: bool,
    },
    DeadlineRings(usize),

    // Payments.
    Follow(usize),
    DoDuty {
        buyer: usize,
        version: u8,
        again: bool,
    },
    MakeIntent(usize),
    StorePayment(usize),
    CancelIntent(usize),
    AskStripe(usize),
    Learn {
        buyer: usize,
        answer: Answer,
    },
    LookAfterRefunds(usize),
    MakeRefund(usize),
    RecordRefunds(usize),

    // A process dies, and with it what only it knew.
    DeskDies(usize),
    BuyersRequestDies(usize),
    AnswerDies {
        buyer: usize,
        answer: Answer,
    },
}
