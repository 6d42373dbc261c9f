//! What a schedule file says: its tables, with the type and the place of each value.
//!
//! What the values mean is for `validate` to say.

use std::ops::Range;

use chrono::TimeDelta;

use crate::{
    config::{
        read::value::{Located, Members, Node, Value},
        report::{
            diagnostic::Diagnostic,
            mistake::{LONGEST_YEARS, Mistake},
            source::Source,
        },
    },
    core::time::duration,
};

/// A table that is being read. What is asked of it are the known keys; all others are mistakes.
///
/// A value of the wrong type is reported and then missing: `None` may mean either, [`Self::has`]
/// tells which.
pub(in crate::config) struct Table<'t> {
    values: &'t Members<'t>,
    source: &'t Source,
    known: Vec<&'static str>,
    mistakes: Vec<Diagnostic>,
}

impl<'t> Table<'t> {
    pub(in crate::config) fn new(values: &'t Members<'t>, source: &'t Source) -> Self {
        Self {
            values,
            source,
            known: vec![],
            mistakes: vec![],
        }
    }

    /// Ends the reading: the mistakes of this table.
    pub(in crate::config) fn finish(mut self) -> Vec<Diagnostic> {
        for (key, _) in self.values {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let mistake = Mistake::UnknownKey(name.to_owned(), self.known.clone());
                self.report(key.span(), mistake);
            }
        }
        self.mistakes
    }

    /// Keeps a mistake made at `span` of the file.
    pub(in crate::config) fn report(&mut self, span: Range<usize>, mistake: Mistake) {
        self.mistakes
            .push(Diagnostic::new(self.source, Some(span), mistake));
    }

    /// Keeps the mistake of a result.
    pub(in crate::config) fn keep<T>(
        &mut self,
        span: Range<usize>,
        result: Result<T, Mistake>,
    ) -> Option<T> {
        result.map_err(|mistake| self.report(span, mistake)).ok()
    }

    /// Whether the key is there, with whatever value.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Reports the second of two keys if both are there.
    pub(in crate::config) fn not_both(&mut self, first: &'static str, second: &'static str) {
        if self.has(first)
            && let Some((key, _)) = self.values.get_key_value(second)
        {
            self.report(key.span(), Mistake::Both(first, second));
        }
    }

    /// Reports the value of the key, if it is there.
    pub(in crate::config) fn report_key(&mut self, key: &str, mistake: Mistake) {
        if let Some(value) = self.values.get(key) {
            self.report(value.span(), mistake);
        }
    }

    /// Reports the key, if it is there, as one too many beside a key of another table.
    pub(in crate::config) fn not_beside(&mut self, key: &'static str, other: &'static str) {
        if let Some((found, _)) = self.values.get_key_value(key) {
            self.report(found.span(), Mistake::Both(key, other));
        }
    }

    /// Reports the key, if it is there, as meaningless without the `other` ones.
    pub(in crate::config) fn not_alone(&mut self, key: &'static str, others: &'static str) {
        if let Some((found, _)) = self.values.get_key_value(key) {
            self.report(found.span(), Mistake::Alone(key, others));
        }
    }

    /// The value of the key, of any type.
    pub(in crate::config) fn value(&mut self, key: &'static str) -> Option<&'t Node<'t>> {
        self.known.push(key);
        self.values.get(key)
    }

    pub(in crate::config) fn table(&mut self, key: &'static str) -> Option<&'t Members<'t>> {
        let value = self.value(key)?;
        self.keep(value.span(), value.get_ref().as_table())
    }

    pub(in crate::config) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        self.keep(value.span(), value.get_ref().as_flag())
    }

    /// A value, and the options beside it, as resque-scheduler writes them: `["1h", { times = 3 }]`.
    pub(in crate::config) fn with_options(
        &mut self,
        key: &'static str,
    ) -> Option<(&'t Node<'t>, Option<&'t Members<'t>>)> {
        let value = self.value(key)?;
        let Some(list) = value.get_ref().as_list() else {
            return Some((value, None));
        };
        match list {
            [only] => Some((only, None)),
            [first, options] => {
                let table = self.keep(options.span(), options.get_ref().as_table());
                Some((first, table))
            }
            _ => {
                let expected = "a value, or a list of a value and options";
                self.report(value.span(), value.get_ref().instead_of(expected));
                None
            }
        }
    }

    /// Ends the reading of another table, whose mistakes are this one's.
    pub(in crate::config) fn absorb(&mut self, other: Self) {
        self.mistakes.extend(other.finish());
    }

    /// A table within this one.
    pub(in crate::config) fn inner(&self, values: &'t Members<'t>) -> Self {
        Self::new(values, self.source)
    }

    pub(in crate::config) fn text(&mut self, key: &'static str) -> Option<Located<&'t str>> {
        let value = self.value(key)?;
        self.as_text(value)
    }

    pub(in crate::config) fn as_text(&mut self, value: &'t Node<'t>) -> Option<Located<&'t str>> {
        let text = self.keep(value.span(), value.get_ref().as_text())?;
        Some(Located::new(value.span(), text))
    }

    /// A text that must not be empty.
    pub(in crate::config) fn filled(
        &mut self,
        key: &'static str,
        what: &'static str,
    ) -> Option<&'t str> {
        let text = self.text(key)?;
        let filled = match *text.get_ref() {
            "" => Err(Mistake::Empty(what)),
            filled => Ok(filled),
        };
        self.keep(text.span(), filled)
    }

    /// The texts of a list, or the only one.
    pub(in crate::config) fn texts(&mut self, key: &'static str) -> Option<Located<Vec<&'t str>>> {
        let value = self.value(key)?;
        let list = value.get_ref().as_list();
        let list = list.unwrap_or(std::slice::from_ref(value));
        let texts = list
            .iter()
            .map(|item| self.keep(item.span(), item.get_ref().as_text()));
        // All are looked at before any is missed.
        let texts: Vec<_> = texts.collect();
        let texts = texts.into_iter().collect::<Option<_>>()?;
        Some(Located::new(value.span(), texts))
    }

    /// A duration: text, or a whole number of seconds.
    pub(in crate::config) fn duration(&mut self, key: &'static str) -> Option<Located<TimeDelta>> {
        let value = self.value(key)?;
        self.as_duration(value)
    }

    pub(in crate::config) fn as_duration(
        &mut self,
        value: &'t Node<'t>,
    ) -> Option<Located<TimeDelta>> {
        let mut span = value.span();
        let length = match value.get_ref() {
            Value::Text(text) => duration::parse(text).map_err(|error| {
                span = self.part(&Located::new(value.span(), &**text), error.span.clone());
                Mistake::Duration(error)
            }),
            seconds @ (Value::Integer(_) | Value::TooLarge) => seconds
                .as_integer()
                .and_then(TimeDelta::try_seconds)
                .ok_or(Mistake::DurationRange),
            other => Err(other.instead_of("a duration (text or whole seconds)")),
        };
        let length = length.and_then(in_range);
        let length = self.keep(span, length)?;
        Some(Located::new(value.span(), length))
    }

    /// What the file says at `span`, letter by letter.
    pub(in crate::config) fn literal(&self, span: Range<usize>) -> &'t str {
        self.source.text.get(span).unwrap_or_default()
    }

    /// Where in the file the bytes `part` of a text are; all of the text if it is written with
    /// escapes.
    pub(in crate::config) fn part(&self, text: &Located<&str>, part: Range<usize>) -> Range<usize> {
        let span = text.span();
        let literal = self.literal(span.clone());
        // A multi-line text starts after the line break that follows its quotes.
        let quote = |letter| matches!(letter, '"' | '\'');
        let unquoted = literal
            .trim_start_matches(quote)
            .trim_start_matches(['\r', '\n']);
        if text.get_ref().is_empty() || !unquoted.starts_with(text.get_ref()) {
            return span;
        }
        let offset = span.start + literal.len() - unquoted.len();
        offset + part.start..offset + part.end
    }
}

/// The length, if a schedule may have it: far from where adding it to an instant overflows.
pub(in crate::config) fn in_range(length: TimeDelta) -> Result<TimeDelta, Mistake> {
    let allowed = TimeDelta::zero()..=TimeDelta::days(LONGEST_YEARS * 366);
    allowed
        .contains(&length)
        .then_some(length)
        .ok_or(Mistake::DurationRange)
}
