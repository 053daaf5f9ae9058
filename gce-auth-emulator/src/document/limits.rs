//! How deep and how large a document may be.

use serde_json::Value;

/// How many values may lie within each other. Trees are walked by recursion, and one that is deeper
/// could exhaust a stack.
pub(crate) const DEPTH: usize = 128;

/// How many values a document may have, and how many bytes its names and texts. Larger ones take
/// long to show, and others wait meanwhile.
const VALUES: usize = 16 * 1024;
const BYTES: usize = 4 << 20;

/// How many values lie within each other, this one included.
pub(crate) fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(map) => map.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => None,
    };
    below.unwrap_or_default() + 1
}

/// How much there is in a document or a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// How many values, directories included.
    values: usize,
    /// How many bytes the names and texts have together, and a few for each value.
    pub(crate) bytes: usize,
}

impl Extent {
    pub(crate) fn of(value: &Value) -> Self {
        const EACH: usize = 8;
        let own = Self {
            values: 1,
            bytes: EACH,
        };
        match value {
            Value::String(text) => own.and_text(text),
            Value::Array(items) => items.iter().fold(own, |all, item| all.plus(Self::of(item))),
            Value::Object(map) => map.iter().fold(own, |all, (key, value)| {
                all.plus(Self::of(value)).and_text(key)
            }),
            _ => own,
        }
    }

    /// A directory of this name.
    pub(crate) fn of_name(name: &str) -> Self {
        Self::of(&Value::Null).and_text(name)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            values: self.values + other.values,
            bytes: self.bytes + other.bytes,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            values: self.values.saturating_sub(other.values),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    fn and_text(self, text: &str) -> Self {
        Self {
            bytes: self.bytes + text.len(),
            ..self
        }
    }

    pub(crate) fn is_too_large(self) -> bool {
        self.values > VALUES || self.bytes > BYTES
    }
}

/// How much of a document's limits is used: at least what is in it.
pub(crate) struct Usage(Extent);

impl Usage {
    pub(crate) fn of(document: &Value) -> Self {
        Self(Extent::of(document))
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.0.is_too_large()
    }

    /// Counts a value that is about to be put at a place, instead of an old one; false if it does
    /// not fit. All is counted anew only when what was counted at each change becomes too much.
    pub(crate) fn take(
        &mut self,
        document: &Value,
        (keys, old): (&[String], Option<&Value>),
        value: &Value,
    ) -> bool {
        let above = keys.iter().map(|key| Extent::of_name(key));
        let more = above.fold(Extent::of(value), Extent::plus);
        // An account may stand in the document twice.
        let more = more.plus(more);
        self.0 = self.0.plus(more);
        if self.0.is_too_large() {
            let whole = Extent::of(document);
            let kept = whole.minus(old.map(Extent::of).unwrap_or_default());
            self.0 = whole;
            if kept.plus(Extent::of(value)).is_too_large() {
                return false;
            }
            self.0 = whole.plus(more);
        }
        true
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
        let extent = Extent::of(&json!({"key": "value", "n": 1}));
        let bytes = 8 + 3 + 8 + 5 + 1 + 8;
        assert_eq!(extent, Extent { values: 3, bytes });
        assert_eq!(extent.plus(extent).minus(extent), extent);
    }
}
