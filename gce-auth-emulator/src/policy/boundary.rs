//! Credential Access Boundaries: what a downscoped token may do at most.

use serde_json::{Value, json};

use crate::policy::expression::Expression;

/// The longest boundary, in bytes of JSON, and the most rules in it: limits of Google's Security
/// Token Service.
const LONGEST: usize = 4096;
const MOST_RULES: usize = 10;

/// Resources that a boundary can name are buckets.
const BUCKET: &str = "//storage.googleapis.com/projects/_/buckets/";

/// The rules of a downscoped token. What no rule allows is denied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Boundary(Vec<Rule>);

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    resource: String,
    permissions: Vec<String>,
    condition: Option<(Expression, Value)>,
}

impl Boundary {
    /// Reads `options` of a token exchange: `{"accessBoundary": {"accessBoundaryRules": [..]}}`.
    pub(crate) fn parse(options: &str) -> Result<Self, String> {
        if options.len() > LONGEST {
            return Err(format!(
                "The access boundary is longer than {LONGEST} bytes."
            ));
        }
        let options: Value = serde_json::from_str(options)
            .map_err(|_| "The options are no JSON object.".to_owned())?;
        let boundary = &options["accessBoundary"];
        let rules = boundary["accessBoundaryRules"]
            .as_array()
            .ok_or("The access boundary has no accessBoundaryRules.")?;
        if rules.is_empty() || rules.len() > MOST_RULES {
            return Err(format!(
                "An access boundary has from 1 to {MOST_RULES} rules."
            ));
        }
        rules
            .iter()
            .map(Rule::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a permission, like `inRole:roles/storage.objectViewer`, is available on a resource,
    /// like `//storage.googleapis.com/projects/_/buckets/BUCKET/objects/NAME`. `list_prefix` is
    /// that of a listing of objects.
    pub(crate) fn allows(
        &self,
        resource: &str,
        permission: &str,
        list_prefix: Option<&str>,
    ) -> bool {
        self.0
            .iter()
            .any(|rule| rule.allows(resource, permission, list_prefix))
    }

    pub(crate) fn show(&self) -> Value {
        let rules: Vec<Value> = self.0.iter().map(Rule::show).collect();
        json!({ "accessBoundaryRules": rules })
    }
}

impl Rule {
    fn parse(rule: &Value) -> Result<Self, String> {
        let resource = rule["availableResource"]
            .as_str()
            .filter(|resource| {
                resource
                    .strip_prefix(BUCKET)
                    .is_some_and(|bucket| !bucket.is_empty() && !bucket.contains('/'))
            })
            .ok_or_else(|| format!("availableResource must have the form {BUCKET}BUCKET."))?;
        let permissions: Vec<String> = rule["availablePermissions"]
            .as_array()
            .filter(|permissions| !permissions.is_empty())
            .ok_or("A rule has no availablePermissions.")?
            .iter()
            .map(|permission| {
                permission
                    .as_str()
                    .filter(|name| {
                        name.strip_prefix("inRole:")
                            .is_some_and(|role| !role.is_empty())
                    })
                    .map(Into::into)
                    .ok_or("availablePermissions must have the form inRole:ROLE.")
            })
            .collect::<Result<_, _>>()?;
        let condition = match &rule["availabilityCondition"] {
            Value::Null => None,
            condition => {
                let text = condition["expression"]
                    .as_str()
                    .ok_or("availabilityCondition has no expression.")?;
                let expression = Expression::parse(text).map_err(|why| {
                    format!("The expression of availabilityCondition is invalid: {why}.")
                })?;
                Some((expression, condition.clone()))
            }
        };
        Ok(Self {
            resource: resource.into(),
            permissions,
            condition,
        })
    }

    fn allows(&self, resource: &str, permission: &str, list_prefix: Option<&str>) -> bool {
        let within = resource
            .strip_prefix(self.resource.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !within || !self.permissions.iter().any(|of| of == permission) {
            return false;
        }
        let Some((expression, _)) = &self.condition else {
            return true;
        };
        let name = resource
            .strip_prefix("//storage.googleapis.com/")
            .unwrap_or(resource);
        let mut attributes = json!({});
        if let Some(prefix) = list_prefix {
            attributes["storage.googleapis.com/objectListPrefix"] = prefix.into();
        }
        expression.holds(&json!({
            "resource": {"name": name, "service": "storage.googleapis.com"},
            "attributes": attributes,
        }))
    }

    fn show(&self) -> Value {
        let mut shown = json!({
            "availableResource": self.resource,
            "availablePermissions": self.permissions,
        });
        if let Some((_, condition)) = &self.condition {
            shown["availabilityCondition"] = condition.clone();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWER: &str = "inRole:roles/storage.objectViewer";

    fn options(rule: &Value) -> String {
        json!({"accessBoundary": {"accessBoundaryRules": [rule]}}).to_string()
    }

    #[test]
    fn a_boundary_allows_what_its_rules_name() {
        let rule = json!({
            "availableResource": "//storage.googleapis.com/projects/_/buckets/b",
            "availablePermissions": [VIEWER],
            "availabilityCondition": {
                "title": "in",
                "expression": "resource.name.startsWith('projects/_/buckets/b/objects/in/') || \
                               api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('in/')",
            },
        });
        let boundary = Boundary::parse(&options(&rule)).unwrap();
        let bucket = "//storage.googleapis.com/projects/_/buckets/b";
        let allows = |rest: &str, permission: &str, prefix| {
            boundary.allows(&format!("{bucket}{rest}"), permission, prefix)
        };
        assert!(allows("/objects/in/x", VIEWER, None));
        assert!(allows("", VIEWER, Some("in/")));
        assert!(!allows("/objects/out/x", VIEWER, None));
        assert!(!allows("", VIEWER, None));
        assert!(!allows("ar/objects/in/x", VIEWER, None));
        assert!(!allows("/objects/in/x", "inRole:roles/storage.admin", None));
        assert!(!boundary.allows("//iam.googleapis.com/x", VIEWER, None));
        assert_eq!(boundary.show()["accessBoundaryRules"][0], rule);
    }

    #[test]
    fn what_is_no_boundary_is_refused() {
        let good = json!({
            "availableResource": "//storage.googleapis.com/projects/_/buckets/b",
            "availablePermissions": [VIEWER],
        });
        assert!(Boundary::parse(&options(&good)).is_ok());
        let with = |name: &str, value: Value| {
            let mut rule = good.clone();
            rule[name] = value;
            options(&rule)
        };
        for bad in [
            String::new(),
            "[]".into(),
            "{}".into(),
            r#"{"accessBoundary":{"accessBoundaryRules":[]}}"#.into(),
            json!({"accessBoundary": {"accessBoundaryRules": vec![good.clone(); 11]}}).to_string(),
            with(
                "availableResource",
                json!("//storage.googleapis.com/projects/_/buckets/"),
            ),
            with("availableResource", json!("//iam.googleapis.com/x")),
            with("availablePermissions", json!([])),
            with("availablePermissions", json!(["roles/storage.admin"])),
            with("availabilityCondition", json!({})),
            with("availabilityCondition", json!({"expression": "=="})),
            with(
                "availabilityCondition",
                json!({"expression": "'".repeat(5000)}),
            ),
        ] {
            assert!(Boundary::parse(&bad).is_err(), "{bad}");
        }
    }
}
