use super::*;

#[test]
fn seconds_are_rounded_to_tenths() {
    let shown = |millis| Tenths(Duration::from_millis(millis)).to_string();
    assert_eq!(shown(0), "0.0 s");
    assert_eq!(shown(3_049), "3.0 s");
    assert_eq!(shown(3_050), "3.1 s");
    assert_eq!(shown(59_960), "60.0 s");
    let longest = Tenths(Duration::MAX).to_string();
    assert_eq!(longest, "18446744073709551616.0 s");
}

#[test]
fn a_kind_is_shown_by_its_name_and_padded() {
    assert_eq!(format!("{:9}|", ErrorKind::Config), "Config   |");
}

#[test]
fn a_second_is_no_thousand_milliseconds() {
    let shown = |millis| Seconds(Duration::from_millis(millis)).to_string();
    assert_eq!([shown(999), shown(1000)], ["999 ms", "1.0 s"]);
}

#[test]
fn debug_and_source_say_what_is_behind_it() {
    let cause = Arc::new(std::io::Error::other("the wire was cut"));
    let error = Error::new(ErrorKind::Unavailable, "no answer")
        .with_status(503)
        .with_hint("wait")
        .at("GET http://h/x")
        .with_source(cause);
    let shown = format!("{error:?}");
    for part in [
        "Unavailable",
        "no answer",
        "GET http://h/x",
        "503",
        "wait",
        "wire",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let source = StdError::source(&error).unwrap();
    assert_eq!(source.to_string(), "the wire was cut");
    let alone = Error::new(ErrorKind::Unavailable, "no answer");
    assert!(StdError::source(&alone).is_none());
}

#[test]
fn display_is_one_line_with_place_and_hint() {
    let error = Error::new(ErrorKind::Unavailable, "the connection was refused")
        .at("GET http://127.0.0.1:1/x")
        .after(3, Duration::from_millis(1500))
        .with_hint("is the server running?");
    assert_eq!(
        error.to_string(),
        "the connection was refused (GET http://127.0.0.1:1/x, 3 attempts in 1.5 s); \
         is the server running?"
    );
    assert!(error.is_retryable());
    assert_eq!(error.attempts(), 3);
}

#[test]
fn every_error_says_what_to_do_next() {
    let plain = Error::new(ErrorKind::NotFound, "there is no such path");
    assert!(plain.hint().unwrap().contains("directory above"));
    assert_eq!(plain.to_string(), "there is no such path");
    let known = plain.with_hint("attach an account");
    assert_eq!(known.hint(), Some("attach an account"));
}

#[test]
fn one_attempt_is_singular_and_short_times_are_milliseconds() {
    let error = Error::new(ErrorKind::Forbidden, "refused")
        .at("GET http://h/")
        .with_status(403)
        .after(1, Duration::from_millis(7));
    assert_eq!(
        error.to_string(),
        "refused (GET http://h/, status 403, 1 attempt in 7 ms)"
    );
}

#[test]
fn a_clone_shares_and_an_edit_does_not_reach_it() {
    let one = Error::new(ErrorKind::Timeout, "late");
    let two = one.clone().context("token");
    assert_eq!(one.to_string(), "late");
    assert_eq!(two.to_string(), "token: late");
}
