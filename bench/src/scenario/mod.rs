//! What can be measured.

mod browse;
mod ends;
mod hot;
mod journey;
mod meter;
mod overload;
mod pages;
mod read;
mod sellout;
mod spread;
mod unpaid;
mod visits;

pub(crate) use meter::Cost;
pub(crate) use overload::ACCEPTED;
pub(crate) use visits::Hold;

use serde::Serialize;

use crate::Result;
use crate::report::Outcome;
use crate::run::Bench;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// One listing with places for all: holds at full speed
    Hot,
    /// One listing with far fewer places than buyers; who got one pays
    Sellout,
    /// Holds over many listings
    Spread,
    /// Nineteen looks for each hold
    Browse,
    /// Hold, pay and get the pass, on one listing
    Journey,
    /// The same over many listings
    JourneySpread,
    /// The ticket page against a bare handler with the same bytes
    Read,
    /// The start page with a thousand listings, against what it asks the API for
    Pages,
    /// More buyers than can be served
    Overload,
    /// All holds of a large listing run out; give it a short `--hold-seconds`
    Ends,
    /// A hot sale ends unpaid while Stripe's cancel fails; give it a short `--hold-seconds`
    Unpaid,
}

impl Scenario {
    /// Those of a flash sale, in their order. The others take minutes, or a Docket that is set up for them.
    pub(crate) const FLASH_SALE: [Self; 9] = [
        Self::Hot,
        Self::Sellout,
        Self::Spread,
        Self::Browse,
        Self::Journey,
        Self::JourneySpread,
        Self::Read,
        Self::Pages,
        Self::Overload,
    ];

    /// All there are, in their order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::FLASH_SALE.into_iter().chain([Self::Ends, Self::Unpaid])
    }

    /// Those that are repeated to look for violations.
    pub(crate) const CHECKED: [Self; 3] = [Self::Hot, Self::Sellout, Self::Journey];

    /// Those that are measured against transactions of MongoDB.
    pub(crate) const COMPARED: [Self; 2] = [Self::Hot, Self::Journey];

    /// Runs it once, on listings of its own.
    pub(crate) async fn run(self, bench: &Bench<'_>) -> Result<Outcome> {
        match self {
            Self::Hot => hot::run(bench).await,
            Self::Sellout => sellout::run(bench).await,
            Self::Spread => spread::run(bench).await,
            Self::Browse => browse::run(bench).await,
            Self::Journey => journey::run(bench, 1).await,
            Self::JourneySpread => journey::run(bench, bench.sizes.listings).await,
            Self::Read => read::run(bench).await,
            Self::Pages => pages::run(bench).await,
            Self::Overload => overload::run(bench).await,
            Self::Ends => ends::run(bench).await,
            Self::Unpaid => unpaid::run(bench).await,
        }
    }
}
