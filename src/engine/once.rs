//! `--once`: all that is due now, and then the end.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    core::schedule::Schedule,
    engine::{leadership::Leadership, run::Engine, tick::Tick},
    store::{Store, StoreError},
};

/// Why `--once` did not do all of its work.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another scheduler leads, and does this work.
    #[error("another scheduler is the leader and does this work (waited {waited:?})")]
    NotLeading {
        /// How long we waited.
        waited: Duration,
    },
    /// This host's clock is too far off Redis' clock.
    #[error("{0}")]
    Clock(String),
    /// The lease was lost on the way.
    #[error("the lease was lost; the next leader does the remaining work")]
    LeaseLost,
    /// Some dynamic entries can't be used.
    #[error("not everything was done: {0}")]
    Dynamic(String),
    /// Redis can't take some of it.
    #[error(
        "not everything was done: {entries} entries were rejected, {buckets} buckets are stuck (see the log)"
    )]
    Undone {
        /// Entries whose queue rejects their job, or whose fire is too early by Redis' clock.
        entries: usize,
        /// Buckets that can't be moved, or are too early by Redis' clock.
        buckets: usize,
    },
    /// A signal came first.
    #[error("stopped before everything was done")]
    Stopped,
}

impl<S: Store> Engine<S> {
    /// Enqueues all that is due now, recurring and delayed, as leader, and returns, or stops when
    /// it is told to. Waits for a lease and a second for another leader to go.
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
