//! Jobs of ActiveJob as apps describe them to the [`super::Client`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    client::arguments::{ClientError, checked, json},
    core::job::active_job::{LOCALE, Wrapped, arguments},
};

/// A job of a subclass of `ActiveJob::Base`, for the Resque workers of a Rails app.
///
/// Arguments can be anything that serde writes as JSON, as for [`super::Client`]. They are written in ActiveJob's
/// form:
///
/// | JSON | Ruby |
/// | --- | --- |
/// | an object (a struct or map) | a hash with string keys; keys that begin with `:` become symbols |
/// | `{"symbol": "daily"}`: an object with only this key, whose value is a string | the symbol `:daily` |
/// | an object with a key that begins with `_aj_` | whatever ActiveJob reads from it, because it is kept as it is. `{"_aj_globalid": "gid://app/User/1"}` is that user |
///
/// The same rules hold for an entry with `active_job = true`. Beware of a struct whose only field is a string
/// called `symbol`.
///
/// A value is one job with one id: if you enqueue it twice, Redis has it twice, with the same id. You may
/// therefore enqueue it again after [`crate::store::StoreError::Unavailable`]; the id shows whether the first
/// attempt succeeded too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveJob {
    queue: String,
    class: String,
    id: String,
    /// The argument list, not yet in ActiveJob's form.
    list: String,
    /// The argument list and the keyword arguments, in ActiveJob's form.
    arguments: String,
    locale: String,
    timezone: Option<String>,
    priority: Option<i64>,
}

impl ActiveJob {
    /// Creates a job of `class` for `queue`, with a random UUID as its id, the locale `en` and no priority.
    ///
    /// # Errors
    /// [`ClientError::Nameless`]; [`ClientError::Arguments`] if the arguments cannot be written as JSON or a
    /// worker would exit on them (see [`super::Client`]).
    ///
    /// # Panics
    /// If the operating system has no random bytes.
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

    /// Sets the keyword arguments: a struct or map.
    ///
    /// # Errors
    /// [`ClientError::Arguments`], as for [`Self::new`], and if `kwargs` is not a struct or map.
    pub fn kwargs(self, kwargs: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let kwargs = json(&self.class, kwargs)?;
        self.with_arguments(Some(&kwargs))
    }

    /// Sets the I18n locale in which the job is performed.
    #[must_use]
    pub fn locale(self, locale: &str) -> Self {
        let locale = locale.to_owned();
        Self { locale, ..self }
    }

    /// Sets the time zone in which the job is performed, by its Rails name (`Stockholm`). The default is the app's
    /// zone.
    #[must_use]
    pub fn timezone(self, timezone: &str) -> Self {
        let timezone = Some(timezone.to_owned());
        Self { timezone, ..self }
    }

    /// Sets the priority, for adapters that support it (Resque's does not). Smaller numbers come first.
    #[must_use]
    pub fn priority(self, priority: i64) -> Self {
        let priority = Some(priority);
        Self { priority, ..self }
    }

    /// Replaces the random id. Use a text that no other job has.
    #[must_use]
    pub fn job_id(self, id: &str) -> Self {
        let id = id.to_owned();
        Self { id, ..self }
    }

    /// Returns the id: `job_id` in Ruby and in the log of Rails.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the queue's name, without the namespace.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Returns the name of the Ruby class.
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

    /// Returns the argument list of the wrapper class. As in Rails, a job to perform now has no `scheduled_at`.
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
