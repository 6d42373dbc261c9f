//! Suggestions for typing errors ("did you mean …?").

/// Returns the word in `known` that is nearest to `word`.
///
/// Returns `None` if more than a third of the letters of `word` would have to change, the same limit as in rustc's
/// suggestions. Ignores case.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let most = length.max(3) / 3;
    // A comparison takes time in proportion to the product of both lengths, and a word may have any length.
    let similar_length = |known: &&str| known.chars().count().abs_diff(length) <= most;
    let distance = |known: &str| strsim::damerau_levenshtein(&word, &known.to_lowercase());
    let nearest = known
        .into_iter()
        .filter(similar_length)
        .min_by_key(|known| distance(known))?;
    (distance(nearest) <= most).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_has_a_suggestion_and_another_word_has_none() {
        let known = ["cron", "every", "queue", "rails_env"];
        for (word, meant) in [
            ("quue", Some("queue")),
            ("Queue", Some("queue")),
            ("corn", Some("cron")),
            ("rails-env", Some("rails_env")),
            ("interval", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest("word", []), None);
    }
}
