//! A reload: other rules, other listeners, the same connections and tokens.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    sync::{Arc, Mutex, atomic::Ordering},
};

use gce_auth_agent::{AgentBuilder, policy::SourceKind};
use support::{Client, Scratch, Source, start, token_path};

fn rules(port: u16, socket: &str, metadata: &str) -> String {
    let uid = rustix::process::geteuid().as_raw();
    format!(
        "default = \"deny\"\n\
         [[listen]]\nname = \"first\"\ntcp = \"127.0.0.1:{port}\"\n\
         [[listen]]\nname = \"second\"\nunix = \"{socket}\"\nmode = \"0640\"\n\
         [[rule]]\nname = \"me\"\n[rule.caller]\nuid = [{uid}]\n[rule.allow]\n\
         metadata = [{metadata}]\n"
    )
}

#[test]
fn listeners_change_and_connections_stay() {
    let source = Source::start();
    let scratch = Scratch::new("reload");
    let sockets = ["a", "b"].map(|name| scratch.0.join(name).display().to_string());
    let color = "\"instance/attributes/color\"";
    let file = scratch.file("agent.toml", &rules(0, &sockets[0], color));
    let agent = start(
        &source,
        AgentBuilder {
            config_file: Some(file),
            ..AgentBuilder::default()
        },
    );
    let first = agent.tcp()[0];
    let mut held = Client::connect(first);
    assert_eq!(held.get("instance/attributes/color").0, 200);
    assert_eq!(held.get(&token_path("default")).0, 200);
    let fetched = source.script.tokens.load(Ordering::Relaxed);
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sockets[0]), 0o640);

    // Another port, another socket, and no values any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    scratch.file("agent.toml", &rules(port, &sockets[1], ""));
    agent.reload().unwrap();
    assert_eq!(agent.tcp()[0].port(), port);
    while TcpStream::connect(first).is_ok() {}
    assert!(!std::path::Path::new(&sockets[0]).exists());
    assert_eq!(mode(&sockets[1]), 0o640);
    assert_eq!(
        held.get("instance/attributes/color").0,
        403,
        "the new rules decide"
    );
    assert_eq!(held.get(&token_path("default")).0, 200);
    let mut other = Client::connect(agent.tcp()[0]);
    assert_eq!(other.get(&token_path("default")).0, 200);
    assert_eq!(
        source.script.tokens.load(Ordering::Relaxed),
        fetched,
        "tokens stay"
    );

    // A bad file, and one whose port is taken, change nothing.
    scratch.file("agent.toml", "colour = 1\n");
    assert!(agent.reload().unwrap_err().contains("agent.toml:1:1"));
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().port();
    scratch.file("agent.toml", &rules(taken, &sockets[1], color));
    assert!(agent.reload().unwrap_err().contains(&taken.to_string()));
    assert_eq!(agent.tcp()[0].port(), port);
    assert_eq!(other.get("instance/attributes/color").0, 403);
    agent.flush();
    assert_eq!(other.get(&token_path("default")).0, 200);
    assert!(source.script.tokens.load(Ordering::Relaxed) > fetched);
    agent.stop();
    assert!(!std::path::Path::new(&sockets[1]).exists());
}

#[test]
fn a_listener_with_other_settings_keeps_its_socket() {
    let source = Source::start();
    let scratch = Scratch::new("reload-same");
    let socket = scratch.0.join("agent.sock").display().to_string();
    let text = |name: &str, mode: &str| {
        format!(
            "default = \"deny\"\n\
             [[listen]]\nname = \"{name}\"\ntcp = \"127.0.0.1:0\"\n\
             [[listen]]\nname = \"{name}-unix\"\nunix = \"{socket}\"\nmode = \"{mode}\"\n\
             [[rule]]\nname = \"me\"\ncaller = {{ listener = [\"{name}\"] }}\n"
        )
    };
    let file = scratch.file("agent.toml", &text("old", "0640"));
    let builder = AgentBuilder {
        config_file: Some(file),
        ..AgentBuilder::default()
    };
    let agent = start(&source, builder);
    let address = agent.tcp()[0];
    let mut held = Client::connect(address);
    assert_eq!(held.get(&token_path("default")).0, 200);

    scratch.file("agent.toml", &text("new", "0600"));
    agent.reload().unwrap();
    assert_eq!(agent.tcp(), [address]);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // The listener of a connection is the one that it came by.
    assert_eq!(held.get(&token_path("default")).0, 403);
    // The last of the old listener may be accepted at this moment.
    while Client::connect(address).get(&token_path("default")).0 == 403 {}
    assert!(UnixStream::connect(&socket).is_ok());

    // One of two that change cannot: none of them does.
    let both = text("newest", "0666").replace("127.0.0.1:0", "192.0.2.1:1");
    let both = both.replace("unix =", "allow-from = []\nunix =");
    scratch.file("agent.toml", &both);
    agent.reload().unwrap_err();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    agent.stop();
    assert!(!std::path::Path::new(&socket).exists());
}

#[test]
fn a_source_in_code_has_priority_over_the_file_and_its_next_version() {
    let source = Source::start();
    let scratch = Scratch::new("reload-source");
    let file = |text: &str| scratch.file("agent.toml", text);
    for (kind, is_told) in [(Some(SourceKind::Metadata), false), (None, true)] {
        let said = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&said);
        let agent = start(
            &source,
            AgentBuilder {
                config_file: Some(file("upstream = \"192.0.2.1\"\n")),
                listen: vec![([127, 0, 0, 1], 0).into()],
                source: kind,
                log: Arc::new(move |line| lines.lock().unwrap().push_str(line)),
                ..AgentBuilder::default()
            },
        );
        file("source = \"adc\"\nupstream = \"192.0.2.2\"\n");
        agent.reload().unwrap();
        let mut client = Client::connect(agent.tcp()[0]);
        assert_eq!(client.get(&token_path("default")).0, 200);
        let said = said.lock().unwrap();
        assert_eq!(said.contains("restart it"), is_told, "{said}");
    }
}

#[test]
fn processes_of_open_connections_are_found_when_rules_begin_to_name_them() {
    let source = Source::start();
    let scratch = Scratch::new("reload-exe");
    let uid = rustix::process::geteuid().as_raw();
    let own = std::env::current_exe().unwrap().display().to_string();
    let text = |caller: &str| {
        format!(
            "default = \"deny\"\n[[listen]]\ntcp = \"127.0.0.1:0\"\n\
             [[rule]]\nname = \"me\"\ncaller = {{ uid = [{uid}]{caller} }}\n"
        )
    };
    let file = scratch.file("agent.toml", &text(""));
    let builder = AgentBuilder {
        config_file: Some(file),
        ..AgentBuilder::default()
    };
    let agent = start(&source, builder);
    let mut held = Client::connect(agent.tcp()[0]);
    assert_eq!(held.get(&token_path("default")).0, 200);
    for (exe, status) in [(own.as_str(), 200), ("/nowhere", 403), (own.as_str(), 200)] {
        scratch.file("agent.toml", &text(&format!(", exe = [\"{exe}\"]")));
        agent.reload().unwrap();
        assert_eq!(held.get(&token_path("default")).0, status, "{exe}");
        assert_eq!(held.get(&token_path("default")).0, status, "{exe}");
    }
    let caller = held.ask("metadata.google.internal", "/gce-auth/caller").1;
    assert!(caller.contains(&own), "{caller}");
}

/// What is read at the start alone is named once it changed, and not before.
#[test]
fn a_reload_says_what_it_does_not_change() {
    let source = Source::start();
    let scratch = Scratch::new("reload-source");
    let text = |more: &str| format!("{more}\n[[listen]]\ntcp = \"127.0.0.1:0\"\n");
    let upstream = |port: u16| format!("upstream = \"127.0.0.1:{port}\"");
    let own = upstream(source.address.port());
    let file = scratch.file("agent.toml", &text(&own));
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&said);
    let builder = AgentBuilder {
        config_file: Some(file),
        log: Arc::new(move |line: &str| lines.lock().unwrap().push(line.to_owned())),
        ..AgentBuilder::default()
    };
    let agent = builder.start().unwrap();
    let address = agent.tcp()[0];
    let reload = |more: &str, restarts: bool| {
        said.lock().unwrap().clear();
        scratch.file("agent.toml", &text(more));
        agent.reload().unwrap();
        let said = said.lock().unwrap();
        let of = |part: &str| said.iter().any(|line| line.contains(part));
        assert!(of("are in force"), "{said:?}");
        assert_eq!(of("restart it"), restarts, "{more}: {said:?}");
    };
    reload(&own, false);
    reload(&format!("{own}\ndefault = \"allow\""), false);
    reload(&upstream(1), true);
    reload(&format!("{own}\nsource = \"adc\""), true);
    reload(&own, false);
    // The port stays open through all of them, before the same source.
    assert_eq!(agent.tcp(), [address]);
    let color = Client::connect(address).get("instance/attributes/color");
    assert_eq!(color, (200, "blue".to_owned()));
}

/// The file is read by the first reload while it is another, and replaced before the second.
#[test]
fn of_two_reloads_at_once_the_last_decides() {
    use std::io::Write as _;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let source = Source::start();
    let scratch = Scratch::new("reloads");
    let socket = scratch.0.join("s").display().to_string();
    let color = "\"instance/attributes/color\"";
    let file = scratch.file("agent.toml", &rules(0, &socket, ""));
    let agent = start(
        &source,
        AgentBuilder {
            config_file: Some(file.clone()),
            ..AgentBuilder::default()
        },
    );
    let mut client = Client::connect(agent.tcp()[0]);
    // A reader waits for a writer.
    let pipe = scratch.0.join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::fs::rename(&pipe, &file).unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| agent.reload());
        // Opened once the first reload reads.
        let mut old = std::fs::File::options().write(true).open(&file).unwrap();
        let newer = scratch.file("newer.toml", &rules(0, &socket, color));
        std::fs::rename(newer, &file).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let agent = &agent;
        let second = scope.spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            agent.reload()
        });
        let thread = told.recv().unwrap().as_raw_nonzero();
        let state = || std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
        while !second.is_finished() && !state().unwrap_or_default().contains(") S ") {}
        old.write_all(rules(0, &socket, "").as_bytes()).unwrap();
        drop(old);
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(client.get("instance/attributes/color").0, 200);
}
