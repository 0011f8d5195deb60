//! Filters and orders of the list of DNS records.

use std::cmp::Ordering;

use super::answer::ApiFailure;
use super::dns::Record;
use crate::sandbox::message::Request;

/// Returns whether a record passes the filters of a request.
pub(super) fn passes(record: &Record, request: &Request) -> bool {
    let mut tests = request
        .query
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| test(record, name, value))
        .peekable();
    if request.parameter("match") == Some("any") && tests.peek().is_some() {
        tests.any(|passed| passed)
    } else {
        tests.all(|passed| passed)
    }
}

/// The outcome of one filter; `None` for what is not a filter.
fn test(record: &Record, parameter: &str, value: &str) -> Option<bool> {
    let (field, operator) = parameter.split_once('.').unwrap_or((parameter, "exact"));
    let passed = match field {
        "name" => compare(operator, record.name(), value.trim_end_matches('.'))?,
        "content" => compare(operator, record.text("content").unwrap_or_default(), value)?,
        "comment" => match (operator, record.text("comment")) {
            ("present", comment) => comment.is_some(),
            ("absent", comment) => comment.is_none(),
            (operator, comment) => {
                compare(operator, comment.unwrap_or_default(), value)? && comment.is_some()
            }
        },
        "type" => record.kind().eq_ignore_ascii_case(value),
        "proxied" => record.proxied() == (value == "true"),
        "tag" => tags(record, operator, value),
        "search" => {
            let value = value.to_lowercase();
            [
                record.name(),
                record.kind(),
                record.text("content").unwrap_or_default(),
                record.text("comment").unwrap_or_default(),
            ]
            .iter()
            .any(|text| text.to_lowercase().contains(&value))
        }
        _ => return None,
    };
    Some(passed)
}

fn compare(operator: &str, text: &str, value: &str) -> Option<bool> {
    let (text, value) = (text.to_lowercase(), value.to_lowercase());
    Some(match operator {
        "exact" => text == value,
        "contains" => text.contains(&value),
        "startswith" => text.starts_with(&value),
        "endswith" => text.ends_with(&value),
        _ => return None,
    })
}

fn tags(record: &Record, operator: &str, value: &str) -> bool {
    let tags = record.tags();
    let named = |name: &str| {
        tags.iter()
            .any(|tag| tag.split(':').next().is_some_and(|key| key == name))
    };
    match operator {
        "present" => named(value),
        "absent" => !named(value),
        operator => tags.iter().any(|tag| match value.split_once(':') {
            None => compare(operator, tag, value).unwrap_or(false),
            Some((name, wanted)) => tag.split_once(':').is_some_and(|(key, text)| {
                key == name && compare(operator, text, wanted).unwrap_or(false)
            }),
        }),
    }
}

/// Sorts records as a request asks; ties go by name and id.
pub(super) fn sort(
    records: &mut [(&String, &Record)],
    request: &Request,
) -> Result<(), ApiFailure> {
    let order = request
        .parameter("order")
        .filter(|order| !order.is_empty())
        .unwrap_or("type");
    let key: fn(&Record, &Record) -> Ordering = match order {
        "type" => |left, right| left.kind().cmp(right.kind()),
        "name" => |left, right| left.name().cmp(right.name()),
        "content" => |left, right| left.text("content").cmp(&right.text("content")),
        "ttl" => |left, right| left.ttl().cmp(&right.ttl()),
        "proxied" => |left, right| left.proxied().cmp(&right.proxied()),
        _ => return Err(ApiFailure::bad(9100, "Invalid value for parameter: order")),
    };
    records.sort_by(|(left_id, left), (right_id, right)| {
        key(left, right)
            .then_with(|| left.name().cmp(right.name()))
            .then_with(|| left_id.cmp(right_id))
    });
    Ok(())
}
