//! Verification, as a server does it: what is accepted, and what is not.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod forge;
mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime},
};

use forge::{
    AUDIENCE, EMAIL, Forge, NOW, Stopped,
    table::{self, Tampered},
};
use futures_executor::block_on;
use gce_auth::{
    ErrorKind, IdTokenCredentials, IdTokenVerifier, IdTokenVerifierBuilder, MetadataClient,
};
use gce_auth_emulator::AgentIdentity;
use serde_json::json;
use support::{client, emulator};

/// A verifier that knows the keys and stands at the moment.
fn verifier() -> IdTokenVerifierBuilder {
    at(NOW)
}

fn at(seconds: u64) -> IdTokenVerifierBuilder {
    let clock = Stopped::at(seconds);
    let client = MetadataClient::builder().clock(clock).build().unwrap();
    IdTokenVerifier::builder()
        .audience(AUDIENCE)
        .keys(forge::jwks())
        .client(client)
}

fn accepts(builder: IdTokenVerifierBuilder, token: &Forge) -> bool {
    let verified = builder.build().unwrap().blocking_verify(&token.token());
    verified.is_ok()
}

#[test]
fn tokens_that_are_right_are_accepted_with_their_claims() {
    let verifier = verifier().email(EMAIL).build().unwrap();
    for token in [Forge::rsa(), Forge::ec()] {
        let claims = block_on(verifier.verify(&token.token())).unwrap();
        assert_eq!(claims, verifier.blocking_verify(&token.token()).unwrap());
        assert_eq!(claims.issuer(), "https://accounts.google.com");
        assert_eq!(claims.subject(), "1134");
        assert_eq!(claims.audience(), AUDIENCE);
        assert_eq!(claims.email(), Some(EMAIL));
        assert!(claims.is_email_verified());
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(claims.issued_at(), time(NOW - 60));
        assert_eq!(claims.expires_at(), time(NOW + 3540));
        assert_eq!(claims.get("azp").as_deref(), Some("1134"));
        assert!(claims.compute_engine().is_none());
        assert!(claims.to_json().contains("\"azp\":\"1134\""));
    }
}

#[test]
fn harmless_differences_are_accepted() {
    for token in [
        Forge::rsa().claim("iss", "accounts.google.com"),
        Forge::rsa().claim("aud", json!([AUDIENCE])),
        Forge::rsa().claim("aud", json!(["https://other.example", AUDIENCE])),
        Forge::rsa().claim("iat", NOW),
        Forge::rsa().claim("exp", NOW + 1),
        Forge::rsa().claim("exp", 1_700_000_000.5),
        Forge::rsa().claim("nbf", NOW),
        Forge::rsa().without("typ"),
        Forge::rsa().header("typ", "jwt"),
        Forge::rsa().header("jku", "https://evil.example/keys"),
        Forge::rsa().header("jwk", json!({"kty": "oct", "k": "AAAA"})),
        Forge::rsa().without("email"),
    ] {
        assert!(accepts(verifier(), &token), "{token:?}");
    }
}

#[test]
fn no_tampered_token_is_accepted() {
    let verifier = verifier().leeway(Duration::ZERO).build().unwrap();
    let table = table::tampered(NOW, 0);
    assert!(table.len() > 70);
    for Tampered {
        name, token, why, ..
    } in &table
    {
        let error = match verifier.blocking_verify(token) {
            Ok(claims) => panic!("{name} was accepted: {claims:?}"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Rejected, "{name}: {error}");
        assert!(!error.is_retryable(), "{name}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(why), "{name}: {error}");
        let signature = token.rsplit('.').next().unwrap_or_default();
        assert!(signature.len() < 20 || !text.contains(signature), "{name}");
    }
}

#[test]
fn no_cut_and_no_flipped_bit_is_accepted() {
    let verifier = verifier().build().unwrap();
    let token = Forge::ec().token();
    for cut in 0..token.len() {
        assert!(verifier.blocking_verify(&token[..cut]).is_err(), "{cut}");
    }
    for position in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            let verified = verifier.blocking_verify(&changed);
            assert!(verified.is_err(), "{position} {bit}: {changed}");
        }
    }
}

#[test]
fn leeway_is_10_s_and_moves_both_ends() {
    for (seconds, strict, lenient) in [
        (NOW - 71, false, false),
        (NOW - 70, false, true),
        (NOW - 60, true, true),
        (NOW + 3539, true, true),
        (NOW + 3549, false, true),
        (NOW + 3550, false, false),
    ] {
        let token = Forge::rsa();
        let exact = at(seconds).leeway(Duration::ZERO);
        assert_eq!(accepts(exact, &token), strict, "{seconds}");
        assert_eq!(accepts(at(seconds), &token), lenient, "{seconds}");
    }
}

#[test]
fn no_leeway_is_longer_than_five_minutes() {
    let longest = Duration::from_secs(300);
    assert!(accepts(at(NOW + 3839).leeway(longest), &Forge::rsa()));
    for leeway in [longest + Duration::from_nanos(1), Duration::MAX] {
        let error = verifier().leeway(leeway).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("5 minutes"), "{error}");
    }
}

#[test]
fn a_signature_that_google_removed_is_told_apart_from_a_wrong_one() {
    let token = Forge::rsa().token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let removed = format!("{signed}.SIGNATURE_REMOVED_BY_GOOGLE");
    let verifier = verifier().build().unwrap();
    let error = verifier.blocking_verify(&removed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("Cloud Run"), "{error}");
    assert!(error.hint().unwrap().contains("Authorization"), "{error}");
}

#[test]
fn an_expected_account_must_be_claimed_and_verified() {
    let expecting = || verifier().email(EMAIL);
    assert!(accepts(expecting(), &Forge::rsa()));
    for token in [
        Forge::rsa().claim("email", "other@example.com"),
        Forge::rsa().claim("email", EMAIL.to_uppercase()),
        Forge::rsa().without("email"),
        Forge::rsa().without("email_verified"),
        Forge::rsa().claim("email_verified", false),
        Forge::rsa().claim("email_verified", "true"),
        Forge::rsa().claim("email_verified", 1),
    ] {
        assert!(!accepts(expecting(), &token), "{token:?}");
        assert!(!accepts(verifier().audience("x").email(EMAIL), &token));
    }
}

#[test]
fn several_audiences_and_issuers_may_be_expected() {
    let builder = || verifier().audiences(["b", "c"]).issuer("i").issuer("j");
    for (issuer, audience, good) in [
        ("i", "b", true),
        ("j", AUDIENCE, true),
        ("https://accounts.google.com", "b", false),
        ("i", "d", false),
    ] {
        let token = Forge::rsa().claim("iss", issuer).claim("aud", audience);
        assert_eq!(accepts(builder(), &token), good, "{issuer} {audience}");
    }
}

#[test]
fn presets_expect_what_their_issuers_say() {
    let keys = |builder: IdTokenVerifierBuilder| builder.keys(forge::jwks());
    let iap = Forge::ec()
        .claim("iss", "https://cloud.google.com/iap")
        .without("email_verified");
    assert!(accepts(keys(verifier().iap().email(EMAIL)), &iap));
    let doubted = iap.claim("email_verified", false);
    assert!(!accepts(keys(verifier().iap().email(EMAIL)), &doubted));
    assert!(!accepts(keys(verifier().iap()), &Forge::ec()));

    let firebase = Forge::rsa()
        .claim("iss", "https://securetoken.google.com/project")
        .claim("aud", "project");
    let expecting = || keys(verifier().firebase("project"));
    assert!(accepts(expecting(), &firebase));
    assert!(!accepts(keys(verifier().firebase("other")), &firebase));
    assert!(accepts(keys(verifier().iap().google()), &Forge::rsa()));
}

#[test]
fn senseless_settings_are_refused_early() {
    for builder in [
        IdTokenVerifier::builder(),
        IdTokenVerifier::builder().audience(""),
        verifier().audience(""),
        verifier().issuer(""),
        verifier().email(""),
        verifier().jwks_url("certs"),
        verifier().certs_url("ftp://host/certs"),
        verifier().keys("{}"),
        verifier().keys("not JSON"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

#[test]
fn tokens_of_the_metadata_server_are_verified_with_published_keys() {
    let emulator = emulator();
    let credentials = IdTokenCredentials::builder(AUDIENCE)
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    let token = credentials.blocking_token().unwrap();
    let jwks = format!("{}/oauth2/v3/certs", emulator.url());
    let certs = format!("{}/oauth2/v1/certs", emulator.url());
    for builder in [
        IdTokenVerifier::builder().jwks_url(jwks),
        IdTokenVerifier::builder().certs_url(certs),
    ] {
        let verifier = builder
            .audience(AUDIENCE)
            .email(support::EMAIL)
            .client(client(&emulator).build().unwrap())
            .build()
            .unwrap();
        emulator.clear_requests();
        for _ in 0..10 {
            let claims = block_on(verifier.verify(token.secret())).unwrap();
            assert_eq!(claims.email(), Some(support::EMAIL));
            assert!(claims.compute_engine().unwrap().instance_id().is_some());
            verifier.blocking_verify(token.secret()).unwrap();
        }
        assert_eq!(emulator.requests().len(), 1, "keys are fetched once");
        let other = credentials.with_audience("https://other.example").unwrap();
        let other = other.blocking_token().unwrap();
        let error = verifier.blocking_verify(other.secret()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.to_string().contains("https://other.example"));
        let forged = Forge::rsa().claim("email", support::EMAIL).token();
        assert!(verifier.blocking_verify(&forged).is_err());
    }
}

#[test]
fn many_that_wait_share_one_fetch_of_keys() {
    let emulator = emulator();
    let credentials = IdTokenCredentials::builder(AUDIENCE)
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    let token = credentials.blocking_token().unwrap();
    let verifier = IdTokenVerifier::builder()
        .audience(AUDIENCE)
        .jwks_url(format!("{}/oauth2/v3/certs", emulator.url()))
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for n in 0..32 {
            let (verifier, token) = (&verifier, &token);
            scope.spawn(move || {
                if n % 2 == 0 {
                    verifier.blocking_verify(token.secret()).unwrap();
                } else {
                    block_on(verifier.verify(token.secret())).unwrap();
                }
            });
        }
    });
    assert_eq!(emulator.request_count("/oauth2/v3/certs"), 1);
}

#[test]
fn an_agent_s_token_is_verified_by_the_keys_of_its_pool() {
    const DOMAIN: &str = "agents.global.proj-7.system.id.goog";
    let emulator = emulator();
    let id = format!("spiffe://{DOMAIN}/resources/run/one");
    let agent = AgentIdentity::new(&id).unwrap();
    let body = json!({"certificate_chain": agent.certificate()}).to_string();
    let mut stream = TcpStream::connect(emulator.addr()).unwrap();
    write!(
        stream,
        "POST /computeMetadata/v1/instance/service-accounts/default/identity?audience={AUDIENCE}&format=full \
         HTTP/1.1\r\nHost: localhost\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, token) = answer.split_once("\r\n\r\n").unwrap();
    let pool = format!("projects/7/locations/global/workloadIdentityPools/{DOMAIN}");
    let keys = format!("{}/v1/{pool}/openid/jwks", emulator.url());
    let verifier = |domain: &str| {
        let builder = IdTokenVerifier::builder().audience(AUDIENCE);
        builder.agents(domain).jwks_url(&keys).build().unwrap()
    };
    let claims = verifier(DOMAIN).blocking_verify(token).unwrap();
    assert_eq!(claims.subject(), id);
    assert_eq!(
        claims.issuer(),
        format!("https://sts.googleapis.com/v1/{pool}")
    );
    assert!(claims.get("cnf").is_some());
    let other = verifier("agents.global.proj-8.system.id.goog");
    assert_eq!(
        other.blocking_verify(token).unwrap_err().kind(),
        ErrorKind::Rejected
    );
}
