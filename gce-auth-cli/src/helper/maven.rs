//! Maven's settings with the token as header of servers.

use crate::{
    exit::{Exit, Failure},
    helper::token::{Reply, Tokens, join},
    text::rfc3339,
};

/// The first line of a settings file.
const MARK: &str = "<!-- by gce-auth helper maven -->";

/// Returns whether a settings file was made here, or is empty.
pub(crate) fn is_own(text: &str) -> bool {
    text.is_empty() || text.lines().next() == Some(MARK)
}

/// Returns a settings file for the servers of these ids.
pub(crate) fn answer(servers: &[String], tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if let Some(wrong) = servers
        .iter()
        .find(|id| id.is_empty() || !id.bytes().all(plain))
    {
        let why = format!("{wrong:?} is no server id; write letters, digits, hyphens, dots and _");
        return Err(Failure::new(Exit::Usage, why));
    }
    let token = tokens.access()?;
    let secret = token.plain()?;
    let expiry = match token.expires_at {
        Some(at) => format!("  <!-- this token expires at {} -->\n", rfc3339(at)),
        None => String::new(),
    };
    let servers: Vec<_> = servers
        .iter()
        .map(|id| {
            join(&[
                "    <server>\n      <id>",
                id,
                "</id>\n      <configuration>\n        <httpHeaders>\n          <property>\n            \
                 <name>Authorization</name>\n            <value>Bearer ",
                secret,
                "</value>\n          </property>\n        </httpHeaders>\n      </configuration>\n    \
                 </server>\n",
            ])
        })
        .collect();
    let mut pieces = vec![MARK, "\n<settings>\n", &expiry, "  <servers>\n"];
    pieces.extend(servers.iter().map(|server| server.as_str()));
    pieces.push("  </servers>\n</settings>\n");
    Ok(Reply::text(&pieces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn each_server_has_the_header() {
        let servers = ["artifact-registry".to_owned(), "b".to_owned()];
        let reply = answer(&servers, &Fake::default()).unwrap();
        assert_eq!(
            reply
                .text
                .matches("<value>Bearer ya29.access</value>")
                .count(),
            2
        );
        assert!(reply.text.contains("<id>artifact-registry</id>"));
        assert!(reply.text.contains("expires at 2026-01-31T23:59:59Z"));
        assert!(is_own(&reply.text));
        assert!(is_own(""));
        assert!(!is_own("<settings>\n</settings>\n"));
    }

    #[test]
    fn an_id_is_plain() {
        for id in ["", "a b", "a</id>", "a\n"] {
            assert!(answer(&[id.to_owned()], &Fake::default()).is_err(), "{id}");
        }
    }
}
