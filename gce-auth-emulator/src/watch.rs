//! Files that are read again when they change.
//!
//! They are looked at every quarter of a second. What the system could tell of changes would not
//! come for files on network mounts and in containers, nor when a directory above the file is
//! swapped, as in a Kubernetes volume.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::MissedTickBehavior;

use crate::{observers::Event, state::State};

const PERIOD: Duration = Duration::from_millis(250);

/// How often a file is read although it looks the same, after it changed: a second change may carry
/// the same time.
const DISTRUST: u8 = 8;

/// Files, and what was in them when they were last looked at.
#[derive(Debug)]
pub(crate) struct Watcher(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    look: Option<Look>,
    text: Option<Vec<u8>>,
    distrust: u8,
}

/// What tells a file from another, and from itself before a change.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            (
                metadata.dev(),
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            )
        };
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            inode,
        })
    }
}

impl Watcher {
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        let watched = |path: PathBuf| Watched {
            look: Look::at(&path),
            text: std::fs::read(&path).ok(),
            distrust: DISTRUST,
            path,
        };
        Self(files.into_iter().map(watched).collect())
    }

    /// The files that changed since they were last looked at.
    fn changed(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for file in &mut self.0 {
            let look = Look::at(&file.path);
            if look != file.look {
                file.look = look;
                file.distrust = DISTRUST;
            } else if file.distrust == 0 {
                continue;
            }
            file.distrust = file.distrust.saturating_sub(1);
            let text = std::fs::read(&file.path).ok();
            if text != file.text {
                file.text = text;
                changed.push(file.path.clone());
            }
        }
        changed
    }

    /// Follows the files for good.
    pub(crate) async fn run(self, state: &Arc<State>) {
        if self.0.is_empty() {
            return;
        }
        let mut timer = tokio::time::interval(PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watcher = self;
        let mut failed = false;
        loop {
            timer.tick().await;
            let state = Arc::clone(state);
            let looked = tokio::task::spawn_blocking(move || {
                failed = watcher.follow(&state, failed);
                (watcher, failed)
            });
            let Ok(back) = looked.await else { return };
            (watcher, failed) = back;
        }
    }

    /// Takes over what changed. `failed` is whether this failed the last time; the answer, whether
    /// it did now.
    ///
    /// A file that is being written may be incomplete for a moment. So a failure is reported only
    /// if nothing changed since.
    fn follow(&mut self, state: &State, failed: bool) -> bool {
        let files = self.changed();
        if files.is_empty() && !failed {
            return false;
        }
        match (state.reload(), files.is_empty()) {
            (Ok(()), _) => {
                state.tell(&Event::Reloaded { files });
                false
            }
            (Err(_), false) => true,
            (Err(error), true) => {
                state.tell(&Event::Rejected {
                    why: error.to_string(),
                });
                false
            }
        }
    }
}
