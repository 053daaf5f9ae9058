//! The main job, end to end: the library against the emulator over real sockets.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    thread,
    time::{Duration, SystemTime},
};

use futures_executor::block_on;
use gce_auth::{
    CertificateBinding, Credentials, ErrorKind, IdTokenCredentials, IdTokenFormat, MetadataClient,
    RefreshMode, TokenState,
    time::{Clock, SystemClock},
};
use gce_auth_emulator::{Account, Emulator, Fault, Profile};
use http::HeaderMap;
use support::{
    ACCOUNT, EMAIL, IDENTITY, TOKEN, asked, builder, client, credentials, emulator, impatient,
    until,
};

const READ_ONLY: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

fn refused(code: u16) -> Fault {
    Fault::Status {
        code,
        retry_after: None,
    }
}

fn wall() -> SystemTime {
    SystemClock::new().now().system_time()
}

fn accounts(emails: &[&str]) -> Emulator {
    let mut builder = Emulator::builder();
    for email in emails {
        builder = builder.account(Account::new(*email));
    }
    builder.start().unwrap()
}

#[test]
fn a_token_comes_with_its_expiry_and_becomes_the_header_of_a_request() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    assert_eq!(asked(&emulator), [""; 0]);
    let before = wall();
    let token = credentials.blocking_token().unwrap();
    assert!(token.secret().starts_with("ya29."));
    let lifetime = token.expires_at().unwrap().duration_since(before).unwrap();
    assert!((3500..3601).contains(&lifetime.as_secs()), "{lifetime:?}");
    assert_eq!(credentials.expires_at(), token.expires_at());

    let headers = credentials.blocking_headers().unwrap();
    let value = headers.authorization().unwrap();
    assert_eq!(
        value.to_str().unwrap(),
        format!("Bearer {}", token.secret())
    );
    assert!(value.is_sensitive());
    let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["authorization"]);
    let mut map = HeaderMap::new();
    map.insert("authorization", "old".parse().unwrap());
    headers.apply_to(&mut map);
    assert_eq!(map["authorization"], value);
    assert_eq!(HeaderMap::from(headers.clone()), map);

    let authorization = credentials.blocking_authorization().unwrap();
    assert_eq!(authorization, value);
    assert_eq!(asked(&emulator), [TOKEN]);
}

#[test]
fn async_methods_answer_as_their_blocking_twins() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    block_on(async {
        let headers = credentials.headers().await.unwrap();
        assert_eq!(headers, credentials.blocking_headers().unwrap());
        let token = credentials.token().await.unwrap();
        assert_eq!(token, credentials.blocking_token().unwrap());
        let value = credentials.authorization().await.unwrap();
        assert_eq!(value, token.authorization());
        let account = credentials.account().await.unwrap();
        assert_eq!(account, credentials.blocking_account().unwrap());
        let universe = credentials.universe_domain().await.unwrap();
        assert_eq!(universe, "googleapis.com");
        assert_eq!(credentials.blocking_universe_domain().unwrap(), universe);
        credentials.wait_ready(Duration::ZERO).await.unwrap();
    });
    assert_eq!(emulator.request_count(TOKEN), 1);
    assert_eq!(
        emulator.request_count("universe/universe-domain"),
        1,
        "the universe is asked for once"
    );
}

#[test]
fn requests_say_who_asks_and_what_for() {
    let emulator = emulator();
    credentials(&emulator).blocking_token().unwrap();
    IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap()
        .blocking_token()
        .unwrap();
    let requests = emulator.requests();
    let metrics = ["auth-request-type/at", "auth-request-type/it"];
    for (request, metric) in requests.iter().zip(metrics) {
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("metadata-flavor"), Some("Google"));
        assert_eq!(
            request.header("host"),
            Some(&*emulator.addr().to_string()),
            "the true name of the server"
        );
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("gce-auth/"), "{agent}");
        let api = request.header("x-goog-api-client").unwrap();
        assert!(
            api.contains(metric) && api.contains("cred-type/mds"),
            "{api}"
        );
        assert_eq!(request.body_length, 0);
    }
    assert_eq!(requests.len(), 2);
}

#[test]
fn a_quota_project_adds_a_header_and_costs_no_request() {
    let emulator = emulator();
    let plain = credentials(&emulator);
    let billed = plain.with_quota_project("billed").unwrap();
    let built = builder(&emulator)
        .quota_project_id("other-project")
        .build()
        .unwrap();
    assert_eq!(billed.quota_project_id(), Some("billed"));
    assert_eq!(plain.quota_project_id(), None);
    let headers = billed.blocking_headers().unwrap();
    let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["authorization", "x-goog-user-project"]);
    let map = HeaderMap::from(headers);
    assert_eq!(map["x-goog-user-project"], "billed");
    let map = HeaderMap::from(built.blocking_headers().unwrap());
    assert_eq!(map["x-goog-user-project"], "other-project");
    assert_eq!(
        plain.blocking_token().unwrap(),
        built.blocking_token().unwrap()
    );
    assert_eq!(emulator.request_count(TOKEN), 1);
    let error = plain.with_quota_project("no project").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn scopes_are_a_wish_that_serverless_platforms_grant() {
    let emulator = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let plain = credentials(&emulator);
    let narrow = plain.with_scopes([READ_ONLY]);
    assert_eq!(narrow.scopes().unwrap(), [READ_ONLY]);
    let (one, two) = (
        plain.blocking_token().unwrap(),
        narrow.blocking_token().unwrap(),
    );
    assert_ne!(one, two);
    let queries = asked(&emulator);
    let scopes = "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.read_only";
    assert_eq!(
        queries,
        [TOKEN.to_owned(), format!("{TOKEN}?scopes={scopes}")]
    );
}

#[test]
fn enforced_scopes_are_asked_for_and_a_refusal_says_why() {
    let emulator = Emulator::builder()
        .account(Account::new("a@p.iam.gserviceaccount.com").scopes([READ_ONLY]))
        .start()
        .unwrap();
    let wish = |scope: &str| builder(&emulator).scopes([scope]).enforce_scopes(true);
    wish(READ_ONLY).build().unwrap().blocking_token().unwrap();
    assert!(asked(&emulator)[0].ends_with("&enforce_scopes=true"));
    let error = wish(PLATFORM).build().unwrap().blocking_token();
    let error = error.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(error.to_string().contains("subset"), "{error}");
}

#[test]
fn an_id_token_is_for_its_audience_and_tells_the_instance() {
    let emulator = Emulator::builder().project_id("proj").start().unwrap();
    let credentials = IdTokenCredentials::builder("https://service.example/path?x=1")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    assert_eq!(credentials.audience(), "https://service.example/path?x=1");
    let token = credentials.blocking_token().unwrap();
    let claims = token.claims();
    assert_eq!(claims.audience(), Some("https://service.example/path?x=1"));
    assert_eq!(claims.issuer(), Some("https://accounts.google.com"));
    let email = "emulator@proj.iam.gserviceaccount.com";
    assert_eq!(claims.email(), Some(email));
    assert!(claims.subject().is_some_and(|subject| subject.len() == 21));
    let instance = claims.compute_engine().unwrap();
    assert_eq!(instance.project_id(), Some("proj"));
    assert_eq!(instance.instance_name(), Some("emulator"));
    assert_eq!(instance.zone(), Some("us-central1-a"));
    assert!(token.expires_at().unwrap() > wall() + Duration::from_secs(3500));
    assert_eq!(credentials.expires_at(), token.expires_at());
    let value = HeaderMap::from(block_on(credentials.headers()).unwrap())["authorization"].clone();
    assert_eq!(
        value.to_str().unwrap(),
        format!("Bearer {}", token.secret())
    );
    assert_eq!(block_on(credentials.token()).unwrap(), token);
    assert_eq!(
        asked(&emulator),
        [format!(
            "{IDENTITY}?audience=https%3A%2F%2Fservice.example%2Fpath%3Fx%3D1&format=full"
        )]
    );
}

#[test]
fn each_audience_and_format_has_a_token_of_its_own_and_asks_once() {
    let emulator = emulator();
    let base = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .format(IdTokenFormat::Standard)
        .build()
        .unwrap();
    let token = base.blocking_token().unwrap();
    assert!(token.claims().compute_engine().is_none());
    for round in 0..3 {
        for audience in ["https://a", "https://b", "https://c"] {
            // A copy made for one call keeps its token when it is dropped.
            let copy = base.with_audience(audience).unwrap();
            let token = copy.blocking_token().unwrap();
            assert_eq!(token.claims().audience(), Some(audience), "round {round}");
        }
    }
    assert_eq!(emulator.request_count(IDENTITY), 3);
    assert!(base.invalidate(&token));
    base.blocking_token().unwrap();
    base.blocking_refresh().unwrap();
    assert_eq!(emulator.request_count(IDENTITY), 5);
    let full = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .licenses(true)
        .build()
        .unwrap();
    let claims = full.blocking_token().unwrap().claims();
    assert!(claims.compute_engine().is_some());
    assert!(
        asked(&emulator)
            .last()
            .unwrap()
            .ends_with("format=full&licenses=TRUE")
    );
}

#[test]
fn an_id_token_without_an_audience_is_refused_before_anything_is_asked() {
    let emulator = emulator();
    let built = IdTokenCredentials::builder("")
        .endpoint(emulator.addr().to_string())
        .build();
    assert_eq!(built.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(asked(&emulator), [""; 0]);
}

#[test]
fn every_getter_tells_what_the_server_knows() {
    let emulator = Emulator::builder()
        .project_id("proj")
        .numeric_project_id(42)
        .account(Account::new("one@proj.iam").alias("uno"))
        .account(Account::new("two@proj.iam").scopes([READ_ONLY]))
        .set("instance/attributes/key", " a value\n")
        .set("project/attributes/shared", "yes")
        .set("project/attributes/other", "no")
        .start()
        .unwrap();
    let client = client(&emulator).build().unwrap();
    macro_rules! both {
        ($name:ident, $blocking:ident ($($arg:expr),*)) => {{
            let value = client.$blocking($($arg),*).unwrap();
            assert_eq!(block_on(client.$name($($arg),*)).unwrap(), value);
            value
        }};
    }
    assert_eq!(both!(project_id, blocking_project_id()), "proj");
    assert_eq!(both!(numeric_project_id, blocking_numeric_project_id()), 42);
    assert_eq!(
        both!(instance_id, blocking_instance_id()),
        "5737554347302044216"
    );
    assert_eq!(both!(instance_name, blocking_instance_name()), "emulator");
    assert_eq!(
        both!(hostname, blocking_hostname()),
        "emulator.us-central1-a.c.proj.internal"
    );
    assert_eq!(both!(zone, blocking_zone()), "us-central1-a");
    assert_eq!(both!(region, blocking_region()), "us-central1");
    assert_eq!(
        both!(instance_attribute, blocking_instance_attribute("key")).as_deref(),
        Some(" a value\n")
    );
    assert_eq!(
        both!(instance_attribute, blocking_instance_attribute("none")),
        None
    );
    assert_eq!(
        both!(project_attribute, blocking_project_attribute("shared")).as_deref(),
        Some("yes")
    );
    assert_eq!(
        both!(project_attribute, blocking_project_attribute("none")),
        None
    );
    assert_eq!(
        both!(instance_attributes, blocking_instance_attributes()),
        ["key"]
    );
    assert_eq!(
        both!(project_attributes, blocking_project_attributes()),
        ["other", "shared"]
    );
    assert_eq!(both!(email, blocking_email("default")), "one@proj.iam");
    assert_eq!(both!(email, blocking_email("two@proj.iam")), "two@proj.iam");
    assert_eq!(both!(scopes, blocking_scopes("two@proj.iam")), [READ_ONLY]);
    assert_eq!(
        both!(aliases, blocking_aliases("default")),
        ["default", "uno"]
    );
    assert_eq!(
        both!(service_accounts, blocking_service_accounts()),
        ["default", "one@proj.iam", "two@proj.iam"]
    );
    assert_eq!(
        both!(universe_domain, blocking_universe_domain()),
        "googleapis.com"
    );
    let info = both!(account_info, blocking_account_info("default"));
    assert_eq!(info.email(), "one@proj.iam");
    assert_eq!(info.aliases(), ["default", "uno"]);
    assert_eq!(info.scopes(), [PLATFORM]);
    assert_eq!(both!(get, blocking_get("instance/name")), "emulator");
    assert_eq!(
        client.endpoint().unwrap(),
        emulator.addr().to_string(),
        "the endpoint is shown as it was given"
    );
}

#[test]
fn a_region_comes_from_the_zone_or_where_that_tells_nothing_from_the_server() {
    let emulator = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let region = client(&emulator).build().unwrap().blocking_region();
    assert_eq!(region.unwrap(), "europe-west1");
}

#[test]
fn an_unknown_universe_is_the_default_one_and_an_unreachable_one_is_an_error() {
    let emulator = Emulator::builder()
        .set("universe/universe-domain", "example.goog")
        .start()
        .unwrap();
    let client = impatient(&emulator);
    assert_eq!(client.blocking_universe_domain().unwrap(), "example.goog");
    emulator.remove("universe").unwrap();
    assert_eq!(client.blocking_universe_domain().unwrap(), "googleapis.com");
    emulator.fail_next("universe/", 1, refused(500));
    let error = client.blocking_universe_domain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let set = credentials(&emulator).with_universe_domain("other.goog");
    assert_eq!(set.blocking_universe_domain().unwrap(), "other.goog");
    assert_eq!(emulator.request_count("universe/universe-domain"), 3);
}

#[test]
fn a_path_is_asked_for_as_it_stands_and_a_directory_gets_its_slash() {
    let emulator = Emulator::builder()
        .set("instance/attributes/k", "v\n")
        .start()
        .unwrap();
    let client = client(&emulator).build().unwrap();
    assert_eq!(client.blocking_get("instance/attributes/k").unwrap(), "v\n");
    assert_eq!(client.blocking_get("instance/attributes").unwrap(), "k\n");
    assert_eq!(
        asked(&emulator)[1..],
        ["instance/attributes", "instance/attributes/"]
    );
    let tree = client
        .blocking_get_recursive("instance/attributes")
        .unwrap();
    assert_eq!(tree, r#"{"k":"v\n"}"#);
    assert_eq!(
        block_on(client.get_recursive("instance/attributes/")).unwrap(),
        tree
    );
    let error = client.blocking_get("instance/nothing").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.status(), Some(404));
    assert!(
        error.request().unwrap().ends_with("instance/nothing"),
        "{error}"
    );
    emulator.clear_requests();
    for senseless in ["instance/name?alt=json", "../x", "a//b", "a b", "ü"] {
        let error = client.blocking_get(senseless).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{senseless}");
    }
    assert_eq!(asked(&emulator), [""; 0]);
}

#[test]
fn a_named_account_has_a_token_of_its_own() {
    let emulator = accounts(&["one@p.iam", "two@p.iam"]);
    let one = credentials(&emulator);
    let two = one.with_service_account("two@p.iam").unwrap();
    assert_ne!(one.blocking_token().unwrap(), two.blocking_token().unwrap());
    assert_eq!(two.service_account_email().as_deref(), Some("two@p.iam"));
    assert_eq!(two.blocking_account().unwrap().email(), "two@p.iam");
    let built = builder(&emulator).service_account("two@p.iam").build();
    assert_eq!(
        built.unwrap().blocking_token().unwrap(),
        two.blocking_token().unwrap()
    );
    let path = "instance/service-accounts/two@p.iam/token";
    assert_eq!(emulator.request_count(path), 1);
}

#[test]
fn an_unknown_account_is_not_found_and_the_error_says_what_to_do() {
    let emulator = emulator();
    let credentials = builder(&emulator)
        .service_account("nobody@p.iam")
        .build()
        .unwrap();
    let error = credentials.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.status(), Some(404));
    assert_eq!(error.attempts(), 1, "404 is asked once");
    assert!(!error.is_retryable());
    assert!(error.hint().unwrap().contains("attach"), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("nobody@p.iam") && !text.contains('\n'),
        "{text}"
    );
    let identity = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .service_account("nobody@p.iam")
        .build()
        .unwrap();
    let error = block_on(identity.token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("attach"), "{error}");
    for senseless in ["", "a/b", "a b", "a?b"] {
        let built = builder(&emulator).service_account(senseless).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Config, "{senseless}");
    }
}

#[test]
fn a_machine_without_an_account_says_so() {
    let emulator = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    let error = credentials(&emulator).blocking_headers().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no service account"), "{error}");
    let client = client(&emulator).build().unwrap();
    assert_eq!(client.blocking_instance_name().unwrap(), "emulator");
}

#[test]
fn a_refusal_is_asked_once_and_ends_nothing() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, refused(403));
    let error = credentials.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.status(), Some(403));
    assert_eq!(error.attempts(), 1);
    assert!(error.hint().is_some(), "{error}");
    // For a second the error is shared, so that nobody floods the server.
    let shared = credentials.blocking_headers().unwrap_err();
    assert_eq!(shared.kind(), ErrorKind::Forbidden);
    assert_eq!(emulator.request_count(TOKEN), 1);
    credentials.blocking_refresh().unwrap();
    assert!(credentials.blocking_token().is_ok());
    assert_eq!(emulator.request_count(TOKEN), 2);
}

#[test]
fn failures_that_pass_are_not_seen_by_anybody() {
    let faults = [
        refused(503),
        refused(429),
        refused(408),
        refused(500),
        Fault::Close,
        Fault::Reset,
        Fault::Truncate(20),
    ];
    let emulator = emulator();
    for (round, fault) in faults.into_iter().enumerate() {
        let credentials = builder(&emulator).shared(false).build().unwrap();
        emulator.fail_next(TOKEN, 2, fault.clone());
        assert!(credentials.blocking_token().is_ok(), "{fault:?}");
        assert_eq!(emulator.request_count(TOKEN), 3 * (round + 1), "{fault:?}");
    }
}

#[test]
fn what_would_send_the_same_request_shares_one_token() {
    let emulator = accounts(&["one@p.iam", "two@p.iam"]);
    let one = credentials(&emulator);
    let two = builder(&emulator)
        .quota_project_id("billed")
        .universe_domain("example.goog")
        .refresh_mode(RefreshMode::Blocking)
        .build()
        .unwrap();
    let three = Credentials::builder()
        .client(client(&emulator).build().unwrap())
        .build()
        .unwrap();
    let token = one.blocking_token().unwrap();
    assert_eq!(two.cached_token(), Some(token.clone()));
    assert_eq!(three.blocking_token().unwrap(), token);
    for clone in vec![one.clone(); 3] {
        assert_eq!(clone.blocking_token().unwrap(), token);
    }
    assert_eq!(emulator.request_count(TOKEN), 1);

    let alone = builder(&emulator).shared(false).build().unwrap();
    assert_eq!(alone.cached_token(), None, "starts empty");
    alone.blocking_token().unwrap();
    assert_eq!(emulator.request_count(TOKEN), 2);
    let named = builder(&emulator).service_account("two@p.iam").build();
    assert_eq!(named.unwrap().cached_token(), None);
    assert_eq!(one.with_scopes([READ_ONLY]).cached_token(), None);
}

#[test]
fn a_copy_made_for_one_call_finds_its_token_again() {
    let emulator = emulator();
    let family = credentials(&emulator);
    for _ in 0..5 {
        let token = family.with_scopes([READ_ONLY]).blocking_token();
        assert!(token.is_ok());
        let token = family.with_quota_project("q").unwrap().blocking_token();
        assert!(token.is_ok());
    }
    assert_eq!(
        emulator.request_count(TOKEN),
        2,
        "one with scopes, one without"
    );
    drop(family);
    credentials(&emulator).blocking_token().unwrap();
    assert_eq!(
        emulator.request_count(TOKEN),
        2,
        "tokens stay for some minutes after the last handle"
    );
}

#[test]
fn a_rejected_token_is_dropped_once_and_costs_one_request() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let rejected = credentials.blocking_token().unwrap();
    emulator.rotate_token();
    let outcomes: Vec<(bool, String)> = thread::scope(|scope| {
        let callers: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let dropped = credentials.invalidate(&rejected);
                    let token = credentials.blocking_token().unwrap();
                    (dropped, token.secret().to_owned())
                })
            })
            .collect();
        let joined = callers.into_iter().map(|caller| caller.join().unwrap());
        joined.collect()
    });
    assert_eq!(outcomes.iter().filter(|(dropped, _)| *dropped).count(), 1);
    assert!(outcomes.iter().all(|(_, token)| token != rejected.secret()));
    assert!(outcomes.iter().all(|(_, token)| *token == outcomes[0].1));
    assert_eq!(emulator.request_count(TOKEN), 2);
    let headers = credentials.blocking_headers().unwrap();
    assert!(credentials.invalidate_headers(&headers));
    assert!(!credentials.invalidate_headers(&headers));
    credentials.blocking_headers().unwrap();
    assert_eq!(emulator.request_count(TOKEN), 3);
}

#[test]
fn a_token_of_another_identity_is_an_error_and_is_not_kept() {
    let emulator = emulator();
    let expecting = |email: &str| builder(&emulator).expect_account(email).build().unwrap();
    let wrong = expecting("somebody@else.iam");
    let error = wrong.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    let text = error.to_string();
    assert!(
        text.contains(EMAIL) && text.contains("somebody@else.iam"),
        "{text}"
    );
    assert_eq!(wrong.cached_token(), None);
    assert!(wrong.blocking_refresh().is_err());
    assert_eq!(wrong.cached_token(), None);
    // The account of the machine is exchanged.
    emulator
        .set(
            "instance/service-accounts/default/email",
            "somebody@else.iam",
        )
        .unwrap();
    wrong.blocking_wait_ready(Duration::from_secs(30)).unwrap();
    assert!(wrong.blocking_token().is_ok());
    let right = expecting(EMAIL);
    assert_eq!(
        block_on(right.headers()).unwrap_err().kind(),
        ErrorKind::InvalidResponse
    );
}

#[test]
fn a_refresh_asks_for_the_account_and_then_for_the_token() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let old = credentials.blocking_token().unwrap();
    assert_eq!(credentials.service_account_email(), None);
    emulator.clear_requests();
    emulator.rotate_token();
    block_on(credentials.refresh()).unwrap();
    let asked = asked(&emulator);
    assert_eq!(asked[0], format!("{ACCOUNT}?recursive=true"));
    // With the scopes of the account, as google-auth has it.
    assert!(asked[1].starts_with(TOKEN), "{}", asked[1]);
    assert_eq!(asked.len(), 2);
    assert_eq!(credentials.service_account_email().as_deref(), Some(EMAIL));
    assert_ne!(credentials.cached_token(), Some(old));
    // An error of either is an error, and what was held stays.
    let held = credentials.cached_token();
    // Asked by the email that was learned, and then by the name that was wished for.
    emulator.fail_next("instance/", 2, refused(404));
    let error = credentials.blocking_refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(credentials.cached_token(), held);
    assert_eq!(
        credentials.blocking_token().ok(),
        held,
        "never an error while a valid token is in hand"
    );
}

#[test]
fn refreshes_that_overlap_share_one_request() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(ACCOUNT, 1, Fault::Delay(Duration::from_millis(300)));
    thread::scope(|scope| {
        let first = scope.spawn(|| credentials.blocking_refresh());
        until("the first refresh asks", || {
            emulator.request_count(ACCOUNT) == 1
        });
        let more: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| credentials.blocking_refresh()))
            .collect();
        let all = more.into_iter().chain([first]);
        assert!(all.map(|caller| caller.join().unwrap()).all(|r| r.is_ok()));
    });
    assert!(emulator.request_count(TOKEN) <= 2);
    assert_eq!(
        emulator.request_count(TOKEN),
        emulator.request_count(ACCOUNT)
    );
}

#[test]
fn a_stale_token_is_handed_out_or_waited_for_as_the_mode_says() {
    let emulator = Emulator::builder()
        .token_lifetime(Duration::from_secs(100))
        .start()
        .unwrap();
    let credentials = Credentials::builder()
        .client(impatient(&emulator))
        .build()
        .unwrap();
    let first = credentials.blocking_token().unwrap();
    assert_eq!(credentials.status().state, TokenState::Stale);
    emulator.rotate_token();
    let still = credentials.blocking_token().unwrap();
    assert_eq!(still, first, "nobody waits while a token is valid");
    credentials.set_refresh_mode(RefreshMode::Blocking);
    let renewed = credentials.blocking_token().unwrap();
    assert_ne!(renewed, first, "whoever finds it stale waits");
    emulator.fail_next(TOKEN, usize::MAX, refused(503));
    let kept = block_on(credentials.token()).unwrap();
    assert_eq!(kept, renewed, "and gets the old one where that fails");
    let kept = credentials.blocking_headers().unwrap();
    assert_eq!(kept.authorization(), Some(&renewed.authorization()));
    credentials.set_refresh_mode(RefreshMode::Background);
    assert_eq!(credentials.blocking_token().unwrap(), renewed);
}

#[test]
fn the_status_tells_what_is_known_without_asking() {
    let emulator = emulator();
    let credentials = Credentials::builder()
        .client(impatient(&emulator))
        .scopes([PLATFORM, READ_ONLY])
        .build()
        .unwrap();
    let status = credentials.status();
    assert_eq!(status.state, TokenState::Invalid);
    assert!(status.expires_at.is_none() && status.last_success.is_none());
    assert!(status.last_error.is_none() && status.next_attempt.is_none());
    assert_eq!((status.failures, status.in_flight), (0, false));
    assert_eq!(status.scopes_not_granted, None);
    assert_eq!(asked(&emulator), [""; 0]);

    let before = wall();
    emulator.fail_next(TOKEN, 2, refused(500));
    for failures in 1..=2 {
        let error = credentials.blocking_refresh().unwrap_err();
        let status = credentials.status();
        let binding = &status.certificate_binding;
        assert!(
            matches!(binding, Some(CertificateBinding::NotBound(why)) if !why.is_empty()),
            "{binding:?}"
        );
        let (at, last) = status.last_error.unwrap();
        assert_eq!(last.to_string(), error.to_string());
        assert!(at >= before - Duration::from_millis(20));
        assert_eq!(status.failures, failures);
        assert!(status.next_attempt.unwrap() > before);
        assert_eq!(status.scopes_not_granted.unwrap(), [READ_ONLY]);
    }
    emulator.fail_next(TOKEN, 1, Fault::Delay(Duration::from_millis(300)));
    assert!(credentials.cached_headers().is_none());
    // Quiet for a second after a failure, so this asked nobody.
    assert!(!credentials.status().in_flight);
    thread::scope(|scope| {
        let refresh = scope.spawn(|| credentials.blocking_refresh());
        until("the token is asked for", || {
            emulator.request_count(TOKEN) == 3
        });
        assert!(credentials.status().in_flight);
        refresh.join().unwrap().unwrap();
    });
    let status = credentials.status();
    assert_eq!(status.state, TokenState::Fresh);
    assert_eq!(status.expires_at, credentials.expires_at());
    assert!(status.last_success.unwrap() >= before);
    assert!(status.last_error.is_some(), "what went wrong is kept");
    assert_eq!((status.failures, status.in_flight), (0, false));
}

#[test]
fn asking_for_cached_headers_never_waits_and_starts_one_flight() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, Fault::Delay(Duration::from_millis(200)));
    assert!(credentials.cached_headers().is_none());
    for _ in 0..100 {
        let lent = credentials.with_cached(|_| ());
        assert!(lent.is_none() || credentials.cached_token().is_some());
    }
    until("the token has come", || {
        credentials.cached_headers().is_some()
    });
    let names = credentials.with_cached(|headers| headers.iter().count());
    assert_eq!(names, Some(1));
    assert_eq!(emulator.request_count(TOKEN), 1);

    let identity = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    assert!(identity.cached_headers().is_none());
    until("the ID token has come", || {
        identity.cached_headers().is_some()
    });
    assert_eq!(emulator.request_count(IDENTITY), 1);
}

#[test]
fn waiting_until_ready_goes_on_through_refusals() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, refused(403));
    emulator.fail_next(TOKEN, 1, refused(404));
    block_on(credentials.wait_ready(Duration::from_secs(30))).unwrap();
    assert!(credentials.cached_token().is_some());
    assert_eq!(emulator.request_count(TOKEN), 3);

    let nobody = credentials.with_service_account("nobody@p.iam").unwrap();
    let error = nobody.blocking_wait_ready(Duration::from_millis(100));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_default_client_is_made_without_asking_anybody() {
    // No request can be counted here: that it returns is all there is.
    let client = MetadataClient::builder()
        .endpoint("metadata.invalid")
        .build()
        .unwrap();
    assert_eq!(client.endpoint().unwrap(), "metadata.invalid");
    let both = Credentials::builder()
        .client(client)
        .endpoint("metadata.invalid")
        .build();
    assert_eq!(both.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn the_account_is_known_once_it_was_asked_for() {
    let emulator = emulator();
    let credentials = builder(&emulator).scopes([READ_ONLY]).build().unwrap();
    assert_eq!(credentials.status().scopes_not_granted, None);
    let account = credentials.blocking_account().unwrap();
    assert_eq!(account.email(), EMAIL);
    assert_eq!(credentials.service_account_email().as_deref(), Some(EMAIL));
    let missing = credentials.status().scopes_not_granted;
    assert_eq!(missing.as_deref(), Some(&[READ_ONLY.to_owned()][..]));
}
