//! Reads the keys of entries whose jobs are ActiveJob classes, and writes their arguments in ActiveJob's form.

use crate::{
    config::{
        entry::args::{arguments, json_of},
        read::table::Table,
        report::mistake::Mistake,
    },
    core::job::{
        active_job,
        json::{AROUND_ARGUMENTS, Unperformable},
        payload::appended,
    },
};

/// The keys of an entry that only have an effect with `active_job = true`.
const KEYS: [&str; 4] = ["kwargs", "locale", "priority", "active_job_timezone"];

/// The settings for ActiveJob of an entry or of `[defaults]`.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Settings<'t> {
    pub(in crate::config) active_job: bool,
    pub(in crate::config) locale: Option<&'t str>,
    pub(in crate::config) priority: Option<i64>,
    pub(in crate::config) timezone: Option<&'t str>,
}

impl<'t> Settings<'t> {
    /// Reads the settings. `defaults` is for keys that the table does not have.
    pub(in crate::config) fn read(table: &mut Table<'t>, defaults: &Self) -> Self {
        Self {
            active_job: table.flag("active_job").unwrap_or(defaults.active_job),
            locale: table.filled("locale", "the locale").or(defaults.locale),
            priority: priority(table).or(defaults.priority),
            timezone: table
                .filled("active_job_timezone", "the time zone")
                .or(defaults.timezone),
        }
    }

    /// Returns the argument list of an entry as one JSON array.
    ///
    /// For an ActiveJob, converts `args` and `kwargs` to ActiveJob's form. `args_json` is already in that form.
    pub(in crate::config) fn arguments(&self, table: &mut Table<'t>) -> String {
        let kwargs = table.value("kwargs");
        let kwargs = kwargs.filter(|node| {
            let wrong = node.get_ref().as_table().err();
            wrong
                .map(|mistake| table.report(node.span(), mistake))
                .is_none()
        });
        let around = if self.active_job {
            active_job::AROUND
        } else {
            AROUND_ARGUMENTS
        };
        let list = arguments(table, around);
        if !self.active_job {
            for key in KEYS {
                table.not_alone(key, "`active_job = true`");
            }
            return list;
        }
        let kwargs = kwargs.map(|node| json_of(node, table));
        let (done, rest) = if table.has("args_json") {
            (list.as_str(), "[]")
        } else {
            ("[]", list.as_str())
        };
        if let Ok(rest) = active_job::arguments(rest, kwargs.as_deref()) {
            return joined(done, &rest);
        }
        // This module wrote the JSON, so the nesting is the only possible error.
        for key in ["args", "kwargs"] {
            table.report_key(key, Mistake::Unperformable(Unperformable::TooDeep));
        }
        list
    }
}

/// Joins two JSON arrays. The second must be compact.
fn joined(first: &str, second: &str) -> String {
    match second {
        "[]" => first.to_owned(),
        _ => appended(first, &second[1..second.len() - 1]),
    }
}

fn priority(table: &mut Table<'_>) -> Option<i64> {
    let value = table.value("priority")?;
    let number = value.get_ref().as_integer();
    table.keep(value.span(), number.ok_or(Mistake::Priority))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, read::toml};

    /// Returns the arguments of an entry with these lines, and the errors in it.
    fn read(lines: &str) -> (String, Vec<String>) {
        let source = Source::new("a.toml", lines);
        let values = toml::parse(&source).unwrap().root;
        let mut table = Table::new(&values, &source);
        let settings = Settings::read(&mut table, &Settings::default());
        let list = settings.arguments(&mut table);
        let mistakes = table.finish().into_iter();
        (list, mistakes.map(|it| it.mistake.to_string()).collect())
    }

    #[track_caller]
    fn case(lines: &str, arguments: &str) {
        let lines = format!("active_job = true\n{lines}");
        assert_eq!(read(&lines), (arguments.to_owned(), vec![]), "{lines}");
    }

    #[test]
    fn a_hash_lists_which_of_its_keys_are_symbols() {
        case("", "[]");
        case("args = {}", r#"[{"_aj_symbol_keys":[]}]"#);
        case(
            r#"args = [{ a = 1, ":b" = [{ ":c" = 2 }] }]"#,
            r#"[{"a":1,"b":[{"c":2,"_aj_symbol_keys":["c"]}],"_aj_symbol_keys":["b"]}]"#,
        );
    }

    #[test]
    fn symbols_have_a_form_of_their_own() {
        let daily =
            r#"{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"daily"}"#;
        case("args = { symbol = 'daily' }", &format!("[{daily}]"));
        case(
            "kwargs = { at = { symbol = 'daily' } }",
            &format!(r#"[{{"at":{daily},"_aj_ruby2_keywords":["at"]}}]"#),
        );
        case(
            "args = { symbol = 1 }",
            r#"[{"symbol":1,"_aj_symbol_keys":[]}]"#,
        );
    }

    #[test]
    fn keywords_come_last() {
        case(
            "args = [1]\nkwargs = { region = 'eu', ':limit' = 5 }",
            r#"[1,{"region":"eu","limit":5,"_aj_ruby2_keywords":["region","limit"]}]"#,
        );
        case("kwargs = {}", r#"[{"_aj_ruby2_keywords":[]}]"#);
        case(
            "args_json = '[ ]'\nkwargs = {}",
            r#"[ {"_aj_ruby2_keywords":[]}]"#,
        );
    }

    #[test]
    fn an_argument_that_is_in_active_job_s_form_is_copied_as_it_is() {
        case(
            "args = [{ _aj_globalid = 'gid://app/User/1' }]",
            r#"[{"_aj_globalid":"gid://app/User/1"}]"#,
        );
        case("args_json = '[{\"a\":1.0e+2}]'", r#"[{"a":1.0e+2}]"#);
    }

    #[test]
    fn arguments_on_which_a_worker_would_exit_are_refused() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        case(&format!("args_json = '{}'", nested(96)), &nested(96));
        for (args, mistake) in [
            (&*nested(97), "nested too deep"),
            ("[1e400]", "number too large"),
        ] {
            let (_, mistakes) = read(&format!("active_job = true\nargs_json = '{args}'"));
            assert!(mistakes[0].starts_with(mistake), "{mistakes:?}");
            assert_eq!(mistakes.len(), 1);
        }
    }

    #[test]
    fn keys_for_active_job_are_refused_in_other_entries() {
        let (_, mistakes) = read("kwargs = { a = 1 }\nlocale = 'sv'\npriority = 'high'");
        let expected = [
            "`priority` must be a whole number",
            "`kwargs` has no effect without `active_job = true`",
            "`locale` has no effect without `active_job = true`",
            "`priority` has no effect without `active_job = true`",
        ];
        assert_eq!(mistakes, expected);
    }
}
