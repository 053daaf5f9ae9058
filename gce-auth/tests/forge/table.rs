//! Tokens that nobody should accept, and what is wrong with each.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use aws_lc_rs::hmac;
use serde_json::json;

use super::{AUDIENCE, By, Forge, base64, modulus, rsa_der, signed};

/// A token that was tampered with.
#[derive(Debug)]
pub(crate) struct Tampered {
    /// The part of it that was.
    pub(crate) area: &'static str,
    pub(crate) name: &'static str,
    pub(crate) token: String,
    /// A part of what is said about it here.
    pub(crate) why: &'static str,
}

type Row = (&'static str, String, &'static str);

/// A token that is right, which others are made from.
struct Good {
    now: u64,
    apart: u64,
    token: String,
}

impl Good {
    fn rsa(&self) -> Forge {
        Forge::rsa_at(self.now)
    }

    fn ec(&self) -> Forge {
        Forge::ec_at(self.now)
    }

    /// The token, its header, its payload and its signature.
    fn parts(&self) -> (&str, &str, &str, &str) {
        let parts: Vec<&str> = self.token.split('.').collect();
        (&self.token, parts[0], parts[1], parts[2])
    }

    fn payload(&self) -> &str {
        self.parts().2
    }
}

/// The tampered tokens of the moment `now`. What is wrong with the time of one
/// is wrong by `apart` seconds more than it must be, for verifiers whose clock
/// goes on.
pub(crate) fn tampered(now: u64, apart: u64) -> Vec<Tampered> {
    let good = Good {
        now,
        apart,
        token: Forge::rsa_at(now).token(),
    };
    [
        ("algorithm", algorithms(&good)),
        ("key id", key_ids(&good)),
        ("signature", signatures(&good)),
        ("dates", dates(&good)),
        ("audience", audiences(&good)),
        ("issuer", issuers(&good)),
        ("encoding", encodings(&good)),
        ("size", sizes(&good)),
    ]
    .into_iter()
    .flat_map(|(area, rows)| {
        rows.into_iter().map(move |(name, token, why)| Tampered {
            area,
            name,
            token,
            why,
        })
    })
    .collect()
}

fn algorithms(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    let ec = || of.ec();
    let mac = |key: &[u8]| {
        let header = base64(r#"{"alg":"HS256","kid":"rsa"}"#);
        let message = format!("{header}.{}", of.payload());
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let tag = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", base64(tag))
    };
    vec![
        (
            "none",
            rsa().header("alg", "none").by(By::Nobody).token(),
            "signature",
        ),
        ("none signed", rsa().header("alg", "none").token(), "none"),
        ("None", rsa().header("alg", "None").token(), "None"),
        ("no alg", rsa().without("alg").token(), "algorithm"),
        (
            "alg a number",
            rsa().header("alg", 256).token(),
            "algorithm",
        ),
        (
            "alg lower case",
            rsa().header("alg", "rs256").token(),
            "rs256",
        ),
        ("HS256 by the modulus", mac(&modulus()), "HS256"),
        ("HS256 by the key in DER", mac(&rsa_der()), "HS256"),
        ("HS256 by an oct key", mac(b"secret"), "HS256"),
        (
            "RS512",
            rsa().header("alg", "RS512").by(By::Sha512).token(),
            "RS512",
        ),
        (
            "SHA-512 said to be RS256",
            rsa().by(By::Sha512).token(),
            "signature",
        ),
        (
            "PS256",
            rsa().header("alg", "PS256").by(By::Pss).token(),
            "PS256",
        ),
        (
            "PSS said to be RS256",
            rsa().by(By::Pss).token(),
            "signature",
        ),
        (
            "ES256 with an RSA key",
            rsa().header("alg", "ES256").token(),
            "another algorithm",
        ),
        (
            "ES256 by EC with an RSA key",
            ec().header("kid", "rsa").token(),
            "another algorithm",
        ),
        (
            "RS256 with an EC key",
            rsa().header("kid", "ec").token(),
            "another algorithm",
        ),
        (
            "crit",
            rsa().header("crit", json!(["exp"])).token(),
            "critical",
        ),
        (
            "b64",
            rsa()
                .header("b64", false)
                .header("crit", json!(["b64"]))
                .token(),
            "critical",
        ),
        (
            "another type",
            rsa().header("typ", "at+jwt").token(),
            "no JWT",
        ),
        ("type not a text", rsa().header("typ", 1).token(), "no JWT"),
    ]
}

fn key_ids(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    vec![
        ("no kid", rsa().without("kid").token(), "names no key"),
        ("empty kid", rsa().header("kid", "").token(), "names no key"),
        (
            "kid a list",
            rsa().header("kid", json!(["rsa"])).token(),
            "names no key",
        ),
        (
            "unknown kid",
            rsa().header("kid", "RSA").token(),
            "not among",
        ),
        (
            "kid of a secret",
            rsa().header("kid", "secret").token(),
            "not among",
        ),
        (
            "kid of a small key",
            rsa().header("kid", "small").token(),
            "2048",
        ),
        (
            "kid a path",
            rsa().header("kid", "../../dev/null").token(),
            "not among",
        ),
    ]
}

fn signatures(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    let ec = || of.ec();
    let (good, header, payload, signature) = of.parts();
    let mut flipped = By::Rsa.sign(format!("{header}.{payload}").as_bytes());
    flipped[100] ^= 1;
    let ec_signature = By::Ec.sign(ec().token().as_bytes());
    let spaced = format!("{{ {}", &rsa().header.to_string()[1..]);
    // The last character of a signature of 256 bytes carries four spare bits.
    let spare = format!("{}{}", &good[..good.len() - 1], {
        let last = good.chars().last().unwrap();
        char::from_u32(u32::from(last) + 1).unwrap()
    });
    vec![
        ("no signature", format!("{header}.{payload}."), "signature"),
        (
            "one bit",
            format!("{header}.{payload}.{}", base64(&flipped)),
            "signature",
        ),
        ("cut short", good[..good.len() - 4].to_owned(), "signature"),
        ("too long", format!("{good}AAAA"), "signature"),
        ("spare bits", spare, "signature"),
        ("another key", rsa().by(By::OtherRsa).token(), "signature"),
        ("zeros", rsa().by(By::Zeros(256)).token(), "signature"),
        ("EC zeros", ec().by(By::Zeros(64)).token(), "signature"),
        ("EC in ASN.1", ec().by(By::EcAsn1).token(), "signature"),
        (
            "EC of something else",
            {
                let token = ec().token();
                let message = &token[..token.rfind('.').unwrap()];
                format!("{message}.{}", base64(ec_signature))
            },
            "signature",
        ),
        (
            "claims exchanged",
            {
                let claims = base64(rsa().claim("email", "boss@example.com").claims.to_string());
                format!("{header}.{claims}.{signature}")
            },
            "signature",
        ),
        (
            "header exchanged",
            { format!("{}.{payload}.{signature}", base64(spaced)) },
            "signature",
        ),
    ]
}

fn dates(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    let (now, apart) = (of.now, of.apart);
    vec![
        (
            "expired now",
            rsa().claim("exp", now - apart).token(),
            "expired",
        ),
        ("expired long ago", rsa().claim("exp", 1).token(), "expired"),
        ("exp negative", rsa().claim("exp", -1).token(), "exp"),
        (
            "exp a text",
            rsa().claim("exp", (now + 3540).to_string()).token(),
            "exp",
        ),
        ("exp null", rsa().claim("exp", json!(null)).token(), "exp"),
        ("exp huge", rsa().claim("exp", 1e300).token(), "exp"),
        ("no exp", rsa().without("exp").token(), "exp"),
        (
            "from the future",
            rsa().claim("iat", now + apart + 1).token(),
            "not valid yet",
        ),
        ("no iat", rsa().without("iat").token(), "iat"),
        ("iat a text", rsa().claim("iat", "1").token(), "iat"),
        (
            "not yet",
            rsa().claim("nbf", now + apart + 5).token(),
            "not valid yet",
        ),
        ("nbf a text", rsa().claim("nbf", "now").token(), "nbf"),
        (
            "lives too long",
            rsa().claim("exp", now + apart + 86_400).token(),
            "longer than a day",
        ),
    ]
}

fn audiences(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    vec![
        (
            "another audience",
            rsa().claim("aud", "https://other.example").token(),
            "and not for",
        ),
        (
            "audience with a slash",
            rsa().claim("aud", format!("{AUDIENCE}/")).token(),
            "not for",
        ),
        (
            "part of the audience",
            rsa().claim("aud", &AUDIENCE[..20]).token(),
            "not for",
        ),
        (
            "other audiences",
            rsa().claim("aud", json!(["a", "b"])).token(),
            "not for",
        ),
        (
            "audience an object",
            rsa().claim("aud", json!({"a": AUDIENCE})).token(),
            "aud",
        ),
        (
            "audiences not texts",
            rsa().claim("aud", json!([AUDIENCE, 1])).token(),
            "aud",
        ),
        ("no audiences", rsa().claim("aud", json!([])).token(), "aud"),
        ("empty audience", rsa().claim("aud", "").token(), "not for"),
        ("no audience", rsa().without("aud").token(), "aud"),
    ]
}

fn issuers(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    vec![
        (
            "another issuer",
            rsa().claim("iss", "https://evil.example").token(),
            "made by",
        ),
        (
            "issuer with a slash",
            rsa().claim("iss", "https://accounts.google.com/").token(),
            "made by",
        ),
        (
            "issuer over http",
            rsa().claim("iss", "http://accounts.google.com").token(),
            "made by",
        ),
        (
            "issuers",
            rsa()
                .claim("iss", json!(["https://accounts.google.com"]))
                .token(),
            "iss",
        ),
        ("no issuer", rsa().without("iss").token(), "iss"),
        ("no subject", rsa().without("sub").token(), "sub"),
    ]
}

fn encodings(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    let (good, header, payload, signature) = of.parts();
    vec![
        ("nothing", String::new(), "three parts"),
        ("dots", "..".to_owned(), "header"),
        ("two parts", format!("{header}.{payload}"), "three parts"),
        ("four parts", format!("{good}.{signature}"), "three parts"),
        (
            "five parts",
            format!("{header}.{payload}.{signature}.a.b"),
            "three parts",
        ),
        (
            "padded",
            format!("{header}.{payload}.{signature}=="),
            "signature",
        ),
        ("plain base64", good.replace(['-', '_'], "+"), ""),
        ("a space before", format!(" {good}"), "header"),
        ("a newline behind", format!("{good}\n"), "signature"),
        ("with its scheme", format!("Bearer {good}"), "header"),
        ("not ASCII", format!("{header}.{payload}.é"), "signature"),
        (
            "header a list",
            signed("[]", &rsa().claims.to_string(), By::Rsa),
            "header",
        ),
        (
            "payload a text",
            signed(&rsa().header.to_string(), "\"x\"", By::Rsa),
            "payload",
        ),
        (
            "payload cut",
            signed(&rsa().header.to_string(), "{\"iss\":", By::Rsa),
            "payload",
        ),
        (
            "payload twice",
            signed(&rsa().header.to_string(), "{}{}", By::Rsa),
            "payload",
        ),
    ]
}

fn sizes(of: &Good) -> Vec<Row> {
    let rsa = || of.rsa();
    vec![(
        "too large",
        rsa().claim("filler", "x".repeat(20_000)).token(),
        "16 KiB",
    )]
}
