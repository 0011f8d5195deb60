//! Suggestions for words that are not known.

/// A near miss among what there is, or all of it.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|other| (strsim::damerau_levenshtein(word, other), other))
        .filter(|(distance, other)| *distance <= 2.max(other.len() / 3))
        .min_by_key(|(distance, _)| *distance);
    // What begins like it is meant more often than what differs in few letters.
    let begins = known.iter().find(|other| {
        let rest = other.strip_prefix(word);
        rest.is_some_and(|rest| word.len() > 1 && rest.starts_with(['_', '-']))
    });
    match begins.map(|other| (0, other)).or(near) {
        Some((_, other)) => format!("did you mean `{other}`?"),
        None => format!("there is: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_words_may_have_more_slips_than_short_ones() {
        let known = ["grace", "created-after-opened"];
        for (word, expected) in [
            ("grcae", "did you mean `grace`?"),
            ("grc", "did you mean `grace`?"),
            ("gr", "there is: grace, created-after-opened"),
            ("created", "did you mean `created-after-opened`?"),
            (
                // Four letters are missing.
                "creatd-aftr-opnd",
                "did you mean `created-after-opened`?",
            ),
        ] {
            assert_eq!(suggestion(word, &known), expected, "{word}");
        }
    }
}
