//! Parses YAML into values as Ruby's Psych does.
//!
//! The module `psych` has the rules for scalars. `<<` merges tables. If a key is given twice, the last value counts.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::{
    config::{
        read::{
            psych,
            value::{Located, Members, Node, Value, scalar_text},
        },
        report::{diagnostic::Diagnostic, mistake::Mistake, source::Source},
    },
    core::job::json::{DEEPEST, Unperformable},
};

/// The maximum number of values that aliases and anchors of a file repeat in total.
const MOST_REPEATED: usize = 1_000_000;

/// A file in YAML.
#[derive(Default)]
pub(in crate::config) struct Document<'t> {
    /// The members of the root.
    pub(in crate::config) members: Members<'t>,
    /// The comments, without the `#`.
    pub(in crate::config) comments: Vec<Located<Cow<'t, str>>>,
    /// The errors and warnings that did not stop the parser.
    pub(in crate::config) mistakes: Vec<Diagnostic>,
}

/// Parses a file in YAML.
///
/// # Errors
/// Returns the error at which the parser stopped.
pub(in crate::config) fn parse(source: &Source) -> Result<Document<'_>, Diagnostic> {
    let mut reader = Reader {
        parser: Parser::new_from_str(&source.text),
        source,
        anchors: HashMap::new(),
        repeated: 0,
        depth: 0,
        document: Document::default(),
    };
    match reader.document() {
        Ok(()) => Ok(reader.document),
        Err(stop) => Err(Diagnostic::new(source, Some(stop.span), stop.mistake)),
    }
}

/// The error at which the parser stops.
struct Stop {
    span: Range<usize>,
    mistake: Mistake,
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    source: &'t Source,
    anchors: HashMap<usize, Node<'t>>,
    /// The number of values that aliases and anchors have repeated so far.
    repeated: usize,
    depth: usize,
    document: Document<'t>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<(), Stop> {
        let mut documents = 0;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.report(span, Mistake::SecondDocument);
                        return Ok(());
                    }
                }
                event => {
                    let root = self.node(event, &span)?;
                    let span = root.span();
                    match root.into_inner() {
                        // For an empty file, Ruby has an empty schedule.
                        Value::Null => {}
                        Value::Table(members) => self.document.members = members,
                        other => self.report(span, other.instead_of("a table")),
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the next event that is not a comment. Comments are collected.
    fn next(&mut self) -> Result<Option<(Event<'t>, Range<usize>)>, Stop> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(syntax(self.source, &error)),
                Some(Ok((Event::Comment(text, _), span))) => {
                    self.document
                        .comments
                        .push(Located::new(range(&span), text));
                }
                Some(Ok((event, span))) => return Ok(Some((event, range(&span)))),
            }
        }
    }

    /// Returns the next event within a collection.
    fn inner(&mut self) -> Result<(Event<'t>, Range<usize>), Stop> {
        let end = self.source.text.len();
        let missing = || Stop {
            span: end..end,
            mistake: Mistake::Syntax("the file ends too soon".to_owned()),
        };
        self.next()?.ok_or_else(missing)
    }

    fn report(&mut self, span: Range<usize>, mistake: Mistake) {
        let diagnostic = Diagnostic::new(self.source, Some(span), mistake);
        self.document.mistakes.push(diagnostic);
    }

    /// Reads the value that begins with this event.
    fn node(&mut self, event: Event<'t>, span: &Range<usize>) -> Result<Node<'t>, Stop> {
        if self.depth == DEEPEST {
            return Err(too_deep(span));
        }
        self.depth += 1;
        let node = match event {
            Event::Alias(anchor) => self.alias(anchor, span)?,
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(text, style, tag.as_deref(), span);
                self.anchored(anchor, Located::new(span.clone(), value))?
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), span);
                let (items, end) = self.items()?;
                let node = Located::new(whole(span, &end), Value::List(items));
                self.anchored(anchor, node)?
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), span);
                let (members, end) = self.members()?;
                let node = Located::new(whole(span, &end), Value::Table(members));
                self.anchored(anchor, node)?
            }
            other => {
                let mistake = Mistake::Syntax(format!("expected a value, found {other:?}"));
                return Err(Stop {
                    span: span.clone(),
                    mistake,
                });
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn anchored(&mut self, anchor: usize, node: Node<'t>) -> Result<Node<'t>, Stop> {
        // An anchor keeps a copy of its value. Anchors within anchors keep many copies, so the copies are counted too.
        if anchor > 0 {
            self.repeat(measure(&node).0, &node.span())?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Counts repeated values, and stops if there are too many.
    fn repeat(&mut self, values: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.repeated += values;
        if self.repeated > MOST_REPEATED {
            let (span, mistake) = (span.clone(), Mistake::TooManyAliases);
            return Err(Stop { span, mistake });
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: &Range<usize>) -> Result<Node<'t>, Stop> {
        // An anchor that is not known yet is that of a value that contains this alias.
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or_else(|| Stop {
            span: span.clone(),
            mistake: Mistake::HoldsItself,
        })?;
        let (values, depth) = measure(&node);
        if self.depth + depth > DEEPEST {
            return Err(too_deep(span));
        }
        self.repeat(values, span)?;
        Ok(node)
    }

    /// Returns the items of a sequence, and the position of its end.
    fn items(&mut self) -> Result<(Vec<Node<'t>>, Range<usize>), Stop> {
        let mut items = vec![];
        loop {
            match self.inner()? {
                (Event::SequenceEnd, end) => return Ok((items, end)),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    /// Returns the members of a mapping, and the position of its end.
    fn members(&mut self) -> Result<(Members<'t>, Range<usize>), Stop> {
        let mut members = Members::new();
        // Keys that the mapping itself has. Merged keys may be given again.
        let mut given = HashSet::new();
        loop {
            let (event, span) = self.inner()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((members, span));
            }
            let is_text =
                matches!(&event, Event::Scalar(.., Some(tag)) if psych::tag_name(tag) == Ok("str"));
            let node = self.node(event, &span)?;
            let key = self.key(node);
            let (event, span) = self.inner()?;
            let is_list = matches!(event, Event::SequenceStart(..));
            let value = self.node(event, &span)?;
            if self.depth == 2 && key.get_ref() == "description" {
                self.time_is_text(&value.span());
            }
            if key.get_ref() == "<<"
                && !is_text
                && let Some(merged) = merged(&value, is_list)
            {
                members.extend(merged);
                continue;
            }
            if !given.insert(key.get_ref().clone()) {
                let name = key.get_ref().to_string();
                self.report(key.span(), self.given_twice(name));
            }
            members.insert(key, value);
        }
    }

    /// Replaces the last error, if it is about a date or time at `span`, by the warning that it is read as text.
    fn time_is_text(&mut self, span: &Range<usize>) {
        if let Some(last) = self.document.mistakes.last_mut()
            && last.places.iter().all(|it| it.span.as_ref() == Some(span))
            && matches!(last.mistake, Mistake::RubyTime(_))
        {
            last.mistake = Mistake::TimeAsText;
        }
    }

    /// Returns the error for an entry, or the warning for any other key, that is given twice.
    ///
    /// For an entry it is an error because only the last one would be loaded.
    fn given_twice(&self, key: String) -> Mistake {
        match self.depth {
            1 => Mistake::EntryTwice(key),
            _ => Mistake::GivenTwice(key),
        }
    }

    /// Converts a key to text as Ruby's `to_s` does.
    fn key(&mut self, node: Node<'t>) -> Located<Cow<'t, str>> {
        let span = node.span();
        let text = scalar_text(node.into_inner()).unwrap_or_else(|other| {
            self.report(span.clone(), other.instead_of("a key"));
            "".into()
        });
        Located::new(span, text)
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Range<usize>,
    ) -> Value<'t> {
        if text.contains("<%") {
            self.report(span.clone(), Mistake::Erb);
        }
        if style == ScalarStyle::Plain && text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
            self.report(span.clone(), Mistake::LineBreak);
        }
        let value = match tag.map(psych::tag_name) {
            None if style != ScalarStyle::Plain => Ok(Value::Text(text)),
            None | Some(Ok("" | "int" | "bool" | "null")) => psych::resolve(text),
            Some(Ok("float")) => text
                .parse()
                .map(Value::Float)
                .map_err(|_| Mistake::WrongType("a float", "a string")),
            Some(Ok("str" | "sym" | "symbol")) => Ok(Value::Text(text)),
            Some(Ok("binary")) => psych::binary(&text),
            Some(Ok(tag)) => Err(Mistake::Tag(tag.to_owned())),
            Some(Err(tag)) => Err(Mistake::Tag(tag)),
        };
        value.unwrap_or_else(|mistake| {
            let text = match &mistake {
                Mistake::RubyTime(text) => text.clone(),
                _ => String::new(),
            };
            self.report(span.clone(), mistake);
            Value::Text(text.into())
        })
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, span: &Range<usize>) {
        match tag.map(psych::tag_name) {
            None | Some(Ok("" | "map" | "seq")) => {}
            Some(Ok(tag)) => self.report(span.clone(), Mistake::Tag(tag.to_owned())),
            Some(Err(tag)) => self.report(span.clone(), Mistake::Tag(tag)),
        }
    }
}

/// Returns the members that `<<` merges, in order of increasing precedence; `None` if `<<` is an ordinary key here.
fn merged<'t>(value: &Node<'t>, is_list: bool) -> Option<Members<'t>> {
    match value.get_ref() {
        Value::Table(members) => Some(members.clone()),
        Value::List(items) if is_list => {
            let tables = items
                .iter()
                .rev()
                .map(|item| item.get_ref().as_table().ok());
            let tables: Vec<_> = tables.collect::<Option<_>>()?;
            Some(tables.into_iter().flat_map(Members::clone).collect())
        }
        _ => None,
    }
}

/// Returns the number of values in a node, and their depth.
fn measure(node: &Node<'_>) -> (usize, usize) {
    let inner: Vec<_> = match node.get_ref() {
        Value::List(items) => items.iter().map(measure).collect(),
        Value::Table(members) => members.values().map(measure).collect(),
        _ => vec![],
    };
    let values = inner.iter().map(|(values, _)| values).sum::<usize>();
    let depth = inner.iter().map(|(_, depth)| *depth).max();
    (values + 1, depth.unwrap_or(0) + 1)
}

fn too_deep(span: &Range<usize>) -> Stop {
    Stop {
        span: span.clone(),
        mistake: Mistake::Unperformable(Unperformable::TooDeep),
    }
}

fn range(span: &Span) -> Range<usize> {
    // The range is always known, because the parser reads a str.
    span.byte_range().unwrap_or_default()
}

/// Returns the range of a collection. A collection in block style has no end marker, so its range is only its start.
fn whole(start: &Range<usize>, end: &Range<usize>) -> Range<usize> {
    if end.is_empty() {
        start.clone()
    } else {
        start.start..end.end
    }
}

fn syntax(source: &Source, error: &ScanError) -> Stop {
    let end = source.text.len();
    let at = error.marker().byte_offset().unwrap_or(end).min(end);
    match source.text.find("<%") {
        Some(tag) => Stop {
            span: tag..tag + 2,
            mistake: Mistake::Erb,
        },
        None => Stop {
            span: at..at,
            mistake: Mistake::Syntax(error.info()),
        },
    }
}
