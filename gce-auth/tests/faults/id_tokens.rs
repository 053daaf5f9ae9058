//! ID tokens in odd forms.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gce_auth::{ErrorKind, IdTokenCredentials, MetadataClient};

use super::{
    AUDIENCE,
    Due::{Final, Token},
    all, repeated,
    server::google,
};

fn jwt(payload: &str) -> String {
    let part = |bytes: &str| URL_SAFE_NO_PAD.encode(bytes);
    format!(
        "{}.{}.{}",
        part(r#"{"alg":"RS256"}"#),
        part(payload),
        part("signature")
    )
}

#[test]
fn id_tokens_in_odd_forms() {
    use ErrorKind::{Expired, InvalidResponse};
    const LATER: u64 = 4_000_000_000;
    let claims = |exp: &str, aud: &str| jwt(&format!(r#"{{"exp":{exp},"aud":{aud}}}"#));
    let mine = format!("\"{AUDIENCE}\"");
    let good = claims(&LATER.to_string(), &mine);
    let cases = vec![
        ("well", good.clone(), Token(1)),
        ("with lines around it", format!("\r\n {good}\n\n"), Token(1)),
        (
            "the audience in a list",
            claims("4000000000", &format!("[\"x\",{mine}]")),
            Token(1),
        ),
        (
            "expiry with a fraction",
            claims("4000000000.5", &mine),
            Token(1),
        ),
        ("expiry with an exponent", claims("4e9", &mine), Token(1)),
        ("expiry for ages", claims("1e300", &mine), Token(1)),
        (
            "expiry as text",
            claims("\"4000000000\"", &mine),
            Final(InvalidResponse),
        ),
        (
            "expiry of null",
            claims("null", &mine),
            Final(InvalidResponse),
        ),
        (
            "a negative expiry",
            claims("-4000000000", &mine),
            Final(InvalidResponse),
        ),
        ("expiry of zero", claims("0", &mine), Final(Expired)),
        (
            "no expiry",
            jwt(&format!(r#"{{"aud":{mine}}}"#)),
            Final(InvalidResponse),
        ),
        (
            "another audience",
            claims("4000000000", "\"https://other.example\""),
            Final(InvalidResponse),
        ),
        (
            "the audience with a slash more",
            claims("4000000000", &format!("\"{AUDIENCE}/\"")),
            Final(InvalidResponse),
        ),
        (
            "an empty list of audiences",
            claims("4000000000", "[]"),
            Final(InvalidResponse),
        ),
        (
            "an audience of null",
            claims("4000000000", "null"),
            Final(InvalidResponse),
        ),
        (
            "audiences within audiences",
            claims("4000000000", &format!("[[{mine}]]")),
            Final(InvalidResponse),
        ),
        (
            "two parts",
            good.rsplit_once('.').unwrap().0.into(),
            Final(InvalidResponse),
        ),
        ("four parts", format!("{good}.e30"), Final(InvalidResponse)),
        (
            "five parts, as if encrypted",
            format!("{good}.e30.e30"),
            Final(InvalidResponse),
        ),
        (
            "an empty signature",
            format!("{}.", good.rsplit_once('.').unwrap().0),
            Final(InvalidResponse),
        ),
        (
            "padded parts",
            good.replace('.', "=."),
            Final(InvalidResponse),
        ),
        (
            "the other alphabet",
            format!("{good}+/"),
            Final(InvalidResponse),
        ),
        (
            "a space within",
            good.replacen('.', ". ", 1),
            Final(InvalidResponse),
        ),
        ("quoted", format!("\"{good}\""), Final(InvalidResponse)),
        (
            "in JSON",
            format!(r#"{{"token":"{good}"}}"#),
            Final(InvalidResponse),
        ),
        (
            "with its scheme",
            format!("Bearer {good}"),
            Final(InvalidResponse),
        ),
        ("claims in a list", jwt("[1]"), Final(InvalidResponse)),
        (
            "claims that are not UTF-8",
            format!(
                "e30.{}.c2ln",
                URL_SAFE_NO_PAD.encode(b"{\"exp\":4000000000,\"x\":\"\xff\"}")
            ),
            Final(InvalidResponse),
        ),
        (
            "claims that are no JSON",
            jwt("exp=4000000000"),
            Final(InvalidResponse),
        ),
        (
            "a page",
            "<html>Sign in</html>".into(),
            Final(InvalidResponse),
        ),
        ("nothing", String::new(), Final(InvalidResponse)),
        ("white space", " \n ".into(), Final(InvalidResponse)),
        (
            "a hundred KiB",
            jwt(&format!(
                r#"{{"exp":4000000000,"x":"{}"}}"#,
                repeated("x", 100 * 1024)
            )),
            Final(InvalidResponse),
        ),
    ];
    let ask = |client: &MetadataClient| {
        let credentials = IdTokenCredentials::builder(AUDIENCE)
            .client(client.clone())
            .shared(false);
        Ok(credentials.build()?.blocking_token()?.secret().to_owned())
    };
    all(
        &cases,
        |text| vec![google("200 OK", "Content-Type: text/html\r\n", text)],
        ask,
        |token: &String| token.starts_with("eyJ"),
    );
}
