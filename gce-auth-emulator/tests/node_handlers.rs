//! Programs that end work before their node ends, by the requests that they make.
//!
//! What each does was read in its public source, and is replayed here: paths, parameters, headers
//! and order.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use client::{Answer, connect, parse};
use gce_auth_emulator::{Emulator, MachineEvent, Maintenance};

const SECOND: Duration = Duration::from_secs(1);

/// Sends the request of a client and leaves its answer to be read.
fn send(emulator: &Emulator, target: &str, headers: &str) -> TcpStream {
    let mut stream = connect(emulator.addr());
    let request = format!(
        "GET /computeMetadata/v1/{target} HTTP/1.1\r\n{headers}Metadata-Flavor: Google\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes)
}

fn waiting(emulator: &Emulator, count: usize) {
    while emulator.waiting() != count {
        thread::yield_now();
    }
}

/// Kubernetes' node-termination-handler for Compute Engine, by
/// cloud.google.com/go/compute/metadata.
struct TerminationHandler<'a>(&'a Emulator);

impl TerminationHandler<'_> {
    const HEADERS: &'static str = "Host: 169.254.169.254\r\nUser-Agent: gcloud-golang/0.1\r\n\
                                   Accept-Encoding: gzip\r\n";

    fn get(&self, target: &str) -> Answer {
        answer(send(self.0, target, Self::HEADERS))
    }

    /// What it asks before it watches: whether it has to, its name, and whether an end is near.
    fn begin(&self) -> bool {
        let value = |path: &str| self.get(path).text().to_owned();
        assert_eq!(
            value("instance/scheduling/on-host-maintenance"),
            "TERMINATE"
        );
        assert_eq!(value("instance/name"), "emulator");
        assert!(["TRUE", "FALSE"].contains(&value("instance/scheduling/preemptible").as_str()));
        let event = value("instance/maintenance-event");
        let preempted = value("instance/preempted");
        event == "TERMINATE_ON_HOST_MAINTENANCE" || preempted == "TRUE"
    }

    /// Subscribes: the value with its ETag, and then what follows it.
    fn subscribe(&self, path: &str) -> (String, TcpStream) {
        let first = self.get(path);
        (first.text().to_owned(), self.next(path, &first))
    }

    fn next(&self, path: &str, last: &Answer) -> TcpStream {
        let etag = last.header("ETag").unwrap();
        let target = format!("{path}?wait_for_change=true&last_etag={etag}");
        send(self.0, &target, Self::HEADERS)
    }
}

#[test]
fn kubernetes_termination_handler_sees_maintenance_of_a_gpu_node_and_its_end() {
    let emulator = Emulator::builder()
        .set("instance/scheduling/on-host-maintenance", "TERMINATE")
        .start()
        .unwrap();
    let handler = TerminationHandler(&emulator);
    assert!(!handler.begin());
    let (event, changed_event) = handler.subscribe("instance/maintenance-event");
    let (preempted, changed_preempted) = handler.subscribe("instance/preempted");
    assert_eq!((event.as_str(), preempted.as_str()), ("NONE", "FALSE"));
    waiting(&emulator, 2);
    emulator.play(Maintenance::gpu()).unwrap();
    let event = answer(changed_event);
    assert_eq!(event.text(), "TERMINATE_ON_HOST_MAINTENANCE");
    // An hour of notice, in which a restarted handler learns of it at once.
    emulator.advance(3599 * SECOND);
    assert!(handler.begin());
    let changed_event = handler.next("instance/maintenance-event", &event);
    waiting(&emulator, 2);
    emulator.advance(SECOND + 90 * SECOND + 60 * SECOND);
    // The machine ended, and its connections with it.
    for mut stream in [changed_event, changed_preempted] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
    waiting(&emulator, 0);
    // It is there again, and the handler that starts on it finds nothing to do.
    assert!(!handler.begin());
    let (event, _) = handler.subscribe("instance/maintenance-event");
    assert_eq!(event, "NONE");
}

#[test]
fn kubernetes_termination_handler_sees_a_preemption() {
    let emulator = Emulator::builder()
        .set("instance/scheduling/on-host-maintenance", "TERMINATE")
        .set("instance/scheduling/preemptible", "TRUE")
        .start()
        .unwrap();
    let handler = TerminationHandler(&emulator);
    assert!(!handler.begin());
    let (_, changed) = handler.subscribe("instance/preempted");
    waiting(&emulator, 1);
    emulator.play(MachineEvent::preempt()).unwrap();
    assert_eq!(answer(changed).text(), "TRUE");
    assert!(handler.begin());
}

/// Taskcluster's worker-runner: a name in place of an address, `Go-http-client`, and no ETag.
struct WorkerRunner<'a>(&'a Emulator);

impl WorkerRunner<'_> {
    const HEADERS: &'static str = "Host: metadata.google.internal\r\nUser-Agent: Go-http-client/1.1\r\n\
                                   Accept-Encoding: gzip\r\n";

    /// It starts no work on a machine that ends.
    fn may_begin(&self) -> bool {
        let answer = answer(send(self.0, "instance/preempted", Self::HEADERS));
        answer.text() != "TRUE"
    }

    /// One turn of its loop.
    fn turn(&self) -> TcpStream {
        send(
            self.0,
            "instance/preempted?wait_for_change=true",
            Self::HEADERS,
        )
    }
}

#[test]
fn taskcluster_sees_a_preemption_whenever_it_comes() {
    let emulator = Emulator::builder()
        .set(
            "instance/attributes/taskcluster",
            "{\"workerPoolId\": \"p\"}",
        )
        .start()
        .unwrap();
    let runner = WorkerRunner(&emulator);
    assert!(runner.may_begin());
    let turn = runner.turn();
    waiting(&emulator, 1);
    // Maintenance, attributes and other keys are no change of its key.
    emulator.play(Maintenance::migrate()).unwrap();
    emulator
        .play(MachineEvent::set_attributes([("a", "1")]))
        .unwrap();
    assert_eq!(emulator.waiting(), 1);
    let id = emulator.play(MachineEvent::preempt()).unwrap();
    assert_eq!(answer(turn).text(), "TRUE");
    // It asks again, and hangs: without an ETag the server waits for the next change.
    let turn = runner.turn();
    waiting(&emulator, 1);
    assert!(!runner.may_begin());
    emulator.cancel_event(id);
    assert_eq!(answer(turn).text(), "FALSE");
    assert!(runner.may_begin());
}
