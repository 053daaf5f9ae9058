//! Tables of values in TOML, to be put over a document.

use serde_json::{Map, Value};

use crate::toml_text;

/// The top of the tree. Anything else is a typing error.
const TOP: [&str; 4] = ["instance", "oslogin", "project", "universe"];

/// How the TOML library hands over a date.
const DATE: &str = "$__toml_private_datetime";

/// The values with their paths, in the order of the paths.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, Value)>, String> {
    let tables: Map<String, Value> = toml_text::parse(text)?;
    let mut values = Vec::new();
    for (key, value) in tables {
        let path = key
            .trim_start_matches('/')
            .trim_start_matches("computeMetadata/v1/");
        let top = path.split('/').next().unwrap_or_default();
        if !TOP.contains(&top) {
            return Err(format!(
                "`{key}` begins no path; those that do are {}",
                TOP.join(", ")
            ));
        }
        flatten(path.into(), value, &mut values);
    }
    Ok(values)
}

/// Gives the leaves with their paths. As deep as the TOML library lets a text be.
fn flatten(path: String, value: Value, values: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(mut table) => {
            if let Some(date) = table.remove(DATE) {
                values.push((path, date));
            } else if table.is_empty() {
                values.push((path, Value::Object(table)));
            } else {
                for (key, value) in table {
                    flatten(format!("{path}/{key}"), value, values);
                }
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, value) in items.into_iter().enumerate() {
                flatten(format!("{path}/{index}"), value, values);
            }
        }
        leaf => values.push((path, leaf)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_become_paths() {
        let text = r#"
            "project/attributes" = { a = "1" }
            [instance]
            tags = ["x"]
            upcoming-maintenance.window-start-time = 2025-12-01T19:00:01Z
            [instance.attributes]
            "ssh-keys" = "k"
            [[instance.disks]]
            device-name = "boot"
            [instance.guest-attributes]
        "#;
        let mut values = parse(text).unwrap();
        values.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [
            ("instance/attributes/ssh-keys", json!("k")),
            ("instance/disks/0/device-name", json!("boot")),
            ("instance/guest-attributes", json!({})),
            ("instance/tags", json!(["x"])),
            (
                "instance/upcoming-maintenance/window-start-time",
                json!("2025-12-01T19:00:01Z"),
            ),
            ("project/attributes/a", json!("1")),
        ];
        assert_eq!(
            values,
            expected.map(|(path, value)| (path.to_owned(), value))
        );
    }

    #[test]
    fn what_begins_no_path_is_refused() {
        let why = parse("[instanze]\nid = 1").unwrap_err();
        assert!(why.contains("`instanze`"), "{why}");
        assert!(parse("instance = ").unwrap_err().contains("line 1"));
    }
}
