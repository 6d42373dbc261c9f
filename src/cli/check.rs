//! `rescue-scheduler check FILE...`: prints every error, or lists every entry.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use crate::{
    cli::{
        args::context::ContextArguments,
        failure::Failure,
        render::{self, table::Table},
    },
    clock::{Clock as _, SystemClock},
    config::Loaded,
    control,
    core::firing::upcoming::{fires, in_words},
};

/// Check schedule files: print every error, or list the entries with their next fires
///
/// If there is an error, the exit code is 1, as when the scheduler starts. Warnings are printed and do not
/// change the exit code unless --strict is given. Does not use Redis: intervals are counted as if the entries
/// were first seen now.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Schedule files (TOML, or resque-scheduler's YAML), or directories of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Also exit with 1 if there is a warning, except about other environments and other versions of
    /// et-orbi
    #[arg(long)]
    strict: bool,

    /// Print one JSON document in place of a table and of errors for people
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    context: ContextArguments,
}

/// Lists the entries with their timings and next fires, or fails with every error.
///
/// With `--strict`, it also fails after the list if there are warnings.
pub(super) fn check(arguments: &Arguments) -> Result<(), Failure> {
    let now = SystemClock.now();
    let loaded = arguments.context.load(&arguments.files);
    if arguments.json {
        render::json(&control::check::check(&loaded, now))?;
        return loaded.map_or(Err(Failure::Told), |it| fail_if_strict(arguments, &it));
    }
    let loaded = loaded?;
    for warning in &loaded.warnings {
        writeln!(std::io::stderr(), "{warning}\n")?;
    }
    let schedule = &loaded.schedule;
    let mut table = Table::new([]);
    for entry in schedule.entries() {
        let next = fires(entry, now).next().map_or_else(
            || "no next fire".to_owned(),
            |at| {
                let local = render::time(entry.zone.local(at));
                format!("next {local} {}, {}", entry.zone, in_words(at, now))
            },
        );
        table.row([&entry.name, &entry.timing.to_string(), &next]);
    }
    for left_out in schedule.left_out() {
        table.row([&left_out.name, "left out", &left_out.reason.to_string()]);
    }
    render::text(&table.to_string())?;
    fail_if_strict(arguments, &loaded)
}

fn fail_if_strict(arguments: &Arguments, loaded: &Loaded) -> Result<(), Failure> {
    let warnings = loaded.warnings.iter();
    match warnings.filter(|it| !it.mistake.is_advice()).count() {
        count if arguments.strict && count > 0 => Err(Failure::Warnings { count }),
        _ => Ok(()),
    }
}
