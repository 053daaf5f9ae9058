//! Gradle's credentials of a repository, as variables of its properties.

use crate::{
    exit::{Exit, Failure},
    helper::token::{Reply, Tokens, USER},
};

/// Returns exports for the repository of this name, with `credentials(PasswordCredentials)` or
/// `credentials(HttpHeaderCredentials)`.
pub(crate) fn answer(repository: &str, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if repository.is_empty() || !repository.bytes().all(plain) {
        let why = format!("{repository:?} is no name for a variable; write letters, digits and _");
        return Err(Failure::new(Exit::Usage, why));
    }
    let token = tokens.access()?;
    let secret = token.plain()?;
    let name = ["export ORG_GRADLE_PROJECT_", repository].concat();
    Ok(Reply::text(&[
        &name,
        "Username=",
        USER,
        "\n",
        &name,
        "Password=",
        secret,
        "\n",
        &name,
        "AuthHeaderName=Authorization\n",
        &name,
        "AuthHeaderValue='Bearer ",
        secret,
        "'\n",
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn the_properties_are_those_of_the_repository() {
        let reply = answer("mine", &Fake::default()).unwrap();
        assert_eq!(
            *reply.text,
            "export ORG_GRADLE_PROJECT_mineUsername=oauth2accesstoken\n\
             export ORG_GRADLE_PROJECT_minePassword=ya29.access\n\
             export ORG_GRADLE_PROJECT_mineAuthHeaderName=Authorization\n\
             export ORG_GRADLE_PROJECT_mineAuthHeaderValue='Bearer ya29.access'\n"
        );
        for name in ["", "a b", "a;b", "a-b"] {
            assert!(answer(name, &Fake::default()).is_err(), "{name}");
        }
    }
}
