//! What code says counts, and not what a text or a file says of the same.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    net::TcpStream,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use client::{get, request};
use gce_auth_emulator::{
    Account, Emulator, EmulatorBuilder, Event, Fault, FaultRule, Profile, Provider, User,
};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

/// Builders with the text before and after what code says.
fn both_orders(
    text: fn(EmulatorBuilder) -> EmulatorBuilder,
    code: fn(EmulatorBuilder) -> EmulatorBuilder,
) -> [Emulator; 2] {
    [
        code(text(Emulator::builder())),
        text(code(Emulator::builder())),
    ]
    .map(|builder| builder.start().unwrap())
}

/// What the APIs beside the server know.
fn cloud_of(emulator: &Emulator) -> Value {
    let headers = [("Host", "localhost")];
    request(emulator.addr(), "GET", "/emulator/v1/cloud", &headers, b"").json()
}

#[test]
fn of_a_plan_and_code_code_says_how_tokens_age_and_what_fails_first() {
    let plan = |builder: EmulatorBuilder| {
        builder.plan(
            r#"
            tokens = { lifetime = 600, renewal = 1 }
            faults = [{ path = "instance/id", fault = { kind = "status", code = 503 } }]
            "#,
        )
    };
    let code = |builder: EmulatorBuilder| {
        let fault = Fault::Status {
            code: 429,
            retry_after: None,
        };
        builder
            .token_lifetime(100 * SECOND)
            .token_renewal(Duration::MAX)
            .fault(FaultRule::new(fault).path("instance/id").times(1))
    };
    for emulator in both_orders(plan, code) {
        let token = || get(emulator.addr(), "instance/service-accounts/default/token").json();
        let (first, second) = (token(), token());
        assert!(first["expires_in"].as_u64().unwrap() <= 100, "{first}");
        assert_ne!(first["access_token"], second["access_token"]);
        let statuses = [0; 2].map(|_| get(emulator.addr(), "instance/id").status);
        assert_eq!(statuses, [429, 503], "and then the plan's");
    }
}

#[test]
fn of_a_plan_and_code_code_says_how_long_a_cold_start_lasts() {
    let plan = |builder: EmulatorBuilder| builder.plan("cold-start = { seconds = 7200 }");
    let code = |builder: EmulatorBuilder| builder.refuse_for(3600 * SECOND);
    for emulator in both_orders(plan, code) {
        assert!(TcpStream::connect(emulator.addr()).is_err());
        emulator.advance(3600 * SECOND);
        let warm = (0..20_000).any(|_| {
            std::thread::yield_now();
            TcpStream::connect(emulator.addr()).is_ok()
        });
        assert!(warm, "it is the plan's");
    }
}

#[test]
fn of_an_overlay_and_code_code_names_project_accounts_and_values() {
    let overlay = |builder: EmulatorBuilder| {
        builder.overlay(
            r#"
            [project]
            project-id = "text"
            numeric-project-id = 1
            [instance]
            attributes = { a = "text", b = "text" }
            service-accounts."text@p" = { email = "text@p", aliases = [], scopes = [] }
            service-accounts.default.scopes = ["text"]
            "#,
        )
    };
    let code = |builder: EmulatorBuilder| {
        builder
            .project_id("code")
            .numeric_project_id(2)
            .account(Account::new("code@p").scopes(["code"]))
            .set("instance/attributes/a", "code")
    };
    for emulator in both_orders(overlay, code) {
        let text = |path: &str| get(emulator.addr(), path).text().to_owned();
        assert_eq!(text("project/project-id"), "code");
        assert_eq!(text("project/numeric-project-id"), "2");
        assert_eq!(text("instance/attributes/a"), "code");
        assert_eq!(text("instance/attributes/b"), "text", "code names none");
        assert_eq!(
            text("instance/service-accounts/"),
            "code@p/\ndefault/\n",
            "accounts of code stand alone"
        );
        assert_eq!(text("instance/service-accounts/default/scopes"), "code\n");
    }
}

#[test]
fn an_overlay_names_what_code_does_not() {
    let emulator = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .account(Account::new("code@p"))
        .overlay(r#"instance.service-accounts."text@p".email = "text@p""#)
        .overlay(r#"project.project-id = "text""#)
        .start()
        .unwrap();
    let text = |path: &str| get(emulator.addr(), path).text().to_owned();
    assert_eq!(text("project/project-id"), "text");
    assert_eq!(text("instance/service-accounts/"), "text@p/\n");
}

#[test]
fn a_file_that_changes_leaves_what_code_set() {
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("precedence.toml");
    let write = |zone: &str| {
        let text = format!("project.project-id = 'file'\ninstance.zone = '{zone}'");
        std::fs::write(&file, text).unwrap();
    };
    write("one");
    let (send, events): (_, Receiver<()>) = channel();
    let emulator = Emulator::builder()
        .project_id("code")
        .overlay_file(&file)
        .on_event(move |event| {
            if matches!(event, Event::Reloaded { .. }) {
                let _ = send.send(());
            }
        })
        .start()
        .unwrap();
    write("two");
    while get(emulator.addr(), "instance/zone").text() != "two" {
        events.recv_timeout(60 * SECOND).unwrap();
    }
    assert_eq!(get(emulator.addr(), "project/project-id").text(), "code");
}

#[test]
fn of_cloud_settings_and_code_code_counts() {
    const POOL: &str = "locations/global/workforcePools/p/providers/q";
    let text = |builder: EmulatorBuilder| {
        builder.cloud(format!(
            r#"{{
                "strict": true, "organizationNumber": 1,
                "providers": [{{"name": "{POOL}", "issuerUri": "text", "disabled": true}}],
                "users": [{{"email": "text@p", "clientId": "c", "clientSecret": "s", "refreshToken": "r"}}]
            }}"#
        ))
    };
    let code = |builder: EmulatorBuilder| {
        builder
            .strict(false)
            .organization_number(2)
            .provider(Provider::oidc(POOL, "code"))
            .user(User::new("code@p", "c", "s", "r"))
    };
    for emulator in both_orders(text, code) {
        let cloud = cloud_of(&emulator);
        assert_eq!(cloud["strict"], false);
        assert_eq!(cloud["organizationNumber"], 2);
        assert_eq!(cloud["providers"].as_array().unwrap().len(), 1, "{cloud}");
        assert_eq!(cloud["providers"][0]["issuerUri"], "code");
        assert_eq!(cloud["users"].as_array().unwrap().len(), 1, "{cloud}");
        assert_eq!(cloud["users"][0]["email"], "code@p");
    }
    let [emulator, _] = both_orders(text, |builder| builder);
    assert_eq!(cloud_of(&emulator)["strict"], true, "code says nothing");
}

#[test]
fn of_two_texts_the_later_counts() {
    let emulator = Emulator::builder()
        .cloud(r#"{"strict": true}"#)
        .cloud(r#"{"strict": false}"#)
        .start()
        .unwrap();
    assert_eq!(cloud_of(&emulator)["strict"], false);
}
