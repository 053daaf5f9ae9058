//! Names with their values, in one piece of memory: each request has some, and thousands of
//! requests are kept.

/// Names with their values, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    text: String,
    /// Where each name and its value end in the text.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    /// With room for so many, whose names and values are of this length together.
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

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Returns the names with their values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut begin = 0;
        self.ends.iter().map(move |(middle, end)| {
            let field = (&self.text[begin..*middle], &self.text[*middle..*end]);
            begin = *end;
            field
        })
    }

    /// Returns how many bytes the names and values have together.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// Returns for how many bytes of names and values there is memory.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Takes all away, and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
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
        assert_eq!(fields.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((fields.get("a"), fields.get("b")), (Some("1"), Some("")));
        assert_eq!(fields.get("c"), None);
        fields.clear();
        assert_eq!(fields, Fields::with_capacity(2, 10));
    }
}
