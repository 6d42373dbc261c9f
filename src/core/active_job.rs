//! Jobs of ActiveJob, the way its Resque adapter stores them: one argument, which names the class
//! and carries the arguments in a form of its own (as ActiveJob 7.1; older ones ignore what is new).
//!
//! Everything in a payload comes from the entry and the fire time, so that a fire that is tried again
//! is the same job, byte for byte.

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::job::{appended, payload, quoted};

/// The class that Resque workers perform; it finds the job's own class in its argument.
const WRAPPER: &str = "ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper";

/// Under which our job ids are unique: `uuid5(NAMESPACE_URL, "rescue-scheduler")`.
const JOB_IDS: Uuid = Uuid::from_u128(0x1e26_12a4_4933_5a57_a9cf_7b7a_4d4f_ad63);

/// What all fires of an entry have in common.
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
    /// Each fire appends `{"scheduled_at":<fire time>}` to the arguments.
    pub include_metadata: bool,
}

impl ActiveJob {
    /// The payload for one fire.
    pub fn payload(&self, fire_time: DateTime<Utc>) -> String {
        let at = fire_time.to_rfc3339_opts(SecondsFormat::Nanos, true);
        let id = format!("{} {}", fire_time.timestamp(), self.entry);
        let id = Uuid::new_v5(&JOB_IDS, id.as_bytes());
        let (class, queue, locale) = (
            quoted(&self.class),
            quoted(&self.queue),
            quoted(&self.locale),
        );
        let null = || "null".to_owned();
        let priority = self.priority.map_or_else(null, |it| it.to_string());
        let timezone = self.timezone.as_deref().map_or_else(null, quoted);
        let metadata = format!(
            "{{\"scheduled_at\":{},\"_aj_symbol_keys\":[]}}",
            fire_time.timestamp()
        );
        let arguments = if self.include_metadata {
            &appended(&self.arguments, &metadata)
        } else {
            &self.arguments
        };
        payload(
            WRAPPER,
            &format!(
                "[{{\"job_class\":{class},\"job_id\":\"{id}\",\"provider_job_id\":null,\
                 \"queue_name\":{queue},\"priority\":{priority},\"arguments\":{arguments},\
                 \"executions\":0,\"exception_executions\":{{}},\"locale\":{locale},\
                 \"timezone\":{timezone},\"enqueued_at\":\"{at}\",\"scheduled_at\":\"{at}\"}}]"
            ),
        )
    }
}
