//! The records of the quarantine, as JSON.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{core::time::instant::rfc3339, store::keys::ASIDE};

/// Returns the record of an item: everything that is needed to judge it and to put it back.
///
/// The item is in `item`, or in `item_base64` if it is not UTF-8.
pub(super) fn quarantine_record(
    member: &[u8],
    item: &[u8],
    reason: &str,
    at: DateTime<Utc>,
) -> String {
    let mut record = record(member, reason, at);
    match str::from_utf8(item) {
        Ok(text) => record["item"] = text.into(),
        Err(_) => record["item_base64"] = BASE64_STANDARD.encode(item).into(),
    }
    record.to_string()
}

/// Returns the record of an item that is set aside in its own list, up to the value of `item_bytes`.
pub(super) fn record_aside(member: &[u8], reason: &str, at: DateTime<Utc>) -> String {
    let mut record = record(member, reason, at);
    record["item_key"] = format!("{ASIDE}{}", String::from_utf8_lossy(member)).into();
    let record = record.to_string();
    let open = record.strip_suffix('}').unwrap_or(&record);
    format!("{open},\"item_bytes\":")
}

fn record(member: &[u8], reason: &str, at: DateTime<Utc>) -> Value {
    let at = rfc3339(at);
    let bucket = format!("delayed:{}", String::from_utf8_lossy(member));
    json!({ "reason": reason, "bucket": bucket, "quarantined_at": at })
}
