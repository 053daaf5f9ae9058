//! Go's GOAUTH commands: URLs, an empty line, headers, an empty line. Go runs the command without a
//! URL first, and with the URL of a request that was refused.

use crate::{
    exit::Failure,
    helper::{
        hosts::{Hosts, Place, REGISTRIES},
        token::{Reply, Tokens},
    },
};

/// Returns the headers for the host of `url`; without it for the hosts that the user named.
pub(crate) fn answer(
    url: Option<&str>,
    hosts: &Hosts,
    tokens: &dyn Tokens,
) -> Result<Reply, Failure> {
    let places: Vec<_> = match url {
        None => hosts.single().collect(),
        Some(url) => Place::of_url(url)
            .filter(|place| hosts.cover(REGISTRIES, place))
            .map(|place| place.authority())
            .into_iter()
            .collect(),
    };
    if places.is_empty() {
        // No credentials from this command; Go asks its others.
        return Ok(Reply::nothing());
    }
    let token = tokens.access()?;
    let urls: String = places
        .iter()
        .map(|place| format!("https://{place}\n"))
        .collect();
    Ok(Reply::text(&[
        &urls,
        "\nAuthorization: Bearer ",
        &token.secret,
        "\n\n",
    ]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::helper::{hosts::Pattern, token::fake::Fake};

    fn said(url: Option<&str>, hosts: &Hosts) -> String {
        let reply = answer(url, hosts, &Fake::default()).unwrap();
        reply.text.to_string()
    }

    #[test]
    fn a_module_of_a_registry_gets_the_header() {
        let url = "https://us-go.pkg.dev/p/r/example.com/m/@v/list";
        assert_eq!(
            said(Some(url), &Hosts::default()),
            "https://us-go.pkg.dev\n\nAuthorization: Bearer ya29.access\n\n"
        );
        let named = ["us-go.pkg.dev", "proxy.example:8443", "*.a.example"];
        let named = Hosts(named.map(|text| Pattern::parse(text).unwrap()).to_vec());
        assert_eq!(
            said(None, &named),
            "https://us-go.pkg.dev\nhttps://proxy.example:8443\n\n\
             Authorization: Bearer ya29.access\n\n"
        );
    }

    #[test]
    fn another_url_gets_nothing() {
        assert_eq!(said(None, &Hosts::default()), "");
        for url in [
            "",
            "https://proxy.golang.org/m",
            "http://us-go.pkg.dev/m",
            "us-go.pkg.dev/m",
            "https://us-go.pkg.dev@evil.example/m",
            "https://us-go.pkg.dev\nhttps://evil.example",
        ] {
            assert_eq!(said(Some(url), &Hosts::default()), "", "{url:?}");
        }
    }

    proptest! {
        #[test]
        fn the_answer_names_only_the_host_that_was_asked_for(
            url in r"https://[a-z.@\n]{0,10}\.pkg\.dev[a-z./@:\n]{0,10}"
        ) {
            let answer = said(Some(&url), &Hosts::default());
            if !answer.is_empty() {
                let asked: http::Uri = url.parse().unwrap();
                let host = asked.host().unwrap();
                let expected = format!("https://{host}\n\n");
                prop_assert!(answer.starts_with(&expected), "{} {}", answer, host);
            }
        }
    }
}
