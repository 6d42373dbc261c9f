//! Remembers which due buckets cannot be moved completely, and the place behind them.
//!
//! Any number of buckets may be stuck, with any number of items that stay at their heads, and these buckets are the
//! oldest. Looking at all of them every second would cost Redis more than all other work. So the loop starts behind
//! them. From time to time, when nothing else is due, it tries all of them again, batch by batch.

use std::{collections::HashSet, mem};

use crate::store::{Due, Passed, Place};

/// Average number of stuck buckets, or of items that stay in them, that are tried again per second.
const AGAIN_PER_SECOND: u64 = 1_000;

/// Seconds between two attempts if a stuck bucket has an item that is too large, because Redis takes long to return
/// its size.
const AGAIN_IF_LARGE: u64 = 10;

/// Name of a bucket in the sorted set.
type Member = Vec<u8>;

/// The buckets that cannot be moved.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    /// All stuck buckets.
    members: HashSet<Member>,
    /// Number of items that stay in them, as far as they were counted.
    items: usize,
    /// The bucket that was found first, and why it is stuck.
    first: Option<(Member, String)>,
    /// Place behind the stuck buckets. Everything before it is stuck.
    past: Option<Place>,
    /// Number of known buckets with lower scores than this place.
    known_before: usize,
    /// Whether a stuck bucket has an item that is too large.
    large: bool,
    again: Again,
    /// When the last attempt to move them again began, in Unix seconds.
    begun_at: Option<i64>,
}

/// An attempt to move all stuck buckets again.
#[derive(Debug, Default)]
struct Again {
    goes_on: bool,
    /// Buckets that are still stuck, up to `past`.
    members: HashSet<Member>,
    items: usize,
    first: Option<(Member, String)>,
    past: Option<Place>,
    large: bool,
}

/// Outcome of a batch, as far as it concerns stuck buckets.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Buckets that cannot be moved, with the reason.
    pub(super) stuck: Vec<(Member, String)>,
    /// Whether one of these buckets has an item that is too large.
    pub(super) large: bool,
    /// Number of items that stay in them, without those that were passed over.
    pub(super) stayed: usize,
    /// Number of buckets of which nothing is left, as far as is known.
    pub(super) gone: usize,
    /// Whether buckets have items that can still be moved, other than the last bucket of a full batch.
    pub(super) rest: bool,
    /// The items that stay at the head of the last bucket, if it has more items behind them.
    pub(super) inside: Option<Passed>,
}

impl Stuck {
    /// Returns the number of stuck buckets.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns the bucket that was found first, and why it is stuck.
    pub(super) fn first(&self) -> Option<&(Member, String)> {
        self.first.as_ref()
    }

    /// Returns the place at which to look for buckets that are not stuck.
    pub(super) fn past(&self) -> Option<&Place> {
        self.past.as_ref()
    }

    /// Returns the number of known buckets with lower scores than that place.
    pub(super) fn known_before(&self) -> usize {
        self.known_before
    }

    /// Sets that number after the caller has counted the buckets.
    pub(super) fn set_known_before(&mut self, count: usize) {
        self.known_before = count;
    }

    /// Whether a bucket was stuck when it was last looked at.
    pub(super) fn is_known(&self, member: &Member) -> bool {
        self.members.contains(member)
    }

    /// Whether it is time to try the stuck buckets again.
    pub(super) fn is_time(&self, now: i64) -> bool {
        let least = if self.large { AGAIN_IF_LARGE } else { 1 };
        let between = least.max(self.members.len().max(self.items) as u64 / AGAIN_PER_SECOND);
        let waited = |at: i64| now.abs_diff(at) >= between;
        self.len() > 0 && (self.again.goes_on || self.begun_at.is_none_or(waited))
    }

    /// Starts or continues to try the stuck buckets again. Returns the place at which to continue.
    pub(super) fn begin_again(&mut self, now: i64) -> Option<&Place> {
        if !self.again.goes_on {
            self.again = Again {
                goes_on: true,
                ..Again::default()
            };
            self.begun_at = Some(now);
        }
        self.again.past.as_ref()
    }

    /// Records a batch that was read from [`Self::past`]. Returns the buckets that are stuck now and were not
    /// before.
    pub(super) fn note(&mut self, due: &Due, batch: Batch) -> Vec<(Member, String)> {
        let place = behind(due, &batch);
        let new = self.add(batch);
        if let Some(place) = place {
            self.move_past(place);
        }
        new
    }

    /// Records a batch of buckets before that place. Returns the buckets that are stuck now and were not before.
    pub(super) fn note_before(&mut self, batch: Batch) -> Vec<(Member, String)> {
        let new = self.add(batch);
        self.known_before += new.len();
        new
    }

    fn add(&mut self, batch: Batch) -> Vec<(Member, String)> {
        if self.first.is_none() {
            self.first = batch.stuck.first().cloned();
        }
        self.large |= batch.large;
        self.items += batch.stayed;
        let mut new = batch.stuck;
        new.retain(|(member, _)| self.members.insert(member.clone()));
        new
    }

    /// Moves the place. Everything before `place` is stuck.
    fn move_past(&mut self, place: Place) {
        // A bucket that has further items to look at is at the place, not before it.
        let looked_into = usize::from(!place.member.is_empty());
        let not_before = place.before + looked_into;
        self.known_before = self.members.len().saturating_sub(not_before);
        self.past = Some(place);
    }

    /// Records a batch of buckets that were tried again. Returns the buckets that are stuck now and were not
    /// before, and whether more stuck buckets are to be tried.
    pub(super) fn note_again(&mut self, due: &Due, batch: Batch) -> (Vec<(Member, String)>, bool) {
        let again = &mut self.again;
        if let Some(place) = behind(due, &batch) {
            again.past = Some(place);
        }
        if again.first.is_none() {
            again.first = batch.stuck.first().cloned();
        }
        again.large |= batch.large;
        again.items += batch.stayed;
        again.goes_on = due.full || batch.rest;
        let mut new = batch.stuck;
        new.retain(|(member, _)| {
            again.members.insert(member.clone());
            self.members.insert(member.clone())
        });
        let goes_on = again.goes_on;
        if !goes_on {
            // The buckets that were not found again were moved or removed.
            let found = mem::take(again);
            self.members = found.members;
            self.items = found.items;
            self.first = found.first;
            self.past = None;
            if let Some(place) = found.past {
                self.move_past(place);
            }
            self.large = found.large;
        }
        (new, goes_on)
    }

    /// Forgets the place, because Redis may have other buckets now.
    pub(super) fn lose_place(&mut self) {
        self.past = None;
        self.items = 0;
        self.again = Again::default();
    }

    /// Starts at the oldest bucket again before anything else, and finds out which buckets are still stuck.
    pub(super) fn start_over(&mut self) {
        self.lose_place();
        self.begun_at = None;
    }
}

/// Returns the place behind a batch with stuck buckets, or `None` if the batch is to be read again.
fn behind(due: &Due, batch: &Batch) -> Option<Place> {
    let last = due.last.as_ref()?;
    if batch.stuck.is_empty() || batch.rest {
        return None;
    }
    let is_stuck = batch.stuck.iter().any(|(member, _)| *member == last.member);
    let is_passed = is_stuck && batch.inside.is_none();
    // Buckets with equal scores are rare. If there are any, some of the buckets that are gone may have had another
    // score.
    let before = (last.before + usize::from(is_passed)).saturating_sub(match last.before {
        0 => 0,
        _ => batch.gone,
    });
    let score = last.score.clone();
    Some(match &batch.inside {
        Some(passed) => Place {
            score,
            before,
            member: last.member.clone(),
            items: passed.items,
            staying: Some(passed.last.clone()),
        },
        None => Place {
            score,
            before,
            member: vec![],
            items: 0,
            staying: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(score: i64, before: usize, full: bool) -> Due {
        let last = Place {
            score: score.to_string(),
            before,
            member: score.to_string().into_bytes(),
            items: 0,
            staying: None,
        };
        Due {
            last: Some(last),
            full,
            ..Due::default()
        }
    }

    fn stuck(members: impl IntoIterator<Item = i64>) -> Batch {
        let stuck = |member: i64| (member.to_string().into_bytes(), "why".to_owned());
        Batch {
            stuck: members.into_iter().map(stuck).collect(),
            ..Batch::default()
        }
    }

    fn place(stuck: &Stuck) -> Option<(&str, usize)> {
        let past = stuck.past()?;
        Some((&past.score, past.before))
    }

    #[test]
    fn the_next_look_begins_behind_stuck_buckets() {
        let mut all = Stuck::default();
        assert_eq!(all.note(&due(3, 0, true), stuck(1..=3)).len(), 3);
        assert_eq!(place(&all), Some(("3", 1)));
        // The last bucket has more items, and is not stuck.
        assert_eq!(all.note(&due(5, 0, true), stuck([4])).len(), 1);
        assert_eq!(place(&all), Some(("5", 0)));
        // Nothing is stuck.
        all.note(&due(9, 0, true), stuck([]));
        assert_eq!(place(&all), Some(("5", 0)));
        // One bucket still has items that can be moved.
        let rest = Batch {
            rest: true,
            ..stuck([10])
        };
        all.note(&due(11, 0, true), rest);
        assert_eq!(place(&all), Some(("5", 0)));
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn the_next_look_begins_behind_items_that_stay_if_there_may_be_more() {
        let mut all = Stuck::default();
        let passed = Passed {
            items: 300,
            last: b"item".to_vec(),
        };
        let inside = Batch {
            inside: Some(passed),
            stayed: 300,
            ..stuck([3])
        };
        all.note(&due(3, 0, true), inside);
        let past = all.past().unwrap();
        assert_eq!(
            (&past.member[..], past.before, past.items),
            (&b"3"[..], 0, 300)
        );
        assert_eq!(past.staying.as_deref(), Some(&b"item"[..]));
        all.note(&due(3, 0, false), stuck([3]));
        assert_eq!(place(&all), Some(("3", 1)));
    }

    #[test]
    fn many_items_that_stay_are_tried_again_rarely() {
        let mut all = Stuck::default();
        let batch = || Batch {
            stayed: 50_000,
            ..stuck([1])
        };
        all.note(&due(1, 0, false), batch());
        all.begin_again(0);
        all.note_again(&due(1, 0, false), batch());
        assert!(!all.is_time(49) && all.is_time(50));
        all.start_over();
        assert!(all.past().is_none() && all.is_time(1));
    }

    #[test]
    fn buckets_that_are_gone_do_not_count_among_those_of_one_score() {
        let mut all = Stuck::default();
        let batch = Batch {
            gone: 2,
            ..stuck([7])
        };
        all.note(&due(7, 5, true), batch);
        assert_eq!(place(&all), Some(("7", 4)));
    }

    #[test]
    fn trying_again_finds_buckets_that_are_no_longer_stuck() {
        let mut all = Stuck::default();
        assert!(!all.is_time(100));
        all.note(&due(3, 0, false), stuck(1..=3));
        assert!(all.is_time(100));
        assert_eq!(all.begin_again(100), None);
        let (new, goes_on) = all.note_again(&due(1, 0, true), stuck([1]));
        assert!(new.is_empty() && goes_on);
        assert!(all.is_time(100), "not all were tried");
        assert_eq!(all.begin_again(100).unwrap().score, "1");
        assert_eq!(all.len(), 3, "until it is known better");
        let (new, goes_on) = all.note_again(&due(4, 0, false), stuck([4]));
        assert!(new.len() == 1 && !goes_on);
        assert_eq!(all.len(), 2);
        assert!(!all.is_time(100) && all.is_time(101) && all.is_time(-5));
    }

    #[test]
    fn items_that_are_too_large_are_tried_again_rarely() {
        let mut all = Stuck::default();
        let large = |score| Batch {
            large: true,
            ..stuck([score])
        };
        all.note(&due(1, 0, false), large(1));
        all.begin_again(0);
        all.note_again(&due(1, 0, false), large(1));
        assert!(!all.is_time(9) && all.is_time(10));
        all.begin_again(10);
        all.note_again(&due(2, 0, false), stuck([2]));
        assert!(all.is_time(11));
    }

    #[test]
    fn many_stuck_buckets_are_tried_again_rarely() {
        let mut all = Stuck::default();
        all.note(&due(100_000, 0, false), stuck(0..100_000));
        all.begin_again(0);
        all.note_again(&due(100_000, 0, false), stuck(0..100_000));
        assert!(!all.is_time(99) && all.is_time(100));
    }
}
