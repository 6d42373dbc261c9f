//! The JSON texts that Resque keeps: a payload in a queue, an item in a bucket.

use std::borrow::Cow;

/// `text`, which ends in a JSON array, with more elements in it.
pub fn appended(text: &str, elements: &str) -> String {
    let open = text.strip_suffix(']').unwrap_or(text);
    let is_empty = open.trim_ascii_end().ends_with('[');
    let comma = if is_empty { "" } else { "," };
    format!("{open}{comma}{elements}]")
}

/// The payload that a worker pops: class first, no spaces. `arguments` is JSON text, an array.
pub fn payload(class: &str, arguments: &str) -> String {
    let class = quoted(class);
    format!("{{\"class\":{class},\"args\":{arguments}}}")
}

/// The argument list that one JSON value stands for, as resque-scheduler 5.0 reads `args`: an
/// array is the list, `null` is an empty one, anything else is one argument.
///
/// `json` is valid JSON without white space around it. Its bytes are kept.
pub fn argument_list(json: &str) -> Cow<'_, str> {
    match json {
        "null" => Cow::Borrowed("[]"),
        list if list.starts_with('[') => Cow::Borrowed(list),
        one => Cow::Owned(format!("[{one}]")),
    }
}

/// The item that `enqueue_at` puts into a bucket, as resque-scheduler 5.0 writes it.
///
/// `arguments` is JSON text, an array; `class` and `queue` are plain text.
pub fn delayed_item(class: &str, arguments: &str, queue: &str) -> String {
    let (class, queue) = (quoted(class), quoted(queue));
    format!("{{\"class\":{class},\"args\":{arguments},\"queue\":{queue}}}")
}

/// `text` as a JSON string: UTF-8 and `/` unescaped, as Ruby writes it.
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
