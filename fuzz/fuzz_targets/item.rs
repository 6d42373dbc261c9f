//! Decodes any bytes as an item of a bucket.
//!
//! Decoding never panics. A decoded item is a payload that a worker can parse, and the payload does not change if the
//! job is delayed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rescue_scheduler::core::job::{delayed::DelayedItem, payload::delayed_item};
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct Payload<'a> {
    class: String,
    #[serde(borrow)]
    args: &'a RawValue,
}

fuzz_target!(|item: &[u8]| {
    let Ok(decoded) = DelayedItem::decode(item) else {
        return;
    };
    let payload: Payload<'_> = serde_json::from_str(&decoded.payload).expect("a payload is JSON");
    assert!(!payload.class.is_empty() && !decoded.queue.is_empty());
    assert!(payload.args.get().starts_with('['), "{}", payload.args);
    let again = delayed_item(&payload.class, payload.args.get(), &decoded.queue);
    assert_eq!(DelayedItem::decode(again.as_bytes()), Ok(decoded));
});
