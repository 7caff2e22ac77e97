//! What happens in a run, all of it from its seed: who wants what when, and what goes wrong meanwhile. Pure.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::faults::{Fault, Planned, exchanges, faults};

/// How many people buy.
pub(crate) const BUYERS: usize = 16;

/// How many replicas of orders there are.
pub(crate) const REPLICAS: usize = 3;

/// How many nodes a cluster of brokers has.
pub(crate) const NODES: usize = 3;

/// The processes of a Docket, by the names that faults use.
pub(crate) const CAST: [&str; 4 + REPLICAS] =
    ["auth", "tickets", "expiration", "payments", "orders-1", "orders-2", "orders-3"];

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A few seconds of buying.
    Short,
    /// Half a minute of it, with more of everything.
    Long,
    /// Half a minute of it, as one of the faults is longer than every patience.
    LongFault,
}

/// Every so many seeds one has a fault that is longer than every patience.
const LONG_FAULT_EACH: u64 = 8;

impl Length {
    /// The length of a seed's run, where nobody wants all of them long.
    pub fn of(seed: u64) -> Self {
        if seed.is_multiple_of(LONG_FAULT_EACH) { Self::LongFault } else { Self::Short }
    }
}

/// A run to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The places of each listing.
    pub(crate) capacities: Vec<u32>,
    /// What each buyer does, one after the other.
    pub(crate) deals: Vec<Vec<Deal>>,
    /// What goes wrong.
    pub(crate) faults: Vec<Planned>,
    /// How the bank's webhooks come.
    pub(crate) webhooks: Webhooks,
    /// When the show of each listing moves, each time after the one before.
    pub(crate) moves: Vec<Vec<Duration>>,
}

/// One buyer's wish.
#[derive(Clone, Debug)]
pub(crate) struct Deal {
    /// How long the buyer waits before it.
    pub(crate) wait: Duration,
    /// Which of the listings.
    pub(crate) ticket: usize,
    /// How many places.
    pub(crate) quantity: u32,
    /// How long the buyer looks at the hold before going on.
    pub(crate) think: Duration,
    /// What becomes of the hold.
    pub(crate) then: Then,
    /// What becomes of the order after that.
    pub(crate) after: After,
}

/// What a buyer does with a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: it expires.
    Forget,
    /// Gives it up.
    GiveUp,
    /// Pays with a card that works.
    Pay,
    /// Pays about when it expires.
    PayLate,
    /// Pays after a card that is declined.
    PayAtSecondTry,
    /// Pays with a card that asks for consent, which is given after a while.
    Authenticate,
    /// Pays with a bank that takes its time, and says yes or no.
    Process(bool),
}

/// What becomes of an order that may be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It is kept.
    Keep,
    /// The buyer wants the money back.
    BuyerReturns,
    /// The seller gives the money back.
    SellerRefunds,
    /// Both at once.
    Both,
    /// The seller gives back a part of the money, then another.
    SellerRefundsParts,
    /// The seller gives back a part of the money, and all the rest at the same time.
    PartAndAll,
    /// The buyer complains at the bank, which decides.
    Disputes {
        /// Whether the buyer wants the money back here too, before the bank has decided.
        cancels: bool,
        /// Whether the bank decides for the seller.
        won: bool,
    },
    /// They come to the door, and all are let in.
    Door {
        /// Whether one of them was let in by mistake.
        undone: bool,
        /// Whether the seller gives all the money back while they are inside.
        refunded: bool,
    },
}

/// How the bank tells of what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Webhooks {
    /// At once.
    Prompt,
    /// Late.
    Late(Duration),
    /// Three times, in the wrong order.
    Repeated,
    /// Never.
    Lost,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64, length: Length) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (rounds, listings, longest_wait) = match length {
            Length::Short => (2, 3, 900),
            Length::Long => (8, 6, 900),
            Length::LongFault => (4, 5, 8_000),
        };
        let capacities = (0..listings).map(|_| rng.random_range(2..=7)).collect();
        let deal = |rng: &mut StdRng| deal(rng, listings, longest_wait);
        let deals = (0..BUYERS).map(|_| (0..rounds).map(|_| deal(&mut rng)).collect()).collect();
        let faults = faults(&mut rng, length);
        let webhooks = webhooks(&mut rng);
        let moves = (0..listings).map(|_| moves(&mut rng, longest_wait)).collect();
        Self { capacities, deals, faults, webhooks, moves }
    }

    /// The same where two builds run side by side, of which a process changes to the other and back. Otherwise only that goes
    /// wrong which every build has survived: an older one may have the faults that this one has not.
    pub(crate) fn mixed(seed: u64, length: Length) -> Self {
        let mut plan = Self::of(seed, length);
        plan.faults.retain(|planned| planned.fault.is_gentle());
        exchanges(&mut StdRng::seed_from_u64(seed), &mut plan.faults);
        // Builds of before say nothing else of a show than what was told at the hold.
        plan.moves.clear();
        plan
    }

    /// How far a clock is from the true time at the most, in milliseconds.
    pub(crate) fn skew_ms(&self) -> i64 {
        let skews = self.faults.iter().map(|planned| match planned.fault {
            Fault::Skew(_, offset) => offset.abs(),
            _ => 0,
        });
        skews.max().unwrap_or(0)
    }
}

pub(super) fn millis(rng: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

fn deal(rng: &mut StdRng, listings: usize, longest_wait: u64) -> Deal {
    let then = match rng.random_range(0..100) {
        0..12 => Then::Forget,
        12..24 => Then::GiveUp,
        24..60 => Then::Pay,
        60..72 => Then::PayLate,
        72..80 => Then::PayAtSecondTry,
        80..90 => Then::Authenticate,
        _ => Then::Process(rng.random_bool(0.7)),
    };
    let after = match rng.random_range(0..100) {
        0..15 => After::Keep,
        nth @ 15..33 => After::Door { undone: nth % 2 == 0, refunded: nth % 3 == 0 },
        33..45 => After::Disputes { cancels: rng.random_bool(0.5), won: rng.random_bool(0.5) },
        45..62 => After::BuyerReturns,
        62..74 => After::SellerRefunds,
        74..82 => After::Both,
        82..92 => After::SellerRefundsParts,
        _ => After::PartAndAll,
    };
    Deal {
        wait: millis(rng, 0..longest_wait),
        ticket: rng.random_range(0..listings),
        quantity: rng.random_range(1..=2),
        think: millis(rng, 0..500),
        then,
        after,
    }
}

fn moves(rng: &mut StdRng, longest_wait: u64) -> Vec<Duration> {
    (0..rng.random_range(1..=3)).map(|_| millis(rng, 0..2 * longest_wait)).collect()
}

fn webhooks(rng: &mut StdRng) -> Webhooks {
    match rng.random_range(0..4) {
        0 => Webhooks::Prompt,
        1 => Webhooks::Late(millis(rng, 200..2_000)),
        2 => Webhooks::Repeated,
        _ => Webhooks::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_plan() {
        for seed in 0..20 {
            let plan = || format!("{:?}", Plan::of(seed, Length::Short));
            assert_eq!(plan(), plan());
        }
        assert_ne!(format!("{:?}", Plan::of(1, Length::Short)), format!("{:?}", Plan::of(2, Length::Short)));
    }

    #[test]
    fn among_a_hundred_seeds_everything_goes_wrong_somewhere() {
        let plans: Vec<Plan> = (1..=100).map(|seed| Plan::of(seed, Length::of(seed))).collect();
        let faults: Vec<String> = plans.iter().flat_map(|plan| &plan.faults).map(ToString::to_string).collect();
        for wanted in [
            "cut(",
            "stall(",
            "slow",
            "(all>mongod)",
            "(all>nats)",
            "kill(orders-1)",
            "kill(payments)",
            "kill(mongod-",
            "kill(nats-",
            "freeze(orders-",
            "freeze(mongod-",
            "freeze(nats-",
            "lock(mongod-",
            "skew(",
            "redeliver",
            "disorder(orders)",
            "disorder(payments)",
            "disorder(inventory)",
            ">mongod,",
            ">nats,",
            "lose(buyers,",
            "hang-up(",
            "slow-peers(",
            "bank-silent",
            "bank-fails(/cancel,",
            "bank-fails(/v1/refunds,",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "no {wanted}");
        }
        assert!(plans.iter().all(|plan| (3..=6).contains(&plan.faults.len())));
    }

    #[test]
    fn among_a_hundred_seeds_disputes_end_both_ways() {
        let plans: Vec<Plan> = (1..=100).map(|seed| Plan::of(seed, Length::of(seed))).collect();
        let deals: Vec<&Deal> = plans.iter().flat_map(|plan| plan.deals.iter().flatten()).collect();
        for (cancels, won) in [(false, false), (false, true), (true, false), (true, true)] {
            assert!(deals.iter().any(|deal| deal.after == After::Disputes { cancels, won }), "{cancels}, {won}");
        }
    }

    #[test]
    fn every_show_moves_unless_a_build_runs_that_does_not_tell() {
        let plan = Plan::of(3, Length::Short);
        assert_eq!((plan.moves.len(), plan.moves.iter().all(|moves| !moves.is_empty())), (plan.capacities.len(), true));
        assert!(Plan::mixed(3, Length::Short).moves.is_empty());
    }

    #[test]
    fn among_a_hundred_seeds_people_come_to_the_door_in_every_way() {
        let plans: Vec<Plan> = (1..=100).map(|seed| Plan::of(seed, Length::of(seed))).collect();
        let deals: Vec<&Deal> = plans.iter().flat_map(|plan| plan.deals.iter().flatten()).collect();
        for (undone, refunded) in [(false, false), (false, true), (true, false), (true, true)] {
            assert!(deals.iter().any(|deal| deal.after == After::Door { undone, refunded }), "{undone}, {refunded}");
        }
    }

    #[test]
    fn each_eighth_seed_has_a_fault_longer_than_every_patience() {
        for seed in 1..=64 {
            let plan = Plan::of(seed, Length::of(seed));
            let long = plan.faults.iter().filter(|planned| planned.kind().starts_with("long-")).count();
            assert_eq!(long, usize::from(seed % 8 == 0), "seed {seed}");
        }
    }

    #[test]
    fn where_two_builds_run_side_by_side_one_is_replaced_and_comes_back() {
        let plan = Plan::mixed(3, Length::Short);
        let exchanged = plan.faults.iter().filter(|planned| matches!(planned.fault, Fault::Exchange(_)));
        assert_eq!(exchanged.count(), 2);
    }
}
