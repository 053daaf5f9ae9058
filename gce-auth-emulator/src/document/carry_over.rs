//! What outlives a new reading of the document's files.

use serde_json::{Map, Value};

/// Takes the guest attributes that programs wrote since `before` over into the next document.
pub(crate) fn carry_over(before: &Value, now: &Value, next: &mut Value) {
    let place = |document: &Value| document["instance"]["guestAttributes"].clone();
    let (before, now) = (place(before), place(now));
    for (namespace, attributes) in now.as_object().into_iter().flatten() {
        for (key, value) in attributes.as_object().into_iter().flatten() {
            if before[namespace][key] != *value {
                let mut path = ["instance", "guestAttributes", namespace].into_iter();
                let there = path.try_fold(&mut *next, |place, name| {
                    let empty = || Value::Object(Map::new());
                    Some(place.as_object_mut()?.entry(name).or_insert_with(empty))
                });
                // A document that has something else there has no room for them.
                if let Some(there) = there.and_then(Value::as_object_mut) {
                    there.insert(key.clone(), value.clone());
                }
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
