//! The server side: the protocol below the sockets, and the emulator's data below what answers from
//! it.

use crate::house::House;

const HOUSES: [House; 3] = [
    House {
        name: "gce-auth-server",
        floors: &[
            &["protocol", "toml_depth"],
            &["service", "listen", "header_case"],
            &["http"],
            &["lib"],
        ],
        named_only_in: &[
            (
                "hyper::",
                &[
                    "header_case.rs",
                    "http/connection.rs",
                    "http/content.rs",
                    "http/message.rs",
                ],
            ),
            ("rustix::", FILES_OF_SOCKETS),
        ],
        circles_in: &[],
    },
    House {
        name: "gce-auth-emulator",
        floors: &[
            &[
                "client",
                "clock",
                "error",
                "text_source",
                "toml_text",
                "private_file",
                "private_listeners",
                "client_library",
                "peer_process",
                "redact",
                "recorded_request",
                "upstream",
            ],
            &["policy"],
            &["identity", "journal", "access"],
            &["profiles", "explain"],
            &["document", "events", "faults", "observers", "token_source"],
            &["state"],
            &["requests", "feed", "issued_tokens", "playing"],
            &[
                "read",
                "credential",
                "guest_attributes",
                "oslogin",
                "relay",
                "watch",
                "page",
                "control",
                "cloud",
                "agent_identity",
            ],
            &["record", "dispatch", "every_refusal"],
            &[
                "builder",
                "builder_cloud",
                "builder_listeners",
                "builder_plan",
            ],
            &["emulator"],
            &["start", "adc"],
            &["lib"],
        ],
        named_only_in: &[
            ("hyper::", &["upstream.rs"]),
            ("SystemTime::now", &["clock.rs"]),
            ("gce_auth::", &[]),
        ],
        circles_in: &[],
    },
    House {
        name: "gce-auth-agent",
        floors: &[
            &["caller", "clock", "error", "flights", "kept"],
            &["policy"],
            &["source", "audit", "rate", "guard", "asked_value"],
            &["metrics", "tokens", "values"],
            &["decisions", "builder"],
            &["state"],
            &["connection", "listeners", "page"],
            &["record", "control", "turn"],
            &["credential", "reading"],
            &["service"],
            &["admin", "agent", "fuzzing"],
            &["lib"],
        ],
        named_only_in: &[
            ("Instant::now", &["clock.rs"]),
            ("gce_auth_emulator::", &[]),
        ],
        circles_in: &["caller/", "policy/"],
    },
];

const FILES_OF_SOCKETS: &[&str] = &[
    "listen/peer_process.rs",
    "listen/process_directory.rs",
    "listen/sock_diag.rs",
    "listen/tcp.rs",
    "listen/unix_socket.rs",
];

#[test]
fn no_file_of_the_server_side_reaches_up_or_in_a_circle() {
    for house in &HOUSES {
        let found = house.judge(15);
        assert!(found.is_empty(), "{}: {found}", house.name);
    }
}

#[test]
fn the_judge_of_the_server_side_sees_what_it_is_for() {
    let [server, emulator, agent] = &HOUSES;
    for (house, file, text, complaint) in [
        (
            server,
            "protocol/etag.rs",
            "use crate::service::Service;",
            "reaches up into service.rs",
        ),
        (
            server,
            "protocol/etag.rs",
            "use crate::protocol::reply::Reply;",
            "a circle: protocol/etag.rs",
        ),
        (
            server,
            "service.rs",
            "use hyper::Request;",
            "service.rs names hyper::",
        ),
        (
            emulator,
            "state.rs",
            "use crate::page::page;",
            "state.rs reaches up into page/mod.rs",
        ),
        (
            emulator,
            "clock.rs",
            "use crate::journal::Journal;",
            "clock.rs reaches up into journal/mod.rs",
        ),
        (emulator, "attic.rs", "", "attic.rs is on no floor"),
        (
            agent,
            "policy/mod.rs",
            "use crate::state::State;",
            "policy/mod.rs reaches up into state.rs",
        ),
        (
            emulator,
            "page/mod.rs",
            "fn f() { gce_auth::f() }",
            "names gce_auth::",
        ),
    ] {
        let found = house.judge_with(file, text);
        assert!(found.contains(complaint), "{file}: {found}");
    }
}
