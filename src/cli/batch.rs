//! `rescue-scheduler next --batch`: answers each JSON line on standard input with one JSON line.

use std::io::{self, BufRead as _, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::{
    cli::render,
    clock::{Clock as _, SystemClock},
    config::{Mistake, Source, expression, settings},
    core::{
        firing::upcoming::fires,
        time::{duration, instant::rfc3339, zone::Zone},
    },
};

/// One line of input. Other keys are ignored.
#[derive(Debug, Deserialize)]
struct Question {
    cron: Option<String>,
    every: Option<String>,
    tz: Option<String>,
    from: Option<String>,
    count: Option<u16>,
}

/// One line of output. Exactly one field is set, except that a rejected interval has `seconds` and `error`.
#[derive(Debug, Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Number>,
}

/// Answers each line of standard input as soon as it is read, until the input ends.
pub(super) fn answer_all() -> io::Result<()> {
    render::print(|output| {
        for line in io::stdin().lock().split(b'\n') {
            serde_json::to_writer(&mut *output, &answer(&line?))?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
        Ok(())
    })
}

fn answer(line: &[u8]) -> Answer {
    let question = serde_json::from_slice::<Question>(line);
    let answered = question
        .map_err(|error| format!("not a question: {error}"))
        .and_then(|question| match (&question.cron, &question.every) {
            (Some(text), None) => next(text, &question),
            (None, Some(text)) => seconds(text),
            _ => Err("expected either `cron` or `every`".to_owned()),
        });
    answered.unwrap_or_else(|error| Answer {
        error: Some(error),
        ..Answer::default()
    })
}

fn next(text: &str, question: &Question) -> Result<Answer, String> {
    let zone = question.tz.as_deref().map(settings::zone).transpose()?;
    let from = question
        .from
        .as_deref()
        .map(settings::instant)
        .transpose()?;
    let source = Source::new("cron", text);
    let entry = expression::cron(&source, zone.unwrap_or(Zone::UTC))
        .map_err(|diagnostic| words(&diagnostic.mistake))?;
    let next = fires(&entry, from.unwrap_or_else(|| SystemClock.now()))
        .take(question.count.unwrap_or(5).into())
        .map(rfc3339);
    Ok(Answer {
        next: Some(next.collect()),
        ..Answer::default()
    })
}

fn seconds(text: &str) -> Result<Answer, String> {
    let length = duration::parse(text).map_err(|error| words(&Mistake::Duration(error)))?;
    let seconds = match length.subsec_nanos() {
        0 => Some(length.num_seconds().into()),
        _ => Number::from_f64(length.as_seconds_f64()),
    };
    let refused = expression::interval(length).err();
    Ok(Answer {
        seconds,
        error: refused.as_ref().map(words),
        ..Answer::default()
    })
}

/// Returns the error and its help, if any, on one line.
fn words(mistake: &Mistake) -> String {
    match mistake.help() {
        Some(help) => format!("{mistake}; {help}"),
        None => mistake.to_string(),
    }
}
