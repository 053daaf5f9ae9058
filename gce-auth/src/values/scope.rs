//! OAuth 2.0 scopes, as they are asked for.

/// The scopes of one token, in the order given, without repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    pub(crate) fn new<I>(scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut list: Vec<String> = Vec::new();
        for scope in scopes {
            let scope = scope.into();
            if !scope.is_empty() && !list.contains(&scope) {
                list.push(scope);
            }
        }
        Self(list)
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn into_vec(self) -> Vec<String> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_repetitions_are_not() {
        let scopes = Scopes::new(["b", "a", "", "b"]);
        assert_eq!(scopes.as_slice(), ["b", "a"]);
        assert!(Scopes::new([""]).is_empty());
    }
}
