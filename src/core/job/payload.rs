//! The JSON texts that Resque keeps: a payload in a queue, an item in a bucket.

use std::borrow::Cow;

/// Returns `text`, which ends with a JSON array, with `elements` appended to the array.
pub fn appended(text: &str, elements: &str) -> String {
    let open = text.strip_suffix(']').unwrap_or(text);
    let is_empty = open.trim_ascii_end().ends_with('[');
    let comma = if is_empty { "" } else { "," };
    format!("{open}{comma}{elements}]")
}

/// Returns the payload that a worker pops: class first, no spaces. `arguments` is a JSON array.
pub fn payload(class: &str, arguments: &str) -> String {
    let class = quoted(class);
    format!("{{\"class\":{class},\"args\":{arguments}}}")
}

/// Returns the argument list for a value of `args`, as resque-scheduler 5.0 reads it.
///
/// An array is the list itself, `null` is an empty list, and any other value is a single argument. `json` must be valid
/// JSON without white space around it. Its bytes do not change.
pub fn argument_list(json: &str) -> Cow<'_, str> {
    match json {
        "null" => Cow::Borrowed("[]"),
        list if list.starts_with('[') => Cow::Borrowed(list),
        one => Cow::Owned(format!("[{one}]")),
    }
}

/// Returns the item that `enqueue_at` puts into a bucket, as resque-scheduler 5.0 writes it.
///
/// `arguments` is a JSON array; `class` and `queue` are plain text.
pub fn delayed_item(class: &str, arguments: &str, queue: &str) -> String {
    let (class, queue) = (quoted(class), quoted(queue));
    format!("{{\"class\":{class},\"args\":{arguments},\"queue\":{queue}}}")
}

/// Returns `text` as a JSON string: UTF-8 and `/` unescaped, as Ruby writes it.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_ruby_escapes_it() {
        assert_eq!(
            delayed_item("A::B", "[]", "my queue:é/\"x\""),
            r#"{"class":"A::B","args":[],"queue":"my queue:é/\"x\""}"#
        );
    }
}
