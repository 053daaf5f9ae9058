//! OAuth 2.0 scopes on the command line.

/// Scopes, with commas or white space between them; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// Reads scopes. A bare word is one of Google's: `devstorage.read_only` stands for
    /// `https://www.googleapis.com/auth/devstorage.read_only`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let scopes: Vec<_> = text
            .split([',', ' ', '\t', '\n', '\r'])
            .filter(|scope| !scope.is_empty())
            .map(full_scope)
            .collect();
        if scopes.is_empty() {
            return Err("name a scope, like cloud-platform, or leave the option out".to_owned());
        }
        Ok(Self(scopes))
    }

    /// Returns the scopes of an option that may be repeated.
    pub(crate) fn all(given: &[Self]) -> impl Iterator<Item = &str> {
        given
            .iter()
            .flat_map(|scopes| &scopes.0)
            .map(String::as_str)
    }
}

fn full_scope(scope: &str) -> String {
    let bare = scope
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if bare && !["openid", "email", "profile"].contains(&scope) {
        return format!("https://www.googleapis.com/auth/{scope}");
    }
    scope.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_scopes_are_googles() {
        assert_eq!(
            full_scope("devstorage.read_only"),
            "https://www.googleapis.com/auth/devstorage.read_only"
        );
        assert_eq!(full_scope("openid"), "openid");
        assert_eq!(
            full_scope("https://mail.google.com/"),
            "https://mail.google.com/"
        );
    }

    #[test]
    fn scopes_are_separated_by_commas_or_white_space() {
        let read = |text| Scopes::parse(text).map(|scopes| scopes.0.join(" "));
        assert_eq!(
            read("openid  email,,profile"),
            Ok("openid email profile".to_owned())
        );
        let repeated = [Scopes::parse("openid"), Scopes::parse("email")].map(Result::unwrap);
        assert_eq!(
            Scopes::all(&repeated).collect::<Vec<_>>(),
            ["openid", "email"]
        );
    }

    #[test]
    fn no_scope_at_all_is_refused() {
        for text in ["", " ", ",", " , "] {
            assert!(Scopes::parse(text).is_err(), "{text:?}");
        }
    }
}
