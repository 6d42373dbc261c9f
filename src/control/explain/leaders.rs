//! Who was the leader when, as the events say it.

use chrono::{DateTime, Utc};

use crate::store::EventRecord;

/// A time without a leader, as far as the events reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// Since when; `None`: since before the oldest event.
    pub(super) since: Option<DateTime<Utc>>,
    /// Until when; `None`: until now.
    pub(super) until: Option<DateTime<Utc>>,
    /// Who was the leader before, and why it was not any more.
    pub(super) lost_by: Option<(String, Option<String>)>,
    /// Who took over.
    pub(super) taken_by: Option<String>,
}

/// Returns the time without a leader in which `at` is; `None`: there was a leader, or the events do not reach so far. `events`
/// are newest first.
pub(super) fn gap_around(events: &[EventRecord], at: DateTime<Utc>) -> Option<Gap> {
    let is_change = |it: &&EventRecord| TAKEN.contains(&&*it.verb) || ENDED.contains(&&*it.verb);
    let changes: Vec<&EventRecord> = events.iter().filter(is_change).collect();
    let before = changes.iter().find(|it| it.at <= at);
    let after = changes
        .iter()
        .rev()
        .find(|it| it.at > at && TAKEN.contains(&&*it.verb));
    match before {
        Some(event) if TAKEN.contains(&&*event.verb) => {
            // A leader that was killed says nothing: the next one took over without an end of its term.
            let next = changes.iter().rev().find(|it| it.at > at)?;
            let was_killed = TAKEN.contains(&&*next.verb) && next.actor != event.actor;
            was_killed.then(|| Gap {
                since: None,
                until: Some(next.at),
                lost_by: Some((event.actor.clone(), None)),
                taken_by: Some(next.actor.clone()),
            })
        }
        Some(event) => Some(Gap {
            since: Some(event.at),
            until: after.map(|it| it.at),
            lost_by: Some((event.actor.clone(), event.reason.clone())),
            taken_by: after.map(|it| it.actor.clone()),
        }),
        None => after.map(|it| Gap {
            since: None,
            until: Some(it.at),
            lost_by: None,
            taken_by: Some(it.actor.clone()),
        }),
    }
}

/// Returns who was the leader at `at`, as far as the events reach. `events` are newest first.
pub(super) fn leader_at(events: &[EventRecord], at: DateTime<Utc>) -> Option<&str> {
    let mut before = events.iter().filter(|it| it.at <= at);
    let last = before.find(|it| TAKEN.contains(&&*it.verb) || ENDED.contains(&&*it.verb))?;
    TAKEN.contains(&&*last.verb).then_some(&*last.actor)
}

/// Events with which a leader's term begins, and ends.
const TAKEN: [&str; 1] = ["took_lease"];
const ENDED: [&str; 2] = ["lost_lease", "released_lease"];

#[cfg(test)]
mod tests {
    use super::*;

    fn events(list: &[(i64, &str, &str)]) -> Vec<EventRecord> {
        let event = |(at, actor, verb): &(i64, &str, &str)| EventRecord {
            at: DateTime::from_timestamp(*at, 0).unwrap(),
            actor: (*actor).to_owned(),
            verb: (*verb).to_owned(),
            target: None,
            reason: Some("Redis unavailable".to_owned()),
            count: None,
        };
        list.iter().rev().map(event).collect()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_gap_is_between_the_end_of_a_term_and_the_next_one() {
        let events = events(&[
            (10, "a", "took_lease"),
            (20, "a", "lost_lease"),
            (50, "b", "took_lease"),
        ]);
        assert_eq!(gap_around(&events, at(15)), None);
        let gap = gap_around(&events, at(30)).unwrap();
        assert_eq!((gap.since, gap.until), (Some(at(20)), Some(at(50))));
        assert_eq!(
            gap.lost_by,
            Some(("a".to_owned(), Some("Redis unavailable".to_owned())))
        );
        assert_eq!(gap.taken_by.as_deref(), Some("b"));
        assert_eq!(gap_around(&events, at(60)), None);
        assert_eq!(leader_at(&events, at(15)), Some("a"));
        assert_eq!(leader_at(&events, at(30)), None);
        assert_eq!(leader_at(&events, at(60)), Some("b"));
    }

    #[test]
    fn a_killed_leader_leaves_a_gap_whose_beginning_is_not_known() {
        let events = events(&[(10, "a", "took_lease"), (50, "b", "took_lease")]);
        let gap = gap_around(&events, at(30)).unwrap();
        assert_eq!((gap.since, gap.until), (None, Some(at(50))));
        assert_eq!(gap.lost_by, Some(("a".to_owned(), None)));
    }

    #[test]
    fn before_the_first_event_nobody_is_known() {
        let events = events(&[(10, "a", "took_lease"), (20, "a", "released_lease")]);
        assert_eq!(gap_around(&events, at(5)).unwrap().until, Some(at(10)));
        assert_eq!(gap_around(&events, at(25)).unwrap().until, None);
        assert_eq!(gap_around(&[], at(25)), None);
        assert_eq!(leader_at(&events, at(5)), None);
    }
}
