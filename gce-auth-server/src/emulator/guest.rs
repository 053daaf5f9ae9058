//! Guest attributes: the part of the tree that programs on the machine may write.

use serde_json::{Map, Value};

use super::profiles::attribute;
use super::state::State;
use crate::surface::route::Target;
use crate::surface::{Reply, pages, render};

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

impl State {
    /// The refusal, where this is among them and they are not enabled.
    pub(crate) fn guest_attributes_refusal(&self, target: &Target) -> Option<Reply> {
        const PLACE: &str = "instance/guest-attributes";
        let below = target.place().strip_prefix(PLACE)?;
        // Without its slash the directory is redirected.
        let inside = below.starts_with('/') || (below.is_empty() && target.slash());
        if !inside {
            return None;
        }
        let on = self
            .world
            .read(|document| attribute(document, "enable-guest-attributes"));
        (!on).then(pages::guest_attributes_off)
    }

    pub(crate) fn write_guest_attribute(
        &self,
        target: &Target,
        namespace: &str,
        key: &str,
        value: &str,
    ) -> Reply {
        if let Some(reply) = self.guest_attributes_refusal(target) {
            return reply;
        }
        match self.world.set(
            &format!("instance/guest-attributes/{namespace}/{key}"),
            value,
        ) {
            Ok(()) => render::lines(""),
            Err(_) => pages::bad_request("invalid guest attribute"),
        }
    }

    pub(crate) fn delete_guest_attribute(
        &self,
        target: &Target,
        namespace: &str,
        key: Option<&str>,
    ) -> Reply {
        if let Some(reply) = self.guest_attributes_refusal(target) {
            return reply;
        }
        let path = match key {
            Some(key) => format!("instance/guest-attributes/{namespace}/{key}"),
            None => format!("instance/guest-attributes/{namespace}"),
        };
        match self.world.remove(&path) {
            Ok(()) => render::lines(""),
            Err(_) => target.not_found(),
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
