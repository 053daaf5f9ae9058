//! Values of the machine: getters, paths and universe domains.

use futures_executor::block_on;
use gce_auth::ErrorKind;
use gce_auth_emulator::{Account, Emulator, Profile};

use super::{
    PLATFORM, READ_ONLY, refused,
    support::{asked, client, credentials, impatient},
};

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
