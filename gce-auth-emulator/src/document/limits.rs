//! How deep and how large a document may be.

use serde_json::Value;

/// How many values may lie within each other. Trees are walked by recursion, and one that is deeper
/// could exhaust a stack.
pub(crate) const DEPTH: usize = 128;

/// How many bytes of text a document may grow to by requests. Larger ones take long to show, and
/// others wait meanwhile.
pub(crate) const BYTES: usize = 4 << 20;

/// How many values lie within each other, this one included.
pub(crate) fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(map) => map.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => None,
    };
    below.unwrap_or_default() + 1
}

/// How many bytes the names and texts have together, and a few for each value.
pub(crate) fn size(value: &Value) -> usize {
    const EACH: usize = 8;
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trees_are_measured() {
        assert_eq!(depth(&json!(1)), 1);
        assert_eq!(depth(&json!({"a": [{}], "b": 1})), 3);
        assert_eq!(
            size(&json!({"key": "value", "n": 1})),
            8 + 3 + 8 + 5 + 1 + 8
        );
    }
}
