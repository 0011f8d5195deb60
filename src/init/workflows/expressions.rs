//! Values: expressions of workflows, variables of shells.

use std::collections::BTreeMap;

use super::UNKNOWN;

/// What is known of variables, by their names without case.
pub(super) type WorkflowVariables = BTreeMap<String, String>;

/// How deep variables may refer to others.
const DEPTH: usize = 6;
/// The longest value.
const LONGEST: usize = 1_000;
/// The most variables of one file.
const MOST: usize = 2_000;

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
        {
            return inner;
        }
    }
    text
}

/// The variable that a line sets: a key of YAML, an assignment of a shell, or a
/// line for `$GITHUB_ENV` and `$GITHUB_OUTPUT`.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim().trim_start_matches("- ").trim();
    let into_file = ["GITHUB_ENV", "GITHUB_OUTPUT", "set-output"];
    if into_file.iter().any(|file| line.contains(file)) {
        let echoed = line.split_once("echo ").map_or(line, |(_, echoed)| echoed);
        let echoed = echoed.split(">>").next().unwrap_or(echoed);
        let (name, value) = unquoted(echoed).split_once('=')?;
        return is_name(name).then(|| (name.to_owned(), value.to_owned()));
    }
    let plain = line
        .strip_prefix("export ")
        .or_else(|| line.strip_prefix("const "))
        .or_else(|| line.strip_prefix("readonly "))
        .or_else(|| line.strip_prefix("local "))
        .unwrap_or(line);
    if let Some((name, value)) = plain.split_once('=')
        && is_name(name.trim_end())
        && !value.starts_with('=')
    {
        return Some((
            name.trim_end().to_owned(),
            unquoted(value.trim_end_matches(';')).to_owned(),
        ));
    }
    let (name, value) = line.split_once(": ")?;
    let structural = [
        "run",
        "name",
        "uses",
        "if",
        "id",
        "on",
        "types",
        "key",
        "description",
    ];
    (is_name(name) && !structural.contains(&name))
        .then(|| (name.to_owned(), unquoted(value).to_owned()))
}

/// Learns a variable, unless it is known.
pub(super) fn learn(line: &str, variables: &mut WorkflowVariables) {
    if let Some((name, value)) = assignment(line)
        && variables.len() < MOST
        && value.len() < LONGEST
    {
        variables.entry(name.to_ascii_lowercase()).or_insert(value);
    }
}

/// Learns a variable in its place, over what is known.
pub(super) fn learn_here(line: &str, variables: &mut WorkflowVariables) {
    if let Some((name, value)) = assignment(line)
        && variables.len() < MOST
        && value.len() < LONGEST
    {
        variables.insert(name.to_ascii_lowercase(), value);
    }
}

/// What a name means by convention.
fn by_convention(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let number = [
        "pr",
        "pr_number",
        "pr_num",
        "pr_id",
        "pull_number",
        "pull_request",
        "pull_request_number",
        "prnumber",
        "pullrequestnumber",
        "pull_request_id",
        "github_pr_number",
    ];
    let head = [
        "head_ref",
        "github_head_ref",
        "branch_name",
        "head_branch",
        "ref_name",
        "branch",
    ];
    if number.contains(&name.as_str()) {
        Some("{pr}")
    } else if ["run_id", "github_run_id"].contains(&name.as_str()) {
        Some("{run}")
    } else if head.contains(&name.as_str()) {
        Some("{branch}")
    } else if name.contains("slug") || name.contains("sanitized") {
        Some("{slug}")
    } else {
        None
    }
}

fn variable(name: &str, variables: &WorkflowVariables, depth: usize) -> String {
    let known = variables.get(&name.to_ascii_lowercase());
    if let Some(value) = known
        && depth < DEPTH
    {
        let value = resolve(value, variables, depth + 1);
        if value.replace(UNKNOWN, "").len() > 1 {
            return value;
        }
    }
    by_convention(name).unwrap_or(UNKNOWN).to_owned()
}

/// Evaluates the inside of `${{ }}`.
fn expression(text: &str, variables: &WorkflowVariables, depth: usize) -> String {
    let text = text.trim();
    if depth >= DEPTH {
        return UNKNOWN.to_owned();
    }
    if let Some(inner) = text
        .strip_prefix("format(")
        .and_then(|text| text.strip_suffix(')'))
    {
        let mut parts = inner.split(',').map(str::trim);
        let mut out = unquoted(parts.next().unwrap_or_default()).to_owned();
        for (index, part) in parts.enumerate().take(10) {
            let hole = format!("{{{index}}}");
            let value = expression(part, variables, depth + 1);
            // A value that has holes again could grow without end.
            if out.len() + out.matches(&hole).count() * value.len() > LONGEST {
                return UNKNOWN.to_owned();
            }
            out = out.replace(&hole, &value);
        }
        return out;
    }
    // `a && b || c`: what has a hole that is known wins.
    for operator in ["||", "&&"] {
        if text.contains(operator) {
            let all: Vec<_> = text
                .split(operator)
                .take(10)
                .map(|part| expression(part, variables, depth + 1))
                .collect();
            let known = all.iter().rev().find(|one| one.contains("{pr}"));
            let known = known.or_else(|| all.iter().find(|one| one.contains("{branch}")));
            let known = known.or_else(|| all.iter().rev().find(|one| *one != UNKNOWN));
            return known.cloned().unwrap_or_else(|| UNKNOWN.to_owned());
        }
    }
    let quoted = unquoted(text);
    if quoted != text {
        return quoted.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let ends = |end: &str| lower.ends_with(end);
    if ends("event.number")
        || ends("pull_request.number")
        || ends("pull_requests[0].number")
        || ends("issue.number")
    {
        return "{pr}".to_owned();
    }
    if ends("head_ref") || ends("head.ref") || ends("head_branch") || ends("ref_name") {
        return "{branch}".to_owned();
    }
    if ends("run_id") || ends("workflow_run.id") {
        return "{run}".to_owned();
    }
    let last = text.rsplit('.').next().unwrap_or(text);
    if is_name(last) && text != last {
        return variable(last, variables, depth + 1);
    }
    UNKNOWN.to_owned()
}

/// Puts values and holes in the place of expressions and variables.
pub(super) fn resolve(text: &str, variables: &WorkflowVariables, depth: usize) -> String {
    if depth >= DEPTH {
        return UNKNOWN.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    let mut holes = 0;
    while let Some(at) = rest.find('$') {
        // Values that refer to each other many times would cost without end.
        holes += 1;
        if holes > if depth == 0 { 64 } else { 4 } {
            return UNKNOWN.to_owned();
        }
        out.push_str(&rest[..at]);
        if out.len() > LONGEST * 8 {
            return out;
        }
        rest = &rest[at..];
        if let Some(inner) = rest.strip_prefix("${{") {
            let Some((inside, after)) = inner.split_once("}}") else {
                break;
            };
            out.push_str(&expression(inside, variables, depth));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix("${") {
            let Some((inside, after)) = inner.split_once('}') else {
                break;
            };
            let name = inside
                .split([':', '-', '/', '%', '#', '^', ','])
                .next()
                .unwrap_or(inside);
            // `process.env.PR_NUMBER` and `pr.number` of scripts.
            let value = if inside.contains('.') {
                expression(inside, variables, depth)
            } else {
                variable(name, variables, depth)
            };
            let changed = name.len() < inside.len() && inside.contains('/');
            out.push_str(if changed && value.contains("{branch}") {
                "{slug}"
            } else {
                &value
            });
            rest = after;
        } else if let Some(inner) = rest.strip_prefix("$(") {
            let end = closing(inner);
            let inside = &inner[..end];
            let resolved = resolve(inside, variables, depth + 1);
            let hole = if resolved.contains("{branch}") || resolved.contains("{slug}") {
                "{slug}"
            } else if resolved.contains("{pr}")
                && resolved.starts_with("echo")
                && !resolved.contains('|')
            {
                "{pr}"
            } else {
                UNKNOWN
            };
            out.push_str(hole);
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let name_end = rest[1..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .map_or(rest.len(), |end| end + 1);
            if name_end > 1 {
                out.push_str(&variable(&rest[1..name_end], variables, depth));
            }
            rest = &rest[name_end..];
        }
    }
    out.push_str(rest);
    out
}

/// Where the command in `$( )` ends.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}
