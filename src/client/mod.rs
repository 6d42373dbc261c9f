//! The client for apps. It enqueues jobs now or later, and sets and removes dynamic entries.

mod active_job;
mod arguments;
mod schedules;

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

pub use self::{active_job::ActiveJob, arguments::ClientError};
use crate::{
    client::arguments::checked,
    clock::{Clock, SystemClock},
    core::job::{active_job::WRAPPER, payload},
    store::{Address, Console, Credentials, Keys, StoreError},
};

/// Enqueues jobs for Resque workers, now or later, with the keys and bytes of Resque 3.0 and
/// resque-scheduler 5.0.
///
/// Arguments can be anything that serde writes as JSON. An array, tuple or `Vec` is the argument list. A struct,
/// map, string, number or boolean is the only argument. `()` is an empty list.
///
/// Arguments on which a Ruby worker would exit are rejected: arrays and objects nested more than 98 levels deep,
/// including the argument list (96 levels for an [`ActiveJob`]); and, in JSON that you pass as a
/// [`serde_json::value::RawValue`], half a surrogate pair or a number such as `1e400`.
///
/// Cheap to clone. Clones share one connection, which reopens itself after it breaks.
///
/// ```
/// # use rescue_scheduler::store::{Listen, PrivateServer};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = PrivateServer::start(Listen::Socket)?;
/// # let redis_url = server.url();
/// use chrono::{DateTime, TimeDelta};
/// use rescue_scheduler::client::Client;
///
/// let client = Client::open(redis_url, "resque")?;
/// client.enqueue("mail", "WelcomeMail", &("ada@example.com", 42)).await?;
/// client.enqueue_in(TimeDelta::hours(1), "mail", "Reminder", &["ada@example.com"]).await?;
/// let new_year: DateTime<chrono::Utc> = "2099-01-01T00:00:00Z".parse()?;
/// client.enqueue_at(new_year, "reports", "Reports::Yearly", &()).await?;
/// # Ok(())
/// # }
/// ```
///
/// A Rails app mostly uses jobs of ActiveJob. An [`ActiveJob`] describes one:
///
/// ```
/// # use rescue_scheduler::store::{Listen, PrivateServer};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = PrivateServer::start(Listen::Socket)?;
/// # let redis_url = server.url();
/// use chrono::TimeDelta;
/// use rescue_scheduler::client::{ActiveJob, Client};
/// use serde_json::json;
///
/// let client = Client::open(redis_url, "resque")?;
/// // ReportJob.set(queue: "reports", wait: 1.hour).perform_later("all", :daily, region: "eu")
/// let job = ActiveJob::new("reports", "ReportJob", &("all", json!({"symbol": "daily"})))?
///     .kwargs(&json!({"region": "eu"}))?;
/// client.enqueue_active_job_in(TimeDelta::hours(1), &job).await?;
/// println!("enqueued job {}", job.id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    console: Console,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Creates a client for the Redis at `url` (see [`Address::parse`]). Sends nothing yet.
    ///
    /// `namespace` is that of the Resque installation, usually `resque`.
    ///
    /// # Errors
    /// [`StoreError::Address`] and [`StoreError::NoHashTag`].
    pub fn open(url: &str, namespace: &str) -> Result<Self, StoreError> {
        Self::at(&Address::parse(url, Credentials::default())?, namespace)
    }

    /// Creates a client for an address that needs more than a URL, such as certificates or a password for the
    /// sentinels.
    ///
    /// # Errors
    /// [`StoreError::NoHashTag`].
    pub fn at(address: &Address, namespace: &str) -> Result<Self, StoreError> {
        Ok(Self::of(Console::open(
            address,
            Keys::new(namespace, None),
        )?))
    }

    /// A client that shares a connection.
    pub(crate) fn of(console: Console) -> Self {
        let clock = Arc::new(SystemClock);
        Self { console, clock }
    }

    /// Returns the same client, reading the time from `clock` instead of this host, for tests.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        let clock = Arc::new(clock);
        Self { clock, ..self }
    }

    /// Enqueues a job of `class` at the end of `queue` now, in one transaction.
    ///
    /// # Errors
    /// [`ClientError::Nameless`], [`ClientError::Arguments`] and [`ClientError::Store`].
    pub async fn enqueue(
        &self,
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let arguments = checked(queue, class, arguments)?;
        self.push(queue, class, &arguments).await
    }

    /// Enqueues a job at `at` (cut to whole seconds), in one transaction. Enqueues it now if `at` is not in the
    /// future.
    ///
    /// # Errors
    /// [`ClientError::Nameless`], [`ClientError::Arguments`] and [`ClientError::Store`].
    pub async fn enqueue_at(
        &self,
        at: DateTime<Utc>,
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let arguments = checked(queue, class, arguments)?;
        let now = self.clock.now();
        self.delay(at, now, queue, class, &arguments).await
    }

    /// Enqueues a job after `delay`, by this host's clock. Enqueues it now if `delay` is not positive.
    ///
    /// # Errors
    /// [`ClientError::Nameless`], [`ClientError::Arguments`] and [`ClientError::Store`].
    pub async fn enqueue_in(
        &self,
        delay: TimeDelta,
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let at = later(self.clock.now(), delay);
        self.enqueue_at(at, queue, class, arguments).await
    }

    /// Enqueues an ActiveJob now, as `perform_later` does.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn enqueue_active_job(&self, job: &ActiveJob) -> Result<(), ClientError> {
        let arguments = job.wrapped(self.clock.now(), None);
        self.push(job.queue(), WRAPPER, &arguments).await
    }

    /// Enqueues an ActiveJob at `at` (cut to whole seconds), as `set(wait_until: at).perform_later` does.
    ///
    /// Enqueues it now if `at` is not in the future.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn enqueue_active_job_at(
        &self,
        at: DateTime<Utc>,
        job: &ActiveJob,
    ) -> Result<(), ClientError> {
        let now = self.clock.now();
        let arguments = job.wrapped(now, Some(at));
        self.delay(at, now, job.queue(), WRAPPER, &arguments).await
    }

    /// Enqueues an ActiveJob after `delay`, as `set(wait: delay).perform_later` does, by this host's clock.
    ///
    /// Enqueues it now if `delay` is not positive.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn enqueue_active_job_in(
        &self,
        delay: TimeDelta,
        job: &ActiveJob,
    ) -> Result<(), ClientError> {
        let at = later(self.clock.now(), delay);
        self.enqueue_active_job_at(at, job).await
    }

    async fn push(&self, queue: &str, class: &str, arguments: &str) -> Result<(), ClientError> {
        let payload = payload::payload(class, arguments);
        Ok(self.console.enqueue(queue, &payload).await?)
    }

    async fn delay(
        &self,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
        queue: &str,
        class: &str,
        arguments: &str,
    ) -> Result<(), ClientError> {
        if at.timestamp() <= now.timestamp() {
            return self.push(queue, class, arguments).await;
        }
        let item = payload::delayed_item(class, arguments, queue);
        Ok(self.console.delay(at, &item).await?)
    }
}

/// Returns the time `delay` after `now`, or the latest representable time.
fn later(now: DateTime<Utc>, delay: TimeDelta) -> DateTime<Utc> {
    let at = now.checked_add_signed(delay);
    at.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("console", &self.console)
            .finish_non_exhaustive()
    }
}
