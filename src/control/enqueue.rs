//! Enqueuing one job, now or for later.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    client::{ActiveJob, Client},
    control::{actor::Actor, error::ControlError},
    store::Console,
};

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Name of the Ruby class.
    pub class: String,
    /// Name of the queue, without namespace.
    pub queue: String,
    /// Its arguments: a JSON array is the argument list, anything else is one argument. The bytes are kept.
    pub args: Box<RawValue>,
    /// Keyword arguments of an ActiveJob: a JSON object.
    pub kwargs: Option<Box<RawValue>>,
    /// Whether the class is an ActiveJob.
    pub active_job: bool,
    /// When it is due; `None`: now.
    pub at: Option<DateTime<Utc>>,
}

/// What was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enqueued {
    /// Name of the Ruby class.
    pub class: String,
    /// Name of the queue.
    pub queue: String,
    /// When it is due; `None`: it is on its queue.
    pub at: Option<DateTime<Utc>>,
    /// The ID of an ActiveJob.
    pub job_id: Option<String>,
    /// Why this is not in the events, if it could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Enqueues a job, or writes it as a delayed job if it is due in the future. Refuses arguments that a worker cannot read.
///
/// # Errors
/// [`ControlError::Client`].
pub async fn enqueue(
    console: &Console,
    job: &NewJob,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Enqueued, ControlError> {
    let client = Client::of(console.clone());
    let NewJob {
        class,
        queue,
        args,
        at,
        ..
    } = job;
    let job_id = if job.active_job {
        let mut active_job = ActiveJob::new(queue, class, args)?;
        if let Some(kwargs) = &job.kwargs {
            active_job = active_job.kwargs(kwargs)?;
        }
        match at {
            Some(at) => client.enqueue_active_job_at(*at, &active_job).await?,
            None => client.enqueue_active_job(&active_job).await?,
        }
        Some(active_job.id().to_owned())
    } else {
        match at {
            Some(at) => client.enqueue_at(*at, queue, class, args).await?,
            None => client.enqueue(queue, class, args).await?,
        }
        None
    };
    let unrecorded = actor.note(console, "enqueued", class, Some(1), now).await;
    Ok(Enqueued {
        class: class.clone(),
        queue: queue.clone(),
        at: at.filter(|at| *at > now),
        job_id,
        unrecorded,
    })
}
