//! How long one request can hold up all others: the longest wait for a small value while an
//! expensive request is answered, or many at once, each the least of five runs. Fails beyond 50 ms.
//! `ONLY` asks for the cases alone whose name has this in it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

mod machine;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use gce_auth_emulator::{Emulator, Fault, FaultRule};

const MOST: Duration = Duration::from_millis(50);
const RUNS: usize = 5;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Sends a request, and reads to the end of its answer.
fn send(address: SocketAddr, target: &str, more: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{target} HTTP/1.1\r\nHost: localhost\r\nMetadata-Flavor: Google\r\n\
         Connection: close\r\nContent-Length: {length}\r\n{more}\r\n"
    )
    .unwrap();
    let _ = stream.write_all(body);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn get(address: SocketAddr, path: &str) {
    send(address, &format!("GET /computeMetadata/v1/{path}"), "", b"");
}

fn post(address: SocketAddr, path: &str, kind: &str, body: &str) {
    let more = format!("Content-Type: {kind}\r\n");
    send(address, &format!("POST {path}"), &more, body.as_bytes());
}

fn control(address: SocketAddr, target: &str, body: &str) {
    let (method, path) = target.split_once(' ').unwrap();
    let target = format!("{method} /emulator/v1/{path}");
    send(address, &target, "", body.as_bytes());
}

/// The longest wait of a client that asks for a value again and again.
fn longest_wait(address: SocketAddr, attack: impl FnOnce()) -> Duration {
    let over = AtomicBool::new(false);
    let begun = AtomicBool::new(false);
    thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut longest = Duration::ZERO;
            let mut buffer = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                stream
                    .write_all(
                        b"GET /computeMetadata/v1/instance/id HTTP/1.1\r\nHost: m\r\n\
                          Metadata-Flavor: Google\r\n\r\n",
                    )
                    .unwrap();
                assert_ne!(stream.read(&mut buffer).unwrap(), 0);
                longest = longest.max(start.elapsed());
                begun.store(true, Ordering::Relaxed);
            }
            longest
        });
        while !begun.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        attack();
        over.store(true, Ordering::Relaxed);
        probe.join().unwrap()
    })
}

/// A directory of about this many values.
fn many(count: usize, width: usize) -> String {
    let all: Vec<String> = (0..count).map(|n| format!("\"{n:0width$}\":1")).collect();
    format!("{{{}}}", all.join(","))
}

type Attack = Box<dyn Fn(SocketAddr)>;

/// An emulator, and what is done to it.
struct Case {
    name: &'static str,
    emulator: Emulator,
    attack: Attack,
}

fn case(
    name: &'static str,
    prepare: impl FnOnce(&Emulator),
    attack: impl Fn(SocketAddr) + 'static,
) -> Case {
    let guest = "instance/attributes/enable-guest-attributes";
    let emulator = Emulator::builder().set(guest, "TRUE").start().unwrap();
    prepare(&emulator);
    Case {
        name,
        emulator,
        attack: Box::new(attack),
    }
}

/// A document as large as one may be.
fn full(emulator: &Emulator) {
    let place = "instance/attributes/many";
    emulator.set_json(place, &many(16_000, 60)).unwrap();
    for part in 0..2 {
        let text = format!("\"{}\"", "x".repeat(1 << 20));
        let place = format!("instance/attributes/long{part}");
        emulator.set_json(&place, &text).unwrap();
    }
}

fn fill_journal(emulator: &Emulator) {
    let long = "x".repeat(4000);
    for _ in 0..700 {
        let target = format!("GET /{long}?{}", "a&".repeat(2000));
        let more = format!("User-Agent: {long}\r\nReferer: {long}\r\n");
        send(emulator.addr(), &target, &more, b"");
    }
}

fn documents() -> Vec<Case> {
    vec![
        case("a full document as JSON", full, |at| {
            get(at, "?recursive=true");
        }),
        case("a full document as text", full, |at| {
            get(at, "?recursive=true&alt=text");
        }),
        case("a full directory", full, |at| {
            get(at, "instance/attributes/many/");
        }),
        case("a near miss in a full directory", full, |at| {
            let near = format!("instance/attributes/many/{}", "1".repeat(60));
            get(at, &near);
        }),
        case("a change of a full document", full, |at| {
            control(at, "PUT document/instance/attributes/x", "\"1\"");
            control(at, "DELETE document/instance/attributes/x", "");
        }),
        case("a document that is too large", full, |at| {
            let body = many(90_000, 1);
            control(at, "PUT document/instance/attributes/y", &body);
        }),
        case("a reset of a full document", full, |at| {
            control(at, "POST reset", "");
        }),
        case(
            "a deep path",
            |_| {},
            |at| {
                get(at, &"instance/".repeat(7000));
            },
        ),
    ]
}

fn requests() -> Vec<Case> {
    vec![
        case("a full journal", fill_journal, |at| {
            control(at, "GET requests", "");
        }),
        case("an assertion over a full journal", fill_journal, |at| {
            let path = format!("/{}", "x".repeat(4000));
            let body = format!(r#"{{"path":"{path}","times":1,"parameters":{{"b":"c"}}}}"#);
            control(at, "POST assertions", &body);
        }),
        case("32 listeners of a full journal", fill_journal, |at| {
            let all: Vec<TcpStream> = (0..32).map(|_| follow(at)).collect();
            thread::sleep(Duration::from_millis(1200));
            drop(all);
        }),
        case(
            "a listener of 1,000 long faults",
            |emulator| {
                for _ in 0..1000 {
                    let fault = Fault::Body {
                        content_type: "a/b".into(),
                        bytes: vec![b'x'; 60_000],
                    };
                    let rule = FaultRule::new(fault).path("/none").client("none");
                    emulator.add_fault(rule);
                }
            },
            |at| {
                let listener = follow(at);
                let more = format!("User-Agent: {}\r\n", "x".repeat(60_000));
                send(at, "GET /computeMetadata/v1/instance/id", &more, b"");
                thread::sleep(Duration::from_millis(1200));
                drop(listener);
            },
        ),
        case(
            "a form of 500,000 parameters",
            |_| {},
            |at| {
                post(at, "/token", FORM, &"&a".repeat(500_000));
            },
        ),
        case(
            "a JSON body of 500,000 values",
            |_| {},
            |at| {
                let values = "1,".repeat(500_000);
                let body = format!("{{\"grantType\":\"x\",\"x\":[{values}1]}}");
                post(at, "/v1/token", JSON, &body);
            },
        ),
        case(
            "a query of 30,000 parameters",
            |_| {},
            |at| {
                get(at, &format!("instance/id?{}", "&a".repeat(30_000)));
            },
        ),
    ]
}

/// Clients that wait for a change of everything, again and again.
fn waiters() -> Case {
    const COUNT: usize = 2000;
    const ASK: &[u8] = b"GET /computeMetadata/v1/?recursive=true&wait_for_change=true HTTP/1.1\r\n\
        Host: m\r\nMetadata-Flavor: Google\r\n\r\n";
    machine::open_files(2 * COUNT);
    let wait = |emulator: &Emulator| {
        let address = emulator.addr();
        let connect = |_| TcpStream::connect(address).unwrap();
        let mut waiting: Vec<TcpStream> = (0..COUNT).map(connect).collect();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while waiting
                .iter_mut()
                .all(|stream| stream.write_all(ASK).is_ok())
            {
                let mut read = |stream: &mut TcpStream| stream.read(&mut buffer).is_ok();
                if !waiting.iter_mut().all(&mut read) {
                    break;
                }
            }
        });
        while emulator.waiting() < COUNT {
            thread::yield_now();
        }
    };
    case("2,000 waiters that wake at once", wait, |at| {
        let target = "PUT /computeMetadata/v1/instance/guest-attributes/a/b";
        let value = format!("{:?}", Instant::now());
        send(at, target, "", value.as_bytes());
        thread::sleep(Duration::from_millis(100));
    })
}

/// Clients that ask for a large value at once, and do not read.
fn readers_that_do_not_read() -> Case {
    const COUNT: usize = 2000;
    const LARGE: usize = 256 * 1024;
    const ASK: &[u8] = b"GET /computeMetadata/v1/instance/attributes/large HTTP/1.1\r\n\
        Host: m\r\nMetadata-Flavor: Google\r\n\r\n";
    machine::open_files(2 * COUNT);
    let prepare = |emulator: &Emulator| {
        let large = "x".repeat(LARGE);
        emulator.set("instance/attributes/large", &large).unwrap();
    };
    case("2,000 readers that do not read", prepare, |at| {
        let connect = |_| TcpStream::connect(at).unwrap();
        let mut readers: Vec<TcpStream> = (0..COUNT).map(connect).collect();
        for reader in &mut readers {
            reader.write_all(ASK).unwrap();
        }
        thread::sleep(Duration::from_millis(500));
    })
}

/// Many clients at once, each with a request of its own, that read to the end.
fn crowd(address: SocketAddr, count: usize, request: &[u8]) {
    let mut clients: Vec<TcpStream> = (0..count)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    thread::scope(|scope| {
        let mut readers: Vec<TcpStream> =
            clients.iter().map(|it| it.try_clone().unwrap()).collect();
        scope.spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            for reader in &mut readers {
                while reader.read(&mut buffer).is_ok_and(|length| length > 0) {}
            }
        });
        for client in &mut clients {
            let _ = client.write_all(request);
        }
    });
}

fn request(target: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{target} HTTP/1.1\r\nHost: localhost\r\nMetadata-Flavor: Google\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn crowds() -> Vec<Case> {
    machine::open_files(10_000);
    vec![
        case("100 clients of a full document", full, |at| {
            let target = "GET /computeMetadata/v1/?recursive=true&alt=text";
            crowd(at, 100, &request(target, b""));
        }),
        case(
            "200 control bodies of 1 MiB",
            |_| {},
            |at| {
                let body = many(90_000, 1);
                let target = "PUT /emulator/v1/document/instance/attributes/y";
                crowd(at, 200, &request(target, body.as_bytes()));
            },
        ),
        case(
            "200 forms of 1 MiB",
            |_| {},
            |at| crowd(at, 200, &request("POST /token", &b"&a".repeat(500_000))),
        ),
        case(
            "2,000 bodies that come slowly",
            |_| {},
            |at| {
                let whole = request("POST /v1/token", &[b'x'; 64]);
                let (first, rest) = whole.split_at(whole.len() - 60);
                let mut clients: Vec<TcpStream> =
                    (0..2000).map(|_| TcpStream::connect(at).unwrap()).collect();
                for client in &mut clients {
                    client.write_all(first).unwrap();
                }
                for part in rest.chunks(20) {
                    for client in &mut clients {
                        let _ = client.write_all(part);
                    }
                }
            },
        ),
        case("32 requests for a full journal", fill_journal, |at| {
            crowd(at, 32, &request("GET /emulator/v1/requests", b""));
        }),
    ]
}

fn follow(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /emulator/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    stream
}

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let mut cases = vec![case(
        "nothing",
        |_| {},
        |_| {
            thread::sleep(Duration::from_millis(100));
        },
    )];
    cases.extend(documents());
    cases.extend(requests());
    cases.extend(crowds());
    cases.push(waiters());
    cases.push(readers_that_do_not_read());
    let only = std::env::var("ONLY").unwrap_or_default();
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        let address = case.emulator.addr();
        let run = |_| longest_wait(address, || (case.attack)(address));
        let waited = (0..RUNS).map(run).min().unwrap_or_default();
        let late = waited > MOST;
        let mark = if late { " TOO LONG" } else { "" };
        println!(
            "{:36} {:6.1} ms{mark}",
            case.name,
            waited.as_secs_f64() * 1e3
        );
        if late {
            code = ExitCode::FAILURE;
        }
    }
    code
}
