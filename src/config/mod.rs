//! Schedule files: text in, a [`Schedule`] or every mistake out. Only [`load`] touches the disk.
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

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use convert::toml_of;
pub use diagnostic::{Diagnostic, Mistake, Place, Report, Source, Syntax};
pub use dynamic::{AtPath, DynamicEntry, dynamic_entry};

use crate::core::{schedule::Schedule, zone::Zone};

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

/// How the names of schedule files in a directory end.
const ENDINGS: [&str; 3] = ["toml", "yml", "yaml"];

/// Reads schedule files: TOML, or, where the name ends in `.yml` or `.yaml`, YAML as
/// resque-scheduler reads it. Of a directory, each such file in it, in order of their names and but
/// for hidden ones; not those in directories below.
///
/// # Errors
/// A [`Report`] of all mistakes, in all files, with those files that can't be read.
pub fn load(paths: &[PathBuf], context: &Context) -> Result<Loaded, Report> {
    let mut mistakes = vec![];
    let mut sources: Vec<Source> = vec![];
    for path in paths {
        let files = files(path).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            vec![]
        });
        for file in files {
            // A file that is named twice is read once.
            if sources.iter().all(|source| *source.path != *file) {
                match read(file) {
                    Ok(source) => sources.push(source),
                    Err(mistake) => mistakes.push(mistake),
                }
            }
        }
    }
    let parsed = parse(&sources, context);
    if mistakes.is_empty() {
        return parsed;
    }
    mistakes.extend(
        parsed
            .err()
            .map(Report::into_diagnostics)
            .unwrap_or_default(),
    );
    Err(Report::new(mistakes))
}

/// Writes a schedule file of resque-scheduler, in YAML, as one in TOML with the same entries; its
/// comments are kept, and a note says what has no meaning here.
///
/// # Errors
/// A [`Report`] of all mistakes, or that it can't be read, or that it is no YAML.
pub fn convert(path: &Path) -> Result<String, Report> {
    let source = read(path.to_owned()).map_err(|mistake| Report::new(vec![mistake]))?;
    match source.syntax() {
        Syntax::Yaml => toml_of(&source),
        Syntax::Toml => Err(Report::new(vec![unread(path, Mistake::NotYaml)])),
    }
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

/// The schedule files at `path`: itself, or those in the directory.
fn files(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut files: Vec<_> = files
        .map_err(|error| unread(path, unreadable(&error)))?
        .into_iter()
        .filter(|file| !file.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|file| file.path())
        .filter(|file| {
            let ending = file.extension();
            ENDINGS
                .iter()
                .any(|known| ending.is_some_and(|ending| ending == *known))
        })
        .collect();
    if files.is_empty() {
        return Err(unread(path, Mistake::NoFiles));
    }
    files.sort();
    Ok(files)
}

fn read(path: PathBuf) -> Result<Source, Diagnostic> {
    if path.extension().is_some_and(|ending| ending == "erb") {
        return Err(unread(&path, Mistake::Template));
    }
    let bytes = fs::read(&path).map_err(|error| unread(&path, unreadable(&error)))?;
    let text = String::from_utf8_lossy(&bytes);
    let source = Source::new(path, text);
    match std::str::from_utf8(&bytes) {
        Ok(_) => Ok(source),
        Err(error) => {
            // Up to there the lossy text is the file's own.
            let at = error.valid_up_to();
            Err(raw::diagnostic(&source, Some(at..at), Mistake::NotUtf8))
        }
    }
}

fn unread(path: &Path, mistake: Mistake) -> Diagnostic {
    let source = Source::new(path, "");
    raw::diagnostic(&source, None, mistake)
}

fn unreadable(error: &io::Error) -> Mistake {
    match error.kind() {
        io::ErrorKind::NotFound => Mistake::Missing,
        _ => Mistake::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
