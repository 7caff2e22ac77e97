//! How much of everything.

use std::time::Duration;

use serde::Serialize;

/// The size of each scenario.
#[derive(Clone, Copy, Debug, Serialize, clap::Args)]
pub(crate) struct Sizes {
    /// How many holds the scenarios with enough places make
    #[arg(long, default_value_t = 20_000)]
    pub(crate) holds: usize,
    /// How many virtual buyers hold at the same time in a closed loop
    #[arg(long, default_value_t = 512)]
    pub(crate) workers: usize,
    /// How many virtual buyers are at the sell-out at the same time
    #[arg(long, default_value_t = 256)]
    pub(crate) sellout_workers: usize,
    /// How many journeys from hold to pass
    #[arg(long, default_value_t = 4_000)]
    pub(crate) journeys: usize,
    /// How many journeys go on at the same time
    #[arg(long, default_value_t = 384)]
    pub(crate) journey_workers: usize,
    /// How many buyers want one of the places of the sell-out
    #[arg(long, default_value_t = 10_000)]
    pub(crate) buyers: usize,
    /// How many places the sell-out has
    #[arg(long, default_value_t = 1_000)]
    pub(crate) places: u32,
    /// Over how many listings the scenarios spread which do not rush at one
    #[arg(long, default_value_t = 200)]
    pub(crate) listings: usize,
    /// How long what has no count goes on, each part of it, in seconds
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// How long each step of the overload lasts, in seconds
    #[arg(long, default_value_t = 10)]
    pub(crate) overload_seconds: u64,
    /// How many holds run out at about the same time
    #[arg(long, default_value_t = 100_000)]
    pub(crate) ends: usize,
    /// How many buyers begin to pay and never do
    #[arg(long, default_value_t = 3_000)]
    pub(crate) unpaid: usize,
    /// How long Stripe's cancel fails then, in seconds
    #[arg(long, default_value_t = 300)]
    pub(crate) outage_seconds: u64,
    /// Over how many connections the open loops send at the most
    #[arg(long, default_value_t = 1_500)]
    pub(crate) connections: usize,
}

impl Sizes {
    /// How long what has no count goes on.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long each step of the overload lasts.
    pub(crate) fn overload_length(&self) -> Duration {
        Duration::from_secs(self.overload_seconds)
    }

    /// A tenth of all counts: for many runs, or a first look.
    pub(crate) fn tenth(self) -> Self {
        let places = (self.places / 10).max(1);
        let of = |count: usize| (count / 10).max(1);
        let (holds, journeys, buyers) = (of(self.holds), of(self.journeys), of(self.buyers));
        Self { holds, journeys, buyers, places, ends: of(self.ends), unpaid: of(self.unpaid), ..self }
    }
}
