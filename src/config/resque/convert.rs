//! Converts a YAML schedule of resque-scheduler to TOML, with its comments.
//!
//! A note in the TOML marks everything that is ignored here.

use std::{iter::Peekable, ops::Range, vec};

use crate::{
    config::{
        entry::active_job::Settings,
        read::{
            table::Table,
            value::{Members, Node, Value},
            yaml,
        },
        report::{
            diagnostic::{Diagnostic, Mistakes},
            mistake::Mistake,
            source::Source,
        },
        resque::translate::translated,
    },
    core::{
        job::{payload::quoted, ruby_number},
        schedule::LeftOutReason,
    },
};

/// Writes a YAML schedule as TOML. `warnings` are the warnings about the YAML.
///
/// # Errors
/// Returns the errors in entries for other environments, because they are warnings in YAML but errors in TOML. Returns
/// an error if no entry is left.
pub(in crate::config) fn written(
    source: &Source,
    warnings: &[Diagnostic],
) -> Result<String, Mistakes> {
    let elsewhere: Vec<_> = warnings.iter().filter_map(elsewhere).collect();
    if !elsewhere.is_empty() {
        return Err(Mistakes::new(elsewhere));
    }
    let document = yaml::parse(source).map_err(|error| Mistakes::new(vec![error]))?;
    let notes = warnings.iter().filter_map(Remark::note);
    let comments = document.comments.iter().map(|comment| Remark {
        span: comment.span(),
        text: self::comment(comment.get_ref()),
        note: false,
    });
    let mut remarks: Vec<_> = notes.chain(comments).collect();
    remarks.sort_by_key(|remark| remark.span.start);
    let mut writer = Writer {
        source,
        remarks: remarks.into_iter().peekable(),
        out: String::new(),
    };
    let starts = document
        .members
        .keys()
        .skip(1)
        .map(|name| name.span().start);
    let mut is_empty = true;
    let ends: Vec<_> = starts.chain([source.text.len()]).collect();
    for ((name, value), end) in document.members.into_iter().zip(ends) {
        let Value::Table(members) = value.into_inner() else {
            continue;
        };
        // A note about the whole entry is at the start of its name.
        writer.remarks_before(name.span().start + 1);
        if let Some(members) = translated(&name, members, source).members {
            writer.entry(name.get_ref(), &members, end);
            is_empty = false;
        } else {
            let (name, why) = (name.get_ref(), LeftOutReason::NoQueue);
            let note = format!(" NOTE: `{name}` is left out: it {why}.");
            writer.line(&(comment(&note) + "\n"));
        }
    }
    if is_empty {
        let nothing = Diagnostic::new(source, None, Mistake::NoEntries);
        return Err(Mistakes::new(vec![nothing]));
    }
    writer.remarks_before(usize::MAX);
    Ok(writer.out.trim_end().to_owned() + "\n")
}

/// Returns the error in a warning about an entry for another environment.
fn elsewhere(warning: &Diagnostic) -> Option<Diagnostic> {
    let Mistake::Elsewhere(mistake) = &warning.mistake else {
        return None;
    };
    Some(Diagnostic {
        mistake: (**mistake).clone(),
        places: warning.places.clone(),
    })
}

/// A comment of the file, or a note about the conversion.
struct Remark {
    span: Range<usize>,
    text: String,
    note: bool,
}

impl Remark {
    fn note(warning: &Diagnostic) -> Option<Self> {
        let place = warning.places.first()?;
        Some(Self {
            span: place.span.clone()?,
            text: comment(&format!(" NOTE: {}.", warning.mistake)),
            note: true,
        })
    }
}

/// Returns a TOML comment in one line, with control characters escaped.
fn comment(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\t' => "\t".to_owned(),
        other if other.is_control() => other.escape_default().to_string(),
        other => other.to_string(),
    };
    text.chars()
        .fold("#".to_owned(), |line, it| line + &letter(it))
}

struct Writer<'s> {
    source: &'s Source,
    remarks: Peekable<vec::IntoIter<Remark>>,
    out: String,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Writes the remarks before the position `end`, each on its own line.
    fn remarks_before(&mut self, end: usize) {
        while let Some(remark) = self.remarks.next_if(|remark| remark.span.start < end) {
            self.line(&remark.text);
        }
    }

    /// Writes an entry that ends at `end`, with its remarks.
    fn entry(&mut self, name: &str, members: &Members<'_>, end: usize) {
        self.line(&format!("[schedule.{}]", key(name)));
        for (name, line) in lines(self.source, members) {
            let start = members
                .get_key_value(name)
                .map_or(0, |(key, _)| key.span().start);
            // A note about a key is at the start of the key.
            self.remarks_before(start + 1);
            self.out.push_str(&line);
            if let Some(remark) = self.remark_beside(start) {
                self.out.push_str("  ");
                self.out.push_str(&remark.text);
            }
            self.out.push('\n');
        }
        while let Some(remark) = self.remark_indented(end) {
            self.line(&remark.text);
        }
        self.out.push('\n');
    }

    /// Returns the comment at the end of the line that contains `start`.
    fn remark_beside(&mut self, start: usize) -> Option<Remark> {
        let text = &self.source.text;
        let in_line = |remark: &Remark| {
            let between = text.get(start..remark.span.start);
            !remark.note && between.is_some_and(|between| !between.contains('\n'))
        };
        self.remarks.next_if(in_line)
    }

    /// Returns the next remark before `end`, if it is indented and therefore belongs to the entry before it.
    fn remark_indented(&mut self, end: usize) -> Option<Remark> {
        let text = &self.source.text;
        let indented = |remark: &Remark| {
            let before = text[..remark.span.start].rsplit('\n').next();
            remark.span.start < end && before.is_some_and(|before| !before.is_empty())
        };
        self.remarks.next_if(indented)
    }
}

/// Returns the lines of an entry, each with its key.
fn lines<'m>(source: &Source, members: &'m Members<'_>) -> Vec<(&'m str, String)> {
    let mut arguments = ["args", "kwargs"]
        .iter()
        .filter_map(|key| members.get(*key));
    let in_json = arguments.any(|node| toml(node).is_none());
    let mut lines = vec![];
    for (name, node) in members {
        let name = name.get_ref().as_ref();
        let value = match name {
            "args" | "kwargs" if in_json => continue,
            _ => toml(node).unwrap_or_default(),
        };
        lines.push((name, format!("{} = {value}", key(name))));
    }
    if in_json {
        let name = if members.contains_key("args") {
            "args"
        } else {
            "kwargs"
        };
        lines.push((
            name,
            format!("args_json = {}", literal(&json(source, members))),
        ));
    }
    lines
}

/// Returns the argument list as JSON, for values that do not exist in TOML.
fn json(source: &Source, members: &Members<'_>) -> String {
    let mut table = Table::new(members, source);
    Settings::read(&mut table, &Settings::default()).arguments(&mut table)
}

/// Returns the value in TOML, in one line; `None` if it does not exist in TOML.
fn toml(node: &Node<'_>) -> Option<String> {
    Some(match node.get_ref() {
        // `TooLarge`, `Time` and `LoneSurrogate` do not occur in YAML.
        Value::Null | Value::TooLarge | Value::Time(..) | Value::LoneSurrogate => return None,
        Value::Integer(digits) => digits.parse::<i64>().ok()?.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Float(number) => ruby_number::float(*number),
        Value::Text(text) => string(text),
        Value::List(items) => {
            let items: Option<Vec<_>> = items.iter().map(toml).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Table(members) if members.is_empty() => "{}".to_owned(),
        Value::Table(members) => {
            let members = members.iter();
            let members: Option<Vec<_>> = members
                .map(|(name, node)| Some(format!("{} = {}", key(name.get_ref()), toml(node)?)))
                .collect();
            format!("{{ {} }}", members?.join(", "))
        }
    })
}

fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        string(name)
    }
}

/// Returns a basic string of TOML. Its escapes are those of JSON, but it must also escape U+007F.
fn string(text: &str) -> String {
    quoted(text).replace('\u{7f}', "\\u007f")
}

/// Returns JSON as a literal string of TOML if possible, because JSON contains many double quotes.
///
/// JSON here ends with a bracket, so it cannot end with a single quote.
fn literal(text: &str) -> String {
    if text.contains("'''") || text.contains('\u{7f}') {
        string(text)
    } else if text.contains('\'') {
        format!("'''{text}'''")
    } else {
        format!("'{text}'")
    }
}
