//! ActiveJob jobs as ActiveJob's Resque adapter stores them.
//!
//! The payload has a single argument: an object with the job's class and its arguments in ActiveJob's own form. The
//! format is that of ActiveJob 7.1. Older versions ignore keys that are new in it.

mod arguments;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::core::{
    firing::outcome::Cause,
    job::{
        active_job::arguments::with_positional,
        payload::{payload, quoted},
    },
};

pub use self::arguments::{AROUND, arguments};

/// The class that Resque workers perform. It reads the job's own class from its argument.
pub const WRAPPER: &str = "ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper";

/// The namespace of our job ids: `uuid5(NAMESPACE_URL, "rescue-scheduler")`.
const JOB_IDS: Uuid = Uuid::from_u128(0x1e26_12a4_4933_5a57_a9cf_7b7a_4d4f_ad63);

/// The parts of an ActiveJob that are the same for all fires of an entry.
///
/// A payload depends only on the entry, the cause and the fire time. A retried fire is therefore the same job, byte for
/// byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveJob {
    /// The entry's name, from which the job ids are made.
    pub entry: String,
    /// Name of the Ruby class, a descendant of `ActiveJob::Base`.
    pub class: String,
    /// Name of the queue, without namespace.
    pub queue: String,
    /// The arguments as ActiveJob serializes them: one JSON array in compact form.
    pub arguments: String,
    /// The I18n locale while the job is performed.
    pub locale: String,
    /// The Rails name of the time zone while the job is performed. `None` means the app's own zone.
    pub timezone: Option<String>,
    /// The priority, smallest first, for adapters with priorities. Resque's adapter ignores it.
    pub priority: Option<i64>,
    /// Whether every fire appends `{"scheduled_at":<fire time>}` as the last positional argument.
    pub include_metadata: bool,
}

impl ActiveJob {
    /// Returns the payload for one fire.
    pub fn payload(&self, cause: Cause, fire_time: DateTime<Utc>) -> String {
        let id = job_id(&self.entry, cause, fire_time);
        self.payload_of(&id, &fire_time.timestamp().to_string(), &shown(fire_time))
    }

    /// Returns the payload with these texts for the job id, and for the fire time in Unix seconds and as text.
    ///
    /// The texts are not escaped.
    pub(super) fn payload_of(&self, id: &str, seconds: &str, at: &str) -> String {
        let metadata = format!("{{\"scheduled_at\":{seconds},\"_aj_symbol_keys\":[]}}");
        let arguments = if self.include_metadata {
            &with_positional(&self.arguments, &metadata)
        } else {
            &self.arguments
        };
        let job = Wrapped {
            class: &self.class,
            queue: &self.queue,
            priority: self.priority,
            arguments,
            locale: &self.locale,
            timezone: self.timezone.as_deref(),
        };
        let (id, at) = (format!("\"{id}\""), format!("\"{at}\""));
        payload(WRAPPER, &job.written(&id, &at, &at))
    }
}

/// Returns the id of an ActiveJob, which is the same for the same entry, cause and fire time.
///
/// A fire that is caught up has the same id as a fire that is on time.
pub(super) fn job_id(entry: &str, cause: Cause, fire_time: DateTime<Utc>) -> String {
    let seconds = fire_time.timestamp();
    let id = match cause {
        Cause::Scheduled | Cause::CaughtUp => format!("{seconds} {entry}"),
        Cause::Backfilled => format!("backfilled {seconds} {entry}"),
        // A person may trigger an entry twice in a second.
        Cause::Triggered => format!("triggered {} {entry}", fire_time.timestamp_micros()),
    };
    Uuid::new_v5(&JOB_IDS, id.as_bytes()).to_string()
}

/// The parts of a job in the argument of [`WRAPPER`].
#[derive(Debug, Clone, Copy)]
pub struct Wrapped<'a> {
    /// Name of the Ruby class.
    pub class: &'a str,
    /// Name of the queue, without namespace.
    pub queue: &'a str,
    /// The priority, smallest first.
    pub priority: Option<i64>,
    /// The arguments in ActiveJob's form (see [`arguments`]): one JSON array in compact form.
    pub arguments: &'a str,
    /// The I18n locale.
    pub locale: &'a str,
    /// The Rails name of the time zone.
    pub timezone: Option<&'a str>,
}

impl Wrapped<'_> {
    /// Returns the argument list of [`WRAPPER`]: a JSON array, with keys in the order of ActiveJob 7.1.
    ///
    /// `id` can be any text; Rails uses a UUID. `scheduled_at` is `None` for a job that is performed at once.
    pub fn argument_list(
        &self,
        id: &str,
        enqueued_at: DateTime<Utc>,
        scheduled_at: Option<DateTime<Utc>>,
    ) -> String {
        let time = |at| quoted(&shown(at));
        let scheduled_at = scheduled_at.map_or_else(null, time);
        self.written(&quoted(id), &time(enqueued_at), &scheduled_at)
    }

    /// Returns the argument list of [`WRAPPER`], with an id and times that are already JSON.
    fn written(&self, id: &str, enqueued_at: &str, scheduled_at: &str) -> String {
        let (class, queue, locale) = (quoted(self.class), quoted(self.queue), quoted(self.locale));
        let priority = self.priority.map_or_else(null, |it| it.to_string());
        let timezone = self.timezone.map_or_else(null, quoted);
        let arguments = self.arguments;
        format!(
            "[{{\"job_class\":{class},\"job_id\":{id},\"provider_job_id\":null,\
             \"queue_name\":{queue},\"priority\":{priority},\"arguments\":{arguments},\
             \"executions\":0,\"exception_executions\":{{}},\"locale\":{locale},\
             \"timezone\":{timezone},\"enqueued_at\":{enqueued_at},\"scheduled_at\":{scheduled_at}}}]"
        )
    }
}

fn null() -> String {
    "null".to_owned()
}

/// Returns a time as ActiveJob writes it: RFC 3339, UTC, nanoseconds.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The default I18n locale, which is also Rails' default.
pub const LOCALE: &str = "en";
