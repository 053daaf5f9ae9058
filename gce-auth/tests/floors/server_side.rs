//! The server side: the protocol below the sockets, and the emulator's data below what answers from it.

use crate::circles::{arrows, circles};

/// A crate, its rooms from the ground up, and what must not be named but in the listed files.
struct House {
    name: &'static str,
    floors: &'static [&'static [&'static str]],
    named_only_in: &'static [(&'static str, &'static [&'static str])],
}

/// A file imports from its own floor or from lower ones.
const HOUSES: [House; 2] = [
    House {
        name: "gce-auth-server",
        floors: &[
            &["protocol"],
            &["service", "listen", "header_case"],
            &["http"],
            &["lib"],
        ],
        named_only_in: &[
            (
                "hyper::",
                &["header_case.rs", "http/mod.rs", "http/content.rs"],
            ),
            ("rustix::", FILES_OF_SOCKETS),
        ],
    },
    House {
        name: "gce-auth-emulator",
        floors: &[
            &[
                "clock",
                "error",
                "text_source",
                "toml_text",
                "private_file",
                "recorded_request",
                "upstream",
            ],
            &["policy"],
            &["identity", "journal", "access"],
            &["profiles", "hints"],
            &["document", "events", "faults", "token_source"],
            &["state"],
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
            &["record", "dispatch"],
            &["builder", "builder_cloud"],
            &["emulator"],
            &["start", "adc"],
            &["lib"],
        ],
        named_only_in: &[
            ("hyper::", &["upstream.rs"]),
            ("SystemTime::now", &["clock.rs"]),
            ("gce_auth::", &[]),
        ],
    },
];

const FILES_OF_SOCKETS: &[&str] = &[
    "listen/sock_diag.rs",
    "listen/tcp.rs",
    "listen/unix_socket.rs",
];

impl House {
    fn floor(&self, file: &str) -> Option<usize> {
        let room = file.split(['/', '.']).next()?;
        self.floors.iter().position(|floor| floor.contains(&room))
    }

    fn complaints(&self, files: &[(String, String)]) -> Vec<String> {
        let arrows = arrows(files);
        let mut found = Vec::new();
        for (file, named) in &arrows {
            if self.floor(file).is_none() {
                found.push(format!("{file} is on no floor"));
            }
            for other in named
                .iter()
                .filter(|other| self.floor(other) > self.floor(file))
            {
                found.push(format!("{file} reaches up into {other}"));
            }
        }
        let circles = circles(&arrows);
        found.extend(
            circles
                .iter()
                .map(|circle| format!("a circle: {}", circle.join(", "))),
        );
        for (file, text) in files {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.split("#[cfg(all(test").next().unwrap_or_default();
            for (name, homes) in self.named_only_in {
                let named = code.lines().filter_map(|line| line.split("//").next());
                if named.clone().any(|line| line.contains(name)) && !homes.contains(&file.as_str())
                {
                    found.push(format!("{file} names {name}, which belongs to {homes:?}"));
                }
            }
        }
        found
    }
}

#[test]
fn no_file_of_the_server_side_reaches_up_or_in_a_circle() {
    for house in &HOUSES {
        let files = crate::files_of(house.name);
        assert!(
            files.len() > 15,
            "the walk found the source of {}",
            house.name
        );
        let found = house.complaints(&files);
        assert!(found.is_empty(), "{}: {}", house.name, found.join("\n"));
    }
}

#[test]
fn the_judge_of_the_server_side_sees_what_it_is_for() {
    let judged = |house: &House, file: &str, text: &str| {
        let mut files = crate::files_of(house.name);
        files.retain(|(name, _)| name != file);
        files.push((file.to_owned(), text.to_owned()));
        house.complaints(&files).join("\n")
    };
    let [server, emulator] = &HOUSES;
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
            "clock.rs reaches up into journal.rs",
        ),
        (emulator, "attic.rs", "", "attic.rs is on no floor"),
        (
            emulator,
            "page/mod.rs",
            "fn f() { gce_auth::f() }",
            "names gce_auth::",
        ),
    ] {
        let found = judged(house, file, text);
        assert!(found.contains(complaint), "{file}: {found}");
    }
}
