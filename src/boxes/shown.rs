//! Which lines of an issue's text GitHub shows as Markdown: a box inside a code block
//! or a comment is text, and nobody can check it.

/// What the lines are inside of.
enum Inside {
    /// Nothing: GitHub shows boxes as boxes.
    Nothing,
    /// A code block between two fences of this character, at least this long, with this
    /// indentation.
    Fence(char, usize, usize),
    /// HTML up to a line with this text.
    Until(&'static str),
    /// HTML up to an empty line.
    UntilEmpty,
    /// It is not certain what the rest of the text is inside of.
    Unclear,
}

/// HTML whose text GitHub shows as it is, empty lines included, by its first and last
/// tag.
const VERBATIM: [(&str, &str); 4] = [
    ("<pre", "</pre"),
    ("<script", "</script"),
    ("<style", "</style"),
    ("<textarea", "</textarea"),
];

/// Returns the lines of a text, each with whether a box in it is certainly shown as one.
/// Where that is doubtful, it is not.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut inside = Inside::Nothing;
    text.lines().map(move |line| {
        let before = std::mem::replace(&mut inside, Inside::Unclear);
        let was_outside = matches!(before, Inside::Nothing);
        inside = next(before, line);
        let is_shown = was_outside && matches!(inside, Inside::Nothing);
        (line, is_shown)
    })
}

/// Returns what the line after this one is inside of.
fn next(inside: Inside, line: &str) -> Inside {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let is_empty = text.is_empty();
    match inside {
        Inside::Nothing => begun(line, indent),
        Inside::Fence(mark, length, of_fence) => {
            let run = text.chars().take_while(|c| *c == mark).count();
            let is_end = run >= length && text[run..].trim().is_empty();
            if is_end && indent < 4 {
                Inside::Nothing
            } else if !is_empty && indent < of_fence {
                // The list ended, and perhaps the code with it.
                Inside::Unclear
            } else {
                Inside::Fence(mark, length, of_fence)
            }
        }
        Inside::Until(end) if line.to_ascii_lowercase().contains(end) => Inside::Nothing,
        Inside::UntilEmpty if is_empty => Inside::Nothing,
        Inside::Until(_) | Inside::UntilEmpty | Inside::Unclear => inside,
    }
}

/// Returns what a line begins.
fn begun(line: &str, indent: usize) -> Inside {
    let marks = |c: char| c.is_whitespace() || c.is_ascii_digit() || ">-*+.)".contains(c);
    let text = line.trim_start_matches(marks);
    for mark in ['`', '~'] {
        let length = text.chars().take_while(|c| *c == mark).count();
        let is_fence = length >= 3 && (mark == '~' || !text[length..].contains(mark));
        // A fence in a quotation or beside the mark of a list ends with them.
        let is_plain = line.trim_start().starts_with(mark);
        if is_fence && is_plain {
            return Inside::Fence(mark, length, indent);
        }
        if is_fence {
            return Inside::Unclear;
        }
    }
    if let Some(at) = line.rfind("<!--")
        && !line[at..].contains("-->")
    {
        return Inside::Until("-->");
    }
    let text = line.trim_start().to_ascii_lowercase();
    for (begin, end) in VERBATIM {
        if text.contains(begin) && !text.contains(end) {
            return Inside::Until(end);
        }
    }
    let tag = text.strip_prefix('<').unwrap_or_default();
    if tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
        return Inside::UntilEmpty;
    }
    Inside::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are certainly shown.
    fn shown(text: &str) -> Vec<&str> {
        let lines = lines(text).filter(|(line, is_shown)| *is_shown && !line.is_empty());
        lines.map(|(line, _)| line).collect()
    }

    #[test]
    fn code_comments_and_html_are_not_shown_as_markdown() {
        for (text, expected) in [
            ("a\n```\nb\n```\nc", vec!["a", "c"]),
            ("a\n  ```sh\n  b\n  ```\nc", vec!["a", "c"]),
            ("````\n```\nb\n````\nc", vec!["c"]),
            ("~~~ x\n```\nb\n~~~\nc", vec!["c"]),
            ("```\nb", vec![]),
            ("``` a ``` b\nc", vec!["``` a ``` b", "c"]),
            ("> ```\n> b\n> ```\nc", vec![]),
            ("- ```\n  b\n  ```\nc", vec![]),
            ("  ```\nb\n```\nc", vec![]),
            ("<!-- a\nb\n-->\nc", vec!["c"]),
            ("a <!-- b -->\nc", vec!["a <!-- b -->", "c"]),
            ("a <!-- b --> <!-- c\nd -->\ne", vec!["e"]),
            ("<pre>\n\nb\n</pre>\nc", vec!["c"]),
            ("<details><summary>a</summary>\nb\n\nc", vec!["c"]),
            (
                "<details><summary>a</summary>\n\nb\n\n</details>\n\nc",
                vec!["b", "c"],
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
