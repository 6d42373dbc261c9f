//! "did you mean": the known word of which another may be a slip.

/// The one of `known` that is nearest to `word`, if no more than a third of the letters of `word`
/// would be wrong, as in rustc's suggestions. Case doesn't count.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let most = length.max(3) / 3;
    // To compare takes as long as the product of the lengths, and a word may have any.
    let may_be = |known: &&str| known.chars().count().abs_diff(length) <= most;
    let slips = |known: &str| strsim::damerau_levenshtein(&word, &known.to_lowercase());
    let nearest = known
        .into_iter()
        .filter(may_be)
        .min_by_key(|known| slips(known))?;
    (slips(nearest) <= most).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
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
