//! What outlives a new reading of the document's files.

use serde_json::{Map, Value};

/// Takes what was set, written or removed since `before` over into the next document. Where that
/// has something of another kind, there is no room for it.
pub(crate) fn carry_over(before: &Value, now: &Value, next: &mut Value) {
    match (now, next) {
        (Value::Object(now), Value::Object(next)) => {
            let nothing = Map::new();
            let before = before.as_object().unwrap_or(&nothing);
            for (key, value) in now {
                let old = before.get(key).unwrap_or(&Value::Null);
                if value == old {
                    continue;
                }
                match next.get_mut(key) {
                    Some(place) => carry_over(old, value, place),
                    None => {
                        next.insert(key.clone(), value.clone());
                    }
                }
            }
            for (key, old) in before {
                // What a file says anew is there again.
                if !now.contains_key(key) && next.get(key) == Some(old) {
                    next.remove(key);
                }
            }
        }
        (Value::Array(now), Value::Array(next))
            if now.len() == next.len() && now.iter().any(Value::is_object) =>
        {
            for (index, (value, place)) in now.iter().zip(next).enumerate() {
                let old = before.get(index).unwrap_or(&Value::Null);
                if value != old {
                    carry_over(old, value, place);
                }
            }
        }
        (now, next) => {
            if now.is_object() == next.is_object() && now.is_array() == next.is_array() {
                next.clone_from(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_of_another_kind_is_left_alone() {
        let with = |attributes: Value| json!({"instance": {"guestAttributes": attributes}});
        let now = with(json!({"a": {"b": "c"}}));
        for odd in [
            json!({"instance": []}),
            with(json!("x")),
            with(json!({"a": 1})),
            json!(1),
        ] {
            let mut next = odd.clone();
            carry_over(&json!(null), &now, &mut next);
            assert_eq!(next, odd);
        }
        let mut next = json!({});
        carry_over(&with(json!([])), &now, &mut next);
        assert_eq!(next, now);
    }
}
