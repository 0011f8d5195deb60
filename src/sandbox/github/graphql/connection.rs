//! Lists in pages: GraphQL's connections.

use graphql_parser::query::Field;
use serde_json::{Map, Value, json};

use super::Executor;
use super::objects::{HELD, state};
use crate::sandbox::world::WorldPullRequest;

impl<'a> Executor<'a> {
    /// Returns the pull requests that match a connection's arguments, in order.
    pub(super) fn pulls(&self, field: &Field<'_, String>) -> Vec<&'a WorldPullRequest> {
        let states = self.argument(field, "states");
        let head = self.argument(field, "headRefName");
        let order = self.argument(field, "orderBy").unwrap_or_default();
        let mut pulls: Vec<&WorldPullRequest> = self
            .github
            .pulls
            .iter()
            .filter(|pull| {
                states.as_ref().is_none_or(|states| match states {
                    Value::Array(list) => list.contains(&json!(state(pull))),
                    one => *one == json!(state(pull)),
                })
            })
            .filter(|pull| {
                head.as_ref()
                    .is_none_or(|head| *head == json!(pull.head_ref))
            })
            .collect();
        match order.get("field").and_then(Value::as_str) {
            Some("UPDATED_AT") => pulls.sort_by_key(|pull| (pull.updated_at, pull.number)),
            _ => pulls.sort_by_key(|pull| (pull.opened(), pull.number)),
        }
        if order.get("direction").and_then(Value::as_str) == Some("DESC") {
            pulls.reverse();
        }
        pulls
    }

    /// Returns a page of a list, by the arguments of its field.
    pub(super) fn connection(
        &mut self,
        field: &'a Field<'a, String>,
        total: usize,
        show: &dyn Fn(usize) -> Value,
        on: &str,
    ) -> Value {
        let size = |value: Option<Value>| {
            value
                .and_then(|value| value.as_u64())
                .and_then(|size| usize::try_from(size).ok())
        };
        let (first, last) = (
            size(self.argument(field, "first")),
            size(self.argument(field, "last")),
        );
        let Some(count) = first.or(last) else {
            self.errors.push(json!({
                "type": "MISSING_PAGINATION_BOUNDARIES", "path": ["repository", field.name],
                "message": format!("You must provide a `first` or `last` value to properly \
                                    paginate the `{}` connection.", field.name),
            }));
            return Value::Null;
        };
        if count > 100 {
            self.errors.push(json!({
                "type": "EXCESSIVE_PAGINATION", "path": ["repository", field.name],
                "message": format!("Requesting {count} records on the `{}` connection exceeds the \
                                    `first` limit of 100 records.", field.name),
            }));
            return Value::Null;
        }
        let after = self.argument(field, "after");
        let after = after
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|cursor| cursor.strip_prefix("c:")?.parse::<usize>().ok());
        let start = match (first, after) {
            (Some(_), after) => after.unwrap_or(0),
            (None, _) => total.saturating_sub(count),
        };
        // Only the items of the page are built.
        let page: Vec<Value> = (start..total.min(start + count)).map(show).collect();
        let end = start + page.len();
        let mut data = Map::new();
        for inner in self.fields(&field.selection_set) {
            let value = match inner.name.as_str() {
                "__typename" => json!(on),
                "totalCount" => json!(total),
                "nodes" => page.iter().map(|item| self.project(inner, item)).collect(),
                "edges" => {
                    let edges: Vec<Value> = page
                        .iter()
                        .enumerate()
                        .map(|(index, item)| json!({"cursor": format!("c:{}", start + index + 1), "node": item}))
                        .collect();
                    edges.iter().map(|edge| self.project(inner, edge)).collect()
                }
                "pageInfo" => {
                    let cursor = |at: usize| {
                        if page.is_empty() {
                            Value::Null
                        } else {
                            json!(format!("c:{at}"))
                        }
                    };
                    let info = json!({
                        "__typename": "PageInfo", "hasNextPage": end < total, "hasPreviousPage": start > 0,
                        "startCursor": cursor(start + 1), "endCursor": cursor(end),
                    });
                    self.project(inner, &info)
                }
                _ => {
                    self.unknown(inner, on);
                    Value::Null
                }
            };
            data.insert(Self::key(inner), value);
        }
        Value::Object(data)
    }

    /// Returns a page of what an object holds, of the item types that were asked for.
    pub(super) fn held(
        &mut self,
        field: &'a Field<'a, String>,
        held: &Map<String, Value>,
    ) -> Value {
        let types = self.argument(field, "itemTypes");
        let types = types.as_ref().and_then(Value::as_array);
        let items: Vec<&Value> = held[HELD]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| types.is_none_or(|types| types.contains(&item["itemType"])))
            .collect();
        let on = held.get("__typename").and_then(Value::as_str);
        let on = on.unwrap_or_default().to_owned();
        self.connection(field, items.len(), &|at| items[at].clone(), &on)
    }
}
