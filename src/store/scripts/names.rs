//! `names.lua`: reads the names in a hash, each with a digest of its value.

use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

script!("names.lua");

/// Maximum number of names in a reply, and of bytes of JSON that Redis reads for it.
const NAMES: usize = 1_000;
const BYTES: usize = 1 << 20;

/// Builds the call for the page of the hash `key` that begins at `cursor`.
pub(in crate::store) fn call(key: &str, cursor: &str) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(key);
    call.arg(cursor).arg(NAMES).arg(BYTES);
    call
}

/// The reply of `names.lua`.
pub(in crate::store) struct NamesReply {
    /// Cursor of the next page; `0`: there is none.
    pub(in crate::store) cursor: String,
    /// Each name, and the digest of its JSON.
    pub(in crate::store) names: Vec<(Vec<u8>, String)>,
}

impl FromRedisValue for NamesReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let cursor = String::from_redis_value(flat.next().unwrap_or(Value::Nil))?;
        let mut names = vec![];
        while let (Some(name), Some(digest)) = (flat.next(), flat.next()) {
            let name = Vec::from_redis_value(name)?;
            names.push((name, String::from_redis_value(digest)?));
        }
        Ok(Self { cursor, names })
    }
}
