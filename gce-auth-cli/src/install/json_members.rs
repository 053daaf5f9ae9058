//! The members of a JSON object by their places in its text, so that an edit leaves every other
//! byte.

use std::ops::Range;

use serde_json::Value;

/// A member of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// From the quote before its key to the end of its value.
    pub(crate) whole: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// An object in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// After the brace that opens it.
    pub(crate) start: usize,
    pub(crate) members: Vec<Member>,
}

impl Object {
    /// Reads the object that begins at `at`, which may have white space before it. `None` if the
    /// text is no object in JSON.
    pub(crate) fn read(text: &str, at: Range<usize>) -> Option<Self> {
        let json = text.get(at.clone())?;
        if !serde_json::from_str::<Value>(json).ok()?.is_object() {
            return None;
        }
        let bytes = text.as_bytes();
        let mut position = skip_space(bytes, at.start) + 1;
        let start = position;
        let mut members = Vec::new();
        loop {
            position = skip_space(bytes, position);
            if bytes.get(position) != Some(&b'"') {
                return Some(Self { start, members });
            }
            let key = position..skip_string(bytes, position);
            let value = skip_space(bytes, skip_space(bytes, key.end) + 1);
            let value = value..skip_value(bytes, value);
            members.push(Member {
                key: serde_json::from_str(text.get(key.clone())?).ok()?,
                whole: key.start..value.end,
                value: value.clone(),
            });
            position = skip_space(bytes, value.end);
            if bytes.get(position) == Some(&b',') {
                position += 1;
            }
        }
    }

    /// Returns an object that is nowhere, without members.
    pub(crate) fn none() -> Self {
        Self {
            start: 0,
            members: Vec::new(),
        }
    }

    /// Returns the member of this key.
    pub(crate) fn member(&self, key: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.key == key)
    }

    /// Returns the text with this member, as JSON, before all others.
    pub(crate) fn insert_first(&self, text: &str, member: &str) -> String {
        let (before, rest) = text.split_at(self.start);
        let space = &rest[..rest.len() - rest.trim_start().len()];
        if self.members.is_empty() {
            return [before, space, member, &rest[space.len()..]].concat();
        }
        [before, space, member, ",", rest].concat()
    }

    /// Returns the text without this member: the inverse of [`insert_first`](Self::insert_first)
    /// for the first one.
    pub(crate) fn remove(&self, text: &str, key: &str) -> String {
        let Some(index) = self.members.iter().position(|member| member.key == key) else {
            return text.to_owned();
        };
        let whole = &self.members[index].whole;
        let gone = match (index.checked_sub(1), self.members.get(index + 1)) {
            (Some(before), _) => self.members[before].whole.end..whole.end,
            // The space before the first member stays, and that after its comma goes.
            (None, Some(next)) => whole.start..next.whole.start,
            (None, None) => whole.clone(),
        };
        [&text[..gone.start], &text[gone.end..]].concat()
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Returns the end of the string that begins at `at`.
fn skip_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Returns the end of the value that begins at `at`.
fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = skip_string(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            byte if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Object> {
        Object::read(text, 0..text.len())
    }

    #[test]
    fn members_have_places() {
        let text = r#" { "a" : {"x": ["}", "\""]}, "b\"":1 ,"c": "}" } "#;
        let object = read(text).unwrap();
        let seen: Vec<_> = object
            .members
            .iter()
            .map(|member| (member.key.as_str(), &text[member.value.clone()]))
            .collect();
        let expected = [("a", r#"{"x": ["}", "\""]}"#), ("b\"", "1"), ("c", "\"}\"")];
        assert_eq!(seen, expected);
        for text in ["", "[]", "{", "{}x", "{\"a\":}", "1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn removing_is_the_inverse_of_inserting(
            space in "[ \n\t]{0,3}", between in "[ \n\t]{0,3}", keys in proptest::collection::vec("[b-z\"\\\\]{1,3}", 0..3)
        ) {
            let members: Vec<_> = keys
                .iter()
                .enumerate()
                .map(|(index, key)| format!("{}{between}:{between}[{index},{{}}]", serde_json::json!(key)))
                .collect();
            let text = format!("{{{space}{}{between}}}\n", members.join(&format!("{between},{space}")));
            let inserted = read(&text).unwrap().insert_first(&text, "\"a\": {\"x\": 1}");
            let object = read(&inserted).unwrap();
            prop_assert_eq!(&object.members[0].key, "a");
            prop_assert_eq!(object.remove(&inserted, "a"), text);
            // Another member goes, too, and what stays is JSON.
            for key in &keys {
                let less = object.remove(&inserted, key);
                let less: serde_json::Map<_, _> = serde_json::from_str(&less).unwrap();
                prop_assert!(less.contains_key("a"));
            }
        }
    }
}
