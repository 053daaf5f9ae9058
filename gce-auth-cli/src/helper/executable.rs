//! The executable source of external accounts, as Google's SDKs run it (AIP-4117): a subject token
//! out.

use crate::{
    exit::{Exit, Failure},
    helper::{
        json,
        token::{Reply, Tokens},
    },
};

/// The types of subject tokens that an ID token is.
const TYPES: [&str; 2] = [
    "urn:ietf:params:oauth:token-type:id_token",
    "urn:ietf:params:oauth:token-type:jwt",
];

/// What an SDK says in its variables `GOOGLE_EXTERNAL_ACCOUNT_..`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The provider that the token is for.
    pub(crate) audience: Option<&'a str>,
    pub(crate) token_type: Option<&'a str>,
}

/// Returns an ID token for `audience`, else for the provider that was asked for.
pub(crate) fn answer(audience: Option<&str>, asked: Asked<'_>, tokens: &dyn Tokens) -> Reply {
    grant(audience, asked, tokens).unwrap_or_else(|failure| {
        let message = json::string(&failure.to_string());
        let code = json::string(&(failure.exit() as u8).to_string());
        let head = "{\"version\":1,\"success\":false,\"code\":";
        let reply = Reply::text(&[head, &code, ",\"message\":", &message, "}\n"]);
        reply.code(failure.exit() as u8)
    })
}

fn grant(audience: Option<&str>, asked: Asked<'_>, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let wanted = asked.token_type.unwrap_or(TYPES[0]);
    let Some(token_type) = TYPES.into_iter().find(|known| *known == wanted) else {
        return Err(Failure::new(
            Exit::Usage,
            "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE is neither id_token nor jwt; name one of these as \
             subject_token_type in the credentials file",
        ));
    };
    let audience = audience.or(asked.audience).filter(|text| !text.is_empty());
    let Some(audience) = audience else {
        return Err(Failure::new(
            Exit::Usage,
            "no audience; run this from a credentials file, or name it with --audience",
        ));
    };
    let token = tokens.identity(audience)?;
    let expiry = match token.expires_unix() {
        Some(at) => format!(",\"expiration_time\":{at}"),
        None => String::new(),
    };
    let secret = json::string(&token.secret);
    Ok(Reply::text(&[
        "{\"version\":1,\"success\":true,\"token_type\":\"",
        token_type,
        "\",\"id_token\":",
        &secret,
        &expiry,
        "}\n",
    ]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::helper::token::fake::{EXPIRY, Fake};

    const PROVIDER: &str = "//iam.googleapis.com/projects/1/providers/p";

    fn said(audience: Option<&str>, asked: Asked<'_>, tokens: &Fake) -> (Value, u8) {
        let reply = answer(audience, asked, tokens);
        (serde_json::from_str(&reply.text).unwrap(), reply.code)
    }

    #[test]
    fn an_sdk_gets_an_id_token_for_its_provider() {
        for token_type in TYPES {
            let asked = Asked {
                audience: Some(PROVIDER),
                token_type: Some(token_type),
            };
            let expected = json!({
                "version": 1, "success": true, "token_type": token_type,
                "id_token": format!("id-for:{PROVIDER}"), "expiration_time": EXPIRY,
            });
            assert_eq!(said(None, asked, &Fake::default()), (expected, 0));
            let (answer, _) = said(Some("client"), asked, &Fake::default());
            assert_eq!(answer["id_token"], "id-for:client");
        }
    }

    #[test]
    fn a_failure_is_an_answer() {
        for (audience, token_type, fails, code) in [
            (None, None, false, 2),
            (Some(""), None, false, 2),
            (
                Some(PROVIDER),
                Some("urn:ietf:params:oauth:token-type:saml2"),
                false,
                2,
            ),
            (Some(PROVIDER), None, true, 3),
        ] {
            let asked = Asked {
                audience,
                token_type,
            };
            let tokens = if fails {
                Fake::failing()
            } else {
                Fake::default()
            };
            let (answer, ended) = said(None, asked, &tokens);
            assert_eq!(ended, code, "{answer}");
            assert_eq!(answer["success"], false);
            assert_eq!(answer["version"], 1);
            assert!(
                answer["message"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
            assert_eq!(answer["code"], code.to_string());
            assert_eq!(tokens.given.get(), 0);
        }
    }
}
