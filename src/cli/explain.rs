//! `rescue-scheduler explain`: says why an entry fired, or did not fire, at a time.

use std::process::ExitCode;

use clap::Args;

use crate::{
    cli::{
        args::operator::OperatorArguments,
        ask::ask,
        failure::Failure,
        render::{self, table::Table},
    },
    clock::{Clock as _, SystemClock},
    config::settings,
    control::explain::{self, Explanation, NoFire, Verdict},
    core::time::{instant::rfc3339, phrase, zone::Zone},
};

/// Explain why an entry fired, or did not fire, at a time
///
/// The exit code is 0 if its job was enqueued, and 10 if not.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the entry
    name: String,

    /// Time to explain, such as `03:30`, `yesterday 03:30` or RFC 3339 [default: the last fire time]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Time zone of the time that you type [default: UTC]
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,

    #[command(flatten)]
    operator: OperatorArguments,
}

pub(super) fn explain(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (now, zone) = (SystemClock.now(), arguments.timezone.unwrap_or(Zone::UTC));
    let at = arguments.at.as_deref();
    let at = at.map(|text| phrase::parse(text, now, zone)).transpose()?;
    let explanation = ask(&arguments.operator, async |console| {
        explain::explain(console, &arguments.name, at, now).await
    })?;
    render::answer(arguments.operator.json, &explanation, &text(&explanation))?;
    Ok(if explanation.outcome.is_enqueued() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(render::PROBLEM)
    })
}

fn text(explanation: &Explanation) -> String {
    let Explanation { entry, at, .. } = explanation;
    let local = explanation.zone.local(*at).format("%Y-%m-%d %H:%M:%S %:z");
    let at = format!("{local} ({})", rfc3339(*at));
    let title = match explanation.outcome {
        Verdict::Outcome(outcome) => {
            let outcome = outcome.as_str().replace('_', " ");
            let fired = if explanation.outcome.is_enqueued() {
                "fired"
            } else {
                "did not fire"
            };
            format!("{entry} {fired} at {at}: {outcome}")
        }
        Verdict::None(NoFire::NotInTiming) => {
            format!("{entry} does not fire at {at}: not in its timing")
        }
        Verdict::None(NoFire::StillToCome) => format!("{entry} fires at {at}: still to come"),
        Verdict::None(NoFire::NotSeenYet) => {
            format!("{entry} did not fire at {at}: first seen later")
        }
        Verdict::None(NoFire::Unknown) => {
            format!("it is not known whether {entry} fired at {at}")
        }
    };
    let mut table = Table::new([]);
    for reason in &explanation.reasons {
        table.row([reason.code, &reason.text]);
    }
    for (index, advice) in explanation.advice.iter().enumerate() {
        table.row([if index == 0 { "what now" } else { "" }, advice]);
    }
    format!("{title}\n\n{table}")
}
