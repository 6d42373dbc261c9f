//! Reads an entry of resque-scheduler as an entry of this scheduler.

use std::borrow::Cow;

use crate::{
    config::{
        context::Context,
        entry::{self, Defaults, contents::FileContents, environments},
        read::{
            table::Table,
            value::{Located, Members},
        },
        report::{diagnostic::Diagnostic, mistake::Mistake, source::Source},
        resque::translate::translated,
    },
    core::schedule::{LeftOut, LeftOutReason, entry::Origin},
};

/// Reads an entry after `rewrite` has changed its members, and adds it to `contents`.
///
/// resque-scheduler does not check entries for other environments. Such an entry is left out here, and its errors become
/// warnings.
pub(in crate::config) fn entry<'t>(
    contents: &mut FileContents,
    name: &Located<Cow<'t, str>>,
    origin: Origin,
    members: Members<'t>,
    rewrite: impl FnOnce(Members<'t>) -> Members<'t>,
    source: &Source,
    context: &Context,
) {
    let mut translated = translated(name, members, source);
    let left_out = |reason| LeftOut {
        name: name.get_ref().to_string(),
        reason,
    };
    let Some(members) = translated.members.map(rewrite) else {
        contents.mistakes.extend(translated.mistakes);
        contents.left_out.push(left_out(LeftOutReason::NoQueue));
        return;
    };
    let (nothing, mut table) = (Members::new(), Table::new(&members, source));
    let defaults = Defaults::read(&mut Table::new(&nothing, source), context);
    let entry = entry::entry(name, origin, &mut table, &defaults, context);
    translated.mistakes.extend(table.finish());
    if is_elsewhere(&members, context) {
        for Diagnostic { mistake, .. } in &mut translated.mistakes {
            if !mistake.is_warning() {
                *mistake = Mistake::Elsewhere(Box::new(mistake.clone()));
            }
        }
        contents.left_out.push(left_out(LeftOutReason::Environment));
    } else {
        contents.entry(entry);
    }
    contents.mistakes.extend(translated.mistakes);
}

/// Whether the entry is only for other environments.
fn is_elsewhere(members: &Members<'_>, context: &Context) -> bool {
    let named = members.get("rails_env").or_else(|| members.get("env"));
    let named = named.and_then(|node| node.get_ref().as_text().ok());
    let named: Vec<_> = named.into_iter().flat_map(environments).collect();
    let here = context.environment.as_deref();
    !named.is_empty() && here.is_none_or(|here| !named.contains(&here))
}
