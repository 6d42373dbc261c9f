//! When an entry fires: a recurrence and its bounds.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::time::{
    cron::Cron,
    duration,
    every::Every,
    instant,
    stable_hash::{BASIS, extend},
    zone::Zone,
};

/// When an entry fires. Timings with the same text fire at the same instants.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// How the entry repeats.
    pub recurrence: Recurrence,
    /// `None` if there are no bounds. Boxed because most entries have none.
    bounds: Option<Box<Bounds>>,
}

/// The limits of a recurrence, and the jitter that delays its fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first fire, even if the recurrence does not match then. The fires of the recurrence follow it.
    pub first: Option<Moment>,
    /// The end of the fires, exclusive.
    pub last: Option<Moment>,
    /// The entry does not fire before this instant. Intervals without a `first` count from it.
    pub starts_at: Option<DateTime<Utc>>,
    /// The end of the fires, exclusive.
    pub ends_at: Option<DateTime<Utc>>,
    /// Maximum number of fires, counted since the scheduler first saw the entry.
    pub times: Option<u32>,
    /// The longest delay of a fire after its fire time.
    pub jitter: TimeDelta,
}

impl Bounds {
    const NONE: Self = Self {
        first: None,
        last: None,
        starts_at: None,
        ends_at: None,
        times: None,
        jitter: TimeDelta::zero(),
    };
}

/// How an entry repeats.
#[derive(Debug, Clone, PartialEq)]
pub enum Recurrence {
    /// A cron expression over the civil time of `zone`.
    Cron {
        /// The expression.
        cron: Cron,
        /// The zone in force: that of the expression, or else of the entry, or else the default.
        zone: Zone,
    },
    /// A fixed interval.
    Every(Every),
    /// A single fire.
    Once(Moment),
    /// The entry never fires on its own.
    Manual,
}

/// An absolute instant, or an instant relative to when the entry was first seen. Whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This instant.
    At(DateTime<Utc>),
    /// This long after the entry was first seen.
    In(TimeDelta),
}

impl Timing {
    /// Creates a timing without bounds.
    pub fn of(recurrence: Recurrence) -> Self {
        Self {
            recurrence,
            bounds: None,
        }
    }

    /// Returns the bounds.
    pub fn bounds(&self) -> &Bounds {
        self.bounds.as_deref().unwrap_or(&Bounds::NONE)
    }

    /// Changes the bounds.
    pub fn bound(&mut self, change: impl FnOnce(&mut Bounds)) {
        let mut bounds = *self.bounds();
        change(&mut bounds);
        self.bounds = (bounds != Bounds::NONE).then(|| Box::new(bounds));
    }

    /// Returns the first fire of an entry that was first seen at `first_seen` and has not fired.
    ///
    /// Returns `None` if only the recurrence decides when the entry fires first.
    pub fn first_fire(&self, first_seen: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let Some(first) = self.bounds().first {
            return Some(first.instant(first_seen));
        }
        match self.recurrence {
            Recurrence::Every(every) => Some(
                self.bounds()
                    .starts_at
                    .unwrap_or_else(|| instant::after(first_seen, every.interval())),
            ),
            Recurrence::Once(moment) => Some(moment.instant(first_seen)),
            Recurrence::Cron { .. } | Recurrence::Manual => None,
        }
    }

    /// Returns the end of the fires, exclusive.
    pub fn end(&self, first_seen: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.bounds().last.map(|last| last.instant(first_seen));
        [last, self.bounds().ends_at].into_iter().flatten().min()
    }

    /// Returns the instant at which the fire for `fire_time` of the entry `name` is due, in milliseconds.
    ///
    /// The delay is spread over the jitter. It depends only on the name and the fire time, so that all schedulers agree.
    pub fn due_at(&self, name: &str, fire_time: DateTime<Utc>) -> DateTime<Utc> {
        let choices = self.bounds().jitter.num_milliseconds().unsigned_abs() + 1;
        if choices == 1 {
            return fire_time;
        }
        let time = fire_time.timestamp().to_le_bytes();
        let mixed = extend(BASIS, name.bytes().chain(time)) % choices;
        let delay = TimeDelta::milliseconds(i64::try_from(mixed).unwrap_or_default());
        instant::after(fire_time, delay)
    }
}

impl Recurrence {
    /// Returns the first fire time later than `after`, in whole seconds.
    ///
    /// Intervals count from `anchor`. Cron expressions ignore it.
    pub fn next_after(&self, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone } => cron.next_after(after, *zone),
            Self::Every(every) => every.next_after(anchor, after),
            Self::Once(_) | Self::Manual => None,
        }
    }
}

impl Moment {
    /// Returns the instant for an entry that was first seen at `first_seen`.
    pub fn instant(self, first_seen: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::In(length) => instant::after(first_seen, length),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recurrence.fmt(f)?;
        if let Some(first) = self.bounds().first {
            write!(f, ", first {first}")?;
        }
        if let Some(last) = self.bounds().last {
            write!(f, ", last {last}")?;
        }
        if let Some(starts_at) = self.bounds().starts_at {
            write!(f, ", from {}", instant::rfc3339(starts_at))?;
        }
        if let Some(ends_at) = self.bounds().ends_at {
            write!(f, ", until {}", instant::rfc3339(ends_at))?;
        }
        if let Some(times) = self.bounds().times {
            write!(f, ", {times} times")?;
        }
        if !self.bounds().jitter.is_zero() {
            write!(f, ", jitter {}", duration::display(self.bounds().jitter))?;
        }
        Ok(())
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { cron, .. } if cron.zone().is_some() => write!(f, "cron {cron}"),
            Self::Cron { cron, zone } => write!(f, "cron {cron} in {zone}"),
            Self::Every(every) => every.fmt(f),
            Self::Once(moment) => write!(f, "once {moment}"),
            Self::Manual => f.write_str("manual"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "at {}", instant::rfc3339(*at)),
            Self::In(length) => write!(f, "in {}", duration::display(*length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn jitter_spreads_fires_and_depends_only_on_the_name_and_the_fire_time() {
        let mut timing = Timing::of(Recurrence::Manual);
        assert_eq!(timing.due_at("a", at(60)), at(60));
        timing.bound(|it| it.jitter = TimeDelta::seconds(30));
        let delay = |name: &str| (timing.due_at(name, at(60)) - at(60)).num_milliseconds();
        let delays: Vec<i64> = (0..1000)
            .map(|number| delay(&format!("job{number}")))
            .collect();
        assert!(delays.iter().all(|delay| (0..=30_000).contains(delay)));
        let late = delays.iter().filter(|delay| **delay > 15_000).count();
        assert!(
            (400..600).contains(&late),
            "{late} of 1000 in the second half"
        );
        assert_eq!(delay("job1"), delay("job1"));
        assert_eq!(delay("reports"), 6_830, "must never change");
    }

    #[test]
    fn a_timing_is_shown_with_all_its_bounds() {
        let mut timing = Timing::of(Recurrence::Every(Every::new(TimeDelta::hours(1)).unwrap()));
        timing.bound(|it| {
            it.first = Some(Moment::In(TimeDelta::minutes(5)));
            it.last = Some(Moment::At(at(0)));
            it.times = Some(3);
            it.jitter = TimeDelta::seconds(30);
        });
        let text = "every 1h, first in 5m, last at 1970-01-01T00:00:00Z, 3 times, jitter 30s";
        assert_eq!(timing.to_string(), text);
    }
}
