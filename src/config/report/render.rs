//! Renders errors and warnings: the message, the lines with carets, and the help.

use std::{collections::BTreeSet, fmt};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use crate::config::report::{
    diagnostic::{Diagnostic, Mistakes},
    source::{Place, boundary},
};

/// The maximum number of positions of one error that are shown.
const SHOWN_PLACES: usize = 10;
/// The maximum number of bytes that are shown of a marked text, and of the line before and after it.
const SHOWN_BYTES: usize = 200;

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.mistake.is_warning() {
            Level::WARNING
        } else {
            Level::ERROR
        };
        let title = level.primary_title(self.message());
        let mut error = Group::with_title(title);
        for place in self.places.iter().take(SHOWN_PLACES) {
            error = show(place, error);
        }
        if self.places.len() > SHOWN_PLACES {
            let more = self.places.len() - SHOWN_PLACES;
            error = error.element(Level::NOTE.message(format!("… and in {more} more places")));
        }
        let mut groups = vec![error];
        if let Some(help) = self.help() {
            let help = Level::HELP.secondary_title(normalize_untrusted_str(&help));
            groups.push(Group::with_title(help));
        }
        f.write_str(&Renderer::plain().render(&groups))
    }
}

/// Adds the lines at the position to the output. Long lines are cut to the part around it.
fn show<'a>(place: &Place, shown: Group<'a>) -> Group<'a> {
    let source = &place.source;
    let path = source.path.display().to_string();
    let Some(span) = &place.span else {
        return shown.element(Origin::path(path));
    };
    let text = &*source.text;
    let start = boundary(text, span.start);
    let (line, begin) = source.line(start);
    let end = boundary(text, span.end.clamp(start, start + SHOWN_BYTES));
    let from = boundary(text, start.saturating_sub(SHOWN_BYTES)).max(begin);
    let to = boundary(text, end + SHOWN_BYTES).min(source.line_end(end));
    let caret = AnnotationKind::Primary.span(start - from..end - from);
    let snippet = Snippet::source(text[from..to].to_owned()).line_start(line);
    if from == begin {
        return shown.element(snippet.path(path).annotation(caret));
    }
    // The line is cut, so the column in the whole line is given explicitly.
    let origin = Origin::path(path)
        .line(line)
        .char_column(source.column(start));
    shown.element(origin).element(snippet.annotation(caret))
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, more) = self.shown();
        for diagnostic in shown {
            write!(f, "{diagnostic}\n\n")?;
        }
        if more > 0 {
            write!(f, "… and {more} more\n\n")?;
        }
        let mistakes = self.mistakes();
        let places = mistakes.clone().flat_map(|diagnostic| &diagnostic.places);
        let paths: BTreeSet<_> = places.map(|place| &place.source.path).collect();
        let plural = |count| if count == 1 { "" } else { "s" };
        let (mistakes, files) = (mistakes.count(), paths.len());
        write!(
            f,
            "{mistakes} error{} in {files} file{}; the schedule is not used",
            plural(mistakes),
            plural(files)
        )
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::report::{mistake::Mistake, source::Source},
        core::time::cron::CronError,
    };

    #[test]
    fn the_help_of_a_cron_error_is_shown_below_it() {
        let text = "[schedule.a]\ncron = \"61 * * * *\"\n";
        let cron = CronError {
            span: 0..2,
            problem: "`61` is no minute".into(),
            help: Some("minutes are 0 to 59".into()),
        };
        let source = Source::new("schedules/a.toml", text);
        let diagnostic = Diagnostic {
            mistake: Mistake::Cron(cron),
            places: vec![Place {
                source,
                span: Some(21..23),
            }],
        };
        insta::assert_snapshot!(diagnostic, @r#"
        error: `61` is no minute
         --> schedules/a.toml:2:9
          |
        2 | cron = "61 * * * *"
          |         ^^
          |
        help: minutes are 0 to 59
        "#);
    }
}
