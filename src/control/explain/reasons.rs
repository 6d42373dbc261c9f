//! The facts about a fire, in words, and what to do.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    control::explain::{
        Explanation, Facts, NoFire, Verdict,
        leaders::{gap_around, leader_at},
    },
    core::{
        firing::outcome::Outcome,
        schedule::entry::{CatchUp, CatchUpPolicy},
        time::{duration, instant::rfc3339},
    },
    store::FireRecord,
};

impl Facts {
    /// Whether the timing names the time, and the fire times around it.
    pub(super) fn timing_text(&self, is_named: bool, explanation: &Explanation) -> String {
        let shown = |at: DateTime<Utc>| self.local(at);
        let names = if is_named { "names" } else { "does not name" };
        let before = explanation.before.map_or_else(
            || "there was none before".to_owned(),
            |at| format!("the one before was {}", shown(at)),
        );
        let after = explanation.after.map_or_else(
            || "there is none after".to_owned(),
            |at| format!("the next is {}", shown(at)),
        );
        format!("{} {names} this time; {before}, {after}", self.entry.timing)
    }

    /// Why the timing does not name the time.
    pub(super) fn explain_timing(&self, explanation: &mut Explanation, now: DateTime<Utc>) {
        let (at, bounds) = (explanation.at, self.entry.timing.bounds());
        if let Some(start) = bounds.starts_at.filter(|start| at < *start) {
            explanation.reason("timing", format!("the entry starts at {}", rfc3339(start)));
        }
        let first_seen = self.first_seen.unwrap_or(now);
        if let Some(end) = self.entry.timing.end(first_seen).filter(|end| at >= *end) {
            explanation.reason("timing", format!("the entry ended at {}", rfc3339(end)));
        }
        let local = self.entry.zone.local(at);
        if self
            .entry
            .zone
            .civil(at)
            .is_some_and(|civil| self.entry.zone.fold(civil).is_some())
        {
            let text = format!(
                "clocks go back in {} then, and {local} occurs twice",
                self.entry.zone
            );
            explanation.reason("timing", text);
        }
        let zone = format!("times are in {}; UTC is {}", self.entry.zone, rfc3339(at));
        explanation.reason("timing", zone);
    }

    /// What a record of the history says.
    pub(super) fn explain_record(&self, explanation: &mut Explanation, record: &FireRecord) {
        explanation.outcome = Verdict::from(record);
        let at = explanation.at;
        let late = record.at - at;
        let recorded = rfc3339(record.at);
        match record.outcome {
            Outcome::Enqueued | Outcome::CaughtUp | Outcome::Triggered | Outcome::Backfilled => {
                self.tell_leader(explanation, record.at);
                let late = record.lateness.unwrap_or(late);
                let queue = self.entry.job.queue();
                let text = format!(
                    "enqueued in queue `{queue}` at {recorded}, {} late",
                    length(late)
                );
                explanation.reason("decision", text);
                let look = "look at the workers and at the failures of Resque".to_owned();
                explanation.advice.push(look);
            }
            Outcome::Missed => {
                self.tell_gap(explanation, at);
                let CatchUp { policy, window } = self.entry.catch_up;
                let (policy, window) = (policy.as_str(), duration::display(window));
                let text = format!(
                    "at {recorded} the fire was {} late; catch_up = \"{policy}\", catch_up_window = \"{window}\"",
                    length(late)
                );
                explanation.reason("decision", text);
                self.advise_trigger(explanation);
                let other = match self.entry.catch_up.policy {
                    CatchUpPolicy::None => {
                        "or let it make up for missed fires: catch_up = \"latest\"".to_owned()
                    }
                    CatchUpPolicy::Latest if late <= self.entry.catch_up.window => {
                        "or let it make up for all missed fires: catch_up = \"all\"".to_owned()
                    }
                    _ => format!("or give it a longer catch_up_window than \"{window}\""),
                };
                explanation.advice.push(other);
            }
            Outcome::SkippedQueued | Outcome::SkippedRunning | Outcome::SkippedQueueFull => {
                let why = match record.outcome {
                    Outcome::SkippedQueued => "an identical job was waiting in the queue (overlap)",
                    Outcome::SkippedRunning => "a worker was running an identical job (overlap)",
                    _ => "the queue was as long as max_queue_length",
                };
                self.tell_leader(explanation, record.at);
                explanation.reason("decision", format!("skipped at {recorded}: {why}"));
                let queue = self.entry.job.queue();
                explanation
                    .advice
                    .push(format!("add workers for the queue `{queue}`"));
                self.advise_trigger(explanation);
            }
            Outcome::Paused => {
                explanation.reason(
                    "decision",
                    format!("paused when it was due, as recorded at {recorded}"),
                );
                self.tell_pause(explanation, at);
                self.advise_trigger(explanation);
            }
            Outcome::Rejected => {
                let reason = record.reason.as_deref().unwrap_or("no reason is recorded");
                explanation.reason("decision", format!("Redis rejected the job: {reason}"));
                let queue = self.entry.job.queue();
                let advice = format!(
                    "check the key of the queue `{queue}` and the rights of the Redis user"
                );
                explanation.advice.push(advice);
            }
        }
    }

    /// Why there is no record of the fire.
    pub(super) fn explain_gap(&self, explanation: &mut Explanation, now: DateTime<Utc>) {
        let at = explanation.at;
        if at > now {
            explanation.outcome = Verdict::None(NoFire::StillToCome);
            self.tell_pause(explanation, at);
        } else if let Some(first_seen) = self.first_seen.filter(|seen| at < *seen) {
            explanation.outcome = Verdict::None(NoFire::NotSeenYet);
            let text = format!(
                "the scheduler first saw this entry, with this timing, at {}",
                rfc3339(first_seen)
            );
            explanation.reason("entry", text);
        } else {
            explanation.outcome = Verdict::None(NoFire::Unknown);
            self.tell_pause(explanation, at);
            self.tell_gap(explanation, at);
            let text = match self.history.last() {
                None => "the entry has no history".to_owned(),
                Some(oldest) if at < oldest.first => format!(
                    "the history reaches back to {}; what happened before is not known",
                    rfc3339(oldest.first)
                ),
                Some(_) if now - at < TimeDelta::minutes(1) => {
                    "there is no record yet; the fire may be on its way".to_owned()
                }
                Some(_) => "there is no record of this fire".to_owned(),
            };
            explanation.reason("decision", text);
            if gap_around(&self.events, at).is_some_and(|gap| gap.until.is_none()) {
                explanation
                    .advice
                    .push("rescue-scheduler status".to_owned());
            }
        }
    }

    fn tell_leader(&self, explanation: &mut Explanation, at: DateTime<Utc>) {
        if let Some(leader) = leader_at(&self.events, at) {
            explanation.reason("leader", format!("{leader} was the leader"));
        }
    }

    /// Who was not the leader at `at`, and why.
    fn tell_gap(&self, explanation: &mut Explanation, at: DateTime<Utc>) {
        let Some(gap) = gap_around(&self.events, at) else {
            self.tell_leader(explanation, at);
            return;
        };
        let until = gap.until.map_or_else(
            || "there is still no leader".to_owned(),
            |until| format!("until {}", rfc3339(until)),
        );
        let since = match (gap.since, &gap.lost_by) {
            (Some(since), Some((who, reason))) => {
                let reason = reason.as_deref().unwrap_or("it was stopped");
                format!(
                    "nobody was the leader since {}, when {who} released or lost the lease ({reason})",
                    rfc3339(since)
                )
            }
            (_, Some((who, _))) => {
                format!("{who} was the leader and stopped without a word, as after a kill")
            }
            _ => "no leader is known before".to_owned(),
        };
        let taken = gap
            .taken_by
            .map_or_else(String::new, |who| format!(", when {who} took over"));
        explanation.reason("leader", format!("{since}; {until}{taken}"));
    }

    fn tell_pause(&self, explanation: &mut Explanation, at: DateTime<Utc>) {
        let text = match self.pauses.of(&self.entry.name, at) {
            None => "not paused now".to_owned(),
            Some(pause) => {
                let who = pause.actor.as_deref().unwrap_or("somebody");
                let until = pause.until.map_or_else(
                    || "until it is resumed".to_owned(),
                    |until| format!("until {}", rfc3339(until)),
                );
                let reason = pause
                    .reason
                    .as_deref()
                    .map_or_else(String::new, |it| format!(": {it}"));
                explanation.advice.push(format!(
                    "rescue-scheduler schedule resume {}",
                    self.entry.name
                ));
                format!("paused by {who} {until}{reason}")
            }
        };
        explanation.reason("pause", text);
    }

    fn advise_trigger(&self, explanation: &mut Explanation) {
        let command = format!("rescue-scheduler schedule trigger {}", self.entry.name);
        explanation.advice.push(command);
    }

    /// A time on the clocks of the entry's zone.
    fn local(&self, at: DateTime<Utc>) -> String {
        self.entry
            .zone
            .local(at)
            .format("%Y-%m-%d %H:%M:%S %:z")
            .to_string()
    }
}

/// `17 m 10 s`, or milliseconds if it is less than a second.
fn length(length: TimeDelta) -> String {
    duration::words(length).unwrap_or_else(|| format!("{} ms", length.num_milliseconds().max(0)))
}
