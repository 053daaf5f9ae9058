//! The part of the Common Expression Language that attribute conditions, attribute mappings and
//! availability conditions are written in: literals, lists, members, comparisons, `in`, `!`, `&&`,
//! `||`, `? :`, and Google's functions on texts.

mod evaluate;
mod node;
mod parse;

use std::fmt;

use node::Node;
use serde_json::Value;

/// The longest text of an expression, as Google's APIs allow for conditions.
const LONGEST: usize = 4096;

/// An expression that was understood.
#[derive(Clone, PartialEq)]
pub(crate) struct Expression {
    text: String,
    root: Node,
}

impl Expression {
    /// Parses an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression has at most {LONGEST} bytes"));
        }
        Ok(Self {
            text: text.into(),
            root: parse::expression(text)?,
        })
    }

    /// Evaluates the expression over variables, an object. The error tells what it asked of a value
    /// that has no such thing.
    pub(crate) fn evaluate(&self, variables: &Value) -> Result<Value, String> {
        evaluate::node(&self.root, variables)
    }

    /// Whether the expression is true over variables. What can't be evaluated is not true, as in
    /// conditions of Google's IAM.
    pub(crate) fn holds(&self, variables: &Value) -> bool {
        self.evaluate(variables) == Ok(Value::Bool(true))
    }

    #[cfg(test)]
    fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Result<Value, String> {
        let variables = json!({
            "assertion": {
                "sub": "repo:me/it:ref:main",
                "repository_owner": "me",
                "groups": ["a", "b"],
                "n": 3,
                "google": {"compute_engine": {"zone": "z"}},
                "arn": "arn:aws:sts::123:assumed-role/reader/session",
            },
            "resource": {"name": "projects/_/buckets/b/objects/in/x"},
            "attributes": {"storage.googleapis.com/objectListPrefix": "in/"},
        });
        Expression::parse(text)?.evaluate(&variables)
    }

    #[test]
    fn conditions_of_google_s_documentation_are_evaluated() {
        for (text, expected) in [
            ("assertion.repository_owner == 'me'", json!(true)),
            ("assertion.repository_owner != \"me\"", json!(false)),
            (
                "'a' in assertion.groups && !('c' in assertion.groups)",
                json!(true),
            ),
            ("assertion.n >= 3 || assertion.nothing == 1", json!(true)),
            ("assertion.nothing == 1 || assertion.n >= 3", json!(true)),
            ("assertion['google'].compute_engine.zone", json!("z")),
            ("assertion.sub.startsWith('repo:me/')", json!(true)),
            ("assertion.sub.endsWith('x') ? 'yes' : 'no'", json!("no")),
            (
                "assertion.sub in ['a', \"repo:me/it:ref:main\"]",
                json!(true),
            ),
            (
                "size(assertion.groups) == 2 && assertion.sub.contains('it')",
                json!(true),
            ),
            ("has(assertion.sub) && !has(assertion.nothing)", json!(true)),
            (
                "assertion.arn.extract('assumed-role/{role}/')",
                json!("reader"),
            ),
            (
                "assertion.arn.extract('{account}assumed-role/') + 'x'",
                json!("arn:aws:sts::123:x"),
            ),
            ("assertion.arn.extract('user/{name}')", json!("")),
            (
                "resource.name.startsWith('projects/_/buckets/b/objects/in/')",
                json!(true),
            ),
            (
                "api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('in/')",
                json!(true),
            ),
            ("api.getAttribute('other', 'none')", json!("none")),
            ("'it\\'s' + \"\\\"\"", json!("it's\"")),
            ("-3 < assertion.n", json!(true)),
            ("true", json!(true)),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_says_why_and_does_not_hold() {
        for (text, part) in [
            ("assertion.nothing", "nothing"),
            ("nothing", "nothing"),
            ("assertion.sub < 3", "compare"),
            ("assertion.n.startsWith('x')", "startsWith"),
            ("assertion.n && true", "true or false"),
            ("assertion.sub.dance()", "dance"),
        ] {
            let why = value(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
            assert!(!Expression::parse(text).unwrap().holds(&json!({})));
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for text in [
            "",
            "a ==",
            "(a",
            "'open",
            "a b",
            "a..b",
            "[1,",
            "a ? b",
            "1 = 1",
            "#",
            "a.startsWith('x'",
            "1e5x",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}1{}", "(".repeat(2000), ")".repeat(2000));
        assert!(Expression::parse(&deep).unwrap_err().contains("nested"));
        let deep = format!("{}true", "!".repeat(4000));
        assert!(Expression::parse(&deep).unwrap_err().contains("nested"));
        for chain in ["1+", "true||", "true&&"] {
            let chain = chain.repeat(LONGEST / chain.len() - 2) + "true";
            let why = Expression::parse(&chain).unwrap_err();
            assert!(why.contains("nested"), "{why}");
        }
        let long = format!("'{}'", "x".repeat(LONGEST));
        assert!(Expression::parse(&long).unwrap_err().contains("4096"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c'\"()\\[\\].,!&|=<>?: +0-9{}\\\\-]{0,60}|\\PC{0,40}") {
            if let Ok(expression) = Expression::parse(&text) {
                let _ = expression.evaluate(&json!({"a": {"b": 1}, "b": "x", "c": [1]}));
                prop_assert_eq!(expression.text(), text);
            }
        }

        #[test]
        fn a_literal_text_is_itself(text in "[^'\\\\\\x00-\\x1f]{0,30}") {
            let parsed = Expression::parse(&format!("'{text}'")).unwrap();
            prop_assert_eq!(parsed.evaluate(&json!({})), Ok(json!(text)));
        }
    }
}
