//! Schedule files: text in, a [`Schedule`] or every mistake out. Only `file` touches the disk.
//!
//! `from_toml` and `from_yaml` read what a file says (`psych` the scalars of YAML), `from_json` what an
//! app says. `gem` makes entries of resque-scheduler's into ours, `validate` says what they mean:
//! `raw` to ask the tables, `timing`, `args` the arguments (`active_job` those of ActiveJob), `guard` the
//! pile-up guard. `convert` writes a file in TOML, `dynamic` reads one entry, `diagnostic` says
//! what is wrong. `expression` reads one that was typed, `settings` what else is not in files: flags
//! and environment.

mod active_job;
mod args;
mod convert;
mod diagnostic;
mod dynamic;
pub mod expression;
mod file;
mod from_json;
mod from_toml;
mod from_yaml;
mod gem;
mod guard;
mod mistake;
mod psych;
mod raw;
pub mod settings;
mod timing;
mod tree;
mod validate;

pub use convert::toml_of;
pub use diagnostic::{Diagnostic, Mistake, Place, Report, Source, Syntax};
pub use dynamic::{AtPath, DynamicEntry, dynamic_entry};
pub use file::{MAX_SIZE, convert, load};

use crate::core::{schedule::Schedule, time::zone::Zone};

/// What decides about the meaning of schedule files from outside of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The environment whose entries are loaded. Without one, only entries that name none are.
    pub environment: Option<String>,
    /// The zone of cron expressions where no file says otherwise.
    pub zone: Zone,
}

/// No environment, and UTC.
impl Default for Context {
    fn default() -> Self {
        Self {
            environment: None,
            zone: Zone::UTC,
        }
    }
}

/// What schedule files mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// All entries of all files.
    pub schedule: Schedule,
    /// What the files say in vain, file by file from top to bottom.
    pub warnings: Vec<Diagnostic>,
}

/// Makes a schedule of the texts of schedule files. Pure: touches no disk, reads no environment.
///
/// # Errors
/// A [`Report`] of all mistakes.
pub fn parse(sources: &[Source], context: &Context) -> Result<Loaded, Report> {
    let (mut entries, mut left_out) = (vec![], vec![]);
    let (mut mistakes, mut names) = (vec![], vec![]);
    for source in sources {
        let contents = validate::contents(source, sources.len() == 1, context);
        entries.extend(contents.entries);
        left_out.extend(contents.left_out);
        mistakes.extend(contents.mistakes);
        names.extend(contents.names);
    }
    mistakes.extend(repeated(names));
    if mistakes.iter().all(|found| found.mistake.is_warning()) {
        let schedule = Schedule::from(entries);
        Ok(Loaded {
            schedule: schedule.with_left_out(left_out),
            warnings: mistakes,
        })
    } else {
        Err(Report::new(mistakes))
    }
}

/// The mistakes that names are where they stand in more than one file.
fn repeated(mut names: Vec<(String, Place)>) -> Vec<Diagnostic> {
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    let same = names.chunk_by(|(one, _), (other, _)| one == other);
    let repeated = same.filter(|same| same.len() > 1);
    let diagnostic = |same: &[(String, Place)]| Diagnostic {
        mistake: Mistake::Repeated(same[0].0.clone()),
        places: same.iter().map(|(_, place)| place.clone()).collect(),
    };
    repeated.map(diagnostic).collect()
}

#[cfg(test)]
mod tests;
