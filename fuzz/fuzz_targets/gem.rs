//! Parses any text as a YAML schedule of resque-scheduler, and as the JSON of a dynamic entry.
//!
//! Parsing never panics, and a valid schedule has the same entries after it is converted to TOML.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rescue_scheduler::config::{self, Context, Source};

fuzz_target!(|text: &str| {
    let context = Context::default();
    let _ = config::dynamic_entry("entry", text, &context);
    let yaml = Source::new("a.yml", text);
    let Ok(loaded) = config::parse(std::slice::from_ref(&yaml), &context) else {
        return;
    };
    let toml = match config::toml_of(&yaml) {
        Ok(toml) => toml,
        Err(mistakes) => {
            // No entry is left, or an entry of another environment has an error: parsing only warns about it, but
            // a conversion must not drop it.
            let nothing = loaded.schedule.entries().len() == 0;
            assert!(nothing || !loaded.warnings.is_empty(), "{mistakes}");
            return;
        }
    };
    let toml = Source::new("a.toml", toml);
    let again = config::parse(&[toml], &context).expect("what was converted reads well");
    assert!(loaded.schedule.entries().eq(again.schedule.entries()));
});
