//! GitHub's GraphQL: an executor for the part of the schema that is about a
//! repository's pull requests and branches.

mod connection;
mod objects;

use graphql_parser::query::{
    Definition, Document, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    Value as Input,
};

use http::StatusCode;
use serde_json::{Map, Value, json};

use self::objects::{HELD, pull_json, reference};
use super::{GitHub, WRITER};
use crate::sandbox::message::{self, Request, Response};

/// Lists of pull requests in one query, beyond which GitHub gives up on the
/// others: the number is that of reports, no document has one.
const CONNECTIONS: usize = 76;

type Set<'a> = SelectionSet<'a, String>;

/// The status is always 200; errors are in `errors`.
pub(super) fn answer(github: &GitHub, request: &Request) -> Response {
    let body = request.json().unwrap_or_default();
    let Some(text) = body.get("query").and_then(Value::as_str) else {
        return message::json(
            StatusCode::BAD_REQUEST,
            &json!({"message": "A query attribute must be specified and must be a string."}),
        );
    };
    let answer = match graphql_parser::parse_query::<String>(text) {
        Ok(document) => execute(github, &document, body.get("variables")),
        Err(error) => json!({"errors": [{"message": error.to_string()}]}),
    };
    message::json(StatusCode::OK, &answer)
}

fn execute<'a>(
    github: &'a GitHub,
    document: &'a Document<'a, String>,
    variables: Option<&Value>,
) -> Value {
    let mut fragments = Vec::new();
    let mut selection = None;
    for definition in &document.definitions {
        match definition {
            Definition::Fragment(fragment) => fragments.push(fragment),
            Definition::Operation(OperationDefinition::SelectionSet(set)) => selection = Some(set),
            Definition::Operation(OperationDefinition::Query(query)) => {
                selection = Some(&query.selection_set);
            }
            Definition::Operation(_) => {
                return json!({"errors": [{"message": "the sandbox answers queries only"}]});
            }
        }
    }
    let Some(selection) = selection else {
        return json!({"errors": [{"message": "no operation"}]});
    };
    let mut executor = Executor {
        github,
        fragments,
        variables: variables.cloned().unwrap_or_default(),
        errors: Vec::new(),
        invalid: Vec::new(),
        connections: 0,
    };
    let data = executor.root(selection);
    if !executor.invalid.is_empty() {
        return json!({"errors": executor.invalid});
    }
    let mut answer = json!({ "data": data });
    if !executor.errors.is_empty() {
        answer["errors"] = json!(executor.errors);
    }
    answer
}

struct Executor<'a> {
    github: &'a GitHub,
    fragments: Vec<&'a FragmentDefinition<'a, String>>,
    variables: Value,
    /// Errors beside the data.
    errors: Vec<Value>,
    /// Errors that make the whole query invalid.
    invalid: Vec<Value>,
    /// Lists of pull requests that were executed.
    connections: usize,
}

impl<'a> Executor<'a> {
    /// Returns the fields of a selection, with fragments expanded.
    fn fields(&self, set: &'a Set<'a>) -> Vec<&'a Field<'a, String>> {
        let mut fields = Vec::new();
        for item in &set.items {
            match item {
                Selection::Field(field) => fields.push(field),
                Selection::InlineFragment(fragment) => {
                    fields.extend(self.fields(&fragment.selection_set));
                }
                Selection::FragmentSpread(spread) => {
                    let found = self
                        .fragments
                        .iter()
                        .find(|one| one.name == spread.fragment_name);
                    if let Some(fragment) = found {
                        fields.extend(self.fields(&fragment.selection_set));
                    }
                }
            }
        }
        fields
    }

    fn argument(&self, field: &Field<'_, String>, name: &str) -> Option<Value> {
        let (_, value) = field.arguments.iter().find(|(key, _)| key == name)?;
        Some(self.input(value)).filter(|value| !value.is_null())
    }

    fn input(&self, value: &Input<'_, String>) -> Value {
        match value {
            Input::Variable(name) => self.variables.get(name).cloned().unwrap_or_default(),
            Input::Int(number) => json!(number.as_i64()),
            Input::Float(number) => json!(number),
            Input::String(text) | Input::Enum(text) => json!(text),
            Input::Boolean(flag) => json!(flag),
            Input::Null => Value::Null,
            Input::List(items) => items.iter().map(|item| self.input(item)).collect(),
            Input::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.input(value)))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    fn key(field: &Field<'_, String>) -> String {
        field.alias.clone().unwrap_or_else(|| field.name.clone())
    }

    fn unknown(&mut self, field: &Field<'_, String>, on: &str) {
        self.invalid.push(json!({
            "message": format!("Field '{}' doesn't exist on type '{on}'", field.name),
            "locations": [{"line": field.position.line, "column": field.position.column}],
            "extensions": {"code": "undefinedField", "typeName": on, "fieldName": field.name},
        }));
    }

    fn not_found(&mut self, field: &Field<'_, String>, path: Value, message: String) {
        self.errors.push(json!({
            "type": "NOT_FOUND", "path": path, "message": message,
            "locations": [{"line": field.position.line, "column": field.position.column}],
        }));
    }

    fn root(&mut self, set: &'a Set<'a>) -> Value {
        let mut data = Map::new();
        for field in self.fields(set) {
            let key = Self::key(field);
            let value = match field.name.as_str() {
                "__typename" => json!("Query"),
                "viewer" => self.project(field, &json!({"__typename": "Bot", "login": WRITER})),
                "rateLimit" => self.project(
                    field,
                    &json!({"__typename": "RateLimit", "cost": 1, "limit": 5000, "remaining": 4999, "used": 1, "resetAt": "2030-01-01T00:00:00Z"}),
                ),
                "repository" => {
                    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
                    let owner = text(self.argument(field, "owner"));
                    let name = text(self.argument(field, "name"));
                    if owner.eq_ignore_ascii_case(&self.github.owner) && name.eq_ignore_ascii_case(&self.github.name) {
                        self.repository(field, &key)
                    } else {
                        let message = format!("Could not resolve to a Repository with the name \
                            '{owner}/{name}'.");
                        self.not_found(field, json!([key]), message);
                        Value::Null
                    }
                }
                _ => {
                    self.unknown(field, "Query");
                    Value::Null
                }
            };
            data.insert(key, value);
        }
        Value::Object(data)
    }

    #[expect(clippy::too_many_lines, reason = "one field of the API after another")]
    fn repository(&mut self, parent: &'a Field<'a, String>, path: &str) -> Value {
        let github = self.github;
        let mut data = Map::new();
        for field in self.fields(&parent.selection_set) {
            let key = Self::key(field);
            let value = match field.name.as_str() {
                "__typename" => json!("Repository"),
                "id" => json!(format!("R_{}", github.id())),
                "databaseId" => json!(github.id()),
                "name" => json!(github.name),
                "nameWithOwner" => json!(github.full_name()),
                "url" => json!(format!("https://github.com/{}", github.full_name())),
                "isArchived" => json!(false),
                "defaultBranchRef" => self.project(field, &reference(github.default_branch())),
                "owner" => {
                    self.project(field, &json!({"__typename": "User", "login": github.owner}))
                }
                "pullRequest" => {
                    let number = self
                        .argument(field, "number")
                        .and_then(|number| number.as_u64())
                        .unwrap_or(0);
                    if let Some(pull) = github.numbered(number) {
                        self.project(field, &pull_json(github, pull))
                    } else {
                        let message = format!(
                            "Could not resolve to a PullRequest with the number of {number}."
                        );
                        self.not_found(field, json!([path, key]), message);
                        Value::Null
                    }
                }
                "issue" => {
                    let number = self
                        .argument(field, "number")
                        .and_then(|number| number.as_u64())
                        .unwrap_or(0);
                    match github.issue_edits(number) {
                        Some(edits) => self.issue(field, number, &edits),
                        None => {
                            let message = format!(
                                "Could not resolve to an Issue with the number of {number}."
                            );
                            self.not_found(field, json!([path, key]), message);
                            Value::Null
                        }
                    }
                }
                "pullRequests" if self.connections == CONNECTIONS => {
                    self.errors.push(json!({
                        "type": "RESOURCE_LIMITS_EXCEEDED", "path": [path, key],
                        "message": "Resource limits for this query exceeded.",
                    }));
                    Value::Null
                }
                "pullRequests" => {
                    self.connections += 1;
                    let items = self.pulls(field);
                    let show = |at: usize| {
                        items
                            .get(at)
                            .map_or(Value::Null, |pull| pull_json(github, pull))
                    };
                    self.connection(field, items.len(), &show, "PullRequestConnection")
                }
                "ref" => {
                    let name = self.argument(field, "qualifiedName");
                    let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
                    let short = name.strip_prefix("refs/heads/").unwrap_or(name);
                    match github.branches.iter().find(|branch| *branch == short) {
                        Some(branch) => self.project(field, &reference(branch)),
                        None => Value::Null,
                    }
                }
                "refs" => {
                    let query = self.argument(field, "query");
                    let query = query.as_ref().and_then(Value::as_str).unwrap_or_default();
                    let heads = self.argument(field, "refPrefix") == Some(json!("refs/heads/"));
                    let items: Vec<Value> = github
                        .branches
                        .iter()
                        .filter(|branch| heads && branch.contains(query))
                        .map(|branch| reference(branch))
                        .collect();
                    let show = |at: usize| items.get(at).cloned().unwrap_or_default();
                    self.connection(field, items.len(), &show, "RefConnection")
                }
                _ => {
                    self.unknown(field, "Repository");
                    Value::Null
                }
            };
            data.insert(key, value);
        }
        Value::Object(data)
    }

    fn issue(&mut self, parent: &'a Field<'a, String>, number: u64, edits: &[Value]) -> Value {
        let mut data = Map::new();
        for field in self.fields(&parent.selection_set) {
            let value = match field.name.as_str() {
                "__typename" => json!("Issue"),
                "number" => json!(number),
                "userContentEdits" => {
                    let show = |at: usize| edits.get(at).cloned().unwrap_or_default();
                    self.connection(field, edits.len(), &show, "UserContentEditConnection")
                }
                _ => {
                    self.unknown(field, "Issue");
                    Value::Null
                }
            };
            data.insert(Self::key(field), value);
        }
        Value::Object(data)
    }

    /// Returns the selected fields of a complete object.
    fn project(&mut self, field: &'a Field<'a, String>, value: &Value) -> Value {
        let Value::Object(whole) = value else {
            return value.clone();
        };
        let mut data = Map::new();
        for inner in self.fields(&field.selection_set) {
            match whole.get(&inner.name) {
                Some(Value::Object(held)) if held.contains_key(HELD) => {
                    let value = self.held(inner, held);
                    data.insert(Self::key(inner), value);
                }
                Some(value) => {
                    let value = self.project(inner, value);
                    data.insert(Self::key(inner), value);
                }
                None => {
                    let on = whole
                        .get("__typename")
                        .and_then(Value::as_str)
                        .unwrap_or(&field.name)
                        .to_owned();
                    self.unknown(inner, &on);
                }
            }
        }
        Value::Object(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::world::WorldPullRequest;

    fn run(query: &str) -> Value {
        let pull = |number: u32, state: &str, merged: bool| {
            serde_json::from_value::<WorldPullRequest>(json!({
                "number": number, "state": state, "merged": merged, "head_ref": format!("b{number}"),
                "head_repo": "acme/shop", "closed_at": (state == "closed").then_some("2026-01-01T00:00:00Z"),
                "updated_at": "2026-01-01T00:00:00Z",
            }))
            .unwrap()
        };
        let pulls = vec![
            pull(1, "open", false),
            pull(2, "open", false),
            pull(3, "closed", true),
        ];
        let github = GitHub::new("acme/shop", pulls, vec!["main".to_owned()], Vec::new());
        let document = graphql_parser::parse_query::<String>(query).unwrap();
        execute(&github, &document, None)
    }

    #[test]
    fn a_query_that_costs_too_much_is_answered_in_part() {
        let aliases: String = (0..80)
            .map(|number| {
                format!("h{number}:pullRequests(headRefName:\"b3\",first:1){{totalCount}} ")
            })
            .collect();
        let answer = run(&format!(
            "{{repository(owner:\"acme\",name:\"shop\"){{{aliases}}}}}"
        ));
        assert_eq!(answer["data"]["repository"]["h75"]["totalCount"], 1);
        assert_eq!(answer["data"]["repository"]["h76"], Value::Null);
        assert_eq!(answer["errors"][0]["type"], "RESOURCE_LIMITS_EXCEEDED");
        assert_eq!(answer["errors"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_number_that_is_not_there_is_null_with_an_error_at_its_alias() {
        let answer = run(
            "{repository(owner:\"acme\",name:\"shop\"){p3:pullRequest(number:3){state} \
             p9:pullRequest(number:9){state}}}",
        );
        assert_eq!(
            answer["data"]["repository"],
            json!({"p3": {"state": "MERGED"}, "p9": null})
        );
        assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
        assert_eq!(answer["errors"][0]["path"], json!(["repository", "p9"]));
    }

    #[test]
    fn connections_page_by_cursor_and_refuse_what_github_refuses() {
        let page = |arguments: &str| {
            run(&format!(
                "{{repository(owner:\"acme\",name:\"shop\"){{pullRequests(states:[OPEN]{arguments}){{totalCount pageInfo{{hasNextPage endCursor}} nodes{{number}}}}}}}}"
            ))
        };
        let first = page(",first:1");
        let pulls = &first["data"]["repository"]["pullRequests"];
        assert_eq!(pulls["totalCount"], 2);
        assert_eq!(
            pulls["pageInfo"],
            json!({"hasNextPage": true, "endCursor": "c:1"})
        );
        let second = page(",first:1,after:\"c:1\"");
        let pulls = &second["data"]["repository"]["pullRequests"];
        assert_eq!(pulls["nodes"], json!([{"number": 2}]));
        assert_eq!(pulls["pageInfo"]["hasNextPage"], false);
        assert!(page("")["errors"].is_array() && page(",first:101")["errors"].is_array());
        assert!(
            run("{repository(owner:\"acme\",name:\"shop\"){nope}}")
                .get("data")
                .is_none()
        );
        assert_eq!(
            run("{repository(owner:\"x\",name:\"y\"){id}}")["data"]["repository"],
            Value::Null
        );
    }
}
