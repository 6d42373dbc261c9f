//! One job of ActiveJob, as apps describe it to the [`super::Client`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    client::arguments::{ClientError, checked, json},
    core::job::active_job::{LOCALE, Wrapped, arguments},
};

/// One job of a class that descends from `ActiveJob::Base`, which the Resque workers of a Rails app
/// perform through ActiveJob's Resque adapter.
///
/// Arguments are anything that serde can write as JSON, read as [`super::Client`] says, and written in
/// ActiveJob's form:
///
/// | JSON | Ruby |
/// | --- | --- |
/// | an object (a struct or map) | a hash with strings as keys; those that begin with `:` are symbols |
/// | `{"symbol": "daily"}`, an object with this key only, and text | the symbol `:daily` |
/// | an object with a key that begins with `_aj_` | what ActiveJob makes of it; it is taken as it is. `{"_aj_globalid": "gid://app/User/1"}` is that user |
///
/// The same rules hold for a schedule's entry with `active_job = true`. Mind a struct whose only field
/// is text and called `symbol`.
///
/// A value is one job: enqueued twice, it is in Redis twice, with the same id. So it may be tried again
/// after [`crate::store::StoreError::Unavailable`], and where the first try was done after all, the id tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveJob {
    queue: String,
    class: String,
    id: String,
    /// The argument list, before it is in ActiveJob's form.
    list: String,
    /// Both together, in ActiveJob's form.
    arguments: String,
    locale: String,
    timezone: Option<String>,
    priority: Option<i64>,
}

impl ActiveJob {
    /// A job of class `class` for `queue`, with a random UUID as its id, `en` as its locale, and no
    /// priority.
    ///
    /// # Errors
    /// [`ClientError::Nameless`], and [`ClientError::Arguments`] if serde cannot write the arguments as
    /// JSON, or a worker would exit on them (see [`super::Client`]).
    ///
    /// # Panics
    /// Where the operating system has no random bytes.
    pub fn new(
        queue: &str,
        class: &str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<Self, ClientError> {
        let list = checked(queue, class, arguments)?;
        let job = Self {
            queue: queue.to_owned(),
            class: class.to_owned(),
            id: Uuid::new_v4().to_string(),
            arguments: String::new(),
            list,
            locale: LOCALE.to_owned(),
            timezone: None,
            priority: None,
        };
        job.with_arguments(None)
    }

    /// Keyword arguments: a struct or map.
    ///
    /// # Errors
    /// [`ClientError::Arguments`], as for [`Self::new`], and for anything but a struct or map.
    pub fn kwargs(self, kwargs: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let kwargs = json(&self.class, kwargs)?;
        self.with_arguments(Some(&kwargs))
    }

    /// What I18n speaks while the job is performed.
    #[must_use]
    pub fn locale(self, locale: &str) -> Self {
        let locale = locale.to_owned();
        Self { locale, ..self }
    }

    /// The time zone while the job is performed, as Rails names it (`Stockholm`); without one, that of
    /// the app.
    #[must_use]
    pub fn timezone(self, timezone: &str) -> Self {
        let timezone = Some(timezone.to_owned());
        Self { timezone, ..self }
    }

    /// Small ones first, for adapters that know priorities (Resque's does not).
    #[must_use]
    pub fn priority(self, priority: i64) -> Self {
        let priority = Some(priority);
        Self { priority, ..self }
    }

    /// Another id than the random one: any text that no other job has.
    #[must_use]
    pub fn job_id(self, id: &str) -> Self {
        let id = id.to_owned();
        Self { id, ..self }
    }

    /// Its `job_id` in Ruby, by which Rails' log names it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The queue's name, without namespace.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Name of the Ruby class.
    pub fn class(&self) -> &str {
        &self.class
    }

    fn with_arguments(self, kwargs: Option<&str>) -> Result<Self, ClientError> {
        match arguments(&self.list, kwargs) {
            Ok(arguments) => Ok(Self { arguments, ..self }),
            Err(error) => Err(ClientError::Arguments {
                class: self.class,
                error,
            }),
        }
    }

    /// The wrapper's argument list; `scheduled_at` is none for a job that is to be performed at once,
    /// as in Rails.
    pub(super) fn wrapped(
        &self,
        now: DateTime<Utc>,
        scheduled_at: Option<DateTime<Utc>>,
    ) -> String {
        let job = Wrapped {
            class: &self.class,
            queue: &self.queue,
            priority: self.priority,
            arguments: &self.arguments,
            locale: &self.locale,
            timezone: self.timezone.as_deref(),
        };
        job.argument_list(&self.id, now, scheduled_at)
    }
}
