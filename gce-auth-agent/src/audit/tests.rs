use super::*;

pub(crate) fn line(path: &str) -> Line<'_> {
    static CALLER: std::sync::LazyLock<Caller> = std::sync::LazyLock::new(Caller::default);
    Line {
        time: "t".to_owned(),
        caller: AuditCaller(&CALLER),
        rule: "none",
        decision: "ok",
        kind: "metadata",
        path,
        account: None,
        scopes: None,
        audience: None,
        lifetime_s: None,
        cache: "none",
        status: 200,
        micros: 1,
    }
}

fn silent() -> Log {
    Arc::new(|_| {})
}

#[test]
fn lines_are_whole_and_the_file_is_its_owner_s() {
    let path = std::env::temp_dir().join(format!("gce-auth-audit-{}", std::process::id()));
    let audit = Audit::start(AuditTarget::File(path.clone()), silent()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| audit.add(&line("/a\n\"b"))));
        }
    });
    audit.finish();
    assert_eq!(audit.lost(), 0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 400);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["path"], "/a\n\"b");
        assert_eq!(value["caller"]["uid"], serde_json::Value::Null);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let name = format!("gce-auth-audit-moved-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let moved = path.with_extension("old");
    let audit = Audit::start(AuditTarget::File(path.clone()), silent()).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    audit.reopen().unwrap();
    audit.add(&line("/new"));
    drop(audit);
    assert!(std::fs::read_to_string(&path).unwrap().contains("/new"));
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "");
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(moved).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_opened_again_is_named_and_the_open_one_goes_on() {
    let folder = std::env::temp_dir().join(format!("gce-auth-audit-again-{}", std::process::id()));
    let moved = folder.with_extension("moved");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("audit");
    let audit = Audit::start(AuditTarget::File(path.clone()), silent()).unwrap();
    std::fs::rename(&folder, &moved).unwrap();
    let said = audit.reopen().unwrap_err();
    let named = format!("cannot open the audit {} again: ", path.display());
    assert!(said.starts_with(&named), "{said}");
    audit.add(&line("/goes-on"));
    drop(audit);
    let text = std::fs::read_to_string(moved.join("audit")).unwrap();
    std::fs::remove_dir_all(moved).unwrap();
    assert!(text.contains("/goes-on"), "{text}");
}

/// Tells what is said, as it comes.
#[cfg(target_os = "linux")]
fn told() -> (Log, std::sync::mpsc::Receiver<String>) {
    let (told, tells) = std::sync::mpsc::channel();
    let log: Log = Arc::new(move |text: &str| told.send(text.to_owned()).unwrap());
    (log, tells)
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_of_and_loses_nothing_that_can_be_written_later() {
    let path = std::env::temp_dir().join(format!("gce-auth-audit-full-{}", std::process::id()));
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (log, tells) = told();
    let audit = Audit::start(AuditTarget::File(path.clone()), log).unwrap();
    audit.add(&line("/first"));
    let said = tells.recv_timeout(Duration::from_secs(60)).unwrap();
    let named = format!("cannot write the audit to {}: ", path.display());
    assert!(said.starts_with(&named), "{said}");
    audit.add(&line("/second"));
    std::fs::remove_file(&path).unwrap();
    audit.reopen().unwrap();
    audit.finish();
    assert_eq!(audit.lost(), 0);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let paths: Vec<_> = text
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["path"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(paths, ["/first", "/second"]);
    assert!(tells.try_recv().is_err(), "it is said once");
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_full_disk_never_took_is_counted() {
    let (log, tells) = told();
    let audit = Audit::start(AuditTarget::File("/dev/full".into()), log).unwrap();
    audit.add(&line("/first"));
    audit.add(&line("/second"));
    audit.finish();
    assert_eq!(audit.lost(), 2);
    let said: Vec<_> = tells.try_iter().collect();
    assert!(said.last().unwrap().ends_with("lines are lost"), "{said:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn lines_that_find_no_room_are_lost_and_those_before_are_kept() {
    let (log, tells) = told();
    let audit = Audit::start(AuditTarget::File("/dev/full".into()), log).unwrap();
    let long = "x".repeat(1 << 20);
    // What the thread has taken and not written counts, too.
    for _ in 0..20 {
        audit.add(&line(&long));
    }
    assert_eq!(audit.lost(), 4);
    drop(audit);
    let said: Vec<_> = tells.try_iter().collect();
    let fast = "cannot write the audit to /dev/full as fast as requests come; lines are lost";
    assert!(said.iter().any(|said| said == fast), "{said:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_that_was_taken_in_part_goes_on_where_it_was_cut() {
    use std::io::Read as _;
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut file = File::from(std::os::fd::OwnedFd::from(ours));
    let all: Vec<u8> = (0..100_000)
        .flat_map(|number| format!("{number}\n").into_bytes())
        .collect();
    let (mut read, mut cuts) = (Vec::new(), 0);
    let mut unwritten = Unwritten {
        lines: all.clone(),
        begun: 0,
    };
    while let Err(error) = unwritten.write_to(&mut file) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        cuts += 1;
        let full = theirs.read_to_end(&mut read).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }
    drop(file);
    theirs.read_to_end(&mut read).unwrap();
    assert!(cuts > 0 && unwritten.lines.is_empty());
    assert_eq!(read, all);
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_that_a_file_has_in_part_is_whole_in_the_next_one() {
    use std::io::Read as _;
    let path = std::env::temp_dir().join(format!("gce-auth-audit-cut-{}", std::process::id()));
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let full = File::from(std::os::fd::OwnedFd::from(ours));
    let next = open(&path).unwrap();
    let shared = Arc::new(Shared::new(AuditTarget::File(path.clone()), silent()));
    // More than a socket takes while nothing is read.
    let cut = "x".repeat(4 << 20) + "\n";
    let all = ["first\n", &cut, "last\n"].concat();
    shared.lock().lines = all.clone().into_bytes();
    let theirs_too = Arc::clone(&shared);
    let thread = std::thread::spawn(move || write_lines(&theirs_too, full));
    while [0, all.len()].contains(&shared.lock().taken) {
        std::thread::yield_now();
    }
    let mut queue = shared.lock();
    (queue.reopened, queue.ended) = (Some(next), true);
    drop(queue);
    shared.came.notify_all();
    thread.join().unwrap();
    let mut before = String::new();
    theirs.read_to_string(&mut before).unwrap();
    let after = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(before.starts_with("first\nx") && before.len() < cut.len());
    assert!(after == cut + "last\n", "{} bytes", after.len());
}

#[test]
#[cfg(target_os = "linux")]
fn a_target_that_takes_nothing_is_waited_for_once() {
    let name = format!("gce-auth-audit-stuck-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    let never_reads = OpenOptions::new().read(true).write(true).open(&path);
    let (log, tells) = told();
    let audit = Audit::start(AuditTarget::File(path.clone()), log).unwrap();
    std::fs::remove_file(path).unwrap();
    // More than a pipe holds.
    audit.add(&line(&"x".repeat(1 << 20)));
    audit.finish();
    drop(audit);
    let said: Vec<_> = tells.try_iter().collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("lines are lost"), "{said:?}");
    // Its thread ends when the pipe does.
    drop(never_reads);
    let said: Vec<_> = tells.iter().collect();
    assert!(said[0].contains("Broken pipe"), "{said:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_is_written_while_others_may_follow() {
    use std::io::BufRead as _;
    let name = format!("gce-auth-audit-fifo-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    let (say, heard) = std::sync::mpsc::channel();
    let theirs = path.clone();
    let reader = std::thread::spawn(move || {
        for line in io::BufReader::new(File::open(theirs).unwrap()).lines() {
            say.send(line.unwrap()).unwrap();
        }
    });
    let audit = Audit::start(AuditTarget::File(path.clone()), silent()).unwrap();
    for place in ["/first", "/second"] {
        audit.add(&line(place));
        let text = heard.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(text.contains(place), "{text}");
    }
    drop(audit);
    reader.join().unwrap();
    std::fs::remove_file(path).unwrap();
}
