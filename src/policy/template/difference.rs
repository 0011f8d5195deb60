//! Why a name does not match a template that it nearly matches.

use super::matching::ends;
use super::{Part, Template};

/// Names longer than this are compared with no template.
const MAX_LENGTH: usize = 512;

/// Listed words that a message names.
const MAX_WORDS: usize = 8;

/// How a name differs from a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Difference {
    /// How many characters the fixed parts have that fit.
    pub(in crate::policy) fits: usize,
    /// How many bytes of the name do not fit.
    pub(in crate::policy) odd: usize,
    /// What differs, in words for people.
    pub(in crate::policy) text: String,
}

impl Part {
    /// How much it says about a name that the part fits it.
    fn weight(&self) -> usize {
        if self.is_text() { 0 } else { self.shortest() }
    }
}

impl Template {
    /// Returns the single part of the template that does not fit a name, or how far
    /// it fits from the beginning.
    pub(in crate::policy) fn difference(&self, name: &str) -> Option<Difference> {
        if name.len() > MAX_LENGTH {
            return None;
        }
        let lower;
        let name = if self.caseless {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        let begins = self.begins(name);
        let single = self.single(name, &begins);
        single.or_else(|| self.beginning(name, &begins))
    }

    /// For each part the positions at which it may begin if all before it fit.
    fn begins(&self, name: &str) -> Vec<Vec<bool>> {
        let length = name.len();
        let mut table = vec![vec![false; length + 1]; self.parts.len() + 1];
        table[0][0] = true;
        for (index, part) in self.parts.iter().enumerate() {
            let (head, tail) = table.split_at_mut(index + 1);
            let (here, next) = (&head[index], &mut tail[0]);
            if part.is_text() {
                for (at, c) in name.char_indices() {
                    let after = at + c.len_utf8();
                    next[after] = (here[at] || next[at]) && part.may_contain(c);
                }
            } else {
                for at in (0..=length).filter(|at| here[*at] && name.is_char_boundary(*at)) {
                    for end in ends(part, name, at) {
                        next[end] = true;
                    }
                }
            }
        }
        table
    }

    /// The part without which everything fits.
    fn single(&self, name: &str, begins: &[Vec<bool>]) -> Option<Difference> {
        let table = self.table(name);
        let total: usize = self.parts.iter().map(Part::weight).sum();
        let mut best: Option<Difference> = None;
        for (index, part) in self.parts.iter().enumerate() {
            let fits = total - part.weight();
            for from in (0..=name.len()).filter(|at| begins[index][*at]) {
                let Some(to) = (from..=name.len()).find(|at| table[index + 1][*at]) else {
                    continue;
                };
                let odd = to - from;
                let is_better = best
                    .as_ref()
                    .is_none_or(|best| (fits, best.odd) > (best.fits, odd));
                // Where only text of any kind fits, nothing does.
                if fits >= 3 && is_better {
                    let text = describe(part, &name[from..to]);
                    best = Some(Difference { fits, odd, text });
                }
            }
        }
        best
    }

    /// How far the template fits from the beginning.
    fn beginning(&self, name: &str, begins: &[Vec<bool>]) -> Option<Difference> {
        let reached = |table: &Vec<bool>| table.iter().position(|begins| *begins);
        let (index, at) = begins
            .iter()
            .enumerate()
            .rev()
            .find_map(|(index, table)| Some((index, reached(table)?)))?;
        let parts = self.parts.get(..index)?;
        let fits: usize = parts.iter().map(Part::weight).sum();
        let wanted: String = self.parts[index..].iter().map(Part::written).collect();
        let (before, after) = name.split_at(at);
        (fits >= 3 && !wanted.is_empty()).then(|| Difference {
            fits,
            odd: after.len(),
            text: format!(
                "after `{before}` the template expects `{wanted}`, and the name \
                           continues with `{after}`"
            ),
        })
    }
}

/// Says what stands in the place of a part.
fn describe(part: &Part, text: &str) -> String {
    let written = part.written();
    if text.is_empty() {
        return format!("the name has nothing for `{written}`");
    }
    match part {
        Part::Literal(literal) => format!("the name has `{text}` in the place of `{literal}`"),
        Part::Word { name, words } => {
            let shown: Vec<_> = words.iter().take(MAX_WORDS).map(AsRef::as_ref).collect();
            let more = if words.len() > MAX_WORDS { ", …" } else { "" };
            let shown = shown.join(", ");
            format!("`{text}` is not one of [words] {name} ({shown}{more})")
        }
        Part::PullRequest => format!("`{text}` is not the number of a pull request"),
        Part::Run => format!("`{text}` is not the id of a run"),
        Part::Epoch => format!("`{text}` is not a time in seconds, of ten digits"),
        Part::Date(_) => format!("`{text}` is not a time in the format of `{written}`"),
        Part::Any { .. } | Part::Branch { .. } | Part::Slug(_) => {
            format!("`{text}` does not fit `{written}`")
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::template::tests::template;

    #[test]
    fn the_part_that_does_not_fit_is_named() {
        for (text, name, expected) in [
            (
                "{service}-preview-{pr}",
                "checkout-preview-120",
                Some("`checkout` is not one of [words] service (api, api-v2, web)"),
            ),
            (
                "{service}-preview-{pr}",
                "api-previw-120",
                Some("the name has `-previw-` in the place of `-preview-`"),
            ),
            (
                "{service}-preview-{pr}",
                "api-preview-0120",
                Some("`0120` is not the number of a pull request"),
            ),
            (
                "{service}-preview-{pr}",
                "api-preview-",
                Some("the name has nothing for `{pr}`"),
            ),
            (
                "preview/pr-{pr}-{any:a-z}",
                "preview/pr-7-X1",
                Some("`X1` does not fit `{any:a-z}`"),
            ),
            ("preview/pr-{pr}-{any}", "preview/main", None),
            (
                "preview/{pr}/db-{service}",
                "preview/7/cache",
                Some(
                    "after `preview/7` the template expects `/db-{service}`, and the name continues with `/cache`",
                ),
            ),
            ("xyz-{any}", "staging", None),
        ] {
            let found = template(text).difference(name);
            let found = found.map(|found| found.text);
            assert_eq!(found.as_deref(), expected, "{text} {name}");
        }
    }
}
