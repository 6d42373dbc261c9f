//! The client for apps: enqueue a job now, at a time, or after a while.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Address, Credentials, Keys, StoreError, connection::Connection};
use crate::{
    clock::{Clock, SystemClock},
    core::job,
};

/// Enqueues jobs for Resque workers, now or later, with the keys and bytes of Resque 3.0 and
/// resque-scheduler 5.0.
///
/// Arguments are anything that serde can write as JSON: an array, tuple or `Vec` is the argument
/// list; a struct or map is one argument, and so is a string, number or boolean; `()` is none.
///
/// Cheap to clone; clones share a connection, which opens itself again when it breaks.
///
/// ```
/// # use rescue_scheduler::store::{Listen, PrivateServer};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = PrivateServer::start(Listen::Socket)?;
/// # let redis_url = server.url();
/// use chrono::{DateTime, TimeDelta};
/// use rescue_scheduler::store::Client;
///
/// let client = Client::open(redis_url, "resque")?;
/// client.enqueue("mail", "WelcomeMail", &("ada@example.com", 42)).await?;
/// client.enqueue_in(TimeDelta::hours(1), "mail", "Reminder", &["ada@example.com"]).await?;
/// let new_year: DateTime<chrono::Utc> = "2099-01-01T00:00:00Z".parse()?;
/// client.enqueue_at(new_year, "reports", "Reports::Yearly", &()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) connection: Connection,
    pub(super) keys: Keys,
}

/// Why a job was not enqueued, or an entry not set.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Redis. After [`StoreError::Unavailable`] the job may have been enqueued.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The arguments are no JSON.
    #[error("the arguments of {class} can't be written as JSON: {error}")]
    Arguments {
        /// The job's class.
        class: String,
        /// What serde says.
        error: serde_json::Error,
    },
    /// A scheduler would refuse this dynamic entry.
    #[error("the entry `{name}` has mistakes: {mistakes}")]
    Entry {
        /// The entry's name.
        name: String,
        /// All of them, each with its path in the entry.
        mistakes: String,
    },
    /// Resque takes no job without a class and a queue.
    #[error("a job needs a class and a queue; class is `{class}`, queue is `{queue}`")]
    Nameless {
        /// The job's class.
        class: String,
        /// The job's queue.
        queue: String,
    },
}

impl Client {
    /// A client for the Redis at `url` (see [`Address::parse`]) and the namespace of the Resque
    /// installation, mostly `resque`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StoreError::Address`], and [`StoreError::NoHashTag`].
    pub fn open(url: &str, namespace: &str) -> Result<Self, StoreError> {
        Self::at(&Address::parse(url, Credentials::default())?, namespace)
    }

    /// The same for an address that takes more than a URL: certificates, a password of the
    /// sentinels.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn at(address: &Address, namespace: &str) -> Result<Self, StoreError> {
        let keys = Keys::new(namespace, None);
        address.check_namespace(&keys)?;
        let connection = Connection::open(address);
        Ok(Self { connection, keys })
    }

    /// Enqueues a job of class `class` at the end of `queue`, at once, in one transaction.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn enqueue(
        &self,
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let arguments = checked(queue, class, arguments)?;
        let payload = job::payload(class, &arguments);
        let mut push = redis::pipe();
        push.atomic();
        push.sadd(self.keys.queues(), queue)
            .rpush(self.keys.queue(queue), payload);
        Ok(self
            .connection
            .pipeline(push.ignore(), &self.keys.queue(queue))
            .await?)
    }

    /// Enqueues a job at `at`, cut to whole seconds; at once if that is not in the future.
    /// In one transaction.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn enqueue_at(
        &self,
        at: DateTime<Utc>,
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let timestamp = at.timestamp();
        if timestamp <= SystemClock.now().timestamp() {
            return self.enqueue(queue, class, arguments).await;
        }
        let arguments = checked(queue, class, arguments)?;
        let item = job::delayed_item(class, &arguments, queue);
        let member = timestamp.to_string();
        let mut delay = redis::pipe();
        delay.atomic();
        delay.rpush(self.keys.bucket(member.as_bytes()), &item);
        delay.sadd(
            self.keys.timestamps(item.as_bytes()),
            format!("delayed:{member}"),
        );
        delay.zadd(self.keys.delayed_schedule(), &member, timestamp);
        Ok(self
            .connection
            .pipeline(delay.ignore(), &self.keys.delayed_schedule())
            .await?)
    }

    /// Enqueues a job after `delay` from now, by this host's clock; at once if that is not positive.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn enqueue_in(
        &self,
        delay: TimeDelta,
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let at = SystemClock.now().checked_add_signed(delay);
        let at = at.unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.enqueue_at(at, queue, class, arguments).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.connection.server())
            .finish_non_exhaustive()
    }
}

/// The argument list of a job that can be enqueued.
fn checked(
    queue: &str,
    class: &str,
    arguments: &(impl Serialize + ?Sized),
) -> Result<String, ClientError> {
    if queue.is_empty() || class.is_empty() {
        let (class, queue) = (class.to_owned(), queue.to_owned());
        return Err(ClientError::Nameless { class, queue });
    }
    let json = serde_json::to_string(arguments);
    let json = json.map_err(|error| ClientError::Arguments {
        class: class.to_owned(),
        error,
    })?;
    Ok(job::argument_list(&json).into_owned())
}
