//! Evaluates the expressions of workflows, as far as ours use them.

use serde_json::{Value, json};

/// What steps before this one did, for the status functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    Failure,
}

/// The values that an expression may name.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) values: Value,
    pub(super) status: Status,
}

impl Context {
    /// Replaces every `${{ … }}` of a text.
    pub(super) fn text(&self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, after) = after.split_once("}}").expect("the expression ends");
            out.push_str(before);
            out.push_str(&shown(&self.value(expression)));
            rest = after;
        }
        out + rest
    }

    /// Evaluates the condition of a job or step.
    pub(super) fn holds(&self, condition: Option<&str>) -> bool {
        let Some(condition) = condition else {
            return self.status == Status::Success;
        };
        let inner = condition.trim();
        let inner = inner
            .strip_prefix("${{")
            .and_then(|text| text.strip_suffix("}}"))
            .unwrap_or(inner);
        let asks = ["always()", "failure()", "success()", "cancelled()"];
        let asks = asks.iter().any(|function| inner.contains(function));
        (asks || self.status == Status::Success) && is_true(&self.value(inner))
    }

    fn value(&self, expression: &str) -> Value {
        let mut parser = Parser {
            context: self,
            rest: expression.trim(),
        };
        let value = parser.or();
        assert_eq!(parser.rest, "", "not understood in {expression}");
        value
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Actions compares texts without case, and values of different types as numbers.
fn equal(a: &Value, b: &Value) -> bool {
    fn number(value: &Value) -> Option<f64> {
        match value {
            Value::Null => Some(0.0),
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            Value::String(text) if text.is_empty() => Some(0.0),
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_f64(),
            Value::Array(_) | Value::Object(_) => None,
        }
    }
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => number(a).is_some() && number(a) == number(b),
    }
}

struct Parser<'a> {
    context: &'a Context,
    rest: &'a str,
}

impl Parser<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(word) else {
            return false;
        };
        self.rest = rest.trim_start();
        true
    }

    fn or(&mut self) -> Value {
        let mut value = self.and();
        while self.takes("||") {
            let other = self.and();
            value = if is_true(&value) { value } else { other };
        }
        value
    }

    fn and(&mut self) -> Value {
        let mut value = self.comparison();
        while self.takes("&&") {
            let other = self.comparison();
            value = if is_true(&value) { other } else { value };
        }
        value
    }

    fn comparison(&mut self) -> Value {
        let value = self.operand();
        if self.takes("==") {
            return json!(equal(&value, &self.operand()));
        }
        if self.takes("!=") {
            return json!(!equal(&value, &self.operand()));
        }
        value
    }

    fn operand(&mut self) -> Value {
        if self.takes("(") {
            let value = self.or();
            assert!(self.takes(")"), "not closed: {}", self.rest);
            return value;
        }
        if self.takes("!") {
            return json!(!is_true(&self.operand()));
        }
        if let Some(rest) = self.rest.strip_prefix('\'') {
            let (text, rest) = rest.split_once('\'').expect("the text ends");
            self.rest = rest.trim_start();
            return json!(text);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if self.takes("()") {
            let failed = self.context.status == Status::Failure;
            return match name {
                "always" => json!(true),
                "success" => json!(!failed),
                "failure" => json!(failed),
                _ => panic!("there is no function {name}"),
            };
        }
        match name {
            "true" => return json!(true),
            "false" => return json!(false),
            _ => {}
        }
        let mut path = name.split('.');
        let first = path.next().unwrap_or_default();
        let context = self.context.values.get(first);
        let mut value = context.unwrap_or_else(|| panic!("there is no context {first:?}"));
        for part in path {
            value = value.get(part).unwrap_or(&Value::Null);
        }
        value.clone()
    }
}

#[test]
fn expressions_are_evaluated_as_in_actions() {
    let context = Context {
        values: json!({"inputs": {"delete": false, "tag": ""}, "github": {"event_name": "schedule"},
            "steps": {"a": {"outputs": {"n": "0"}}}}),
        status: Status::Failure,
    };
    let text = "x ${{ steps.a.outputs.n }}${{ steps.b.outputs.n || 'none' }}";
    assert_eq!(context.text(text), "x 0none");
    for (condition, holds) in [
        (None, false),
        (Some("true"), false),
        (Some("always() && inputs.tag == ''"), true),
        (Some("always() && inputs.tag != ''"), false),
        (
            Some("failure() && (github.event_name == 'SCHEDULE' || inputs.delete)"),
            true,
        ),
        (
            Some("always() && !inputs.delete && steps.a.outputs.n != '0'"),
            false,
        ),
        (Some("always() && steps.none.outputs.tag == ''"), true),
    ] {
        assert_eq!(context.holds(condition), holds, "{condition:?}");
    }
}
