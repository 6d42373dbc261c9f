//! The texts of schedule files → a schedule, or every mistake in them. Pure: touches no disk, reads no
//! environment.

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

/// What schedule files mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// All entries of all files.
    pub schedule: Schedule,
    /// What the files say in vain, file by file from top to bottom.
    pub warnings: Vec<Diagnostic>,
}

impl Loaded {
    /// Returns the warnings that are shown, and how many more there are.
    pub fn shown_warnings(&self) -> (impl Iterator<Item = &Diagnostic>, usize) {
        first(&self.warnings)
    }
}

/// Makes a schedule of the texts of schedule files. Pure: touches no disk, reads no environment.
///
/// # Errors
/// A [`Mistakes`] of all mistakes.
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

/// What identifies the texts of schedule files: the SHA-1 of them in hexadecimal digits; empty if there are none.
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

/// Writes a schedule of resque-scheduler, in YAML, as one in TOML with the same entries.
///
/// # Errors
/// [`Mistakes`] of all mistakes in it.
pub fn toml_of(source: &Source) -> Result<String, Mistakes> {
    let context = Context::default();
    let warnings = parse(std::slice::from_ref(source), &context)?.warnings;
    convert::written(source, &warnings)
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

/// Reads one file. After a syntax error it doesn't look further: what could be read of such a file
/// is a guess, and mistakes in it may be none.
///
/// `alone`: there is no other file.
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

    // That it is a table, if it is there.
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

/// Reads the entries of a file of resque-scheduler: its root is what `[schedule]` is in ours.
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
