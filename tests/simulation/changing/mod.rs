//! Schedules that change: schedulers with different parts of the entries take turns as the leader, reload, and run
//! `--once`, while apps set, change and remove dynamic entries.

mod apps;
mod laws;
mod scenario;
mod trouble;
mod versions;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

pub use self::{laws::Courses, scenario::simulate, versions::Versions, view::View};
use super::{model::Model, world::now};

/// Maximum number of calls in a row until a change is in force.
const CALLS: u32 = 12;

/// What each process knows, and since when there has been no trouble. A failover does not revert it.
pub struct Changing {
    pub versions: Versions,
    /// What each process knows, by the number of the process.
    pub views: BTreeMap<u32, View>,
    /// The number of the process that holds the lock.
    pub leader: Option<u32>,
    /// Since when there has been no trouble. Lies in the future while trouble lasts.
    pub calm_since: Instant,
    /// Until when a leader may not know that another process led in between, because somebody deleted the lock.
    pub in_doubt_until: Instant,
    /// How long a leader without trouble may take to put a change in force and to enqueue what is due.
    pub patience: Duration,
}

impl Changing {
    pub fn new(slowest: Duration) -> Self {
        let mut changing = Self {
            versions: Versions::default(),
            views: BTreeMap::new(),
            leader: None,
            calm_since: now(),
            in_doubt_until: now(),
            patience: Duration::ZERO,
        };
        changing.slow_down(slowest);
        changing
    }

    /// From now on, a message takes at most `slowest`.
    pub fn slow_down(&mut self, slowest: Duration) {
        self.patience = Duration::from_secs(5) + 2 * CALLS * slowest;
    }

    /// Trouble lasts for `length` from now.
    pub fn disturb(&mut self, length: Duration) {
        self.calm_since = self.calm_since.max(now() + length);
    }

    /// Like [`Self::disturb`], and the leader may not know that another process led in between.
    pub fn doubt(&mut self, length: Duration) {
        self.disturb(length);
        self.in_doubt_until = self.in_doubt_until.max(now() + length);
    }

    /// Whether a process is the leader and knows everything that others did.
    pub fn leads(&self, model: &Model, number: u32) -> bool {
        let leads = model.holder_token() == Some(&number.to_string());
        leads && now() >= self.in_doubt_until
    }

    /// Records which process is the leader.
    pub fn note_leader(&mut self, model: &Model) {
        let leader = model.holder_token().map(|token| token.parse().unwrap());
        if leader.is_none() || leader != self.leader {
            self.disturb(Duration::ZERO);
        }
        self.leader = leader;
    }

    /// Checks that the leader has everything in force that it should. Returns whether it was checked, which
    /// requires some time without trouble.
    pub fn watch(&mut self, model: &Model, courses: &Courses) -> Result<bool, String> {
        self.note_leader(model);
        let Some(view) = self.leader.and_then(|leader| self.views.get(&leader)) else {
            return Ok(false);
        };
        let calm = |since: Instant| now() >= since.max(self.calm_since) + self.patience;
        if view.once || !calm(view.loaded_at) {
            return Ok(false);
        }
        let changed_at = |name: &[u8]| courses.changed_at.get(name).copied();
        let is_old =
            |name: &[u8]| changed_at(name).is_none_or(calm) && !courses.unheard.contains(name);
        if view.dynamic {
            judge_dynamic(view, model, is_old)?;
        }
        let names = view.in_force();
        let seconds = |at: Instant| {
            let ago = i64::try_from((now() - at).as_millis()).unwrap();
            (model.now - ago).div_euclid(1000)
        };
        for (name, version) in names.iter().filter(|(name, _)| is_old(name.as_bytes())) {
            let since = changed_at(name.as_bytes()).into_iter();
            let since = since.chain([self.calm_since, view.loaded_at]).max();
            let entry = self.versions.get(*version).entry.as_ref().unwrap();
            let until = seconds(now() - self.patience);
            let course = courses.get(name);
            course.judge_silence(entry, seconds(since.unwrap()) + 1, until)?;
        }
        // A scheduler with neither files nor dynamic entries only moves delayed jobs.
        if view.dynamic || !view.files.is_empty() {
            let recorded = model.seen.keys().chain(model.fired.keys());
            let recorded: BTreeSet<_> = recorded.chain(model.away.keys()).collect();
            let absent = |name: &&&String| {
                !names.contains_key(**name)
                    && !view.read.contains_key(name.as_bytes())
                    && is_old(name.as_bytes())
            };
            for name in recorded.iter().filter(absent) {
                courses.get(name).judge_absence(name, model.now / 1000)?;
            }
        }
        Ok(true)
    }
}

/// Checks that each change of a dynamic entry is in force and acknowledged, and that no other entry is known.
fn judge_dynamic(view: &View, model: &Model, is_old: impl Fn(&[u8]) -> bool) -> Result<(), String> {
    let waiting = model.changed_entries.iter().find(|name| is_old(name));
    if let Some(name) = waiting {
        let name = String::from_utf8_lossy(name);
        return Err(format!("the change of {name} is not acknowledged"));
    }
    let names = view.read.keys().chain(model.dynamic_entries.keys());
    for name in names.filter(|name| is_old(name)) {
        let (read, written) = (view.read.get(name), model.dynamic_entries.get(name));
        if read != written {
            let name = String::from_utf8_lossy(name);
            return Err(format!("the change of {name} is lost"));
        }
    }
    Ok(())
}
