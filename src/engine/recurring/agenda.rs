//! Decides when to look at each entry, and which fires go in one call.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    mem,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::{
    core::schedule::{entry::Entry, overlap::Overlap},
    engine::{
        recurring::{
            given_up::GivenUps,
            state::{Pending, State},
        },
        tick::Tick,
    },
};

/// Maximum number of fires in one call that search their queue. All these searches take up to a tenth of a second;
/// `fire.lua` puts off fires whose searches would take longer.
const SEARCHES: usize = 10;

/// Number of payload bytes after which a call is full. On a slow link, later fires wait for the call.
const BATCH_BYTES: usize = 256 << 10;

/// A fire with a larger payload, in bytes, waits until no smaller one is due.
const LARGE: usize = 64 << 10;

/// Maximum number of entries that are looked at for one call. A million entries may have missed fires that are not
/// enqueued, and the other loops wait while the entries are looked at.
const LOOKED_AT: usize = 1_000;

/// Number of fires in the first call, and the maximum. Other clients wait while the script runs, and workers wait
/// for the first jobs. So the first call is small, and each further call has twice as many fires.
pub(super) const FIRST_BATCH: usize = 50;
pub(super) const LARGEST_BATCH: usize = 400;

/// Maximum number of missed fires of one entry that are enqueued in one second, because the queue and its workers
/// have other jobs too.
pub(super) const CATCH_UP: u32 = 1_000;

/// The fires of one call.
pub(super) struct Batch {
    size: usize,
    searches: usize,
    bytes: usize,
    pub(super) given_up: GivenUps,
    /// The fires of each entry are in the order of their fire times.
    pub(super) fires: Vec<Pending>,
    /// Entries that were taken off the agenda and must be planned again.
    pub(super) looked_at: Vec<usize>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.fires.len() >= self.size || self.searches >= SEARCHES || self.bytes >= BATCH_BYTES
    }

    fn push(&mut self, fire: Pending, entry: &Entry) {
        self.searches += usize::from(entry.guard.overlap != Overlap::Allow);
        self.bytes += entry.job.size();
        self.fires.push(fire);
    }
}

/// Times and indexes of states, earliest time first.
type Queue = BinaryHeap<Reverse<(DateTime<Utc>, usize)>>;

/// Plans of many entries, to add them to the agenda at once.
#[derive(Default)]
pub(super) struct Plans(Vec<Reverse<(DateTime<Utc>, usize)>>);

impl Plans {
    /// Adds an entry if it has a next fire time.
    pub(super) fn add(&mut self, index: usize, state: &State) {
        let next = next_look(state);
        self.0.extend(next.map(|next| Reverse((next, index))));
    }
}

/// Returns when to look at an entry next, which is when its next fire is due.
fn next_look(state: &State) -> Option<DateTime<Utc>> {
    let next = state.progress.next(&state.entry.timing)?;
    Some(state.entry.due_at(next))
}

/// Entries to look at. Each entry is in at most one of the queues.
#[derive(Default)]
pub(super) struct Agenda {
    /// By the time at which to look at the entry.
    due: Queue,
    /// Entries with large fires that are due, by the same time.
    large: Queue,
    /// Entries with missed fires to enqueue, by fire time.
    behind: Queue,
}

impl Agenda {
    /// Plans entries that are not on the agenda.
    pub(super) fn extend(&mut self, plans: Plans) {
        self.due.append(&mut plans.0.into());
    }

    /// Gives the states new indexes. `moved` maps each old index to the new one, or to `None` if the state is gone.
    pub(super) fn renumber(&mut self, moved: &[Option<usize>]) {
        for queue in [&mut self.due, &mut self.large, &mut self.behind] {
            let entries = mem::take(queue).into_vec().into_iter();
            let stays =
                |Reverse((at, index)): Reverse<(_, usize)>| Some(Reverse((at, moved[index]?)));
            *queue = entries.filter_map(stays).collect();
        }
    }

    /// Plans an entry for its next fire time, if it has one.
    pub(super) fn plan(&mut self, index: usize, state: &State) {
        if let Some(next) = next_look(state) {
            self.plan_at(next, index);
        }
    }

    /// Plans an entry for `at`.
    pub(super) fn plan_at(&mut self, at: DateTime<Utc>, index: usize) {
        self.due.push(Reverse((at, index)));
    }

    /// Returns when to look at the next entry, and its index.
    pub(super) fn next(&self) -> Option<(DateTime<Utc>, usize)> {
        let queues = [&self.due, &self.large, &self.behind];
        let next = queues.iter().filter_map(|queue| queue.peek());
        next.map(|&Reverse(next)| next).min()
    }

    /// Returns whether more is due at `now`, or when to look at the next entry.
    pub(super) fn until(&self, now: DateTime<Utc>) -> Tick {
        match self.due.peek() {
            _ if !self.large.is_empty() || !self.behind.is_empty() => Tick::More,
            Some(&Reverse((at, _))) if at <= now => Tick::More,
            next => Tick::Done {
                until: next.map(|&Reverse((at, _))| at),
            },
        }
    }

    /// Fills a batch of up to `size` fires. Fires that are on time go first, the large ones after the others, so
    /// that no backlog delays them. Missed fires share the rest, at most `catch_up` of each entry in this second.
    /// Missed fires that are not enqueued are added to the batch's `given_up`.
    pub(super) fn collect(
        &mut self,
        states: &mut [State],
        now: DateTime<Utc>,
        size: usize,
        catch_up: u32,
    ) -> Batch {
        let mut batch = Batch {
            size,
            searches: 0,
            bytes: 0,
            given_up: GivenUps::default(),
            fires: vec![],
            looked_at: vec![],
        };
        while !batch.is_full()
            && batch.looked_at.len() < LOOKED_AT
            && let Some(index) = self.pop_due(states, now)
        {
            let state = &mut states[index];
            match collect_on_time(state, index, now, &mut batch) {
                None => batch.looked_at.push(index),
                Some(missed) if state.may_catch_up(now, catch_up) => {
                    self.behind.push(Reverse((missed, index)));
                }
                Some(_) => self.plan_at(now.trunc_subsecs(0) + TimeDelta::seconds(1), index),
            }
        }
        self.collect_missed(states, now, &mut batch, catch_up);
        batch
    }

    /// Takes the next due entry off the agenda. Entries with large fires come last.
    fn pop_due(&mut self, states: &[State], now: DateTime<Utc>) -> Option<usize> {
        while let Some(&Reverse((at, index))) = self.due.peek()
            && at <= now
        {
            self.due.pop();
            if states[index].entry.job.size() <= LARGE {
                return Some(index);
            }
            self.large.push(Reverse((at, index)));
        }
        self.large.pop().map(|Reverse((_, index))| index)
    }

    /// Fills the rest of the batch with missed fires, ordered by fire time across all entries.
    fn collect_missed(
        &mut self,
        states: &mut [State],
        now: DateTime<Utc>,
        batch: &mut Batch,
        catch_up: u32,
    ) {
        // Progress of the entries if the whole batch is fired. The states change when the store has answered.
        let mut ahead = HashMap::new();
        let mut sharing = Queue::new();
        while !batch.is_full() {
            // Entries with the same time join one by one, because a million entries may have it.
            let joins = |&Reverse((at, _)): &Reverse<(DateTime<Utc>, usize)>| {
                let first = sharing.peek();
                first.is_none_or(|&Reverse((first, _))| at < first)
            };
            if let Some(joining) = self.behind.peek().copied().filter(joins) {
                self.behind.pop();
                sharing.push(joining);
                batch.looked_at.push(joining.0.1);
                continue;
            }
            let Some(Reverse((_, index))) = sharing.pop() else {
                return;
            };
            let state = &mut states[index];
            let ahead = ahead.entry(index).or_insert(state.progress);
            let Some(fire_time) = state.next_fire(ahead, now, &mut batch.given_up) else {
                continue;
            };
            batch.push(state.pending(index, fire_time, now), &state.entry);
            ahead.fired(fire_time);
            state.note_caught_up(now);
            // If the last fire of the entry was rejected, one fire is enough to see whether it still is.
            if state.refused.is_none()
                && state.may_catch_up(now, catch_up)
                && let Some(next) = state.next_fire(ahead, now, &mut batch.given_up)
            {
                sharing.push(Reverse((next, index)));
            }
        }
    }
}

/// Adds the fires of an entry that are on time. Returns its next fire time if that fire is a missed one.
fn collect_on_time(
    state: &mut State,
    index: usize,
    now: DateTime<Utc>,
    batch: &mut Batch,
) -> Option<DateTime<Utc>> {
    // The state changes when the store has answered.
    let mut ahead = state.progress;
    while !batch.is_full() {
        let fire_time = state.next_fire(&mut ahead, now, &mut batch.given_up)?;
        if state.is_missed(fire_time, now) {
            return Some(fire_time);
        }
        batch.push(state.pending(index, fire_time, now), &state.entry);
        ahead.fired(fire_time);
        if state.refused.is_some() {
            // One fire is enough to see whether it is still rejected.
            break;
        }
    }
    None
}
