//! Reads the pile-up guard of an entry or of `[defaults]`.

use std::num::NonZeroU64;

use crate::{
    config::{read::table::Table, report::mistake::Mistake},
    core::schedule::overlap::{Guard, Overlap},
};

/// Reads the guard. `default` is for keys that the table does not have.
pub(in crate::config) fn guard(table: &mut Table<'_>, default: Guard) -> Guard {
    let overlap = table.text("overlap").and_then(|text| {
        let overlap = match *text.get_ref() {
            "allow" => Ok(Overlap::Allow),
            "skip_if_queued" => Ok(Overlap::SkipIfQueued),
            "skip_if_running" => Ok(Overlap::SkipIfRunning),
            other => Err(Mistake::UnknownOverlap(other.to_owned())),
        };
        table.keep(text.span(), overlap)
    });
    let length = table.value("max_queue_length").and_then(|value| {
        let length = value.get_ref().as_integer();
        let length = length
            .and_then(|length| u64::try_from(length).ok())
            .and_then(NonZeroU64::new);
        table.keep(value.span(), length.ok_or(Mistake::QueueLength))
    });
    Guard {
        overlap: overlap.unwrap_or(default.overlap),
        max_queue_length: length.or(default.max_queue_length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Context, Source, parse},
        core::schedule::Schedule,
    };

    fn read(text: &str) -> Result<Schedule, String> {
        let source = Source::new("a.toml", text);
        let context = Context::default();
        parse(&[source], &context)
            .map(|loaded| loaded.schedule)
            .map_err(|report| report.to_string())
    }

    #[test]
    fn an_entry_overrides_the_defaults() {
        let text = "[defaults]\nqueue = 'q'\noverlap = 'skip_if_queued'\nmax_queue_length = 100\n\
            [schedule]\na = {}\nb = { overlap = 'allow', max_queue_length = 1 }\n\
            c = { overlap = 'skip_if_running', max_queue_length = 9223372036854775807 }";
        let schedule = read(text).unwrap();
        let guard = |overlap, length| Guard {
            overlap,
            max_queue_length: NonZeroU64::new(length),
        };
        let longest = i64::MAX.unsigned_abs();
        for (name, expected) in [
            ("a", guard(Overlap::SkipIfQueued, 100)),
            ("b", guard(Overlap::Allow, 1)),
            ("c", guard(Overlap::SkipIfRunning, longest)),
        ] {
            assert_eq!(schedule.get(name).unwrap().guard, expected, "{name}");
        }
        let plain = read("schedule.a.queue = 'q'").unwrap();
        assert_eq!(plain.get("a").unwrap().guard, Guard::default());
    }

    #[test]
    fn an_invalid_value_is_marked_in_the_file() {
        let text = "[defaults]\nmax_queue_length = 0\n[schedule.a]\nqueue = 'q'\n\
            overlap = 'skip_if_runing'\nmax_queue_length = 1.5\n[schedule.b]\nqueue = 'q'\n\
            overlap = 'deny'\nmax_queue_length = -1\n[schedule.c]\nqueue = 'q'\noverlap = true\n";
        insta::assert_snapshot!(read(text).unwrap_err(), @"
        error: `max_queue_length` must be a whole number of at least 1
         --> a.toml:2:20
          |
        2 | max_queue_length = 0
          |                    ^
          |
        help: write a number such as `100`, or remove it

        error: unknown overlap policy `skip_if_runing`
         --> a.toml:5:11
          |
        5 | overlap = 'skip_if_runing'
          |           ^^^^^^^^^^^^^^^^
          |
        help: did you mean `skip_if_running`?

        error: `max_queue_length` must be a whole number of at least 1
         --> a.toml:6:20
          |
        6 | max_queue_length = 1.5
          |                    ^^^
          |
        help: write a number such as `100`, or remove it

        error: unknown overlap policy `deny`
         --> a.toml:9:11
          |
        9 | overlap = 'deny'
          |           ^^^^^^
          |
        help: allowed here: `allow`, `skip_if_queued`, `skip_if_running`

        error: `max_queue_length` must be a whole number of at least 1
          --> a.toml:10:20
           |
        10 | max_queue_length = -1
           |                    ^^
           |
        help: write a number such as `100`, or remove it

        error: expected a string, found a boolean
          --> a.toml:13:11
           |
        13 | overlap = true
           |           ^^^^

        6 errors in 1 file; the schedule is not used
        ");
    }
}
