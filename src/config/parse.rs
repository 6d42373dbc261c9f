//! Parses the texts of schedule files into a schedule, or reports every error in them.
//!
//! Does not access the disk or the environment.

use crate::{
    config::{
        context::Context,
        entry::{self, Defaults, contents::FileContents},
        read::{
            table::Table,
            toml,
            value::{Members, Value},
            yaml,
        },
        report::{
            diagnostic::{Diagnostic, Mistakes, first},
            mistake::Mistake,
            source::{Place, Source, Syntax},
        },
        resque::{convert, entry::entry as entry_of_resque},
    },
    core::schedule::Schedule,
};

/// A schedule that was read from files, and the warnings about them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// All entries of all files.
    pub schedule: Schedule,
    /// The warnings, file by file from top to bottom.
    pub warnings: Vec<Diagnostic>,
}

impl Loaded {
    /// Returns the warnings to show, and the number of warnings that are not shown.
    pub fn shown_warnings(&self) -> (impl Iterator<Item = &Diagnostic>, usize) {
        first(&self.warnings)
    }
}

/// Parses the texts of schedule files into a schedule.
///
/// # Errors
/// Returns all errors in all texts.
pub fn parse(sources: &[Source], context: &Context) -> Result<Loaded, Mistakes> {
    let (mut entries, mut left_out) = (vec![], vec![]);
    let (mut mistakes, mut names) = (vec![], vec![]);
    for source in sources {
        let contents = contents(source, sources.len() == 1, context);
        entries.extend(contents.entries);
        left_out.extend(contents.left_out);
        mistakes.extend(contents.mistakes);
        names.extend(contents.names);
    }
    mistakes.extend(repeated(names));
    if mistakes.iter().all(|found| found.mistake.is_warning()) {
        let schedule = Schedule::from(entries);
        Ok(Loaded {
            schedule: schedule
                .with_left_out(left_out)
                .with_digest(digest(sources)),
            warnings: mistakes,
        })
    } else {
        Err(Mistakes::new(mistakes))
    }
}

/// Returns the SHA-1 of the texts of schedule files in hexadecimal digits; empty if there are no files.
fn digest(sources: &[Source]) -> String {
    if sources.is_empty() {
        return String::new();
    }
    let mut digest = sha1_smol::Sha1::new();
    for source in sources {
        digest.update(&source.text.len().to_be_bytes());
        digest.update(source.text.as_bytes());
    }
    digest.digest().to_string()
}

/// Converts a YAML schedule of resque-scheduler to TOML with the same entries.
///
/// # Errors
/// Returns all errors in the YAML.
pub fn toml_of(source: &Source) -> Result<String, Mistakes> {
    let context = Context::default();
    let warnings = parse(std::slice::from_ref(source), &context)?.warnings;
    convert::written(source, &warnings)
}

/// Returns an error for every name that is in more than one file.
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

/// Parses one file. `alone` is true if it is the only file.
///
/// After a syntax error, does not report other errors, because they may only be consequences of the syntax error.
pub(super) fn contents(source: &Source, alone: bool, context: &Context) -> FileContents {
    let mut contents = FileContents {
        alone,
        ..FileContents::default()
    };
    match source.syntax() {
        Syntax::Toml => match toml::parse(source) {
            Ok(document) => of_toml(&mut contents, document, source, context),
            Err(errors) => contents.mistakes = errors,
        },
        Syntax::Yaml => match yaml::parse(source) {
            Ok(document) => of_yaml(&mut contents, document, source, context),
            Err(error) => contents.mistakes.push(error),
        },
    }
    let read = contents.mistakes.iter().all(|it| it.mistake.is_warning());
    if read && contents.entries.is_empty() && contents.left_out.is_empty() {
        contents
            .mistakes
            .push(Diagnostic::new(source, None, Mistake::NoEntries));
    }
    contents.mistakes.sort_by_key(start);
    contents
}

fn start(diagnostic: &Diagnostic) -> Option<usize> {
    let place = diagnostic.places.first()?;
    Some(place.span.as_ref()?.start)
}

fn of_toml(
    contents: &mut FileContents,
    toml::Document { root, schedule }: toml::Document<'_>,
    source: &Source,
    context: &Context,
) {
    let nothing = Members::new();
    let mut root = Table::new(&root, source);

    let mut table = Table::new(root.table("defaults").unwrap_or(&nothing), source);
    let defaults = Defaults::read(&mut table, context);
    contents.mistakes.extend(table.finish());

    // Reports an error if `schedule` is not a table.
    root.table("schedule");
    for (name, value) in schedule.into_iter().map(toml::member) {
        contents.name(&name, source);
        match value.get_ref().as_table() {
            Ok(fields) => {
                let mut table = Table::new(fields, source);
                let origin = source.origin(name.span().start);
                let entry = entry::entry(&name, origin, &mut table, &defaults, context);
                contents.entry(entry);
                contents.mistakes.extend(table.finish());
            }
            Err(mistake) => {
                contents
                    .mistakes
                    .push(Diagnostic::new(source, Some(value.span()), mistake));
            }
        }
    }
    contents.mistakes.extend(root.finish());
}

/// Reads the entries of a file of resque-scheduler, which are at its top level.
fn of_yaml(
    contents: &mut FileContents,
    document: yaml::Document<'_>,
    source: &Source,
    context: &Context,
) {
    contents.mistakes.extend(document.mistakes);
    for (name, value) in document.members {
        contents.name(&name, source);
        let span = value.span();
        match value.into_inner() {
            Value::Table(members) => {
                let origin = source.origin(name.span().start);
                entry_of_resque(contents, &name, origin, members, |it| it, source, context);
            }
            other => {
                let mistake = other.instead_of("a table");
                let mistake = Diagnostic::new(source, Some(span), mistake);
                contents.mistakes.push(mistake);
            }
        }
    }
}
