use proptest::prelude::*;

use super::*;

fn check(url: &str, purpose: Purpose) -> Result<(), Error> {
    TrustedHosts::default().check("`/f`", "token_url", url, purpose)
}

#[test]
fn googles_servers_for_a_purpose_are_trusted_and_no_others_of_google() {
    for url in [
        "https://sts.googleapis.com/v1/token",
        "https://sts.mtls.googleapis.com/v1/token",
        "https://STS.googleapis.com:443/v1/token",
        "https://sts.us-east1.rep.googleapis.com/v1/token",
        "https://sts.eu.rep.mtls.googleapis.com/v1/token",
        "https://us-east1-sts.googleapis.com/v1/token",
        "https://sts.us-east1.googleapis.com/v1/token",
        "https://sts-mine.p.googleapis.com/v1/token",
    ] {
        assert!(check(url, Purpose::Sts).is_ok(), "{url}");
    }
    // A bucket of somebody's, named so, would keep what is sent to it.
    for url in [
        "https://sts.storage.googleapis.com/v1/token",
        "https://storage.googleapis.com/upload/storage/v1/b/x/o",
        "https://iamcredentials.googleapis.com/v1/token",
        "https://sts.googleapis.com.evil.example/v1/token",
        "https://stsgoogleapis.com/v1/token",
        "https://evilsts.googleapis.com/v1/token",
        "https://sts-.p.googleapis.com/",
        "https://stsmine.p.googleapis.com/",
        "https://evil.us-east1.rep.googleapis.com/",
        "https://evil.mtls.googleapis.com/",
        "https://sts.us-east.rep.googleapis.com/",
        "https://sts.us-1.rep.googleapis.com/",
        "https://sts.-east1.rep.googleapis.com/",
        "https://sts.u5-east1.rep.googleapis.com/",
        "https://sts.us-e_st1.rep.googleapis.com/",
        "https://sts.googleapis.com:8443/v1/token",
        "https://sts.googleapis.com:99999/v1/token",
        "https://sts.googleapis.com:/v1/token",
        "https://sts.googleapis.com./v1/token",
        "https://sts.googleapis\u{3002}com/v1/token",
        "https://user@sts.googleapis.com/v1/token",
        "http://sts.googleapis.com/v1/token",
        "https://evil.example/sts.googleapis.com",
        "https://127.0.0.1/v1/token",
        "/v1/token",
        "",
    ] {
        let error = check(url, Purpose::Sts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        let said = error.to_string();
        assert!(said.starts_with("`/f`: the member `token_url` "), "{said}");
    }
}

#[test]
fn a_refusal_says_what_to_do_if_the_host_is_trusted() {
    for (url, what, authority) in [
        (
            "http://sts.example:81/t",
            "does not begin with https://, at the host sts.example",
            "to sts.example:81,",
        ),
        (
            "https://sts.example/t",
            "names the host sts.example, which is not Google's for this",
            "to sts.example,",
        ),
    ] {
        let error = check(url, Purpose::Sts).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.hint().unwrap().contains(authority), "{error}");
    }
}

#[test]
fn only_this_machine_is_spoken_to_in_plain_text_unasked() {
    for (host, plain) in [
        ("127.0.0.1", true),
        ("127.255.3.9", true),
        ("localhost", true),
        ("[::1]", true),
        ("127.0.0.1.evil", false),
        ("127.evil.example.com", false),
        ("127.0.0.256", false),
        ("128.0.0.1", false),
        ("127.0.1", false),
        ("[::2]", false),
    ] {
        let mut trusted = TrustedHosts::default();
        trusted.add_host(host).unwrap();
        let check = |scheme| {
            let url = format!("{scheme}://{host}/t");
            trusted.check("f", "m", &url, Purpose::Sts).is_ok()
        };
        assert!(check("https"), "{host}");
        assert_eq!(check("http"), plain, "{host}");
    }
}

#[test]
fn tokens_of_keys_and_users_have_more_than_one_home() {
    for url in [
        "https://oauth2.googleapis.com/token",
        "https://accounts.google.com/o/oauth2/token",
        "https://www.googleapis.com/oauth2/v4/token",
    ] {
        assert!(check(url, Purpose::OAuth).is_ok(), "{url}");
        assert!(check(url, Purpose::Iam).is_err(), "{url}");
    }
    for url in [
        "https://accounts.google.com/other",
        "https://www.googleapis.com/upload/storage/v1/b/x/o",
        "https://www.googleapis.com/oauth2/../upload/storage/v1/b/x/o",
        "https://www.googleapis.com/oauth2/%2e%2e/upload/storage/v1/b/x/o",
        "https://accounts.google.com/o/oauth2/..",
    ] {
        assert!(check(url, Purpose::OAuth).is_err(), "{url}");
    }
}

#[test]
fn a_universe_without_a_name_trusts_nothing() {
    let mut trusted = TrustedHosts::default();
    trusted.add_universe(" ");
    let url = "https://sts./v1/token";
    assert!(
        trusted
            .check("`/f`", "token_url", url, Purpose::Sts)
            .is_err()
    );
}

#[test]
fn a_host_is_trusted_as_it_was_named() {
    let mut trusted = TrustedHosts::default();
    for host in [
        "127.0.0.1:81",
        "a.example",
        "http://b.example:82",
        "localhost",
    ] {
        trusted.add_host(host).unwrap();
    }
    let ok = |url: &str| trusted.check("f", "m", url, Purpose::Sts).is_ok();
    for url in [
        "http://127.0.0.1:81/t",
        "https://a.example/t",
        "https://A.example:9/t",
        "http://b.example:82/t",
        "http://localhost:9/t",
    ] {
        assert!(ok(url), "{url}");
    }
    for url in [
        "http://127.0.0.1:82/t",
        "http://a.example/t",
        "https://x.a.example/t",
        "http://b.example/t",
        "ftp://a.example/t",
    ] {
        assert!(!ok(url), "{url}");
    }
    for bad in ["", "a@b", "*", "ftp://a", "a/b", "http://"] {
        assert!(trusted.add_host(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_universe_that_only_the_file_names_is_not_one() {
    let mut trusted = TrustedHosts::default();
    let url = "https://sts.one.example/v1/token";
    assert!(trusted.check("f", "m", url, Purpose::Sts).is_err());
    let error = trusted.check_universe("`/f`", "one.example").unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .contains("GOOGLE_CLOUD_UNIVERSE_DOMAIN")
    );
    trusted.add_universe("One.example");
    assert!(trusted.check("f", "m", url, Purpose::Sts).is_ok());
    assert!(trusted.check_universe("f", "one.example").is_ok());
    assert!(trusted.check_universe("f", "googleapis.com").is_ok());
}

proptest! {
    #[test]
    fn no_host_outside_googles_domains_is_ever_trusted(
        host in "[a-z.-]{1,30}", path in "[ -~]{0,20}",
    ) {
        for purpose in [Purpose::OAuth, Purpose::Sts, Purpose::Iam] {
            let url = format!("https://{host}/{path}");
            if check(&url, purpose).is_ok() {
                let uri: Uri = url.parse().unwrap();
                let host = uri.host().unwrap();
                let known = host.ends_with(".googleapis.com") || host == "accounts.google.com";
                prop_assert!(known, "{url}");
            }
        }
    }
}
