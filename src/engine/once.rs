//! `--once`: enqueues everything that is due now and returns.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    core::schedule::Schedule,
    engine::{leadership::Leadership, run::Engine, tick::Tick},
    store::{Store, StoreError},
};

/// Reasons why `--once` did not do all of its work.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// A call to Redis failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another scheduler is the leader and does this work.
    #[error("another scheduler is the leader and does this work (waited {waited:?})")]
    NotLeading {
        /// How long this process waited for the lease.
        waited: Duration,
    },
    /// This host's clock is too far off Redis's.
    #[error("{0}")]
    Clock(String),
    /// The lease was lost before everything was done.
    #[error("the lease was lost; the next leader does the remaining work")]
    LeaseLost,
    /// Some dynamic entries are invalid or could not be read.
    #[error("not everything was done: {0}")]
    Dynamic(String),
    /// Redis rejected some of the jobs.
    #[error(
        "not everything was done: {entries} entries were rejected, {buckets} buckets are stuck (see the log)"
    )]
    Undone {
        /// Number of entries whose queue rejects their job, or whose fire is too early by Redis's clock.
        entries: usize,
        /// Number of buckets that cannot be moved, or that are too early by Redis's clock.
        buckets: usize,
    },
    /// `stop` was cancelled before everything was done.
    #[error("stopped before everything was done")]
    Stopped,
}

impl<S: Store> Engine<S> {
    /// Enqueues all recurring and delayed jobs that are due now, and returns. Takes the lease first, and waits for
    /// the length of a lease plus a second if another process holds it. Returns early if `stop` is cancelled.
    ///
    /// # Errors
    /// [`OnceError`].
    pub async fn run_once(
        self,
        schedule: &Schedule,
        stop: CancellationToken,
    ) -> Result<(), OnceError> {
        let mut leadership = self.leadership(vec![]);
        let done = tokio::select! {
            () = stop.cancelled() => Err(OnceError::Stopped),
            done = self.do_once(&mut leadership, schedule) => done,
        };
        leadership.release().await;
        done
    }

    async fn do_once(
        &self,
        leadership: &mut Leadership<S>,
        schedule: &Schedule,
    ) -> Result<(), OnceError> {
        let waited = self.options.lease + Duration::from_secs(1);
        let started = self.clock.monotonic();
        let term = loop {
            let pause = leadership.attempt().await?;
            if let Some(term) = leadership.term() {
                break term;
            }
            if let Some(why) = leadership.why_not_leading() {
                return Err(OnceError::Clock(why));
            }
            if self.clock.monotonic() - started > waited {
                return Err(OnceError::NotLeading { waited });
            }
            tokio::time::sleep(pause).await;
        };
        let now = self.clock.now();
        let recurring = self.recurring().keeping_all().unbounded();
        let (mut recurring, mut delayed) = (recurring, self.delayed());
        let schedule = Arc::new(schedule.clone());
        let mut tick = recurring.pass(term, Arc::clone(&schedule), now).await?;
        while tick == Tick::More && leadership.keep().await? {
            tick = recurring.pass(term, Arc::clone(&schedule), now).await?;
        }
        while tick != Tick::LeaseLost && leadership.keep().await? {
            tick = delayed.tick(now).await?;
            if let Tick::Done { .. } = tick {
                return match (recurring.rejected(), delayed.undone()) {
                    (0, 0) => recurring
                        .dynamic_trouble()
                        .map_or(Ok(()), |trouble| Err(OnceError::Dynamic(trouble))),
                    (entries, buckets) => Err(OnceError::Undone { entries, buckets }),
                };
            }
        }
        Err(OnceError::LeaseLost)
    }
}
