//! Jobs of ActiveJob, the way its Resque adapter stores them: one argument, which names the class
//! and carries the arguments in a form of its own (as ActiveJob 7.1; older ones ignore what is new).

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

/// The class that Resque workers perform; it finds the job's own class in its argument.
pub const WRAPPER: &str = "ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper";

/// Under which our job ids are unique: `uuid5(NAMESPACE_URL, "rescue-scheduler")`.
const JOB_IDS: Uuid = Uuid::from_u128(0x1e26_12a4_4933_5a57_a9cf_7b7a_4d4f_ad63);

/// What all fires of an entry have in common.
///
/// Everything in a payload comes from the entry and the fire time, so that a fire that is tried
/// again is the same job, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveJob {
    /// The entry's name; a part of each job's id.
    pub entry: String,
    /// Name of the Ruby class, a descendant of `ActiveJob::Base`.
    pub class: String,
    /// Name of the queue, without namespace.
    pub queue: String,
    /// The arguments as ActiveJob serializes them: one JSON array in compact form.
    pub arguments: String,
    /// What I18n speaks while the job is performed.
    pub locale: String,
    /// The time zone while the job is performed, as Rails names it; without one, that of the app.
    pub timezone: Option<String>,
    /// Small ones first, for adapters that know priorities (Resque's does not).
    pub priority: Option<i64>,
    /// With each fire, `{"scheduled_at":<fire time>}` is the last positional argument.
    pub include_metadata: bool,
}

impl ActiveJob {
    /// Returns the payload for one fire.
    pub fn payload(&self, cause: Cause, fire_time: DateTime<Utc>) -> String {
        let id = job_id(&self.entry, cause, fire_time);
        self.payload_of(&id, &fire_time.timestamp().to_string(), &shown(fire_time))
    }

    /// The payload with these texts in the places of what comes from the fire time: the job's id, the
    /// fire time in Unix seconds, and as text. They are not escaped.
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

/// Returns the id of an ActiveJob: the same for the same entry, cause and fire time. Only a fire that was caught up has
/// the id that it would have had on time.
pub(super) fn job_id(entry: &str, cause: Cause, fire_time: DateTime<Utc>) -> String {
    let seconds = fire_time.timestamp();
    let id = match cause {
        Cause::Scheduled | Cause::CaughtUp => format!("{seconds} {entry}"),
        Cause::Backfilled => format!("backfilled {seconds} {entry}"),
        // A person may ask for it twice in a second.
        Cause::Triggered => format!("triggered {} {entry}", fire_time.timestamp_micros()),
    };
    Uuid::new_v5(&JOB_IDS, id.as_bytes()).to_string()
}

/// What the wrapper's argument holds of a job.
#[derive(Debug, Clone, Copy)]
pub struct Wrapped<'a> {
    /// Name of the Ruby class.
    pub class: &'a str,
    /// Name of the queue, without namespace.
    pub queue: &'a str,
    /// Small ones first.
    pub priority: Option<i64>,
    /// In ActiveJob's form: one JSON array in compact form (see [`arguments`]).
    pub arguments: &'a str,
    /// What I18n speaks.
    pub locale: &'a str,
    /// As Rails names it.
    pub timezone: Option<&'a str>,
}

impl Wrapped<'_> {
    /// The argument list of [`WRAPPER`] for the job `id` (any text, a UUID in Rails), enqueued at one
    /// time to be performed at another, or at once: a JSON array, keys in the order of ActiveJob 7.1.
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

    /// The same, with an id and times that are JSON already.
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

/// A time as ActiveJob writes it.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// What I18n speaks where nothing is said: Rails' own default.
pub const LOCALE: &str = "en";
