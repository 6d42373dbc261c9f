//! Reads the keys of a table, checks the types of their values, and reports errors with positions.
//!
//! `entry` interprets the values.

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

/// A table that is being read.
///
/// Keys that are read are known keys. When the reading ends, all other keys are reported as errors.
///
/// The methods return `None` both for a missing key and for a value of the wrong type, which is reported. Use
/// [`Self::has`] to tell the difference.
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

    /// Ends the reading. Returns the errors and warnings of this table.
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

    /// Records an error or warning at `span` of the file.
    pub(in crate::config) fn report(&mut self, span: Range<usize>, mistake: Mistake) {
        self.mistakes
            .push(Diagnostic::new(self.source, Some(span), mistake));
    }

    /// Records the error of a result, or returns its value.
    pub(in crate::config) fn keep<T>(
        &mut self,
        span: Range<usize>,
        result: Result<T, Mistake>,
    ) -> Option<T> {
        result.map_err(|mistake| self.report(span, mistake)).ok()
    }

    /// Whether the table has the key, with a value of any type.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Reports the second key if the table has both keys.
    pub(in crate::config) fn not_both(&mut self, first: &'static str, second: &'static str) {
        if self.has(first)
            && let Some((key, _)) = self.values.get_key_value(second)
        {
            self.report(key.span(), Mistake::Both(first, second));
        }
    }

    /// Reports the value of the key, if the table has the key.
    pub(in crate::config) fn report_key(&mut self, key: &str, mistake: Mistake) {
        if let Some(value) = self.values.get(key) {
            self.report(value.span(), mistake);
        }
    }

    /// Reports the key, if the table has it, as conflicting with the key `other` of another table.
    pub(in crate::config) fn not_beside(&mut self, key: &'static str, other: &'static str) {
        if let Some((found, _)) = self.values.get_key_value(key) {
            self.report(found.span(), Mistake::Both(key, other));
        }
    }

    /// Reports the key, if the table has it, as having no effect without `others`.
    pub(in crate::config) fn not_alone(&mut self, key: &'static str, others: &'static str) {
        if let Some((found, _)) = self.values.get_key_value(key) {
            self.report(found.span(), Mistake::Alone(key, others));
        }
    }

    /// Returns the value of the key, of any type.
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

    /// Returns a value and its options, in the form of resque-scheduler: `["1h", { times = 3 }]`.
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

    /// Ends the reading of another table, and adds its errors to this table.
    pub(in crate::config) fn absorb(&mut self, other: Self) {
        self.mistakes.extend(other.finish());
    }

    /// Creates a reader for a table within this table.
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

    /// Returns a text that must not be empty. `what` describes it in the error.
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

    /// Returns the texts of a list. A single text counts as a list of one.
    pub(in crate::config) fn texts(&mut self, key: &'static str) -> Option<Located<Vec<&'t str>>> {
        let value = self.value(key)?;
        let list = value.get_ref().as_list();
        let list = list.unwrap_or(std::slice::from_ref(value));
        let texts = list
            .iter()
            .map(|item| self.keep(item.span(), item.get_ref().as_text()));
        // Collected first, so that all wrong items are reported, not only the first.
        let texts: Vec<_> = texts.collect();
        let texts = texts.into_iter().collect::<Option<_>>()?;
        Some(Located::new(value.span(), texts))
    }

    /// Returns a duration, which is text or a whole number of seconds.
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

    /// Returns the text of the file at `span`.
    pub(in crate::config) fn literal(&self, span: Range<usize>) -> &'t str {
        self.source.text.get(span).unwrap_or_default()
    }

    /// Returns the position in the file of the bytes `part` of a text.
    ///
    /// Returns the position of the whole text if it is written with escapes.
    pub(in crate::config) fn part(&self, text: &Located<&str>, part: Range<usize>) -> Range<usize> {
        let span = text.span();
        let literal = self.literal(span.clone());
        // A multi-line text starts after the line break after its quotes.
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

/// Returns the length if it is allowed in a schedule, so that sums with instants cannot overflow.
pub(in crate::config) fn in_range(length: TimeDelta) -> Result<TimeDelta, Mistake> {
    let allowed = TimeDelta::zero()..=TimeDelta::days(LONGEST_YEARS * 366);
    allowed
        .contains(&length)
        .then_some(length)
        .ok_or(Mistake::DurationRange)
}
