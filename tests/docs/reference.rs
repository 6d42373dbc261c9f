//! The reference pages list every flag, variable and key that `--help` and errors name, and no others.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{docs::page, harness::Program};

/// Returns the code words in a column of the tables of a page, only below `heading` if there is one.
fn in_tables(name: &str, column: usize, heading: Option<&str>) -> BTreeSet<String> {
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
                let word = code.split([' ', '=']).next().unwrap_or_default();
                words.insert(word.to_owned());
            }
            _ => {}
        }
    }
    words
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
    let documented = in_tables("docs/configuration.md", 0, Some("Options"));
    let is_flag = |it: &String| it.starts_with("--") && it != "--help" && it != "--version";
    let documented: BTreeSet<String> = documented.into_iter().filter(is_flag).collect();
    assert_eq!(documented, flags);
    assert_eq!(
        in_tables("docs/configuration.md", 1, Some("Options")),
        variables
    );
}

#[test]
fn every_flag_of_the_commands_is_documented() {
    let text = page("docs/schedule.md").text + &page("docs/yaml.md").text;
    for command in ["next", "check", "convert"] {
        for flag in flags_and_variables(&help(&[command])).0 {
            assert!(text.contains(&format!("`{flag}")), "{command} {flag}");
        }
    }
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
    assert_eq!(in_tables("docs/schedule.md", 0, Some("Keys")), keys);
}
