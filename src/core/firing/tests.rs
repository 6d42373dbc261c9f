//! Which fire is next: on time, missed, bounded, jittered, and after clock steps.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use crate::core::{
    firing::{
        decide::{Decision, GRACE, decide},
        history::{History, Progress},
    },
    job::Job,
    schedule::{
        entry::{CatchUp, CatchUpPolicy, Entry, Origin},
        overlap::Guard,
    },
    time::{
        every::Every,
        timing::{Moment, Recurrence, Timing},
        zone::Zone,
    },
};

fn every(interval: i64) -> Timing {
    Timing::of(Recurrence::Every(
        Every::new(TimeDelta::seconds(interval)).unwrap(),
    ))
}

/// Returns an entry that fires every `interval` seconds, with a catch-up window of 300 s.
fn entry(interval: i64, policy: CatchUpPolicy) -> Entry {
    Entry {
        name: "e".into(),
        timing: every(interval),
        zone: Zone::UTC,
        job: Job::new("C", "q", "[]", false),
        catch_up: CatchUp {
            policy,
            window: TimeDelta::seconds(300),
        },
        guard: Guard::default(),
        description: None,
        origin: Origin::Dynamic,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// Decides until nothing is due at `now`, after a last fire at 0.
///
/// Returns the fire times that fired and the ranges of missed fire times.
fn decide_all(entry: &Entry, now: DateTime<Utc>) -> (Vec<i64>, Vec<(i64, i64)>) {
    let (mut fired, mut missed) = (vec![], vec![]);
    let history = History {
        first_seen: at(0),
        last_fire: Some(at(0)),
        fires: 0,
        enqueued_elsewhere: None,
        returned: None,
    };
    let mut progress = Progress::resume(&entry.timing, history);
    loop {
        match decide(entry, progress, now) {
            Decision::Fire(fire_time) => {
                fired.push(fire_time.timestamp());
                progress.fired(fire_time);
            }
            Decision::Missed { first, last } => {
                missed.push((first.timestamp(), last.timestamp()));
                progress.advance_to(last);
            }
            Decision::Wait { next } => {
                assert!(next.is_none_or(|next| entry.due_at(next) > now));
                return (fired, missed);
            }
        }
    }
}

#[track_caller]
fn case(interval: i64, policy: CatchUpPolicy, now: i64, fired: &[i64], missed: &[(i64, i64)]) {
    let now = at(now) + TimeDelta::milliseconds(900);
    let decided = decide_all(&entry(interval, policy), now);
    assert_eq!(decided, (fired.to_vec(), missed.to_vec()));
}

#[test]
fn a_fire_that_is_on_time_fires_under_every_catch_up_policy() {
    for policy in [
        CatchUpPolicy::Latest,
        CatchUpPolicy::All,
        CatchUpPolicy::None,
    ] {
        case(60, policy, 59, &[], &[]);
        case(60, policy, 60, &[60], &[]);
        case(60, policy, 65, &[60], &[]);
        case(1, policy, 3, &[1, 2, 3], &[]);
    }
}

#[test]
fn latest_catches_up_the_newest_missed_fire_within_the_window() {
    let latest = CatchUpPolicy::Latest;
    case(60, latest, 200, &[180], &[(60, 179)]);
    case(60, latest, 183, &[180], &[(60, 177)]);
    case(1000, latest, 1300, &[1000], &[]);
    case(1000, latest, 1301, &[], &[(1000, 1295)]);
    case(7, latest, 1_000_000, &[999_999], &[(7, 999_994)]);
}

#[test]
fn the_newest_missed_fire_of_an_entry_that_ended_long_ago_is_found_at_once() {
    let mut entry = entry(1, CatchUpPolicy::Latest);
    entry.catch_up.window = TimeDelta::days(36_500);
    let end = at(4_000_000_000);
    entry.timing.bound(|it| it.ends_at = Some(end));
    let second = TimeDelta::seconds(1);
    let last = decide_all(&entry, at(7_000_000_000)).0;
    assert_eq!(last, [(end - second).timestamp()]);
}

#[test]
fn all_catches_up_every_missed_fire_within_the_window() {
    let all = CatchUpPolicy::All;
    case(60, all, 200, &[60, 120, 180], &[]);
    case(60, all, 480, &[180, 240, 300, 360, 420, 480], &[(60, 179)]);
    case(1000, all, 1301, &[], &[(1000, 1295)]);
}

#[test]
fn none_catches_up_no_missed_fire() {
    let none = CatchUpPolicy::None;
    case(60, none, 70, &[], &[(60, 64)]);
    case(60, none, 122, &[120], &[(60, 116)]);
}

#[test]
fn an_entry_that_is_first_seen_has_missed_nothing() {
    let timing = entry(60, CatchUpPolicy::All).timing;
    let resume = |first_seen, last_fire: Option<i64>| {
        let history = History {
            first_seen: at(first_seen) + TimeDelta::milliseconds(500),
            last_fire: last_fire.map(at),
            fires: 0,
            enqueued_elsewhere: None,
            returned: None,
        };
        Progress::resume(&timing, history).next(&timing)
    };
    assert_eq!(resume(1000, None), Some(at(1060)));
    // Fired long ago, removed, and back since 1000: the rhythm stays, and fires in the gap are not missed.
    assert_eq!(resume(1000, Some(10)), Some(at(1030)));
    assert_eq!(resume(10, Some(1000)), Some(at(1060)));
}

#[test]
fn an_entry_that_another_scheduler_enqueued_continues_in_its_rhythm() {
    let next = |timing: &Timing, last_fire: Option<i64>| {
        let history = History {
            first_seen: at(1000),
            last_fire: last_fire.map(at),
            fires: 0,
            enqueued_elsewhere: Some(at(910)),
            returned: None,
        };
        Progress::resume(timing, history).next(timing)
    };
    let mut timing = every(60);
    assert_eq!(next(&timing, None), Some(at(970)));
    assert_eq!(next(&timing, Some(1020)), Some(at(1080)));
    // This scheduler fired before the other one did, in another rhythm.
    assert_eq!(next(&timing, Some(880)), Some(at(1030)));
    timing.bound(|it| it.first = Some(Moment::In(TimeDelta::seconds(5))));
    assert_eq!(next(&timing, None), Some(at(1005)));
}

#[test]
fn after_the_clock_goes_back_an_entry_waits_for_its_next_fire_time() {
    let entry = entry(60, CatchUpPolicy::All);
    let history = History {
        first_seen: at(0),
        last_fire: Some(at(3600)),
        fires: 0,
        enqueued_elsewhere: None,
        returned: None,
    };
    let progress = Progress::resume(&entry.timing, history);
    let wait = Decision::Wait {
        next: Some(at(3660)),
    };
    assert_eq!(decide(&entry, progress, at(60)), wait);
}

/// Returns the next fires, three at most, of an hourly entry first seen at 10,000, with the bounds that `bound` sets.
fn bounded(last_fire: Option<i64>, fires: u32, bound: impl Fn(&mut Timing)) -> Vec<i64> {
    let mut timing = every(3600);
    bound(&mut timing);
    let history = History {
        first_seen: at(10_000),
        last_fire: last_fire.map(at),
        fires,
        enqueued_elsewhere: None,
        returned: None,
    };
    let mut progress = Progress::resume(&timing, history);
    let next = || {
        let next = progress.next(&timing)?;
        progress.fired(next);
        Some(next.timestamp())
    };
    std::iter::from_fn(next).take(3).collect()
}

#[test]
fn an_interval_first_fires_at_its_named_first_fire_or_after_one_interval() {
    let first = |last_fire, moment| {
        bounded(last_fire, 0, |timing| {
            timing.bound(|it| it.first = Some(moment));
        })
    };
    assert_eq!(bounded(None, 0, |_| {}), [13_600, 17_200, 20_800]);
    let soon = Moment::In(TimeDelta::seconds(60));
    assert_eq!(first(None, soon), [10_060, 13_660, 17_260]);
    assert_eq!(
        first(None, Moment::In(TimeDelta::zero()))[0],
        10_000,
        "at once"
    );
    assert_eq!(
        first(Some(10_060), soon)[0],
        13_660,
        "not again after a restart"
    );
    let at_once = Moment::In(TimeDelta::zero());
    assert_eq!(first(Some(9_000), at_once)[0], 10_000);
    assert_eq!(
        first(Some(9_000), soon)[0],
        10_060,
        "the timing is new, and the first fire is later than the last one of the old timing"
    );
    assert_eq!(first(None, Moment::At(at(50_000)))[0], 50_000);
    assert_eq!(
        first(None, Moment::At(at(1_000)))[0],
        11_800,
        "intervals count from it although it is long past"
    );
}

#[test]
fn no_fire_is_before_the_start_or_at_or_after_the_end() {
    let start = |start| {
        bounded(None, 0, |timing| {
            timing.bound(|it| it.starts_at = Some(at(start)));
        })
    };
    assert_eq!(start(20_000), [20_000, 23_600, 27_200]);
    assert_eq!(start(9_000)[0], 12_600, "counted from the start");
    let last = |last| bounded(None, 0, |timing| timing.bound(|it| it.last = Some(last)));
    assert_eq!(last(Moment::At(at(17_200))), [13_600], "exclusive");
    assert_eq!(
        last(Moment::In(TimeDelta::seconds(7_201))),
        [13_600, 17_200]
    );
    assert_eq!(
        bounded(None, 0, |timing| timing
            .bound(|it| it.ends_at = Some(at(13_600)))),
        [0; 0]
    );
}

#[test]
fn an_entry_fires_at_most_times_times() {
    let times = |fires| {
        bounded(Some(13_600), fires, |timing| {
            timing.bound(|it| it.times = Some(3));
        })
    };
    assert_eq!(times(1), [17_200, 20_800]);
    assert_eq!(times(3), [0; 0]);
}

#[test]
fn an_entry_with_at_or_in_fires_once() {
    let once = |last_fire, moment| {
        bounded(last_fire, 0, |timing| {
            timing.recurrence = Recurrence::Once(moment);
        })
    };
    assert_eq!(once(None, Moment::At(at(20_000))), [20_000]);
    assert_eq!(once(Some(20_000), Moment::At(at(20_000))), [0; 0]);
    assert_eq!(
        once(None, Moment::At(at(5_000))),
        [0; 0],
        "first seen after its only fire time"
    );
    assert_eq!(once(None, Moment::In(TimeDelta::seconds(60))), [10_060]);
    assert_eq!(
        once(Some(10_060), Moment::In(TimeDelta::seconds(60))),
        [0; 0]
    );
}

#[test]
fn with_jitter_longer_than_the_interval_no_fire_that_is_on_time_is_missed() {
    let mut entry = entry(20, CatchUpPolicy::Latest);
    entry.timing.bound(|it| it.jitter = TimeDelta::seconds(60));
    for now in (300..400).map(at) {
        let (fired, missed) = decide_all(&entry, now);
        let given_up = missed.last().map_or(0, |(_, last)| *last);
        let on_time = (now - GRACE - entry.timing.bounds().jitter).timestamp();
        assert!(given_up < on_time, "{now}: {fired:?} {missed:?}");
    }
}

#[test]
fn a_fire_that_jitter_delays_is_neither_early_nor_missed() {
    let mut entry = entry(60, CatchUpPolicy::None);
    entry.timing.bound(|it| it.jitter = TimeDelta::seconds(30));
    let due = entry.due_at(at(60));
    let early = due - TimeDelta::milliseconds(1);
    assert_eq!(decide_all(&entry, early).0, [0; 0]);
    assert_eq!(decide_all(&entry, due).0, [60]);
    assert_eq!(decide_all(&entry, at(90) + GRACE).0, [60]);
    assert_eq!(decide_all(&entry, at(97)), (vec![], vec![(60, 61)]));
}

proptest! {
    #[test]
    fn no_history_and_no_length_causes_an_overflow(
        [first_seen, last_fire, elsewhere, returned, now] in any::<[i64; 5]>(),
        [window, jitter, first, interval] in any::<[u64; 4]>(),
        policy in 0..3_usize,
    ) {
        let instant = |seconds: i64| DateTime::from_timestamp(seconds >> seconds.rem_euclid(64), 0);
        let length = |seconds: u64| {
            let seconds = i64::try_from(seconds >> (1 + seconds % 63)).unwrap();
            TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX)
        };
        let interval = length(interval).max(TimeDelta::seconds(1));
        let every = Every::new(TimeDelta::seconds(interval.num_seconds())).unwrap();
        let mut entry = entry(1, [CatchUpPolicy::Latest, CatchUpPolicy::All, CatchUpPolicy::None][policy]);
        entry.timing = Timing::of(Recurrence::Every(every));
        entry.timing.bound(|it| {
            it.jitter = length(jitter);
            it.first = Some(Moment::In(length(first)));
            it.starts_at = instant(first_seen);
        });
        entry.catch_up.window = length(window);
        let history = History {
            first_seen: instant(first_seen).unwrap_or(DateTime::<Utc>::MIN_UTC),
            last_fire: instant(last_fire),
            fires: 0,
            returned: instant(returned),
            enqueued_elsewhere: instant(elsewhere),
        };
        let progress = Progress::resume(&entry.timing, history);
        decide(&entry, progress, instant(now).unwrap_or(DateTime::<Utc>::MAX_UTC));
    }
}
