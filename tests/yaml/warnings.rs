//! Warnings about YAML that resque-scheduler accepts or ignores.

use rescue_scheduler::config::{self, Context, Source};

/// Returns the warnings about this file, each with its line and help.
#[track_caller]
fn warnings(yaml: &str) -> String {
    let sources = [Source::new("a.yml", yaml)];
    let loaded = config::parse(&sources, &Context::default());
    let warnings = loaded.unwrap_or_else(|report| panic!("{report}")).warnings;
    let shown = warnings.iter().map(|it| {
        let help = it.mistake.help().unwrap_or_default();
        format!("{}: {}; {help}\n", it.places[0], it.mistake)
    });
    shown.collect()
}

#[test]
fn a_warning_about_a_misspelled_key_names_its_effect_on_the_entry() {
    let yaml = "\
never_fires:
  crn: '0 5 * * *'
  queue: q
fires_all_the_same:
  crn: '0 5 * * *'
  every: 1h
  queue: q
everywhere:
  every: 1h
  queue: q
  railsenv: production
only_in_test:
  every: 1h
  queue: q
  rails_envs: production
  env: test
without:
  every: 1h
  queue: q
  arg: [1]
  clas: J
with:
  every: 1h
  queue: q
  arg: [1]
  args: [2]
  clas: J
  class: K
meant_so:
  evry: 1h
  never: true
  queue: q
anchor:
  evry: 1h
  clas: J
";
    insta::assert_snapshot!(warnings(yaml), @"
    a.yml:2: `crn` is ignored, as in resque-scheduler: this entry never fires; did you mean `cron`?
    a.yml:5: `crn` is ignored, as in resque-scheduler; did you mean `cron`?
    a.yml:11: `railsenv` is ignored, as in resque-scheduler: this entry is loaded in every environment; did you mean `rails_env`?
    a.yml:15: `rails_envs` is ignored, as in resque-scheduler; did you mean `rails_env`?
    a.yml:20: `arg` is ignored, as in resque-scheduler: the job gets no arguments; did you mean `args`?
    a.yml:21: `clas` is ignored, as in resque-scheduler: the entry's name is used as the class; did you mean `class`?
    a.yml:25: `arg` is ignored, as in resque-scheduler; did you mean `args`?
    a.yml:27: `clas` is ignored, as in resque-scheduler; did you mean `class`?
    a.yml:30: `evry` is ignored, as in resque-scheduler; did you mean `every`?
    a.yml:34: `evry` is ignored, as in resque-scheduler: this entry never fires; did you mean `every`?
    a.yml:35: `clas` is ignored, as in resque-scheduler; did you mean `class`?
    ");
}

#[test]
fn a_weekday_that_older_apps_fire_in_other_weeks_is_a_warning() {
    let yaml = "\
tuesdays: {cron: '0 5 * * tue%2', queue: q}
weekend:
  cron: ['0 5 * * sat%3+2,sun%3', {first_in: 1h}]
  queue: q
mondays: {cron: '0 5 * * mon%2', queue: q}
all: {cron: '0 5 * * tue%1', queue: q}
";
    insta::assert_snapshot!(warnings(yaml), @"
    a.yml:1: apps with et-orbi before 1.4.0 fire `tue%2` in other weeks, as `tue%2+1` does here; if the app has an older version (`bundle info et-orbi`), write `tue%2+1`
    a.yml:3: apps with et-orbi before 1.4.0 fire `sun%3` in other weeks, as `sun%3+2` does here; if the app has an older version (`bundle info et-orbi`), write `sun%3+2`
    a.yml:3: apps with et-orbi before 1.4.0 fire `sat%3+2` in other weeks, as `sat%3+1` does here; if the app has an older version (`bundle info et-orbi`), write `sat%3+1`
    ");
}

/// As in resque-scheduler 5.0: `load_schedule_job` skips a timing that is `empty?`, `optionizate_interval_value` takes
/// the first value of a list without options, and `trigger` of rufus-scheduler 3.9 fires while `times` is above 0. Only
/// the web page uses a description.
#[test]
fn unusual_values_that_the_gem_accepts_are_accepted_with_a_warning() {
    let yaml = "\
list: {every: 1h, queue: q, description: [a, b]}
table: {every: 1h, queue: q, description: {a: b}}
date: {every: 1h, queue: q, description: 2024-01-02}
text: {cron: '', every: 1h, queue: q}
texts: {every: '', queue: q}
lists: {cron: [], queue: q}
tables: {every: {}, queue: q}
crons: {cron: ['0 1 * * *', '0 2 * * *'], queue: q}
three: {every: [1h, {first_in: 5m}, 2h], queue: q}
zero: {every: [1h, {times: 0}], queue: q}
negative: {cron: ['0 1 * * *', {times: -1}], every: 1h, queue: q}
";
    insta::assert_snapshot!(warnings(yaml), @r#"
    a.yml:1: `description` is ignored: it is not text; quote it to make it text
    a.yml:2: `description` is ignored: it is not text; quote it to make it text
    a.yml:3: `description` is a date or a time and is read as text; quote it to make it text
    a.yml:4: `cron` is empty and ignored, as in resque-scheduler; give it a value, or remove it
    a.yml:5: entry `texts` never fires on its own; give it a `cron` or an `every`; if it is meant never to fire, write `never`
    a.yml:5: `every` is empty and ignored, as in resque-scheduler; give it a value, or remove it
    a.yml:6: entry `lists` never fires on its own; give it a `cron` or an `every`; if it is meant never to fire, write `never`
    a.yml:6: `cron` is empty and ignored, as in resque-scheduler; give it a value, or remove it
    a.yml:7: entry `tables` never fires on its own; give it a `cron` or an `every`; if it is meant never to fire, write `never`
    a.yml:7: `every` is empty and ignored, as in resque-scheduler; give it a value, or remove it
    a.yml:8: `cron` is a list: only its first value counts, as in resque-scheduler; give each of the other values its own entry; options are a table: `["1h", {first_in: 5m}]`
    a.yml:9: `every` is a list: only its first value counts, as in resque-scheduler; give each of the other values its own entry; options are a table: `["1h", {first_in: 5m}]`
    a.yml:10: `times` is 0: this entry never fires, as in resque-scheduler; write a number above 0, or remove the entry
    a.yml:11: `times` is -1: this entry never fires, as in resque-scheduler; write a number above 0, or remove the entry
    a.yml:11: `every` is ignored because `cron` is given, as in resque-scheduler; remove it
    "#);
    let schedule = config::parse(&[Source::new("a.yml", yaml)], &Context::default());
    let schedule = schedule.unwrap().schedule;
    let timings = schedule
        .entries()
        .map(|it| (&*it.name, it.timing.to_string()));
    let timings: Vec<_> = timings.collect();
    let timings: Vec<_> = timings
        .iter()
        .map(|(name, timing)| (*name, &**timing))
        .collect();
    assert_eq!(
        timings,
        [
            ("crons", "cron 0 1 * * * in UTC"),
            ("date", "every 1h"),
            ("list", "every 1h"),
            ("lists", "manual"),
            ("negative", "manual"),
            ("table", "every 1h"),
            ("tables", "manual"),
            ("text", "every 1h"),
            ("texts", "manual"),
            ("three", "every 1h"),
            ("zero", "manual"),
        ]
    );
    let described = schedule.get("date").unwrap().description.as_deref();
    assert_eq!(described, Some("2024-01-02"));
}

/// `load_schedule_job` of resque-scheduler 5.0 checks the environment first.
#[test]
fn an_error_in_an_entry_of_another_environment_is_a_warning() {
    let yaml = "\
a: {cron: '61 * * * *', queue: '', rails_env: production}
b: {every: 1h, queue: q}
";
    insta::assert_snapshot!(warnings(yaml), @"
    a.yml:1: `61` is not a minute; the entry is for another environment; minutes are 0 to 59
    a.yml:1: the queue is empty; the entry is for another environment; give it a value, or remove it
    ");
    let in_production = Context {
        environment: Some("production".to_owned()),
        ..Context::default()
    };
    let sources = [Source::new("a.yml", yaml)];
    let report = config::parse(&sources, &in_production).unwrap_err();
    assert_eq!(report.diagnostics().len(), 2);
    // TOML entries are checked in every environment, so the conversion refuses these errors.
    let report = config::toml_of(&sources[0]).unwrap_err().to_string();
    assert!(report.contains("error: `61` is not a minute"), "{report}");
}

#[test]
fn some_values_that_the_gem_accepts_are_errors_here() {
    for (entry, error) in [
        ("every: 1h, custom_job_class: ''", "the class is empty"),
        (
            "every: [1h, {last_in: 1d, last_at: '2099-01-01'}]",
            "both `last_in` and `last_at` are given",
        ),
        (
            "every: [1h, {first_at: '2030-01-01 10:00 Europe/Paris'}]",
            "`2030-01-01 10:00 Europe/Paris` is neither a duration nor a time",
        ),
        (
            "every: [1h, {times: '3'}]",
            "`times` must be a whole number of at least 1",
        ),
    ] {
        let yaml = format!("a: {{queue: q, {entry}}}\n");
        let report = config::parse(&[Source::new("a.yml", &*yaml)], &Context::default());
        let report = report.unwrap_err().to_string();
        assert!(report.contains(error), "{report}");
    }
}
