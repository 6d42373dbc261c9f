//! Laws 1, 2 and 5 of docs/design.md and the rules for skipped fires. They are checked after each change of the
//! model, and at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rescue_scheduler::{
    core::{
        firing::decide::GRACE,
        schedule::{
            Schedule,
            entry::{CatchUpPolicy, Entry},
            overlap::{Overlap, SkipReason},
        },
    },
    store::{Bucket, Destination},
};

use super::{
    history::{judge_account, judge_history},
    model::{Change, Model, Shot},
};
use crate::harness;

/// What happened to a delayed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Waiting,
    Pushed,
    Removed,
    Quarantined,
}

/// A delayed item that an app added. Its number is the only number in its text.
#[derive(Debug, Clone)]
pub struct Delayed {
    pub timestamp: i64,
    pub item: String,
    pub fate: Fate,
}

/// A fire time that is recorded as fired.
#[derive(Debug, Clone, Copy)]
struct Settled {
    fire_time: i64,
    /// When it was recorded, in milliseconds.
    at: i64,
    /// Whether the job was enqueued. Otherwise the fire was skipped or paused.
    enqueued: bool,
}

#[derive(Debug, Clone, Copy)]
struct FirstSeen {
    since: i64,
    /// Number of fires that were recorded before the entry was first seen. A leader that had just taken its lease
    /// again recorded them when Redis had forgotten the entry; they do not count towards `times`.
    fires_before: usize,
}

/// Returns the fire times that were enqueued.
fn enqueued(fires: &[Settled]) -> Vec<i64> {
    let enqueued = fires.iter().filter(|it| it.enqueued);
    enqueued.map(|it| it.fire_time).collect()
}

/// Everything that the laws remember. A failover reverts it together with the model.
#[derive(Debug, Clone, Default)]
pub struct Laws {
    schedule: BTreeMap<String, Arc<Entry>>,
    /// When each entry was first seen, and its fires.
    fired: BTreeMap<String, (Option<FirstSeen>, Vec<Settled>)>,
    /// The fire times of the jobs that workers took, for each entry, in this order.
    taken: BTreeMap<String, Vec<i64>>,
    /// Entries with a job that a worker is running.
    working: BTreeSet<String>,
    /// For each entry, the fires that were enqueued before Redis lost its data: fire times, and when they were
    /// recorded, in milliseconds.
    before: BTreeMap<String, BTreeMap<i64, i64>>,
    /// When Redis last lost all its data, in milliseconds.
    pub forgot_at: Option<i64>,
    /// A fire may be doubled after that if it was enqueued or due less than this before (in milliseconds): other
    /// processes may not have known of it yet, or it may have been in the future by another clock.
    pub enqueued_slack: i64,
    pub due_slack: i64,
    /// By the number of the item.
    pub delayed: BTreeMap<usize, Delayed>,
    /// The last item that left each bucket for each queue.
    last_of: BTreeMap<(i64, String), usize>,
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// Returns the only number in a text.
fn number(text: &str) -> i64 {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// Returns an error unless a law holds.
macro_rules! ensure {
    ($law:expr, $($broken:tt)+) => {
        if !$law {
            return Err(format!($($broken)+));
        }
    };
}

/// Checks that a scheduler may send this fire when its clock shows `now`: it is not early, and if it is a missed
/// one, it is the newest, unless the policy is to catch up all.
pub fn judge_shot(entry: &Entry, shot: &Shot, now: DateTime<Utc>) -> Result<(), String> {
    let (name, fire_time) = (&shot.name, at(shot.fire_time));
    let early = entry.due_at(fire_time) > now;
    ensure!(!early, "{name} is early at {now}: {fire_time}");
    let missed = now.trunc_subsecs(0) - entry.timing.bounds().jitter - fire_time > GRACE;
    if missed && entry.catch_up.policy != CatchUpPolicy::All {
        let next = entry.timing.recurrence.next_after(fire_time, fire_time);
        let newest = next.is_none_or(|next| entry.due_at(next) > now);
        ensure!(newest, "{name} has a newer one at {now}: {fire_time}");
    }
    Ok(())
}

impl Laws {
    pub fn of(schedule: &Schedule) -> Self {
        let entry = |entry: &Arc<Entry>| (entry.name.clone(), Arc::clone(entry));
        Self {
            schedule: schedule.entries().map(entry).collect(),
            ..Self::default()
        }
    }

    /// Checks that a scheduler may send these fires when its clock shows `now`.
    pub fn judge_shots(&self, shots: &[Shot], now: DateTime<Utc>) -> Result<(), String> {
        for shot in shots {
            let entry = self.schedule.get(&shot.name);
            judge_shot(entry.ok_or("there is no such entry")?, shot, now)?;
        }
        Ok(())
    }

    /// Checks that a scheduler that asked for what was due at `asked_for` may move these buckets.
    pub fn judge_buckets(buckets: &[Bucket], asked_for: i64) -> Result<(), String> {
        for bucket in buckets {
            let member = String::from_utf8_lossy(&bucket.member);
            let due = member.parse::<i64>().unwrap() <= asked_for;
            ensure!(due, "bucket {member} is early at {asked_for}");
        }
        Ok(())
    }

    /// Redis lost all its data at `now`.
    pub fn forget(&mut self, now: i64) {
        for (name, (_, fires)) in std::mem::take(&mut self.fired) {
            let enqueued = fires.iter().filter(|it| it.enqueued);
            let before = self.before.entry(name).or_default();
            before.extend(enqueued.map(|it| (it.fire_time, it.at)));
        }
        for delayed in self.delayed.values_mut() {
            delayed.fate = Fate::Removed;
        }
        self.taken.clear();
        self.working.clear();
        self.last_of.clear();
        self.forgot_at = Some(now);
    }

    /// Checks a change of the model at `now` (milliseconds).
    pub fn judge(&mut self, change: &Change, now: i64) -> Result<(), String> {
        match change {
            Change::Seen { name, now, .. } => {
                let (seen, fires) = self.fired.entry(name.clone()).or_default();
                ensure!(seen.is_none(), "{name} is seen twice");
                *seen = Some(FirstSeen {
                    since: *now,
                    fires_before: fires.len(),
                });
                Ok(())
            }
            Change::Fired(shot) => {
                self.judge_fire(shot, None, now)?;
                self.judge_double(shot)
            }
            Change::Skipped(shot, reason) => self.judge_fire(shot, Some(*reason), now),
            Change::Paused(shot) => self.settle(shot, false, now),
            Change::Moved {
                member,
                item,
                target,
            } => self.judge_move(member, item, target),
            Change::Left { .. }
            | Change::Returned { .. }
            | Change::Forgotten { .. }
            | Change::Settled { .. } => Err(format!("{change:?}, though no entry ever changes")),
        }
    }

    /// Checks that a fire is doubled only if Redis lost it and no leader can know of it.
    fn judge_double(&self, shot: &Shot) -> Result<(), String> {
        let before = self.before.get(&shot.name);
        let enqueued_at = before.and_then(|before| before.get(&shot.fire_time));
        let Some((enqueued_at, forgot_at)) = enqueued_at.zip(self.forgot_at) else {
            return Ok(());
        };
        let (name, fire_time) = (&shot.name, shot.fire_time);
        let unknown = enqueued_at + self.enqueued_slack > forgot_at;
        let unknown = unknown || fire_time * 1000 + self.due_slack > forgot_at;
        ensure!(
            unknown,
            "{name}: {fire_time} is doubled: first at {enqueued_at}, forgotten at {forgot_at}"
        );
        Ok(())
    }

    /// Checks a fire that was enqueued or skipped.
    fn judge_fire(
        &mut self,
        shot: &Shot,
        skipped: Option<SkipReason>,
        at: i64,
    ) -> Result<(), String> {
        let (name, fire_time, payload) = (&shot.name, shot.fire_time, &shot.payload);
        let piles_up = self.piles_up(name);
        self.settle(shot, skipped.is_none(), at)?;
        let guarded = skipped == piles_up;
        ensure!(guarded, "{name}: {fire_time} {skipped:?}, not {piles_up:?}");
        let its_own = number(payload) == fire_time;
        ensure!(its_own, "{name}: {fire_time} with {payload}");
        Ok(())
    }

    /// Records a fire, enqueued or not, and checks the order of fires.
    fn settle(&mut self, shot: &Shot, enqueued: bool, at: i64) -> Result<(), String> {
        let (name, fire_time) = (&shot.name, shot.fire_time);
        let (seen, fires) = self.fired.entry(name.clone()).or_default();
        let seen = seen.is_some() || self.forgot_at.is_some();
        ensure!(seen, "{name} fires unseen");
        let last = fires.last().map(|it| it.fire_time);
        fires.push(Settled {
            fire_time,
            at,
            enqueued,
        });
        ensure!(last < Some(fire_time), "{name}: {fire_time} after {last:?}");
        Ok(())
    }

    /// Returns the reason why a fire of this entry must be skipped now. Each entry has its own queue.
    fn piles_up(&self, name: &str) -> Option<SkipReason> {
        let guard = self.schedule.get(name)?.guard;
        let (_, fires) = self.fired.get(name)?;
        let waiting = enqueued(fires).len() - self.taken.get(name).map_or(0, Vec::len);
        let longest = guard.max_queue_length;
        if longest.is_some_and(|longest| waiting as u64 >= longest.get()) {
            Some(SkipReason::QueueFull)
        } else if guard.overlap == Overlap::Allow {
            None
        } else if waiting > 0 {
            Some(SkipReason::Queued)
        } else {
            let running = guard.overlap == Overlap::SkipIfRunning && self.working.contains(name);
            running.then_some(SkipReason::Running)
        }
    }

    /// An idle worker takes this job of an entry.
    pub fn take(&mut self, name: &str, payload: &str) {
        let taken = self.taken.entry(name.to_owned()).or_default();
        taken.push(number(payload));
        self.working.insert(name.to_owned());
    }

    /// The worker finishes its job. Returns `false` if it had none.
    pub fn finish(&mut self, name: &str) -> bool {
        self.working.remove(name)
    }

    fn judge_move(
        &mut self,
        member: &[u8],
        item: &[u8],
        target: &Destination,
    ) -> Result<(), String> {
        let (item, member) = (
            String::from_utf8_lossy(item),
            String::from_utf8_lossy(member),
        );
        let number = usize::try_from(number(&item)).unwrap();
        let delayed = self.delayed.get_mut(&number).ok_or("nobody added that")?;
        let fate = match target {
            Destination::Queue { name, payload } => {
                let its_own = *payload == harness::payload(number);
                let its_own = its_own && item == harness::item(name, number);
                ensure!(its_own, "{item} became {payload} in {name}");
                Fate::Pushed
            }
            Destination::Quarantine { .. } => Fate::Quarantined,
            Destination::Stay { .. } => return Err(format!("{item} was to stay")),
        };
        let before = std::mem::replace(&mut delayed.fate, fate);
        ensure!(
            before == Fate::Waiting,
            "{item} is {fate:?} after {before:?}"
        );
        let its_own = member == delayed.timestamp.to_string();
        ensure!(its_own, "{item} comes from the bucket {member}");
        if let Destination::Queue { name, .. } = target {
            let queue = (delayed.timestamp, name.clone());
            let last = self.last_of.insert(queue, number);
            ensure!(
                last < Some(number),
                "{item} leaves its bucket after {last:?}"
            );
        }
        Ok(())
    }

    /// Checks that everything is done at `now`, after some time without trouble. `jumped`: a clock was far ahead
    /// once, so that fires in the future may have been counted as missed.
    pub fn judge_end(&self, model: &Model, now: DateTime<Utc>, jumped: bool) -> Result<(), String> {
        for (name, entry) in &self.schedule {
            let seen = self.fired.get(name);
            let seen = seen.and_then(|(seen, fires)| Some(((*seen)?, fires)));
            let (seen, fires) = seen.ok_or_else(|| format!("{name} is unseen"))?;
            let queued = model.queues.get(entry.job.queue()).into_iter().flatten();
            let taken = self.taken.get(name).into_iter().flatten().copied();
            let jobs: Vec<i64> = taken.chain(queued.map(|payload| number(payload))).collect();
            let pushed = enqueued(fires);
            ensure!(jobs == pushed, "{name}: {jobs:?} are there, not {pushed:?}");
            judge_history(name, model.history(name), &pushed)?;
            let policy = entry.catch_up.policy;
            let until = if jumped && policy != CatchUpPolicy::All {
                DateTime::UNIX_EPOCH
            } else {
                now - TimeDelta::seconds(2)
            };
            judge_fires(entry, seen, fires, until, self.forgot_at.is_some())?;
        }
        self.judge_delayed(model)
    }

    /// Checks that the histories have the outcome of every fire time, unless Redis lost its data.
    pub fn judge_accounts(&self, model: &Model, now: DateTime<Utc>) -> Result<(), String> {
        let entries = self.schedule.iter().filter(|_| self.forgot_at.is_none());
        for (name, entry) in entries.filter(|(_, it)| it.timing.bounds().times.is_none()) {
            let Some((Some(seen), _)) = self.fired.get(name) else {
                continue;
            };
            let until = now - TimeDelta::seconds(2);
            judge_account(entry, at(seen.since), model.history(name), until)?;
        }
        Ok(())
    }

    /// Checks law 2 at the end: each delayed job is in one allowed place.
    fn judge_delayed(&self, model: &Model) -> Result<(), String> {
        for Delayed { item, fate, .. } in self.delayed.values() {
            let may = match fate {
                Fate::Waiting => false,
                Fate::Pushed => !item.contains("garbage"),
                Fate::Quarantined => !item.contains("steady"),
                Fate::Removed => true,
            };
            ensure!(may, "{item} is {fate:?} at the end");
        }
        let count = |fate| self.delayed.values().filter(|it| it.fate == fate).count();
        let queued = |name| model.queues.get(name).map_or(0, Vec::len);
        let there = (queued("steady") + queued("shaky"), model.quarantine.len());
        let moved = (count(Fate::Pushed), count(Fate::Quarantined));
        ensure!(moved == there, "{moved:?} moved, {there:?} there");
        let left = (&model.schedule, &model.buckets);
        ensure!(left.0.is_empty() && left.1.is_empty(), "left: {left:?}");
        Ok(())
    }
}

/// Checks law 5 for one entry: with `all`, there is no gap between two fires, and the newest fire until `until` was
/// recorded. `forgotten`: Redis lost its data once, so a leader may have continued from its memory of fires and
/// `times`.
fn judge_fires(
    entry: &Entry,
    FirstSeen {
        since,
        fires_before,
    }: FirstSeen,
    fires: &[Settled],
    until: DateTime<Utc>,
    forgotten: bool,
) -> Result<(), String> {
    let name = &entry.name;
    let next_after = |last| {
        entry
            .timing
            .recurrence
            .next_after(at(last), at(last))
            .unwrap()
    };
    let mut last = since;
    for (number, Settled { fire_time, .. }) in fires.iter().enumerate() {
        let next = next_after(last).timestamp();
        let gap = entry.catch_up.policy == CatchUpPolicy::All && next != *fire_time;
        // The leader may have been killed before the time of first sight.
        let remembered = forgotten && last <= since;
        let no_gap = number == 0 || at(*fire_time) <= next_after(since);
        let gap = gap && !(remembered && no_gap);
        ensure!(!gap, "{name}: {next} is missed, since {since}: {fires:?}");
        last = *fire_time;
    }
    let times = entry.timing.bounds().times.map(|times| times as usize);
    let counted = enqueued(&fires[fires_before..]).len();
    let enqueued = enqueued(fires).len();
    let few = times.is_none_or(|times| counted <= times);
    ensure!(few, "{name} fires too often: {fires:?}");
    let next = entry.due_at(next_after(last));
    let had_all = times.is_some_and(|times| enqueued == times || forgotten);
    let done = had_all || next > until;
    ensure!(
        done,
        "{name} did not fire at {next}, until {until}, since {since}: {fires:?}"
    );
    Ok(())
}
