//! Valid documents, damaged: bytes flipped, put in, taken out, repeated, cut
//! off. Far more of a reader is reached by these than by random text.

use proptest::prelude::*;
use proptest::sample::Index;

/// What is put in, besides single bytes.
const HOSTILE: [&str; 24] = [
    "\0",
    "\\u0000",
    "\\ud800",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "é",
    "\"",
    "\\",
    "\n",
    "{",
    "]",
    "null",
    "-1",
    "0",
    "1e999",
    "4294967295",
    "18446744073709551616",
    "+262142-12-31T23:59:59Z",
    "{any}",
    "$NEON_API_KEY",
    " -->",
    "- [x] <!-- gc:keep:",
];

/// How long a very long name is.
pub const LONG: usize = 10_000;

#[derive(Debug, Clone)]
enum Damage {
    Flip(u8),
    Insert(&'static str),
    InsertLong(char),
    Delete(usize),
    Repeat(usize),
    Truncate,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (1_u8..=255).prop_map(Damage::Flip),
        6 => proptest::sample::select(&HOSTILE[..]).prop_map(Damage::Insert),
        1 => proptest::sample::select(vec!['x', '9', '[', '{', '-', '\u{202e}']).prop_map(Damage::InsertLong),
        4 => (1_usize..40).prop_map(Damage::Delete),
        2 => (1_usize..200).prop_map(Damage::Repeat),
        1 => Just(Damage::Truncate),
    ]
}

/// One of these documents, damaged in a few places; with its index.
pub fn damaged(documents: Vec<Vec<u8>>) -> impl Strategy<Value = (usize, Vec<u8>)> {
    let which = 0..documents.len();
    let damages = proptest::collection::vec((any::<Index>(), damage()), 1..6);
    (which, damages).prop_map(move |(which, damages)| {
        let mut document = documents[which].clone();
        for (at, damage) in damages {
            let at = at.index(document.len() + 1);
            apply(&mut document, at, &damage);
        }
        (which, document)
    })
}

fn apply(document: &mut Vec<u8>, at: usize, damage: &Damage) {
    let to = |length: usize| (at + length).min(document.len());
    match damage {
        Damage::Flip(bits) => {
            if let Some(byte) = document.get_mut(at) {
                *byte ^= bits;
            }
        }
        Damage::Insert(text) => {
            document.splice(at..at, text.bytes());
        }
        Damage::InsertLong(c) => {
            let text: String = std::iter::repeat_n(*c, LONG).collect();
            document.splice(at..at, text.into_bytes());
        }
        Damage::Delete(length) => {
            let end = to(*length);
            document.drain(at..end);
        }
        Damage::Repeat(length) => {
            let part = document[at..to(*length)].to_vec();
            document.splice(at..at, part);
        }
        Damage::Truncate => document.truncate(at),
    }
}
