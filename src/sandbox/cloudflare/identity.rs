//! Ids in the forms that Cloudflare gives them, and times in its notation.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};

/// A moment as Cloudflare writes it: RFC 3339 with microseconds.
pub(super) fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// 32 hex digits that always come out the same for the same parts.
pub(super) fn stable(parts: &[&str]) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash ^= u128::from(byte);
            hash = hash.wrapping_mul(PRIME);
        }
    }
    // Ids of names that differ only in the last letter must look different.
    for shift in [67, 59, 71] {
        hash ^= hash >> shift;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    }
    hash ^= hash >> 64;
    format!("{hash:032x}")
}

/// The same digits in the form of a random UUID.
pub(super) fn uuid(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("0");
    format!(
        "{}-{}-4{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

/// Returns whether a text has the form of an account, zone or resource id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// All ids ever assigned, so that a resource that is created again under an old
/// name gets a new id.
#[derive(Debug, Default)]
pub(super) struct Register {
    given: BTreeSet<String>,
}

impl Register {
    /// An id for a thing: its stable one the first time, others later.
    pub(super) fn assign(&mut self, kind: &str, name: &str) -> String {
        let mut id = stable(&[kind, name]);
        let mut generation = 1_u32;
        while !self.given.insert(id.clone()) {
            generation += 1;
            id = stable(&[kind, name, &generation.to_string()]);
        }
        id
    }

    /// The id that the world names, or one as [`Self::assign`] makes it.
    pub(super) fn take(&mut self, named: Option<&str>, kind: &str, name: &str) -> String {
        match named {
            Some(id) => {
                self.given.insert(id.to_owned());
                id.to_owned()
            }
            None => self.assign(kind, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_in_form() {
        let id = stable(&["worker", "app"]);
        assert_eq!(id, stable(&["worker", "app"]));
        assert_ne!(id, stable(&["worker", "apq"]));
        assert!(is_id(&id));
        let uuid = uuid(&id);
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
    }

    #[test]
    fn a_second_incarnation_gets_a_new_id() {
        let mut register = Register::default();
        assert_ne!(
            register.assign("worker", "app"),
            register.assign("worker", "app")
        );
    }
}
