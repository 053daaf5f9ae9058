use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use gce_auth_server::service::Connection;

use super::*;

const ALL: Lookup = Lookup {
    processes: true,
    parent: None,
};

fn connection(peer: Peer) -> Connection {
    Connection {
        listener: Arc::from("here"),
        secure: false,
        peer,
        process: PeerProcess::default(),
    }
}

fn accepted(listener: &TcpListener) -> (TcpStream, Connection) {
    let (server, peer) = listener.accept().unwrap();
    let local = server.local_addr().unwrap();
    (server, connection(Peer::Tcp { peer, local }))
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A shell that runs a command which holds this end of a connection on its standard input.
fn holder(stream: TcpStream, command: &str) -> Child {
    Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(stream)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_caller_over_tcp_is_the_process_that_holds_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_server, connection) = accepted(&listener);
    let caller = identify(&connection, &ALL);
    assert_eq!(&*caller.listener, "here");
    assert_eq!(caller.address, Some([127, 0, 0, 1].into()));
    assert_eq!(caller.uid, Some(own_uid()));
    let own: Vec<_> = caller.processes.iter().map(|it| it.pid).collect();
    assert_eq!(own, [std::process::id()]);
    let exe = std::env::current_exe().unwrap();
    assert_eq!(caller.processes[0].exe, Fact::Known(exe));
    let gid = rustix::process::getegid().as_raw();
    assert_eq!(caller.processes[0].gid, Fact::Known(gid));
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    assert_eq!(
        caller.processes[0].cgroups,
        Fact::Known(cgroup::paths(&text))
    );

    // Without need the processes are not looked for.
    let caller = identify(&connection, &Lookup::default());
    assert_eq!((caller.uid, caller.processes.len()), (Some(own_uid()), 0));

    drop(client);
    let gone = identify(&connection, &ALL);
    assert_eq!((gone.uid, gone.processes.len()), (None, 0));
    assert!(!gone.is_known() && !gone.unreadable);
}

#[test]
fn all_processes_that_hold_a_socket_are_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, connection) = accepted(&listener);
    let mut child = holder(client.try_clone().unwrap(), "echo; cat >/dev/null");
    // It runs once it says something.
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let pids = |lookup: &Lookup| -> Vec<u32> {
        let caller = identify(&connection, lookup);
        caller.processes.iter().map(|it| it.pid).collect()
    };
    let both = pids(&ALL);
    assert!(
        both.contains(&std::process::id()) && both.contains(&child.id()),
        "{both:?}"
    );

    // This process does not descend from itself, so not all of them do.
    let parent = Some(std::process::id());
    let lookup = Lookup {
        processes: true,
        parent,
    };
    assert!(!identify(&connection, &lookup).is_known());
    drop(client);
    let caller = identify(&connection, &lookup);
    assert!(caller.descends(), "{caller:?}");
    assert!(!pids(&lookup).contains(&std::process::id()));
    drop(server);
    child.wait().unwrap();
}

#[test]
fn processes_that_hide_what_they_hold_may_hold_it() {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_server, connection) = accepted(&listener);
    let hide = "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0); print(flush=True); \
                sys.stdin.buffer.read()";
    let mut child = Command::new("python3")
        .args(["-c", hide])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It hides once it says something.
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let look = || {
        // Without the privileges of root, if these tests have them.
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        set_capabilities(None, sets).unwrap();
        identify(&connection, &ALL)
    };
    let caller = std::thread::scope(|scope| scope.spawn(look).join().unwrap());
    let own: Vec<_> = caller.processes.iter().map(|it| it.pid).collect();
    assert_eq!(own, [std::process::id()]);
    let hidden = caller
        .hidden
        .iter()
        .find(|it| it.pid == child.id())
        .unwrap();
    assert_eq!(hidden.exe, Fact::Unreadable);
    assert_eq!(hidden.cgroups, caller.processes[0].cgroups);
    assert!(caller.unreadable && caller.uid == Some(own_uid()));
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// Some kernels hide what it holds. No connection that a program opened is its own.
#[test]
fn the_first_process_is_not_taken_for_a_caller() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_server, connection) = accepted(&listener);
    let caller = identify(&connection, &ALL);
    assert!(
        caller.hidden.iter().all(|process| process.pid != 1),
        "{caller:?}"
    );
}

#[test]
fn a_grandchild_descends_and_the_parent_does_not() {
    let files = ProcessFiles::open(std::process::id()).unwrap();
    let above = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let above = u32::try_from(above).unwrap();
    assert!(files.read(Some(above)).descends);
    assert!(!files.read(Some(std::process::id())).descends);
    assert!(
        !ProcessFiles::open(above)
            .unwrap()
            .read(Some(std::process::id()))
            .descends
    );
}

#[test]
fn the_files_of_a_process_that_ended_are_not_anothers() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let files = ProcessFiles::open(child.id()).unwrap();
    assert_ne!(files.read(None).exe, Fact::Unreadable);
    drop(child.stdin.take());
    child.wait().unwrap();
    let process = files.read(Some(1));
    assert_eq!(process.exe, Fact::Unreadable);
    assert_eq!(process.cgroups, Fact::Unreadable);
    assert!(!process.descends);
}

#[test]
fn a_process_of_another_user_is_told_from_root_s() {
    use std::os::unix::process::CommandExt as _;
    let child = Command::new("cat")
        .stdin(Stdio::piped())
        .uid(4242)
        .gid(4343)
        .spawn();
    let Ok(mut child) = child else {
        println!("SKIPPED: only root may run a program as another user");
        return;
    };
    let files = ProcessFiles::open(child.id()).unwrap();
    assert_eq!(files.uid(), Some(4242));
    assert_eq!(files.read(None).gid, Fact::Known(4343));
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_caller_elsewhere_is_its_address() {
    let peer = "10.8.1.2:4000".parse().unwrap();
    let local = "10.8.0.1:80".parse().unwrap();
    let caller = identify(&connection(Peer::Tcp { peer, local }), &ALL);
    assert_eq!(caller.address, Some([10, 8, 1, 2].into()));
    assert!(!caller.local && caller.is_known() && caller.uid.is_none());
}

#[test]
fn a_caller_of_a_unix_socket_is_gone_with_its_process() {
    let own = std::process::id();
    let peer = Peer::Unix {
        uid: Some(own_uid()),
        gid: Some(7),
        pid: i32::try_from(own).ok(),
    };
    let mut connection = connection(peer);
    let this = rustix::process::getpid();
    let held = rustix::process::pidfd_open(this, rustix::process::PidfdFlags::empty());
    connection.process = PeerProcess::Held(Arc::new(held.unwrap()));
    let caller = identify(&connection, &ALL);
    assert_eq!(caller.uid, Some(own_uid()));
    assert_eq!(caller.processes[0].gid, Fact::Known(7));
    assert_ne!(caller.processes[0].exe, Fact::Unreadable);
    assert!(!caller.unreadable);
    connection.process = PeerProcess::Gone;
    let caller = identify(&connection, &ALL);
    assert!(!caller.is_known() && caller.processes.is_empty());

    // Without a descriptor, a process of the same id is not taken for the one that connected.
    connection.process = PeerProcess::Unknown;
    let caller = identify(&connection, &ALL);
    assert_eq!(caller.uid, Some(own_uid()));
    assert_eq!(caller.processes[0].gid, Fact::Known(7));
    assert_eq!(caller.processes[0].exe, Fact::Unreadable);
    assert_eq!(caller.processes[0].cgroups, Fact::Unreadable);
    assert!(caller.unreadable);
    assert!(!identify(&connection, &Lookup::default()).unreadable);
    connection.peer = Peer::Unix {
        uid: Some(4242),
        gid: None,
        pid: i32::try_from(own).ok(),
    };
    let caller = identify(&connection, &ALL);
    assert_eq!(caller.processes[0].exe, Fact::Unreadable);
}

#[test]
fn a_program_that_its_user_mounted_somewhere_only_claims_to_be_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_server, connection) = accepted(&listener);
    // Its own shell, at the place of another program.
    let pose = "mount --bind /bin/sh /bin/true && exec /bin/true -c 'echo; read line'";
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", pose])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(client)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let runs = std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).is_ok();
    let caller = identify(&connection, &ALL);
    child.kill().unwrap();
    child.wait().unwrap();
    if !runs {
        println!("SKIPPED: this system allows no namespaces");
        return;
    }
    let exe = &caller.processes[0].exe;
    assert!(matches!(exe, Fact::Claimed(_)), "{exe:?}");
    assert!(exe.said().unwrap().ends_with("true"), "{exe:?}");
}
