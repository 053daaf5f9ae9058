//! Documents and overlays in files that change.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use client::get;
use gce_auth_emulator::{Emulator, EmulatorBuilder, Event};

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn document(name: &str) -> String {
    format!(r#"{{"instance": {{"name": "{name}", "attributes": {{}}}}, "project": {{}}}}"#)
}

/// Starts, and gives what is told of files.
fn follow(builder: EmulatorBuilder) -> (Emulator, Receiver<Event>) {
    let (send, events) = channel();
    let emulator = builder
        .on_event(move |event| {
            if !matches!(event, Event::Answered { .. }) {
                let _ = send.send(event.clone());
            }
        })
        .start()
        .unwrap();
    (emulator, events)
}

fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn name(emulator: &Emulator) -> String {
    get(emulator.addr(), "instance/name").text().into()
}

#[test]
fn a_document_is_followed_however_it_is_written() {
    let directory = Directory::new("followed");
    let file = directory.file("document.json");
    fs::write(&file, document("one")).unwrap();
    let (emulator, events) = follow(Emulator::builder().document_file(&file));
    assert_eq!(name(&emulator), "one");

    fs::write(&file, document("two")).unwrap();
    let told = next(&events);
    assert!(
        matches!(&told, Event::Reloaded { files, .. } if *files == [file.clone()]),
        "{told}"
    );
    assert!(told.to_string().ends_with("document.json"), "{told}");
    assert_eq!(name(&emulator), "two");

    // As editors save.
    fs::write(directory.file("new"), document("six")).unwrap();
    fs::rename(directory.file("new"), &file).unwrap();
    next(&events);
    assert_eq!(name(&emulator), "six");

    emulator.set("instance/name", "set").unwrap();
    emulator.reset();
    assert_eq!(name(&emulator), "six");
}

#[test]
fn guest_attributes_outlive_an_edit() {
    let directory = Directory::new("guest");
    let file = directory.file("overlay.toml");
    let overlay = |value: &str| {
        let enabled = "instance.attributes.enable-guest-attributes = 'TRUE'";
        fs::write(
            &file,
            format!("{enabled}\ninstance.guest-attributes.file = {value}"),
        )
        .unwrap();
    };
    overlay("{ a = '1', b = '1', c = '1' }");
    let (emulator, events) = follow(Emulator::builder().overlay_file(&file));
    let write = |method: &str, path: &str, value: &str| {
        let target = format!("/computeMetadata/v1/instance/guest-attributes/{path}");
        let flavor = [("Metadata-Flavor", "Google")];
        let answer = client::request(emulator.addr(), method, &target, &flavor, value.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    write("PUT", "program/state", "ready");
    write("PUT", "file/b", "mine");
    write("DELETE", "file/c", "");
    overlay("{ a = '2', b = '2', c = '2' }");
    assert!(matches!(next(&events), Event::Reloaded { .. }));
    let all = || {
        let path = "instance/guest-attributes/?recursive=true";
        get(emulator.addr(), path).json()
    };
    // What programs wrote stays; the rest is what the file says.
    let file = serde_json::json!({"a": "2", "b": "mine", "c": "2"});
    assert_eq!(
        all(),
        serde_json::json!({"file": file, "program": {"state": "ready"}})
    );
    emulator.reset();
    assert_eq!(
        all(),
        serde_json::json!({"file": {"a": "2", "b": "2", "c": "2"}})
    );
}

#[test]
fn a_bad_edit_changes_nothing_and_says_why() {
    let directory = Directory::new("bad");
    let file = directory.file("document.json");
    fs::write(&file, document("one")).unwrap();
    let (emulator, events) = follow(Emulator::builder().document_file(&file));
    for (text, part) in [("{\"instance\": ", "EOF"), ("[]", "no object")] {
        fs::write(&file, text).unwrap();
        let told = next(&events);
        let said = told.to_string();
        assert!(matches!(told, Event::Rejected { .. }), "{said}");
        assert!(
            said.contains("document.json") && said.contains(part),
            "{said}"
        );
        assert_eq!(name(&emulator), "one");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(next(&events), Event::Rejected { .. }));
    assert_eq!(name(&emulator), "one");
    fs::write(&file, document("two")).unwrap();
    assert!(matches!(next(&events), Event::Reloaded { .. }));
    assert_eq!(name(&emulator), "two");
}

#[cfg(unix)]
#[test]
fn a_link_that_is_turned_is_followed() {
    use std::os::unix::fs::symlink;
    // As Kubernetes mounts a ConfigMap: key -> ..data/key, ..data -> a directory with a date.
    let directory = Directory::new("turned");
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(directory.file(version)).unwrap();
        let file = directory.file(version).join("document.json");
        fs::write(file, document(text)).unwrap();
    }
    symlink("..1", directory.file("..data")).unwrap();
    symlink("..data/document.json", directory.file("document.json")).unwrap();
    let file = directory.file("document.json");
    let (emulator, events) = follow(Emulator::builder().document_file(file));
    assert_eq!(name(&emulator), "one");
    symlink("..2", directory.file("..data_tmp")).unwrap();
    fs::rename(directory.file("..data_tmp"), directory.file("..data")).unwrap();
    next(&events);
    assert_eq!(name(&emulator), "two");
}

#[test]
fn overlays_come_in_their_order_and_wake_who_waits() {
    let directory = Directory::new("overlays");
    let file = directory.file("overlay.toml");
    fs::write(
        &file,
        "[instance.attributes]\na = 'file'\nb = 'file'\nc = 1",
    )
    .unwrap();
    let (emulator, events) = follow(
        Emulator::builder()
            .overlay("instance.attributes.a = 'before'")
            .overlay_file(&file)
            .set("instance/attributes/b", "after"),
    );
    let all = |emulator: &Emulator| {
        get(emulator.addr(), "instance/attributes/?recursive=true")
            .text()
            .to_owned()
    };
    assert_eq!(all(&emulator), r#"{"a":"file","b":"after","c":"1"}"#);
    let address = emulator.addr();
    let waiter =
        std::thread::spawn(move || get(address, "instance/attributes/c?wait_for_change=true").body);
    while emulator.waiting() == 0 {
        std::thread::yield_now();
    }
    // In one step, as editors do: between truncating and writing, the overlay would be empty.
    let next_overlay = directory.file("next.toml");
    fs::write(&next_overlay, "instance.attributes.c = 2").unwrap();
    fs::rename(next_overlay, &file).unwrap();
    assert_eq!(waiter.join().unwrap(), b"2");
    next(&events);
    assert_eq!(all(&emulator), r#"{"a":"before","b":"after","c":"2"}"#);

    fs::write(&file, "instance.id = 'many'").unwrap();
    let said = next(&events).to_string();
    assert!(said.contains("instance/id"), "{said}");
    fs::write(&file, "# first\ninstance = 'secret").unwrap();
    let said = next(&events).to_string();
    assert!(said.contains("overlay.toml: line 2"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn what_cannot_be_read_stops_the_start() {
    let error = |builder: EmulatorBuilder| builder.start().unwrap_err().to_string();
    let document = error(Emulator::builder().document_file("/nowhere/document.json"));
    assert!(document.contains("/nowhere/document.json"), "{document}");
    let overlay = error(Emulator::builder().overlay_file("/nowhere/overlay.toml"));
    assert!(overlay.contains("/nowhere/overlay.toml"), "{overlay}");
    let text = error(Emulator::builder().overlay("[instanze]"));
    assert!(text.contains("instanze"), "{text}");
}

#[test]
fn requests_are_told_and_who_panics_at_it_harms_nobody() {
    let (send, events) = channel();
    let emulator = Emulator::builder()
        .on_event(|_| panic!("not my day"))
        .on_event(move |event| {
            let _ = send.send(event.to_string());
        })
        .start()
        .unwrap();
    let path = "instance/service-accounts/default/token";
    let token = client::token(emulator.addr(), "default");
    let said = events.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(
        said.starts_with(&format!("GET /computeMetadata/v1/{path} 200 in ")),
        "{said}"
    );
    let target = format!("/tokeninfo?access_token={token}");
    client::request(emulator.addr(), "GET", &target, &[], b"");
    let said = events.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(
        said.contains("[redacted]") && !said.contains(&token),
        "{said}"
    );
}

#[test]
fn what_was_set_outlives_an_edit() {
    let directory = Directory::new("kept");
    let file = directory.file("overlay.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    write("instance.attributes.a = 'file'\ninstance.attributes.b = 'file'\ninstance.tags = ['x']");
    let (emulator, events) = follow(Emulator::builder().overlay_file(&file));
    emulator.set("instance/attributes/a", "set").unwrap();
    emulator.set("instance/attributes/new", "set").unwrap();
    emulator
        .set("instance/network-interfaces/0/mtu", "9000")
        .unwrap();
    emulator.remove("instance/description").unwrap();
    write(
        "instance.attributes.a = 'edited'\ninstance.attributes.b = 'edited'\ninstance.attributes.c = 'edited'",
    );
    assert!(matches!(next(&events), Event::Reloaded { .. }));
    let value = |path: &str| {
        let answer = get(emulator.addr(), path);
        (answer.status == 200).then(|| answer.text().to_owned())
    };
    for (path, expected) in [
        ("instance/attributes/a", Some("set")),
        ("instance/attributes/new", Some("set")),
        ("instance/network-interfaces/0/mtu", Some("9000")),
        ("instance/description", None),
        ("instance/attributes/b", Some("edited")),
        ("instance/attributes/c", Some("edited")),
        (
            "instance/tags?alt=text",
            Some("http-server\nhttps-server\n"),
        ),
    ] {
        assert_eq!(value(path).as_deref(), expected, "{path}");
    }
    write("instance.attributes.b = 'again'");
    assert!(matches!(next(&events), Event::Reloaded { .. }));
    assert_eq!(value("instance/attributes/new").as_deref(), Some("set"));
    assert_eq!(value("instance/attributes/b").as_deref(), Some("again"));
    emulator.reset();
    assert_eq!(value("instance/attributes/new"), None);
    assert_eq!(
        value("instance/network-interfaces/0/mtu").as_deref(),
        Some("1460")
    );
}
