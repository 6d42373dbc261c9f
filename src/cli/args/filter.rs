//! The filter for delayed jobs, shared by several commands.

use chrono::{DateTime, Utc};
use clap::{Args, builder::NonEmptyStringValueParser};
use serde::de::IgnoredAny;

use crate::{
    cli::failure::Failure,
    config::settings,
    control::delayed::DelayedFilter,
    core::{
        job::filter::{Condition, JobFilter},
        time::{phrase, zone::Zone},
    },
    store::Span,
};

/// Which delayed jobs are meant; without any of these, every job.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which jobs")]
pub(in crate::cli) struct FilterArguments {
    /// Jobs of this class; of an ActiveJob, its own class
    #[arg(long, value_name = "NAME")]
    class: Option<String>,

    /// Jobs for this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,

    /// Jobs whose arguments are equal to this JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    args: Option<String>,

    /// Jobs with this value, such as `args.0.user_id=42`; may be given several times
    #[arg(long = "where", value_name = "PATH=VALUE")]
    conditions: Vec<Condition>,

    /// Jobs whose JSON contains this text
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    contains: Option<String>,

    /// Jobs that are due before this time, such as `in 1h`, `tomorrow 09:00` or RFC 3339
    #[arg(long, value_name = "TIME")]
    before: Option<String>,

    /// Jobs that are due at this time or later
    #[arg(long, value_name = "TIME")]
    after: Option<String>,

    /// Time zone of the times that you type [default: UTC]
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,
}

fn json(text: &str) -> Result<String, String> {
    let read = serde_json::from_str::<IgnoredAny>(text);
    read.map(|_| text.to_owned())
        .map_err(|error| format!("not JSON: {error}"))
}

impl FilterArguments {
    /// Returns the filter. Relative times are counted from `now`.
    pub(in crate::cli) fn filter(&self, now: DateTime<Utc>) -> Result<DelayedFilter, Failure> {
        let time = |text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| self.time(text, now)).transpose()
        };
        Ok(DelayedFilter {
            jobs: JobFilter {
                class: self.class.clone(),
                queue: self.queue.clone(),
                args: self.args.clone(),
                conditions: self.conditions.clone(),
                contains: self.contains.clone(),
            },
            span: Span {
                from: time(&self.after)?,
                until: time(&self.before)?,
            },
        })
    }

    /// Returns the time that was typed.
    pub(in crate::cli) fn time(
        &self,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Failure> {
        let zone = self.timezone.unwrap_or(Zone::UTC);
        Ok(phrase::parse(text, now, zone)?)
    }
}
