//! Sets of characters, as templates and slug functions write them.

/// A set of characters, as `{any:…}` and `keep` write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Characters(Vec<(char, char)>);

impl Characters {
    /// Reads ranges and single characters; `-` first or last is itself.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: Vec<char> = text.chars().collect();
        let mut ranges = Vec::new();
        let mut at = 0;
        while let Some(&low) = letters.get(at) {
            match (letters.get(at + 1), letters.get(at + 2)) {
                (Some('-'), Some(&high)) => {
                    if low > high {
                        return None;
                    }
                    ranges.push((low, high));
                    at += 3;
                }
                _ => {
                    ranges.push((low, low));
                    at += 1;
                }
            }
        }
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// Whether a character is among them.
    pub fn contains(&self, c: char) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&c))
    }

    /// The ranges, both ends included.
    pub(super) fn ranges(&self) -> &[(char, char)] {
        &self.0
    }
}
