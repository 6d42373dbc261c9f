//! Schedule files: text in, a [`Schedule`] or every mistake out. Only [`load`] touches the disk.
//!
//! `from_toml` and `from_yaml` read what a file says (`psych` the scalars of YAML), `gem` makes entries of
//! resque-scheduler's into ours, `validate` says what they mean, with `raw` to ask the tables, `args` the arguments
//! (`active_job` those of ActiveJob), `diagnostic` says
//! what is wrong. `expression` reads one that was typed, `settings` what else is not in files: flags
//! and environment.

mod active_job;
mod args;
mod diagnostic;
pub mod expression;
mod from_toml;
mod from_yaml;
mod gem;
mod psych;
mod raw;
pub mod settings;
mod timing;
mod tree;
mod validate;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

pub use diagnostic::{Diagnostic, Mistake, Place, Report, Source, Syntax};

use crate::core::{schedule::Schedule, zone::Zone};

/// What decides about the meaning of schedule files from outside of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The environment whose entries are loaded. Without one, only entries that name none are.
    pub environment: Option<String>,
    /// The zone of cron expressions where no file says otherwise.
    pub zone: Zone,
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
            if sources.iter().all(|source| source.path != file) {
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

/// Makes a schedule of the texts of schedule files. Pure: touches no disk, reads no environment.
///
/// # Errors
/// A [`Report`] of all mistakes.
pub fn parse(sources: &[Source], context: &Context) -> Result<Loaded, Report> {
    let (mut entries, mut left_out) = (vec![], vec![]);
    let mut mistakes = vec![];
    let mut places: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for source in sources {
        let contents = validate::contents(source, context);
        entries.extend(contents.entries);
        left_out.extend(contents.left_out);
        mistakes.extend(contents.mistakes);
        for (name, place) in contents.names {
            places.entry(name).or_default().push(place);
        }
    }
    let repeated = places.into_iter().filter(|(_, places)| places.len() > 1);
    mistakes.extend(repeated.map(|(name, places)| Diagnostic {
        mistake: Mistake::Repeated(name),
        places,
    }));
    if mistakes.iter().all(|found| found.mistake.is_warning()) {
        let schedule: Schedule = entries.into_iter().collect();
        Ok(Loaded {
            schedule: schedule.with_left_out(left_out),
            warnings: mistakes,
        })
    } else {
        Err(Report::new(mistakes))
    }
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
    let bytes = fs::read(&path).map_err(|error| unread(&path, unreadable(&error)))?;
    let text = String::from_utf8_lossy(&bytes).into();
    let source = Source { path, text };
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
    let source = Source {
        path: path.to_owned(),
        text: "".into(),
    };
    raw::diagnostic(&source, None, mistake)
}

fn unreadable(error: &io::Error) -> Mistake {
    match error.kind() {
        io::ErrorKind::NotFound => Mistake::Missing,
        _ => Mistake::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTEXT: Context = Context {
        environment: None,
        zone: Zone::UTC,
    };
    /// Tests start in the root of the crate.
    const SCHEDULES: &str = "schedules";

    fn refused(files: &[(&str, &str)]) -> String {
        let source = |&(path, text): &(&str, &str)| Source {
            path: path.into(),
            text: text.into(),
        };
        let sources: Vec<_> = files.iter().map(source).collect();
        parse(&sources, &CONTEXT).unwrap_err().to_string()
    }

    #[test]
    fn every_mistake_is_shown_where_it_was_made() {
        let text = r#"
[defaults]
queue = "default"
catch_up = "lates"

[schedule.heartbeat]
every = "30s"
cron = "* * * * *"
class = 7
quue = "ops"

[schedule.invoices]
every = 0
queue = "billing"
args = [1, { rate = nan }]
"#;
        insta::assert_snapshot!(refused(&[("prod.toml", text)]), @r#"
        error: unknown catch-up policy `lates`
         --> prod.toml:4:12
          |
        4 | catch_up = "lates"
          |            ^^^^^^^
          |
        help: did you mean `latest`?

        error: both `cron` and `every` are given
         --> prod.toml:7:1
          |
        7 | every = "30s"
          | ^^^^^
          |
        help: keep one of the two

        error: expected a string, found an integer
         --> prod.toml:9:9
          |
        9 | class = 7
          |         ^

        error: unknown key `quue`
          --> prod.toml:10:1
           |
        10 | quue = "ops"
           | ^^^^
           |
        help: did you mean `queue`?

        error: an interval is whole seconds, at least one
          --> prod.toml:13:9
           |
        13 | every = 0
           |         ^

        error: `nan` can't be an argument
          --> prod.toml:15:21
           |
        15 | args = [1, { rate = nan }]
           |                     ^^^
           |
        help: put it into quotes, as text; `args_json` takes integers of any size

        6 mistakes in 1 file; nothing of this schedule is used
        "#);
    }

    #[test]
    fn an_unknown_key_without_a_near_one_is_answered_with_all_of_them() {
        let text = "[schedule.a]\nqueue = 'q'\nfrequency = '1h'\n[jobs]\n";
        insta::assert_snapshot!(refused(&[("a.toml", text)]), @"
        error: unknown key `frequency`
         --> a.toml:3:1
          |
        3 | frequency = '1h'
          | ^^^^^^^^^
          |
        help: allowed here: `cron`, `every`, `timezone`, `at`, `in`, `first_in`, `first_at`, `first`, `last_in`, `last_at`, `last`, `times`, `starts_at`, `ends_at`, `jitter`, `class`, `queue`, `active_job`, `locale`, `priority`, `active_job_timezone`, `kwargs`, `args`, `args_json`, `include_metadata`, `catch_up`, `catch_up_window`, `description`, `env`, `rails_env`, `enabled`

        error: unknown key `jobs`
         --> a.toml:4:2
          |
        4 | [jobs]
          |  ^^^^
          |
        help: allowed here: `defaults`, `schedule`

        2 mistakes in 1 file; nothing of this schedule is used
        ");
    }

    #[test]
    fn a_name_in_two_files_is_one_mistake_that_shows_both() {
        let other = "# Later\n[schedule.sweep]\nqueue = 'low'\n[schedule.b]\nqueue = 'b'\n";
        let files = [
            ("a.toml", "[schedule.sweep]\nqueue = 'high'\n"),
            ("b.toml", other),
        ];
        insta::assert_snapshot!(refused(&files), @"
        error: entry `sweep` is in more than one file
         --> a.toml:1:11
          |
        1 | [schedule.sweep]
          |           ^^^^^
          |
         ::: b.toml:2:11
          |
        2 | [schedule.sweep]
          |           ^^^^^
          |
        help: rename one of them, or take it out

        1 mistake in 2 files; nothing of this schedule is used
        ");
    }

    #[test]
    fn a_file_that_is_not_toml_hides_no_mistake_in_another() {
        let broken = "[schedule.a]\nevery = 30s\nqueu = 'q'\nclass = 'A\n[schedule.a]\n";
        let files = [
            ("a.toml", broken),
            ("b.toml", "[schedule.b]\nevery = '30s'\n"),
        ];
        insta::assert_snapshot!(refused(&files), @r#"
        error: string values must be quoted, expected literal string
         --> a.toml:2:9
          |
        2 | every = 30s
          |         ^^^

        error: invalid literal string, expected `'`
         --> a.toml:4:11
          |
        4 | class = 'A
          |           ^

        error: duplicate key
         --> a.toml:5:11
          |
        5 | [schedule.a]
          |           ^
          |
        help: each key and each table can be given only once

        error: no queue for entry `b`
         --> b.toml:1:11
          |
        1 | [schedule.b]
          |           ^
          |
        help: add `queue = "…"` to the entry, or to `[defaults]` for all

        4 mistakes in 2 files; nothing of this schedule is used
        "#);
    }

    #[test]
    fn what_cannot_be_read_is_reported_with_all_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("empty")).unwrap();
        fs::write(path("latin1.toml"), b"[schedule.a]\nqueue = 'caf\xe9'\n").unwrap();
        fs::write(path("typo.toml"), "[schedul.a]\n").unwrap();
        let paths = ["absent.toml", "empty", "latin1.toml", "typo.toml"].map(path);
        let report = load(&paths, &CONTEXT).unwrap_err().to_string();
        let report = report.replace(&format!("{}/", directory.path().display()), "");
        insta::assert_snapshot!(report, @"
        error: no such file or directory
        --> absent.toml
         |
        help: check the path; of a directory, every `*.toml`, `*.yml` and `*.yaml` in it is read

        error: no `*.toml`, `*.yml` or `*.yaml` in this directory
        --> empty
         |
        help: put a schedule file into it, or name the file itself

        error: not UTF-8 text
         --> latin1.toml:2:13
          |
        2 | queue = 'caf�'
          |             ^
          |
        help: save the file in UTF-8

        error: unknown key `schedul`
         --> typo.toml:1:2
          |
        1 | [schedul.a]
          |  ^^^^^^^
          |
        help: did you mean `schedule`?

        4 mistakes in 4 files; nothing of this schedule is used
        ");
    }

    #[test]
    fn a_directory_is_its_toml_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a.toml"), "[schedule.a]\nqueue = 'q'\n").unwrap();
        for ignored in ["b.toml~", ".#c.toml", ".toml", "README"] {
            fs::write(path(ignored), "not a schedule").unwrap();
        }
        fs::create_dir(path("below")).unwrap();
        fs::write(path("below/d.toml"), "not a schedule").unwrap();
        // Named twice, read once.
        let paths = [path(""), path("a.toml")];
        let schedule = load(&paths, &CONTEXT).unwrap().schedule;
        assert_eq!(schedule.entries().len(), 1);
        assert!(schedule.get("a").is_some());
    }

    #[test]
    fn the_schedules_that_we_ship_load() {
        let count = |file: &str, environment: Option<&str>| {
            let context = Context {
                environment: environment.map(str::to_owned),
                zone: Zone::UTC,
            };
            let schedule = load(&[Path::new(SCHEDULES).join(file)], &context);
            schedule
                .unwrap_or_else(|report| panic!("{report}"))
                .schedule
                .entries()
                .len()
        };
        assert_eq!(count("demo.toml", None), 3);
        assert_eq!(count("prod.toml", None), 7);
        assert_eq!(count("prod.toml", Some("production")), 8);
        assert_eq!(count("", None), 10);
    }

    #[test]
    fn no_files_and_empty_files_are_an_empty_schedule() {
        assert_eq!(load(&[], &CONTEXT), Ok(Loaded::default()));
        let empty = Source {
            path: "empty.toml".into(),
            text: "# nothing yet\n".into(),
        };
        assert_eq!(parse(&[empty], &CONTEXT), Ok(Loaded::default()));
    }

    /// Parses the text and shows what comes of it, which must not panic.
    fn survives(text: &str) {
        let source = Source {
            path: "any.toml".into(),
            text: text.into(),
        };
        if let Err(report) = parse(&[source], &CONTEXT) {
            assert!(!report.to_string().is_empty());
        }
    }

    #[test]
    fn awkward_texts_are_survived() {
        survives("\u{feff}[schedule.a]\r\nqueue = 'é\r\n");
        survives(&format!("a = {}", "[".repeat(10_000)));
        survives(&format!("[schedule.a]\nargs{} = 1", ".a".repeat(10_000)));
        survives(&format!("[schedule.a{}]", ".a".repeat(10_000)));
    }

    proptest! {
        #[test]
        fn any_text_is_a_schedule_or_a_report(text: String) {
            survives(&text);
        }

        #[test]
        fn a_garbled_schedule_is_a_schedule_or_a_report(
            at: prop::sample::Index,
            length in 0_usize..12,
            insert in "(\\PC|[\"'\\[\\]{}=.,#\\\\\r\n]){0,6}",
        ) {
            let prod = fs::read_to_string(Path::new(SCHEDULES).join("prod.toml")).unwrap();
            let text: Vec<_> = prod.chars().collect();
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            let before = text[..at].iter().copied();
            let after = text[end..].iter().copied();
            survives(&before.chain(insert.chars()).chain(after).collect::<String>());
        }
    }
}
