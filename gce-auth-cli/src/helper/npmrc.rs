//! The lines of `.npmrc` that hold a token for npm's registries.

use crate::{
    exit::{Exit, Failure},
    helper::{
        hosts::{self, Hosts, Place, REGISTRIES},
        token::{Reply, Tokens},
    },
    text::rfc3339,
};

/// Returns lines for these registries, and when the token expires.
pub(crate) fn answer(
    registries: &[String],
    hosts: &Hosts,
    tokens: &dyn Tokens,
) -> Result<Reply, Failure> {
    let keys = registries
        .iter()
        .map(|registry| key(registry, hosts))
        .collect::<Result<Vec<_>, _>>()?;
    let token = tokens.access()?;
    let secret = token.plain()?;
    let expiry = match token.expires_at {
        Some(at) => format!("; this token expires at {}\n", rfc3339(at)),
        None => String::new(),
    };
    let mut pieces = vec![&*expiry];
    for key in &keys {
        pieces.extend([&**key, "=", secret, "\n"]);
    }
    Ok(Reply::text(&pieces))
}

/// Returns the key of a registry's token: `//HOST/PATH/:_authToken`.
pub(crate) fn key(registry: &str, hosts: &Hosts) -> Result<String, Failure> {
    let place = Place::of_host(registry).filter(|place| hosts.cover(REGISTRIES, place));
    // npm's file has its own meaning of these.
    let place = place.filter(|place| !place.path().contains([';', '=', '"', '\'', '$', '[', ']']));
    let Some(place) = place else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{:?} is not one of Google's registries; write https://HOST/PROJECT/REPOSITORY/, \
                 or add its host with --allow-host",
                hosts::shown(registry)
            ),
        ));
    };
    let path = place.path().trim_end_matches('/');
    Ok(format!("//{}{path}/:_authToken", place.authority()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn each_registry_has_a_line_and_the_expiry_is_beside_it() {
        let registries = ["https://us-npm.pkg.dev/p/r/", "eu-npm.pkg.dev/p/r"].map(str::to_owned);
        let reply = answer(&registries, &Hosts::default(), &Fake::default()).unwrap();
        assert_eq!(
            *reply.text,
            "; this token expires at 2026-01-31T23:59:59Z\n\
             //us-npm.pkg.dev/p/r/:_authToken=ya29.access\n\
             //eu-npm.pkg.dev/p/r/:_authToken=ya29.access\n"
        );
    }

    /// npm expands `${NAME}`, and a line more would be a setting of its own.
    #[test]
    fn a_token_with_a_meaning_to_npm_is_refused() {
        let registry = ["us-npm.pkg.dev/p/r".to_owned()];
        for secret in ["ya29.${HOME}", "ya29\nregistry=https://evil.example/"] {
            let tokens = Fake {
                secret: Some(secret),
                ..Fake::default()
            };
            let refused = answer(&registry, &Hosts::default(), &tokens).unwrap_err();
            assert!(!refused.to_string().contains("ya29"), "{refused}");
        }
    }

    #[test]
    fn another_registry_is_refused() {
        for registry in [
            "",
            "https://registry.npmjs.org/",
            "http://us-npm.pkg.dev/p/r/",
            "https://us-npm.pkg.dev/p\n/r/",
            "https://us-npm.pkg.dev/p;/r/",
            "https://us-npm.pkg.dev/${HOME}/r/",
            "https://us-npm.pkg.dev@evil.example/",
        ] {
            let tokens = Fake::default();
            let refused = answer(&[registry.to_owned()], &Hosts::default(), &tokens);
            assert_eq!(refused.expect_err(registry).exit(), Exit::Usage);
            assert_eq!(tokens.given.get(), 0);
        }
        let url = "https://oauth2accesstoken:ya29.old@us-npm.pkg.dev/p/r/".to_owned();
        let refused = answer(&[url], &Hosts::default(), &Fake::default()).unwrap_err();
        assert!(!refused.to_string().contains("ya29"), "{refused}");
    }
}
