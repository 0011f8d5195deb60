//! What people call production.

/// The words for it. `live` also describes previews.
const WORDS: [&str; 4] = ["production", "prod", "prd", "live"];

/// Returns the words of a name that may say that it is production, also with digits
/// beside them: `Live` of `Live-EU`, `prod2` of `shop prod2`.
pub fn production_words(name: &str) -> impl Iterator<Item = &str> {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| {
        let word = word.trim_matches(|c: char| c.is_ascii_digit());
        WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_production_are_known_with_digits_and_in_any_case() {
        for (name, expected) in [
            ("Live-EU", &["Live"][..]),
            ("live-preview-7", &["live"]),
            ("production2", &["production2"]),
            ("2prod", &["2prod"]),
            ("PRODUCTION_EU", &["PRODUCTION"]),
            ("prod-2/live", &["prod", "live"]),
            ("reproduction", &[]),
            ("products", &[]),
            ("alive", &[]),
            ("prod2x", &[]),
            ("pr-7", &[]),
        ] {
            let words: Vec<_> = production_words(name).collect();
            assert_eq!(words, expected, "{name}");
        }
    }
}
