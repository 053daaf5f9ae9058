//! Tokens that are too old, too young, or live too long.

use super::*;

/// What the verifier says, at this moment, of a token with these times.
fn judged(now: f64, issued: f64, expires: f64, others: &[(&str, Value)]) -> Result<(), Error> {
    let mut claims = json!({"iss": "https://accounts.google.com", "aud": "me", "sub": "1",
        "iat": issued, "exp": expires});
    for (name, value) in others {
        claims[*name] = value.clone();
    }
    let Value::Object(claims) = claims else {
        panic!("claims are an object");
    };
    let expected = &world([]).verifier.0.expected;
    expected
        .check(claims, Duration::from_secs_f64(now))
        .map(drop)
}

#[test]
fn the_error_says_how_far_the_clocks_are_apart() {
    let error = judged(5_000.0, 1_000.0, 4_600.0, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("expired 400 s ago (exp 4600)"), "{error}");
    let error = judged(950.0, 1_000.0, 4_600.0, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("starts in 50.0 s, iat 1000"), "{error}");
    let later = [("nbf", json!(1_020))];
    let error = judged(1_000.0, 1_000.0, 4_600.0, &later)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("starts in 20.0 s, iat 1000, nbf 1020"),
        "{error}"
    );
}

#[test]
fn ten_seconds_either_way_are_allowed() {
    for (now, good) in [
        (989.9, false),
        (990.0, true),
        (4_609.9, true),
        (4_610.0, false),
    ] {
        assert_eq!(judged(now, 1_000.0, 4_600.0, &[]).is_ok(), good, "{now}");
    }
}

#[test]
fn a_token_lives_for_a_day_at_most() {
    assert!(judged(1_000.0, 1_000.0, 87_400.0, &[]).is_ok());
    assert!(judged(1_000.0, 1_000.0, 87_401.0, &[]).is_err());
}

#[test]
fn a_leeway_is_five_minutes_at_most_however_long_it_is_asked_for() {
    let builder = || IdTokenVerifier::builder().audience("me");
    assert!(builder().leeway(Duration::from_secs(300)).build().is_ok());
    for leeway in [Duration::new(300, 1), Duration::MAX] {
        let error = builder().leeway(leeway).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{leeway:?}");
    }
}

#[test]
fn a_subject_that_is_empty_is_none() {
    let error = judged(1_000.0, 1_000.0, 4_600.0, &[("sub", json!(""))]).unwrap_err();
    assert!(error.to_string().contains("sub"), "{error}");
}

#[test]
fn a_token_of_16_kib_is_read_and_no_longer_one() {
    let world = world([published(&["a"], "")]);
    let said = |length: usize| {
        let token = "a".repeat(length);
        world
            .verifier
            .blocking_verify(&token)
            .unwrap_err()
            .to_string()
    };
    assert!(said(16 * 1024).contains("three parts"));
    assert!(said(16 * 1024 + 1).contains("longer than 16 KiB"));
}

#[test]
fn keys_that_are_good_for_less_time_replace_those_before_them() {
    let world = world([
        published(&["a"], "max-age=86400"),
        published(&["b"], "max-age=60"),
    ]);
    world.verify("a").unwrap();
    world.clock.advance(Duration::from_secs(30));
    world.verify("b").unwrap();
    assert_eq!(world.asked(), 2);
    world.verify("b").unwrap();
    assert_eq!(world.verify("a").unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(world.asked(), 2);
}
