//! The reference pages list every flag, variable and key that `--help` and errors name, and no others.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{docs::page, harness::Program};

/// Returns the code words, or a `part` of each, in a column of the tables of a page, only below `heading` if given.
fn in_tables(
    name: &str,
    column: usize,
    heading: Option<&str>,
    part: impl Fn(&str) -> &str,
) -> BTreeSet<String> {
    let page = page(name);
    let mut words = BTreeSet::new();
    let (mut cell, mut in_body, mut in_heading) = (0, false, false);
    let (mut title, mut is_below) = (String::new(), heading.is_none());
    for event in Parser::new_ext(&page.text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { level, .. }) if heading.is_some() => {
                in_heading = true;
                title.clear();
                if level == pulldown_cmark::HeadingLevel::H2 {
                    is_below = false;
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                in_heading = false;
                is_below |= heading == Some(&title);
            }
            Event::Text(text) if in_heading => title.push_str(&text),
            Event::End(TagEnd::TableHead) => in_body = true,
            Event::End(TagEnd::Table) => in_body = false,
            Event::Start(Tag::TableRow) => cell = 0,
            Event::End(TagEnd::TableCell) => cell += 1,
            Event::Code(code) if in_body && is_below && cell == column => {
                words.insert(part(&code).to_owned());
            }
            _ => {}
        }
    }
    words
}

fn first_word(code: &str) -> &str {
    code.split(' ').next().unwrap_or_default()
}

fn whole(code: &str) -> &str {
    code
}

fn help(command: &[&str]) -> String {
    Program::new()
        .more_args(command)
        .more_args(&["--help"])
        .run()
        .output
}

/// Returns the long flags in a help text, and their environment variables.
fn flags_and_variables(help: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut flags, mut variables) = (BTreeSet::new(), BTreeSet::new());
    for line in help.lines().map(str::trim) {
        let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
        if line.starts_with('-') {
            flags.extend(words.find(|word| word.starts_with("--")).map(str::to_owned));
        } else if let Some(variable) = line.strip_prefix("[env: ") {
            let name = variable.trim_end_matches(']').split('=').next();
            variables.extend(name.map(str::to_owned));
        }
    }
    for flag in ["--help", "--version"] {
        flags.remove(flag);
    }
    (flags, variables)
}

#[test]
fn the_configuration_page_has_a_row_for_each_flag_and_variable_of_the_scheduler() {
    let (flags, variables) = flags_and_variables(&help(&["run"]));
    assert!(
        flags.len() > 20 && variables.len() > 20,
        "{flags:?} {variables:?}"
    );
    let documented = in_tables("docs/configuration.md", 0, Some("Options"), first_word);
    let is_flag = |it: &String| it.starts_with("--") && it != "--help" && it != "--version";
    let documented: BTreeSet<String> = documented.into_iter().filter(is_flag).collect();
    assert_eq!(documented, flags);
    assert_eq!(
        in_tables("docs/configuration.md", 1, Some("Options"), first_word),
        variables
    );
}

#[test]
fn every_flag_of_the_commands_is_documented() {
    let pages = ["schedule.md", "yaml.md", "commands.md", "configuration.md"];
    let pages = pages.map(|name| page(&format!("docs/{name}")).text);
    let commands = [
        "next", "check", "convert", "status", "enqueue", "explain", "history", "events",
    ];
    let of_schedule = ["list", "show", "trigger", "pause", "resume"];
    let commands = commands.map(|it| vec![it]).into_iter();
    let of_delayed = ["list", "count", "stats", "remove", "run-now", "reschedule"];
    let of_quarantine = ["list", "show", "retry", "discard"];
    let commands = commands
        .chain(of_schedule.map(|it| vec!["schedule", it]))
        .chain(of_delayed.map(|it| vec!["delayed", it]))
        .chain(of_quarantine.map(|it| vec!["quarantine", it]));
    for command in commands {
        let flags = flags_and_variables(&help(&command)).0;
        assert!(!flags.is_empty() || command == ["convert"], "{command:?}");
        for flag in flags {
            let is_in = |text: &String| text.contains(&format!("`{flag}"));
            assert!(pages.iter().any(is_in), "{command:?} {flag}");
        }
    }
}

#[test]
fn the_troubleshooting_page_quotes_what_the_program_logs() {
    let quoted = in_tables(
        "docs/troubleshooting.md",
        0,
        Some("Messages in the log"),
        whole,
    );
    assert!(quoted.len() > 20, "{quoted:?}");
    let source = [
        include_str!("../../src/events/log.rs"),
        include_str!("../../src/logs/mod.rs"),
        include_str!("../../src/cli/run.rs"),
        include_str!("../../src/cli/args/compat.rs"),
    ]
    .concat();
    for message in quoted {
        assert!(source.contains(&message), "{message}");
    }
}

#[test]
fn every_test_that_the_reliability_page_names_exists() {
    let mut named = in_tables("docs/reliability.md", 2, None, last_name);
    // In one table, the column shows commands of Redis.
    named.retain(|it| {
        it.chars()
            .all(|letter| letter == '_' || letter.is_ascii_lowercase() || letter.is_ascii_digit())
    });
    assert!(named.len() > 50, "{named:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = rust_files(&root.join("src")) + &rust_files(&root.join("tests"));
    for name in named {
        let is_one = [
            format!("fn {name}("),
            format!("mod {name};"),
            format!("mod {name} {{"),
        ];
        assert!(is_one.iter().any(|it| source.contains(it)), "{name}");
    }
}

/// Returns the text of all Rust files below a folder.
fn rust_files(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let read = |path: PathBuf| match path.extension() {
        Some(ending) if ending == "rs" => fs::read_to_string(path).unwrap(),
        _ if path.is_dir() => rust_files(&path),
        _ => String::new(),
    };
    entries.map(read).collect()
}

fn last_name(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or_default()
}

#[test]
fn the_schedule_page_has_every_key_of_an_entry_and_no_other() {
    let mut program = Program::new().args(["check"]);
    program = program.schedule("[schedule.a]\nqueue = 'q'\nevery = '1h'\nxxxxxxxxxx = 1\n");
    let log = program.run().log;
    let (_, keys) = log.split_once("allowed here: ").unwrap();
    let keys: BTreeSet<String> = keys
        .lines()
        .next()
        .unwrap()
        .split(", ")
        .map(|key| key.trim_matches('`').to_owned())
        .collect();
    assert!(keys.len() > 20, "{keys:?}");
    assert_eq!(in_tables("docs/schedule.md", 0, Some("Keys"), whole), keys);
}
