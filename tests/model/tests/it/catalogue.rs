//! The counts that the catalogue shows, told by events that come in batches, in any order, and again.
//!
//! Orders writes an inventory one version after the other, and each version's event carries all counts. Replicas publish side by
//! side, sweeps publish again, and the broker delivers again, so order of arrival is not order of versions. The listener passes
//! over an event of a batch that another event of the batch overtakes, shows what is newer than what it shows, and
//! acknowledges the whole batch; or it dies before that, and all of the batch comes again.

use stateright::{Checker, Model, Property};

const VERSIONS: u8 = 4;
const LARGEST_BATCH: usize = 3;

const NEWEST: &str = "when all is handled the newest counts are shown";
const NEVER_BACK: &str = "counts never go back";
const INVERTED: &str = "a newer event comes before an older one";

/// Which event of a batch overtakes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overtakes {
    /// One of a greater version.
    Newer,
    /// One that comes later: the rule that is wrong.
    Later,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    written: u8,
    /// The versions whose events the listener has not acknowledged; sorted.
    waiting: Vec<u8>,
    shown: u8,
    went_back: bool,
    inverted: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Write,
    /// The versions in the order of their arrival; `again` if the listener dies before it acknowledges them.
    Handle {
        batch: Vec<u8>,
        again: bool,
    },
}

impl Overtakes {
    fn is_overtaken(self, batch: &[u8], place: usize) -> bool {
        match self {
            Self::Newer => batch.iter().any(|other| *other > batch[place]),
            Self::Later => place + 1 < batch.len(),
        }
    }
}

/// All batches that can be taken out of what waits, in all orders.
fn batches(waiting: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut begun) = (Vec::new(), vec![Vec::new()]);
    while let Some(batch) = begun.pop() {
        for version in waiting.iter().filter(|version| !batch.contains(*version)) {
            let longer: Vec<u8> = batch.iter().copied().chain([*version]).collect();
            if longer.len() < LARGEST_BATCH {
                begun.push(longer.clone());
            }
            all.push(longer);
        }
    }
    all
}

impl Model for Overtakes {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { written: 0, waiting: Vec::new(), shown: 0, went_back: false, inverted: false }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend((state.written < VERSIONS).then_some(Action::Write));
        for batch in batches(&state.waiting) {
            actions.extend([false, true].map(|again| Action::Handle { batch: batch.clone(), again }));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Write => {
                next.written += 1;
                next.waiting.push(next.written);
            }
            Action::Handle { batch, again } => {
                next.inverted |= !batch.is_sorted();
                for place in (0..batch.len()).filter(|place| !self.is_overtaken(&batch, *place)) {
                    next.shown = next.shown.max(batch[place]);
                }
                next.went_back |= next.shown < state.shown;
                next.waiting.retain(|version| again || !batch.contains(version));
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEWEST, |_, state: &State| !state.waiting.is_empty() || state.shown == state.written),
            Property::always(NEVER_BACK, |_, state: &State| !state.went_back),
            Property::sometimes(INVERTED, |_, state: &State| state.inverted),
        ]
    }
}

#[test]
fn the_catalogue_shows_the_newest_counts_in_whatever_order_they_come() {
    let checker = Overtakes::Newer.checker().spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done() && checker.unique_state_count() > 100, "{} states", checker.unique_state_count());
}

#[test]
fn if_later_counted_as_newer_the_newest_counts_would_be_thrown_away() {
    let checker = Overtakes::Later.checker().spawn_bfs().join();
    let way = checker.discovery(NEWEST).expect("it is noticed");
    println!("not so: {NEWEST}");
    way.into_actions().iter().for_each(|action| println!("  {action:?}"));
}
