//! What events did to the document, so that it can be taken back, in any order.

use serde_json::Value;

use crate::document::{
    patch::{Patch, put, take},
    places::look,
};

/// What a place was before some patches, and is after them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    place: Vec<String>,
    before: Option<Value>,
    after: Option<Value>,
    /// Those with higher numbers were made later.
    made: u64,
}

/// Takes a change out from below a later one of another event. Returns whether there is one.
pub(crate) type Uncover<'a> = &'a mut dyn FnMut(&Change) -> bool;

impl Change {
    /// Changes a document, and takes note of it in `changes`, in which each place stands once,
    /// under this number.
    pub(crate) fn make(
        document: &mut Value,
        patches: &[Patch],
        (changes, made): (&mut Vec<Self>, u64),
        uncover: Uncover<'_>,
    ) {
        for patch in patches {
            let place = patch.place();
            let known = changes.iter().position(|change| change.place == place);
            if let Patch::Restore(_) = patch {
                if let Some(known) = known {
                    changes.remove(known).undo(document, uncover);
                }
                continue;
            }
            let before = place.iter().try_fold(&*document, look).cloned();
            // Below a change of another event, it has no part in what comes now.
            let known = known.filter(|known| {
                let buried = changes[*known].after != before && uncover(&changes[*known]);
                if buried {
                    changes.remove(*known);
                }
                !buried
            });
            patch.apply(document);
            let after = place.iter().try_fold(&*document, look).cloned();
            match known {
                Some(known) => changes[known].after = after,
                None => changes.push(Self {
                    place,
                    before,
                    after,
                    made,
                }),
            }
        }
    }

    /// Takes changes back, except where something else was put since.
    pub(crate) fn take_back(document: &mut Value, changes: &[Self], uncover: Uncover<'_>) {
        for change in changes.iter().rev() {
            change.undo(document, uncover);
        }
    }

    /// Takes out another change, if this one lies on it. Returns whether it does.
    pub(crate) fn uncover(&mut self, other: &Self) -> bool {
        let lies_on =
            self.place == other.place && self.made > other.made && self.before == other.after;
        if lies_on {
            self.before.clone_from(&other.before);
        }
        lies_on
    }

    fn undo(&self, document: &mut Value, uncover: Uncover<'_>) {
        if uncover(self) {
            return;
        }
        if self.place.iter().try_fold(&*document, look) == self.after.as_ref() {
            match &self.before {
                Some(before) => put(document, &self.place, before.clone()),
                None => take(document, &self.place),
            }
        }
    }
}

/// Returns a patched document, and what was changed in it.
#[cfg(test)]
pub(super) fn patched(document: &Value, patches: &[Patch]) -> (Value, Vec<Change>) {
    let mut document = document.clone();
    let mut changes = Vec::new();
    Change::make(&mut document, patches, (&mut changes, 1), &mut |_| false);
    (document, changes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_changed_since_is_not_taken_back() {
        let document = json!({"instance": {"preempted": "FALSE", "attributes": {}}});
        let patches = [
            Patch::set(&["instance", "preempted"], "TRUE"),
            Patch::set(&["instance", "attributes", "a"], "1"),
        ];
        let (mut now, changes) = patched(&document, &patches);
        now["instance"]["attributes"]["a"] = json!("2");
        Change::take_back(&mut now, &changes, &mut |_| false);
        assert_eq!(
            now,
            json!({"instance": {"preempted": "FALSE", "attributes": {"a": "2"}}})
        );
    }

    #[test]
    fn a_place_is_restored_to_what_it_was_at_first() {
        let document = json!({"instance": {"a": 1}});
        let patches = [
            Patch::set(&["instance", "a"], 2),
            Patch::set(&["instance", "b"], 2),
            Patch::set(&["instance", "a"], 3),
            Patch::restore(&["instance", "a"]),
            Patch::restore(&["instance", "b"]),
            Patch::restore(&["instance", "c"]),
        ];
        assert_eq!(patched(&document, &patches), (document, Vec::new()));
    }

    /// Events that change one place, ended in any order: it shows the last of those that are left.
    #[test]
    fn changes_are_taken_out_in_any_order() {
        for values in [
            ["A", "B", "C"],
            ["A", "A", "A"],
            ["A", "B", "A"],
            ["A", "N", "B"],
        ] {
            for order in [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ] {
                let mut document = json!({"a": "N"});
                let mut all: Vec<Option<Vec<Change>>> = Vec::new();
                for (made, value) in (1..).zip(values) {
                    let mut changes = Vec::new();
                    let patches = [Patch::set(&["a"], value)];
                    let notes = (&mut changes, made);
                    Change::make(&mut document, &patches, notes, &mut |_| false);
                    all.push(Some(changes));
                }
                for ended in order {
                    let changes = all[ended].take().unwrap();
                    Change::take_back(&mut document, &changes, &mut |gone| {
                        let mut others = all.iter_mut().flatten().flatten();
                        others.any(|change| change.uncover(gone))
                    });
                    let left = all.iter().rposition(Option::is_some);
                    let shown = left.map_or("N", |left| values[left]);
                    assert_eq!(document["a"], shown, "{values:?}, {order:?}, {ended}");
                }
            }
        }
    }
}
