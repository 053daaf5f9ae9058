//! What a downscoped token may do (Google, "Credential Access Boundaries").

use serde_json::{Map, Value, json};

use crate::values::error::{Error, ErrorKind};

/// The most rules that the Security Token Service takes.
const MOST_RULES: usize = 10;
const HINT: &str = "see Google's documentation of Credential Access Boundaries";

/// What a downscoped token may do at most: up to ten rules, any of which
/// allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialAccessBoundary {
    rules: Vec<AccessBoundaryRule>,
}

impl CredentialAccessBoundary {
    /// Returns a boundary of these rules.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for more than ten.
    pub fn new<I>(rules: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item = AccessBoundaryRule>,
    {
        let rules: Vec<_> = rules.into_iter().collect();
        if rules.len() > MOST_RULES {
            return Err(refuse("an access boundary has more than 10 rules"));
        }
        Ok(Self { rules })
    }

    /// Reads the JSON document that gcloud and the Security Token Service take:
    /// `{"accessBoundary": {"accessBoundaryRules": [...]}}`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for any other document.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| refuse(format!("the access boundary is not JSON: {error}")))?;
        let rules = value
            .pointer("/accessBoundary/accessBoundaryRules")
            .and_then(Value::as_array)
            .ok_or_else(|| refuse("the document holds no accessBoundary.accessBoundaryRules"))?;
        let rules = rules.iter().map(AccessBoundaryRule::read);
        Self::new(rules.collect::<Result<Vec<_>, _>>()?)
    }

    /// Returns the boundary as such a document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rules: Vec<Value> = self.rules.iter().map(AccessBoundaryRule::value).collect();
        json!({ "accessBoundary": { "accessBoundaryRules": rules } }).to_string()
    }

    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &[AccessBoundaryRule] {
        &self.rules
    }
}

/// What one rule of a boundary allows: roles on a resource, perhaps under a
/// condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessBoundaryRule {
    resource: String,
    permissions: Vec<String>,
    condition: Option<Condition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Condition {
    expression: String,
    title: Option<String>,
    description: Option<String>,
}

impl AccessBoundaryRule {
    /// Returns a rule that allows these permissions, such as
    /// `inRole:roles/storage.objectViewer`, on a resource, such as
    /// `//storage.googleapis.com/projects/_/buckets/NAME`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a permission that does not begin with
    /// `inRole:`.
    pub fn new<I>(resource: impl Into<String>, permissions: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let permissions: Vec<String> = permissions.into_iter().map(Into::into).collect();
        if let Some(bad) = permissions.iter().find(|it| !it.starts_with("inRole:")) {
            let bad: String = bad.chars().take(100).collect();
            return Err(refuse(format!(
                "the permission {bad:?} of an access boundary does not begin with inRole:"
            )));
        }
        Ok(Self {
            resource: resource.into(),
            permissions,
            condition: None,
        })
    }

    /// Allows only what this CEL expression is true for, such as
    /// `resource.name.startsWith('projects/_/buckets/NAME/objects/prefix')`.
    #[must_use]
    pub fn condition(mut self, expression: impl Into<String>) -> Self {
        self.condition.get_or_insert_default().expression = expression.into();
        self
    }

    /// Sets the title of the condition, which needs an expression as well: see
    /// [`condition`](Self::condition). Default: none.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.condition.get_or_insert_default().title = Some(title.into());
        self
    }

    /// Sets the description of the condition, as [`title`](Self::title). Default:
    /// none.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.condition.get_or_insert_default().description = Some(description.into());
        self
    }

    fn value(&self) -> Value {
        let mut rule = json!({
            "availablePermissions": self.permissions,
            "availableResource": self.resource,
        });
        if let Some(condition) = &self.condition {
            let mut value = json!({ "expression": condition.expression });
            let texts = [
                ("title", &condition.title),
                ("description", &condition.description),
            ];
            for (name, text) in texts {
                if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                    value[name] = text.as_str().into();
                }
            }
            rule["availabilityCondition"] = value;
        }
        rule
    }

    fn read(value: &Value) -> Result<Self, Error> {
        let text = |map: &Map<String, Value>, name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(refuse(format!(
                "`{name}` of an access boundary is not a text"
            ))),
        };
        let object = value
            .as_object()
            .ok_or_else(|| refuse("a rule of the access boundary is not an object"))?;
        let resource = text(object, "availableResource")?
            .ok_or_else(|| refuse("a rule of the access boundary has no availableResource"))?;
        let permissions = object.get("availablePermissions").and_then(Value::as_array);
        let permissions = permissions
            .map(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>())
            .and_then(|list| list)
            .ok_or_else(|| refuse("a rule has no availablePermissions that are texts"))?;
        let mut rule = Self::new(resource, permissions)?;
        match object.get("availabilityCondition") {
            None | Some(Value::Null) => {}
            Some(Value::Object(condition)) => {
                rule.condition = Some(Condition {
                    expression: text(condition, "expression")?
                        .ok_or_else(|| refuse("an availabilityCondition has no expression"))?,
                    title: text(condition, "title")?,
                    description: text(condition, "description")?,
                });
            }
            Some(_) => return Err(refuse("an availabilityCondition is not an object")),
        }
        Ok(rule)
    }
}

fn refuse(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, what).with_hint(HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> AccessBoundaryRule {
        AccessBoundaryRule::new("//storage/b", ["inRole:roles/x"]).unwrap()
    }

    #[test]
    fn a_permission_that_is_refused_is_shown_in_part() {
        let error = AccessBoundaryRule::new("//r", ["\u{1}".repeat(9000)]).unwrap_err();
        assert!(error.to_string().len() < 1000, "one short line");
    }

    #[test]
    fn a_boundary_is_what_it_was_read_from() {
        let conditional = rule().condition("true").title("t").description("d");
        let boundary = CredentialAccessBoundary::new([rule(), conditional]).unwrap();
        let text = boundary.to_json();
        assert_eq!(
            CredentialAccessBoundary::from_json(&text).unwrap(),
            boundary
        );
        assert!(text.contains(r#""availabilityCondition":{"#));
        assert_eq!(boundary.rules().len(), 2);
        assert_eq!(boundary.rules()[0], rule());
        let empty_title = CredentialAccessBoundary::new([rule().condition("x").title("")]).unwrap();
        assert!(!empty_title.to_json().contains("title"));
    }

    #[test]
    fn what_is_no_boundary_is_refused() {
        assert!(AccessBoundaryRule::new("r", ["roles/x"]).is_err());
        assert!(CredentialAccessBoundary::new(vec![rule(); 10]).is_ok());
        assert!(CredentialAccessBoundary::new(vec![rule(); 11]).is_err());
        for text in [
            "",
            "{}",
            r#"{"accessBoundary":{"accessBoundaryRules":{}}}"#,
            r#"{"accessBoundary":{"accessBoundaryRules":[1]}}"#,
            r#"{"accessBoundary":{"accessBoundaryRules":[{"availableResource":"r"}]}}"#,
            r#"{"accessBoundary":{"accessBoundaryRules":[{"availablePermissions":[]}]}}"#,
        ] {
            let error = CredentialAccessBoundary::from_json(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        }
    }
}
