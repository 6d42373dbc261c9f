//! Suggestions for commands that other programs have and this one does not.

use std::path::Path;

use crate::core::suggestion::nearest;

const COMMANDS: &[&str] = &[
    "run",
    "next",
    "check",
    "convert",
    "status",
    "schedule",
    "delayed",
    "explain",
    "history",
    "events",
    "completions",
    "man",
    "quarantine",
];

/// Returns advice if `path` is no file but looks like a command or a URL.
pub(super) fn advice(path: &Path) -> Option<String> {
    let word = path.to_str().filter(|_| !path.exists())?;
    if word.contains("://") {
        // The URL may contain a password, so the advice does not repeat it.
        let advice = "a URL is not a schedule file; set the Redis URL with the variable REDIS_URL or with --redis-url";
        return Some(advice.to_owned());
    }
    let lower = word.to_lowercase();
    let advice = match &*lower {
        _ if COMMANDS.contains(&word) => "write the command first, then its options",
        "start" | "daemon" | "server" | "work" => {
            "`rescue-scheduler run FILE` runs the scheduler, as does `rescue-scheduler FILE`"
        }
        "validate" | "verify" | "lint" | "test" => {
            "`rescue-scheduler check FILE` prints every error in a schedule"
        }
        "list" | "ls" | "show" | "entries" => {
            "`rescue-scheduler schedule list` lists the entries in force, `rescue-scheduler check FILE` those of a file"
        }
        "preview" | "upcoming" | "plan" => "`rescue-scheduler next FILE` lists the next fires",
        "import" | "migrate" => {
            "`rescue-scheduler convert FILE` converts a schedule of resque-scheduler to TOML"
        }
        "health" | "info" | "leader" => {
            "`rescue-scheduler status` shows the leader and every problem"
        }
        "log" | "why" => {
            "`rescue-scheduler history NAME` lists what became of the fires of an entry"
        }
        "pause" | "resume" | "trigger" => {
            "the command is `rescue-scheduler schedule`: `schedule pause NAME`, `schedule trigger NAME`"
        }
        "reload" => "send the signal HUP to the scheduler; it reloads its schedule",
        "stop" | "quit" | "kill" => {
            "send the signal TERM to the scheduler; it releases its lease and exits"
        }
        "help" => "`rescue-scheduler --help` lists the commands and options",
        "version" => "`rescue-scheduler --version` shows the version",
        // A word with a dot or a slash is meant as a file name.
        _ if word.contains(['.', '/']) => return None,
        _ => {
            let command = nearest(word, COMMANDS.iter().copied())?;
            return Some(format!(
                "there is no file `{word}`; did you mean the command `{command}`?"
            ));
        }
    };
    Some(format!("there is no file `{word}`; {advice}"))
}
