//! The audit: one JSON object a line for each request. Lines are written by a thread of their own,
//! so that a slow disk delays no caller. While the target takes none, they are kept for it.

use std::{
    fmt::{self, Display},
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, ser::Serializer};

use crate::caller::Caller;

/// So many bytes may wait to be written; lines beyond are lost, and counted.
const MOST_BYTES: usize = 16 << 20;
/// So long after a failure lines are tried again.
const PAUSE: Duration = Duration::from_secs(1);
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

impl Display for AuditTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("standard output"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
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

/// Writes a line of the agent's log.
type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// Takes lines, until it is finished or dropped.
pub(crate) struct Audit {
    shared: Arc<Shared>,
}

struct Shared {
    target: AuditTarget,
    queue: Mutex<Queue>,
    came: Condvar,
    lost: AtomicU64,
    log: Log,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    /// Bytes that the thread has taken, and not written.
    taken: usize,
    reopened: Option<File>,
    ended: bool,
    /// What came before the end is written, or lost.
    settled: bool,
}

impl Shared {
    fn new(target: AuditTarget, log: Log) -> Self {
        Self {
            target,
            queue: Mutex::default(),
            came: Condvar::new(),
            lost: AtomicU64::new(0),
            log,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts lines that are lost; says so the first time.
    fn lose(&self, lines: u64, why: &dyn Display) {
        if self.lost.fetch_add(lines, Ordering::Relaxed) == 0 {
            (self.log)(&format!("{why}; lines are lost"));
        }
    }
}

impl Audit {
    /// Opens the target, and starts the thread.
    pub(crate) fn start(target: AuditTarget, log: Log) -> io::Result<Self> {
        let file = match &target {
            AuditTarget::Stdout => stdout()?,
            AuditTarget::File(path) => open(path)?,
        };
        let shared = Arc::new(Shared::new(target, log));
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_lines(&theirs, file))?;
        Ok(Self { shared })
    }

    /// Adds a line. It is lost if too much waits, or this is finished.
    pub(crate) fn add(&self, line: &Line<'_>) {
        let mut queue = self.shared.lock();
        let length = queue.lines.len();
        if queue.ended {
            drop(queue);
            return self.shared.lose(1, &"the agent ends");
        }
        let has_room = length + queue.taken <= MOST_BYTES;
        if !has_room || serde_json::to_writer(&mut queue.lines, line).is_err() {
            queue.lines.truncate(length);
            drop(queue);
            let target = &self.shared.target;
            let why = format_args!("cannot write the audit to {target} as fast as requests come");
            return self.shared.lose(1, &why);
        }
        queue.lines.push(b'\n');
        drop(queue);
        self.shared.came.notify_one();
    }

    /// How many lines are lost.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Opens the file again, by its name. After an error, which is a sentence for the log, lines go
    /// where they went before.
    pub(crate) fn reopen(&self) -> Result<(), String> {
        if let AuditTarget::File(path) = &self.shared.target {
            let file = open(path);
            let file = file.map_err(|error| {
                format!("cannot open the audit {} again: {error}", path.display())
            })?;
            self.shared.lock().reopened = Some(file);
            self.shared.came.notify_one();
        }
        Ok(())
    }

    /// Takes no more lines, and waits until those that it has are written. Waits once: a target
    /// that took none before takes none later.
    pub(crate) fn finish(&self) {
        let mut queue = self.shared.lock();
        if std::mem::replace(&mut queue.ended, true) {
            return;
        }
        self.shared.came.notify_all();
        let waits = |queue: &mut Queue| !queue.settled;
        let waited = self.shared.came.wait_timeout_while(queue, LAST_WAIT, waits);
        let (queue, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(queue);
        if waited.timed_out() {
            let target = &self.shared.target;
            (self.shared.log)(&format!(
                "cannot write the audit to {target} before the agent ends; lines are lost"
            ));
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Standard output without a buffer: what it did not take is known then.
fn stdout() -> io::Result<File> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
    Ok(own.into())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write_lines(shared: &Shared, mut file: File) {
    let mut unwritten = Unwritten::default();
    let mut fails = false;
    loop {
        let mut queue = shared.lock();
        if fails {
            let waits = |queue: &mut Queue| !queue.ended && queue.reopened.is_none();
            let waited = shared.came.wait_timeout_while(queue, PAUSE, waits);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            let waits = |queue: &mut Queue| queue.lines.is_empty() && !queue.ended;
            let waited = shared.came.wait_while(queue, waits);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let ended = queue.ended;
        let lines = &mut unwritten.lines;
        if lines.is_empty() {
            std::mem::swap(lines, &mut queue.lines);
        } else {
            lines.append(&mut queue.lines);
        }
        queue.taken = lines.len();
        let reopened = queue.reopened.take();
        drop(queue);
        if let Some(reopened) = reopened {
            if !is_same(&file, &reopened) {
                unwritten.begun = 0;
            }
            file = reopened;
        }

        let result = unwritten.write_to(&mut file);
        let lines = &mut unwritten.lines;
        shared.lock().taken = lines.len();
        if let Err(error) = &result {
            let why = format!("cannot write the audit to {}: {error}", shared.target);
            if ended {
                let left = lines.iter().filter(|byte| **byte == b'\n').count();
                shared.lose(u64::try_from(left).unwrap_or(u64::MAX), &why);
            } else if !fails {
                (shared.log)(&format!("{why}; up to 16 MiB of lines are kept for it"));
            }
        }
        fails = result.is_err();
        lines.shrink_to(1 << 20);
        if ended {
            shared.lock().settled = true;
            shared.came.notify_all();
            return;
        }
    }
}

/// Lines that the file does not have whole.
#[derive(Default)]
struct Unwritten {
    lines: Vec<u8>,
    /// How many bytes of the first line the file has. The line goes on there; in another file it
    /// begins anew.
    begun: usize,
}

impl Unwritten {
    fn write_to(&mut self, file: &mut File) -> io::Result<()> {
        let written = self.write_rest(file);
        let whole = self.lines[..self.begun]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.lines.drain(..whole);
        self.begun -= whole;
        written
    }

    fn write_rest(&mut self, file: &mut File) -> io::Result<()> {
        while self.begun < self.lines.len() {
            match file.write(&self.lines[self.begun..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.begun += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn is_same(one: &File, other: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |file: &File| {
        let known = file.metadata().ok()?;
        Some((known.dev(), known.ino()))
    };
    id(one).is_some() && id(one) == id(other)
}

#[cfg(not(unix))]
fn is_same(_: &File, _: &File) -> bool {
    false
}

#[cfg(test)]
pub(crate) mod tests;
