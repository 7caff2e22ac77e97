//! What can go wrong in a run, and when it does, all of it from the run's seed. Pure.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::plan::{CAST, Length, NODES, REPLICAS, millis};
use crate::fault_proxy::Way;

/// Longer than every patience: whatever waits within a service has a limit, which ends meanwhile.
pub(crate) const LONG: Duration = Duration::from_secs(25);

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

/// Whose answers are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A process that writes into the database.
    Writer(&'static str),
    /// A process that publishes events.
    Publisher(&'static str),
    /// The people who buy.
    Buyers,
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
    /// The database takes no writes (`fsyncLock`); reads go on until they wait behind a write.
    LockDatabase(usize),
    /// The primary of the replica set steps down.
    StepDown,
    /// The primary of the replica set is killed, and started again when the fault is over.
    KillPrimary,
    /// The disk of the broker is full.
    FillDisk,
    /// Every event comes again to everybody.
    Redeliver,
    /// The events of a domain that were published while its consumers were paused come in the opposite order.
    Disorder(&'static str),
    /// What is asked for is done, but so many answers are lost.
    LoseAnswers(Asker, usize),
    /// Buyers wait no longer than this for an answer, and hang up.
    Impatience(Duration),
    /// So many callers open a connection to a process and say nothing, or a byte now and then.
    SlowPeers(&'static str, usize),
    /// The bank does what it is asked for, but its answers are lost.
    BankSilent { calls: u32 },
    /// The bank fails at one thing only, before or after it has done it.
    BankFails { at: &'static str, calls: u32, when: &'static str },
    /// A process is asked to stop and is started from the other build: a step of a roll-out, or back.
    Exchange(&'static str),
}

/// The domains whose events come out of order: those of which much depends on the order.
const DISORDERLY: [&str; 3] = ["orders", "payments", "inventory"];

/// What the bank fails at.
const BANK_FAILS_AT: [&str; 3] = ["/cancel", "/v1/refunds", "/confirm"];

/// What goes wrong in a run of a length.
pub(super) fn faults(rng: &mut StdRng, length: Length) -> Vec<Planned> {
    let (count, span) = match length {
        Length::Short => (rng.random_range(3..=5), 3_500),
        Length::Long => (rng.random_range(10..=16), 30_000),
        Length::LongFault => (rng.random_range(3..=5), 30_000),
    };
    let mut faults: Vec<Planned> = (0..count).map(|_| planned(rng, span)).collect();
    if length == Length::LongFault {
        faults.push(Planned { at: millis(rng, 500..4_000), length: LONG, fault: long(rng) });
    }
    faults.sort_by_key(|planned| planned.at);
    faults
}

/// A roll-out of one process, and back.
pub(super) fn exchanges(rng: &mut StdRng, faults: &mut Vec<Planned>) {
    let name = victim(rng);
    let times = [millis(rng, 300..1_500), millis(rng, 1_500..3_500)];
    faults.extend(times.map(|at| Planned { at, length: Duration::ZERO, fault: Fault::Exchange(name) }));
}

fn planned(rng: &mut StdRng, span: u64) -> Planned {
    let fault = fault(rng);
    // Some wait for something to happen that they can harm.
    let length = match fault {
        Fault::Disorder(_) | Fault::LoseAnswers(..) | Fault::BankSilent { .. } | Fault::BankFails { .. } => {
            2_000..5_000
        }
        _ => 400..2_500,
    };
    Planned { at: millis(rng, 100..span), length: millis(rng, length), fault }
}

fn fault(rng: &mut StdRng) -> Fault {
    match rng.random_range(0..100) {
        0..22 => Fault::Link { of: victims(rng), to: server(rng), way: way(rng) },
        22..34 => Fault::Kill(victim(rng)),
        34..41 => Fault::Freeze(victim(rng)),
        41..47 => Fault::Skew(orders(rng), rng.random_range(-2_500..=2_500)),
        47..53 => Fault::KillServer(server(rng), rng.random_range(0..NODES)),
        53..59 => Fault::FreezeServer(server(rng), rng.random_range(0..NODES)),
        59..62 => Fault::LockDatabase(rng.random_range(0..NODES)),
        62..68 => Fault::Redeliver,
        68..76 => Fault::Disorder(DISORDERLY.choose(rng).expect("there are three")),
        76..86 => Fault::LoseAnswers(asker(rng), rng.random_range(1..=12)),
        86..89 => Fault::Impatience(millis(rng, 2..40)),
        89..92 => Fault::SlowPeers(victim(rng), rng.random_range(20..=150)),
        92..95 => Fault::BankSilent { calls: rng.random_range(1..=6) },
        _ => bank_fails(rng),
    }
}

/// Something that lasts [`LONG`].
fn long(rng: &mut StdRng) -> Fault {
    match rng.random_range(0..100) {
        0..30 => Fault::Link { of: victims(rng), to: server(rng), way: Way::Stalled },
        30..45 => Fault::LockDatabase(rng.random_range(0..NODES)),
        45..60 => Fault::FreezeServer(Server::Mongod, rng.random_range(0..NODES)),
        60..75 => Fault::FreezeServer(Server::Nats, rng.random_range(0..NODES)),
        75..90 => Fault::Freeze(victim(rng)),
        _ => Fault::SlowPeers(victim(rng), rng.random_range(50..=300)),
    }
}

fn asker(rng: &mut StdRng) -> Asker {
    match rng.random_range(0..10) {
        0..5 => Asker::Writer(victim(rng)),
        5..7 => Asker::Publisher(victim(rng)),
        _ => Asker::Buyers,
    }
}

fn bank_fails(rng: &mut StdRng) -> Fault {
    let at = BANK_FAILS_AT.choose(rng).expect("there are three");
    let when = if rng.random_bool(0.5) { "before" } else { "after" };
    Fault::BankFails { at, calls: rng.random_range(2..=20), when }
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

impl Fault {
    /// Whether nothing is lost by it, neither a process nor an answer.
    pub(super) fn is_gentle(&self) -> bool {
        matches!(self, Self::Redeliver | Self::SlowPeers(..) | Self::Link { way: Way::Slow(_), .. })
    }
}

impl Planned {
    /// The name under which faults of its kind are counted.
    pub(crate) fn kind(&self) -> String {
        let kind = match &self.fault {
            Fault::Link { way: Way::Open | Way::Cut, .. } => "cut",
            Fault::Link { way: Way::Stalled, .. } => "stall",
            Fault::Link { way: Way::Slow(_), .. } => "slow",
            Fault::Kill(_) => "kill",
            Fault::Skew(..) => "skew",
            Fault::Freeze(_) => "freeze",
            Fault::KillServer(Server::Mongod, _) => "kill-mongod",
            Fault::KillServer(Server::Nats, _) => "kill-nats",
            Fault::FreezeServer(Server::Mongod, _) => "freeze-mongod",
            Fault::FreezeServer(Server::Nats, _) => "freeze-nats",
            Fault::LockDatabase(_) => "lock",
            Fault::StepDown => "step-down",
            Fault::KillPrimary => "kill-primary",
            // It is long on purpose, and has no short form.
            Fault::FillDisk => return "full-disk".to_owned(),
            Fault::Redeliver => "redeliver",
            Fault::Disorder(_) => "disorder",
            Fault::LoseAnswers(Asker::Writer(_), _) => "lost-writes",
            Fault::LoseAnswers(Asker::Publisher(_), _) => "lost-publishes",
            Fault::LoseAnswers(Asker::Buyers, _) => "lost-answers",
            Fault::Impatience(_) => "hang-ups",
            Fault::SlowPeers(..) => "slow-peers",
            Fault::BankSilent { .. } => "bank-silent",
            Fault::BankFails { .. } => "bank-fails",
            Fault::Exchange(_) => "exchange",
        };
        if self.length >= LONG { format!("long-{kind}") } else { kind.to_owned() }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, length) = (self.at.as_millis(), self.length.as_millis());
        match &self.fault {
            Fault::Redeliver | Fault::BankSilent { .. } | Fault::BankFails { .. } | Fault::Skew(..) => {
                write!(f, "{}@{at}", self.fault)
            }
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
            Self::LockDatabase(nth) => write!(f, "lock(mongod-{nth})"),
            Self::StepDown => write!(f, "step-down"),
            Self::KillPrimary => write!(f, "kill-primary"),
            Self::FillDisk => write!(f, "full-disk"),
            Self::Redeliver => write!(f, "redeliver"),
            Self::Disorder(domain) => write!(f, "disorder({domain})"),
            Self::LoseAnswers(Asker::Writer(who), count) => write!(f, "lose({who}>mongod,{count})"),
            Self::LoseAnswers(Asker::Publisher(who), count) => write!(f, "lose({who}>nats,{count})"),
            Self::LoseAnswers(Asker::Buyers, count) => write!(f, "lose(buyers,{count})"),
            Self::Impatience(patience) => write!(f, "hang-up({})", patience.as_millis()),
            Self::SlowPeers(who, count) => write!(f, "slow-peers({who},{count})"),
            Self::BankSilent { calls } => write!(f, "bank-silent({calls})"),
            Self::BankFails { at, calls, when } => write!(f, "bank-fails({at},{calls},{when})"),
            Self::Exchange(who) => write!(f, "exchange({who})"),
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
