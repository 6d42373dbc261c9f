//! Parses the JSON of dynamic entries.

use crate::{
    config::{self, AtPath, Context},
    core::{
        excerpt::excerpt,
        schedule::{DynamicState, Schedule},
    },
    engine::dynamic::unread::Unread,
    events::{Event, Events},
    store::{Store, StoreError},
};

/// Returns the schedule that a leader with these files would have in force.
///
/// # Errors
/// [`StoreError`].
pub(in crate::engine) async fn merged(
    store: &impl Store,
    files: &Schedule,
    context: &Context,
) -> Result<Schedule, StoreError> {
    let names = store.dynamic_names().await?;
    let (mut unread, mut over) = (Unread::of(names.into_keys().collect()), vec![]);
    while !unread.names.is_empty() {
        let page = unread.next_page(store).await?.into_iter();
        over.extend(page.filter_map(|(name, json)| {
            let meaning = read(&name, &json?, context).0.ok()?;
            Some((String::from_utf8(name).ok()?, meaning))
        }));
    }
    let over = over.iter().map(|(name, over)| (&**name, Some(over)));
    Ok(files.overridden(over))
}

/// Parses an entry. Returns the entry or its errors, and its warnings.
pub(super) fn read(
    name: &[u8],
    json: &[u8],
    context: &Context,
) -> (Result<DynamicState, String>, Vec<String>) {
    let (Ok(name), Ok(json)) = (str::from_utf8(name), str::from_utf8(json)) else {
        return (Err("$: not UTF-8 text".to_owned()), vec![]);
    };
    let shown = |found: &AtPath| excerpt(&found.to_string()).into_owned();
    let shown = |found: &[AtPath]| found.iter().map(shown).collect::<Vec<_>>();
    match config::dynamic_entry(name, json, context) {
        Ok(read) => (Ok(read.entry), shown(&read.warnings)),
        Err(mistakes) => (Err(shown(&mistakes).join("; ")), vec![]),
    }
}

/// Logs the errors and warnings of an entry.
pub(super) fn report_reading(
    name: &[u8],
    reading: &Result<DynamicState, String>,
    warnings: &[String],
    events: &Events,
) {
    let name = String::from_utf8_lossy(name);
    let entry = &excerpt(&name);
    match reading {
        Err(mistakes) => events.emit(&Event::DynamicRejected { entry, mistakes }),
        Ok(Err(left_out)) => {
            let why = &left_out.reason.to_string();
            events.emit(&Event::DynamicLeftOut { entry, why });
        }
        Ok(Ok(_)) => {}
    }
    for warning in warnings {
        events.emit(&Event::DynamicWarning { entry, warning });
    }
}
