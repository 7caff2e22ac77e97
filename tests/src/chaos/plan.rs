//! What happens in a run, all of it from its seed: who wants what when, and what goes wrong meanwhile. Pure.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::fault_proxy::Way;

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

/// Something that goes wrong, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) length: Duration,
    pub(crate) fault: Fault,
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Mongod,
    Nats,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The way from some processes to a server.
    Link { of: Vec<&'static str>, to: Server, way: Way },
    /// A process is killed (SIGKILL), and started again when the fault is over.
    Kill(&'static str),
    /// A process is killed, and started again at once with a clock that is wrong by so many milliseconds.
    Skew(&'static str, i64),
    /// A process is frozen (SIGSTOP).
    Freeze(&'static str),
    /// A server is killed, and started again when the fault is over; of a cluster, the node with this number.
    KillServer(Server, usize),
    /// A server is frozen; of a cluster, the node with this number.
    FreezeServer(Server, usize),
    /// Every event comes again to everybody.
    Redeliver,
    /// The bank does what it is asked for, but its answers are lost.
    BankSilent { calls: u32 },
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64, length: Length) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (rounds, listings, faults) = match length {
            Length::Short => (2, 3, rng.random_range(3..=5)),
            Length::Long => (8, 6, rng.random_range(10..=16)),
        };
        let span = span(length);
        let capacities = (0..listings).map(|_| rng.random_range(2..=7)).collect();
        let deals = (0..BUYERS).map(|_| (0..rounds).map(|_| deal(&mut rng, listings)).collect()).collect();
        let mut faults: Vec<Planned> = (0..faults).map(|_| planned(&mut rng, span)).collect();
        faults.sort_by_key(|planned| planned.at);
        Self { capacities, deals, faults, webhooks: webhooks(&mut rng) }
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

fn span(length: Length) -> u64 {
    match length {
        Length::Short => 3_500,
        Length::Long => 30_000,
    }
}

fn millis(rng: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

fn deal(rng: &mut StdRng, listings: usize) -> Deal {
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
        0..55 => After::Keep,
        55..75 => After::BuyerReturns,
        75..90 => After::SellerRefunds,
        _ => After::Both,
    };
    Deal {
        wait: millis(rng, 0..900),
        ticket: rng.random_range(0..listings),
        quantity: rng.random_range(1..=2),
        think: millis(rng, 0..500),
        then,
        after,
    }
}

fn webhooks(rng: &mut StdRng) -> Webhooks {
    match rng.random_range(0..4) {
        0 => Webhooks::Prompt,
        1 => Webhooks::Late(millis(rng, 200..2_000)),
        2 => Webhooks::Repeated,
        _ => Webhooks::Lost,
    }
}

fn planned(rng: &mut StdRng, span: u64) -> Planned {
    Planned { at: millis(rng, 100..span), length: millis(rng, 400..2_500), fault: fault(rng) }
}

fn fault(rng: &mut StdRng) -> Fault {
    match rng.random_range(0..100) {
        0..30 => Fault::Link { of: victims(rng), to: server(rng), way: way(rng) },
        30..48 => Fault::Kill(victim(rng)),
        48..58 => Fault::Freeze(victim(rng)),
        58..66 => Fault::Skew(orders(rng), rng.random_range(-2_500..=2_500)),
        66..74 => Fault::KillServer(server(rng), rng.random_range(0..NODES)),
        74..82 => Fault::FreezeServer(server(rng), rng.random_range(0..NODES)),
        82..92 => Fault::Redeliver,
        _ => Fault::BankSilent { calls: rng.random_range(1..=6) },
    }
}

fn way(rng: &mut StdRng) -> Way {
    match rng.random_range(0..3) {
        0 => Way::Cut,
        1 => Way::Stalled,
        _ => Way::Slow(millis(rng, 20..150)),
    }
}

fn server(rng: &mut StdRng) -> Server {
    *[Server::Mongod, Server::Nats].choose(rng).expect("there are two")
}

fn orders(rng: &mut StdRng) -> &'static str {
    CAST[CAST.len() - REPLICAS..].choose(rng).expect("there are three")
}

/// Mostly the two who decide about places and money.
fn victim(rng: &mut StdRng) -> &'static str {
    match rng.random_range(0..10) {
        0..5 => orders(rng),
        5..8 => "payments",
        _ => ["auth", "tickets", "expiration"].choose(rng).expect("there are three"),
    }
}

fn victims(rng: &mut StdRng) -> Vec<&'static str> {
    if rng.random_bool(0.3) { CAST.to_vec() } else { vec![victim(rng)] }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, length) = (self.at.as_millis(), self.length.as_millis());
        match &self.fault {
            Fault::Redeliver | Fault::BankSilent { .. } | Fault::Skew(..) => write!(f, "{}@{at}", self.fault),
            fault => write!(f, "{fault}@{at}+{length}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link { of, to, way } => {
                let way = match way {
                    Way::Open => "open".to_owned(),
                    Way::Cut => "cut".to_owned(),
                    Way::Stalled => "stall".to_owned(),
                    Way::Slow(delay) => format!("slow{}", delay.as_millis()),
                };
                let of = if of.len() == CAST.len() { "all".to_owned() } else { of.join(",") };
                write!(f, "{way}({of}>{to})")
            }
            Self::Kill(who) => write!(f, "kill({who})"),
            Self::Skew(who, offset) => write!(f, "skew({who},{offset})"),
            Self::Freeze(who) => write!(f, "freeze({who})"),
            Self::KillServer(server, nth) => write!(f, "kill({server}-{nth})"),
            Self::FreezeServer(server, nth) => write!(f, "freeze({server}-{nth})"),
            Self::Redeliver => write!(f, "redeliver"),
            Self::BankSilent { calls } => write!(f, "bank-silent({calls})"),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mongod => "mongod",
            Self::Nats => "nats",
        })
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
        let plans: Vec<Plan> = (0..100).map(|seed| Plan::of(seed, Length::Short)).collect();
        let faults: Vec<String> =
            plans.iter().flat_map(|plan| &plan.faults).map(|planned| planned.fault.to_string()).collect();
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
            "skew(",
            "redeliver",
            "bank-silent",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "no {wanted}");
        }
        assert!(plans.iter().all(|plan| (3..=5).contains(&plan.faults.len())));
    }
}
