//! Names with their values, in one piece of memory: each request has some, and thousands of
//! requests are kept.

use std::ops::Range;

/// Names with their values, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    text: String,
    /// Where each name and its value end in the text.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    /// Returns an empty list with room for so many, whose names and values are of this length
    /// together.
    pub fn with_capacity(count: usize, length: usize) -> Self {
        Self {
            text: String::with_capacity(length),
            ends: Vec::with_capacity(count),
        }
    }

    /// Adds a name with its value.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let end = self.text.len();
        self.text.push_str(value);
        self.ends.push((end, self.text.len()));
    }

    /// Returns the first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let is_named =
            |(key, _): &(Range<usize>, _)| self.text.as_bytes()[key.clone()] == *name.as_bytes();
        let (_, value) = self.places().find(is_named)?;
        Some(&self.text[value])
    }

    /// Returns the names with their values, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        let text = |place: Range<usize>| &self.text[place];
        self.places()
            .map(move |(name, value)| (text(name), text(value)))
    }

    /// Where names and values stand in the text.
    fn places(&self) -> impl ExactSizeIterator<Item = (Range<usize>, Range<usize>)> + Clone {
        let mut begin = 0;
        self.ends.iter().map(move |(middle, end)| {
            let place = (begin..*middle, *middle..*end);
            begin = *end;
            place
        })
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns how many bytes the names and values have together.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// Gives back the memory that is not used.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(fields: I) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            all.push(name, value);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out() {
        let pairs = [("a", "1"), ("b", ""), ("", "x"), ("a", "\u{e9}2")];
        let mut fields: Fields = pairs.into_iter().collect();
        fields.shrink();
        assert_eq!(fields.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((fields.get("a"), fields.get("b")), (Some("1"), Some("")));
        assert_eq!(fields.get("c"), None);
        assert_eq!((fields.len(), fields.length()), (4, 8));
        assert_eq!(Fields::default(), Fields::with_capacity(2, 10));
    }
}
