//! Laws for entries that are added, changed and removed. They are checked after each change of the model.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rescue_scheduler::core::{
    schedule::entry::{CatchUpPolicy, Entry},
    time::timing::Recurrence,
};
use tokio::time::Instant;

use super::{
    super::{
        model::{Change, Shot},
        records::AwaySeconds,
    },
    versions::{Versions, of_payload},
    view::View,
};

const DAY: i64 = 86_400;
/// Maximum difference in seconds between the clocks of two hosts, and between a host's clock and Redis's.
const SLACK: i64 = 3;

/// The history of one entry. Fire times are in seconds, times of the server's clock in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// When the entry was first seen, with which timing, and when that was recorded.
    seen: Option<(i64, String, i64)>,
    /// Number of fires since then.
    fires: usize,
    /// The last fire time.
    pub last: Option<i64>,
    /// All fire times, including those whose records were removed.
    ever: BTreeSet<i64>,
    /// When the entry was last out of the schedule, and when that was recorded.
    away: Option<(AwaySeconds, i64)>,
    /// Whether its records are wrong because a request arrived late: its sender had given up on it, and another
    /// schedule was in force.
    late: bool,
}

/// Everything that the laws remember. A failover reverts it together with the model.
#[derive(Debug, Clone, Default)]
pub struct Courses {
    by_name: BTreeMap<String, Course>,
    /// When an app last set or removed each dynamic entry.
    pub changed_at: BTreeMap<Vec<u8>, Instant>,
    /// Names of dynamic entries whose last change was acknowledged by a late request, before the leader read it.
    pub unheard: BTreeSet<Vec<u8>>,
    /// For each dynamic entry, the oldest version that may be in force, according to the acknowledgements.
    oldest: BTreeMap<String, usize>,
}

/// Returns an error unless a law holds.
macro_rules! ensure {
    ($law:expr, $($broken:tt)+) => {
        if !$law {
            return Err(format!($($broken)+));
        }
    };
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

impl Courses {
    pub fn get(&self, name: &str) -> Course {
        self.by_name.get(name).cloned().unwrap_or_default()
    }

    /// Checks that no version is in force that is older than the last acknowledged change.
    pub fn judge_version(
        &self,
        name: &str,
        version: usize,
        versions: &Versions,
    ) -> Result<(), String> {
        let oldest = self.oldest.get(name).copied().unwrap_or_default();
        let replaced = versions.get(version).is_dynamic && version < oldest;
        ensure!(
            !replaced,
            "{name} fires in version {version}, which was replaced before {oldest}"
        );
        Ok(())
    }

    /// Checks a change of the model at `now` (milliseconds). `leader` is what the leader knows at that time.
    pub fn judge(
        &mut self,
        change: &Change,
        now: i64,
        versions: &Versions,
        leader: Option<&View>,
    ) -> Result<(), String> {
        let in_force = |name: &str| leader.and_then(|view| view.version(name));
        match change {
            Change::Fired(shot) => self.course(&shot.name).fire(shot, now, versions),
            Change::Seen {
                name,
                timing,
                now: since,
            } => {
                let version = in_force(name).and_then(|it| versions.get(it).entry.as_ref());
                let course = self.course(name);
                course.late = version.is_none_or(|it| !it.timing.is_identified_by(timing));
                course.see(name, timing, *since, now)
            }
            Change::Left { name, was, since } => {
                let course = self.course(name);
                // If the time of leaving were recorded again and again, the day would never end.
                let again = matches!(was, Some((before, None)) if before <= since);
                ensure!(!again, "{name} left at {since} again after {was:?}");
                course.away = Some(((*since, None), now));
                course.late = in_force(name).is_some();
                Ok(())
            }
            Change::Returned { name, since, until } => {
                let course = self.course(name);
                course.away = Some(((*since, Some(*until)), now));
                course.late = false;
                Ok(())
            }
            Change::Forgotten { name } => self.course(name).forget(name, now),
            Change::Settled { name, json } => {
                let read = leader.and_then(|view| view.read.get(name));
                if read.map_or(&b""[..], Vec::as_slice) != json {
                    // The request arrived late, and by then the entry had returned to the version that its sender
                    // had read.
                    self.unheard.insert(name.clone());
                    return Ok(());
                }
                let name = str::from_utf8(name).unwrap().to_owned();
                if json.is_empty() {
                    self.oldest.insert(name, versions.len());
                } else if let Some(version) = versions.of_json(json) {
                    self.oldest.insert(name, version);
                }
                Ok(())
            }
            Change::Skipped(..) | Change::Paused(_) | Change::Moved { .. } => {
                Err(format!("{change:?}, though there is nothing of that"))
            }
        }
    }

    fn course(&mut self, name: &str) -> &mut Course {
        self.by_name.entry(name.to_owned()).or_default()
    }
}

impl Course {
    /// An entry is first seen if Redis has no record of it, or if its timing is another one.
    fn see(&mut self, name: &str, timing: &str, since: i64, now: i64) -> Result<(), String> {
        let known = self.seen.as_ref().is_some_and(|(_, it, _)| it == timing);
        ensure!(!known, "{name} is seen for the first time again");
        self.seen = Some((since, timing.to_owned(), now));
        self.fires = 0;
        self.away = None;
        Ok(())
    }

    /// An entry is forgotten after it was out of every leader's schedule for a day.
    fn forget(&mut self, name: &str, now: i64) -> Result<(), String> {
        let since = match self.away {
            Some(((since, None), _)) => since,
            away => return Err(format!("{name} is forgotten, though {away:?}")),
        };
        ensure!(
            now / 1000 - since >= DAY - SLACK,
            "{name} is forgotten at {now}, though it left at {since}"
        );
        (self.seen, self.last, self.away) = (None, None, None);
        self.fires = 0;
        Ok(())
    }

    fn fire(&mut self, shot: &Shot, now: i64, versions: &Versions) -> Result<(), String> {
        let Shot {
            name, fire_time, ..
        } = shot;
        let (version, metadata) = of_payload(&shot.payload).ok_or("a job without a version")?;
        let entry = versions.get(version).entry.as_ref().unwrap();
        let its_own = entry.name == *name && shot.queue == *name && metadata == *fire_time;
        ensure!(its_own, "{name}: {fire_time} with {}", shot.payload);
        ensure!(
            self.ever.insert(*fire_time),
            "{name}: {fire_time} is doubled"
        );
        let last = self.last;
        ensure!(
            last < Some(*fire_time),
            "{name}: {fire_time} after {last:?}"
        );
        ensure!(self.seen.is_some(), "{name} fires unseen");
        self.judge_time(entry, shot, now)?;
        self.last = Some(*fire_time);
        self.fires += 1;
        ensure!(
            self.fires <= Self::most(entry),
            "{name} fires too often: {self:?}"
        );
        Ok(())
    }

    fn most(entry: &Entry) -> usize {
        match (entry.timing.bounds().times, &entry.timing.recurrence) {
            (Some(times), _) => times as usize,
            (None, Recurrence::Once(_)) => 1,
            (None, _) => usize::MAX,
        }
    }

    /// Checks that the timing has this fire time, that no earlier fire was left out against the rules, and that the
    /// entry was in the schedule at that time. Skips requests that were sent before the last change of the entry's
    /// records.
    fn judge_time(&self, entry: &Entry, shot: &Shot, now: i64) -> Result<(), String> {
        let (name, fire_time) = (&shot.name, shot.fire_time);
        let (seen, timing, seen_at) = self.seen.as_ref().unwrap();
        let away_at = self.away.map_or(0, |(_, at)| at);
        let out_of_date = |sent: i64| sent < away_at.max(*seen_at);
        if self.late || shot.sent.is_none_or(out_of_date) {
            return Ok(());
        }
        let identified = entry.timing.is_identified_by(timing);
        ensure!(identified, "{name} is seen with the timing {timing}");
        let away = self.away.map(|(away, _)| away);
        ensure!(
            !matches!(away, Some((_, None))),
            "{name}: {fire_time}, though it left: {away:?}"
        );
        let since = self.present_since();
        ensure!(
            fire_time >= since && !matches!(away, Some((_, Some(until))) if fire_time <= until),
            "{name}: {fire_time}, though it is there since {since}"
        );
        if let Recurrence::Once(moment) = entry.timing.recurrence {
            let its_own = moment.instant(at(*seen)) == at(fire_time);
            ensure!(its_own, "{name}: {fire_time}, first seen at {seen}");
            return Ok(());
        }
        // There is no fire time between the previous fire and this one, unless it is too long ago to be caught up.
        let window = now / 1000 - entry.catch_up.window.num_seconds() + SLACK;
        let first = match entry.catch_up.policy {
            CatchUpPolicy::All => self.base().max(window).min(fire_time - 1),
            _ => fire_time - 1,
        };
        let expected = self.next_after(entry, first);
        ensure!(
            expected == Some(fire_time),
            "{name}: {fire_time}, not {expected:?}: {self:?}"
        );
        Ok(())
    }

    /// Returns since when the entry has been in the schedule.
    fn present_since(&self) -> i64 {
        let seen = self.seen.as_ref().map_or(0, |(at, ..)| *at);
        let returned = self.away.and_then(|((_, until), _)| until);
        seen.max(returned.unwrap_or_default())
    }

    /// Returns the time until which nothing is due any more.
    fn base(&self) -> i64 {
        self.present_since().max(self.last.unwrap_or_default())
    }

    /// Returns the first fire time after `after`. Intervals are counted from the last fire, whatever has changed
    /// since.
    fn next_after(&self, entry: &Entry, after: i64) -> Option<i64> {
        let seen = self.seen.as_ref().map(|(at, ..)| *at);
        let anchor = at(self.last.or(seen)?);
        let next = entry.timing.recurrence.next_after(anchor, at(after));
        next.map(|it| it.timestamp())
    }

    /// Checks that all fires were enqueued that became due from `since` until `until` (seconds). During that time
    /// the entry was in the schedule of a leader that had no trouble.
    pub fn judge_silence(&self, entry: &Entry, since: i64, until: i64) -> Result<(), String> {
        let name = &entry.name;
        if self.late {
            return Ok(());
        }
        ensure!(self.seen.is_some(), "{name} is not seen");
        let open = matches!(self.away, Some(((_, None), _)));
        ensure!(!open, "{name} has not returned: {self:?}");
        let base = self.base().max(since);
        let next = match entry.timing.recurrence {
            _ if self.fires >= Self::most(entry) => None,
            Recurrence::Once(moment) => {
                let seen = self.seen.as_ref().map_or(0, |(at, ..)| *at);
                let moment = moment.instant(at(seen)).timestamp();
                Some(moment).filter(|moment| *moment > base)
            }
            _ => self.next_after(entry, base),
        };
        ensure!(
            next.is_none_or(|next| next > until),
            "{name} did not fire at {next:?}, until {until}: {self:?}"
        );
        Ok(())
    }

    /// Checks that an entry that is not in the schedule is recorded as left, and forgotten after a day.
    pub fn judge_absence(&self, name: &str, until: i64) -> Result<(), String> {
        if self.late || self.seen.is_none() && self.last.is_none() && self.away.is_none() {
            return Ok(());
        }
        let Some(((since, None), _)) = self.away else {
            return Err(format!("{name} has not left: {self:?}"));
        };
        ensure!(
            since > until - DAY - SLACK,
            "{name} is not forgotten: {self:?}"
        );
        Ok(())
    }
}
