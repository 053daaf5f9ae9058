//! The audit: one JSON object a line for each request. Lines are written by a thread of their own,
//! so that a slow disk delays no caller.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Serialize, ser::Serializer};

use crate::caller::Caller;

/// So many bytes may wait to be written; lines beyond are lost, and counted.
const MOST_BYTES: usize = 16 << 20;
/// So long the end waits for a target that takes no bytes.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Where the audit goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Standard output.
    Stdout,
    /// A file that only its owner may read. Lines are added at its end. A reload opens it again, so
    /// that it can be moved away.
    File(PathBuf),
}

/// One line.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) time: String,
    pub(crate) caller: AuditCaller<'a>,
    pub(crate) rule: &'a str,
    pub(crate) decision: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) path: &'a str,
    pub(crate) account: Option<&'a str>,
    pub(crate) scopes: Option<&'a [String]>,
    pub(crate) audience: Option<&'a str>,
    pub(crate) lifetime_s: Option<u64>,
    pub(crate) cache: &'static str,
    pub(crate) status: u16,
    pub(crate) micros: u64,
}

/// The caller in a line. What isn't known is null; of several processes the first is shown.
#[derive(Debug)]
pub(crate) struct AuditCaller<'a>(pub(crate) &'a Caller);

impl Serialize for AuditCaller<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let caller = self.0;
        let process = caller.processes.first();
        let gid = process.and_then(|process| process.gid.said()).copied();
        let exe = process.and_then(|process| process.exe.said());
        let cgroups = process.and_then(|process| process.cgroups.said());
        let mut fields = serializer.serialize_struct("caller", 9)?;
        fields.serialize_field("uid", &caller.uid)?;
        fields.serialize_field("gid", &gid)?;
        fields.serialize_field("pid", &process.map(|process| process.pid))?;
        fields.serialize_field("exe", &exe.map(|exe| exe.to_string_lossy()))?;
        fields.serialize_field("cgroup", &cgroups.and_then(|all| all.first()))?;
        fields.serialize_field("container", &process.and_then(|it| it.container.as_ref()))?;
        fields.serialize_field("pod", &process.and_then(|it| it.pod.as_ref()))?;
        fields.serialize_field("address", &caller.address)?;
        fields.serialize_field("listener", &*caller.listener)?;
        fields.end()
    }
}

/// Takes lines, until it is finished or dropped.
#[derive(Debug)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
    target: AuditTarget,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    reopened: Option<File>,
    ended: bool,
    /// What came before the end is written.
    written: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audit {
    /// Opens the target, and starts the thread.
    pub(crate) fn start(target: AuditTarget) -> io::Result<Self> {
        let mut out = Out::open(&target)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_lines(&theirs, &mut out))?;
        Ok(Self { shared, target })
    }

    /// Adds a line. Returns false if it is lost, as too much waits or this is finished.
    pub(crate) fn add(&self, line: &Line<'_>) -> bool {
        let mut queue = self.shared.lock();
        if queue.ended || queue.lines.len() > MOST_BYTES {
            return false;
        }
        let length = queue.lines.len();
        if serde_json::to_writer(&mut queue.lines, line).is_err() {
            queue.lines.truncate(length);
            return false;
        }
        queue.lines.push(b'\n');
        drop(queue);
        self.shared.came.notify_one();
        true
    }

    /// Opens the file again, by its name.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        if let AuditTarget::File(path) = &self.target {
            self.shared.lock().reopened = Some(open(path)?);
        }
        Ok(())
    }

    /// Takes no more lines, and waits until those that it has are written.
    pub(crate) fn finish(&self) {
        let mut queue = self.shared.lock();
        queue.ended = true;
        self.shared.came.notify_all();
        let waits = |queue: &mut Queue| !queue.written;
        drop(self.shared.came.wait_timeout_while(queue, LAST_WAIT, waits));
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.finish();
    }
}

enum Out {
    Stdout(io::Stdout),
    File(File),
}

impl Out {
    fn open(target: &AuditTarget) -> io::Result<Self> {
        Ok(match target {
            AuditTarget::Stdout => Self::Stdout(io::stdout()),
            AuditTarget::File(path) => Self::File(open(path)?),
        })
    }

    /// Writes whole lines at once, so that a line is never cut by another process's.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(lines),
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write_lines(shared: &Shared, out: &mut Out) {
    let mut lines = Vec::new();
    loop {
        let mut queue = shared.lock();
        while queue.lines.is_empty() && !queue.ended {
            queue = shared
                .came
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let ended = queue.ended;
        std::mem::swap(&mut lines, &mut queue.lines);
        let reopened = queue.reopened.take();
        drop(queue);
        if let Some(file) = reopened {
            *out = Out::File(file);
        }
        // A full disk loses these lines, and no more.
        let _ = out.write(&lines);
        lines.clear();
        lines.shrink_to(1 << 20);
        if ended {
            shared.lock().written = true;
            shared.came.notify_all();
            return;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
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

    #[test]
    fn lines_are_whole_and_the_file_is_its_owner_s() {
        let path = std::env::temp_dir().join(format!("gce-auth-audit-{}", std::process::id()));
        let audit = Audit::start(AuditTarget::File(path.clone())).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| assert!(audit.add(&line("/a\n\"b")))));
            }
        });
        drop(audit);
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
        let audit = Audit::start(AuditTarget::File(path.clone())).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        audit.reopen().unwrap();
        assert!(audit.add(&line("/new")));
        drop(audit);
        assert!(std::fs::read_to_string(&path).unwrap().contains("/new"));
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "");
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(moved).unwrap();
    }
}
