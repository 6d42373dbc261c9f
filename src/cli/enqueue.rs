//! `rescue-scheduler enqueue`: one job, now or for later.

use std::process::ExitCode;

use chrono::TimeDelta;
use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::value::RawValue;

use crate::{
    cli::{
        args::operator::{ActorArguments, OperatorArguments},
        ask::ask,
        failure::Failure,
        render,
    },
    clock::{Clock as _, SystemClock},
    config::settings,
    control::enqueue::{self, NewJob},
    core::time::{duration, instant, phrase, zone::Zone},
};

/// Enqueue one job, now or for later
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the Ruby class
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    class: String,

    /// Arguments as JSON: an array is the argument list, anything else is one argument
    #[arg(value_name = "ARGS_JSON", default_value = "[]", value_parser = json)]
    args: Box<RawValue>,

    /// Name of the queue
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    queue: String,

    /// Time at which the job is due, such as `tomorrow 09:00` or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Delay after which the job is due, such as `5m`
    #[arg(long = "in", value_name = "DURATION", conflicts_with = "at", value_parser = delay)]
    after: Option<TimeDelta>,

    /// The class is an ActiveJob
    #[arg(long)]
    active_job: bool,

    /// Keyword arguments of an ActiveJob, as a JSON object
    #[arg(long, value_name = "JSON", requires = "active_job", value_parser = json)]
    kwargs: Option<Box<RawValue>>,

    /// Time zone of the time that you type [default: UTC]
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    operator: OperatorArguments,
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text.trim().to_owned()).map_err(|error| format!("not JSON: {error}"))
}

fn delay(text: &str) -> Result<TimeDelta, String> {
    duration::parse(text).map_err(|error| format!("{error}; {}", error.help))
}

pub(super) fn enqueue(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (now, zone) = (SystemClock.now(), arguments.timezone.unwrap_or(Zone::UTC));
    let at = match (&arguments.at, arguments.after) {
        (Some(text), _) => Some(phrase::parse(text, now, zone)?),
        (None, after) => after.map(|length| instant::after(now, length)),
    };
    let job = NewJob {
        class: arguments.class.clone(),
        queue: arguments.queue.clone(),
        args: arguments.args.clone(),
        kwargs: arguments.kwargs.clone(),
        active_job: arguments.active_job,
        at,
    };
    let done = ask(&arguments.operator, async |console| {
        enqueue::enqueue(console, &job, &arguments.actor.actor(), now).await
    })?;
    let when = done
        .at
        .map_or_else(String::new, |at| format!(" for {}", render::utc(at)));
    let text = format!("enqueued {} in queue {}{when}\n", done.class, done.queue);
    render::answer(arguments.operator.json, &done, &text)?;
    render::unrecorded(done.unrecorded.as_deref())?;
    Ok(ExitCode::SUCCESS)
}
