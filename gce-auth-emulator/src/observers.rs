//! What an emulator tells its observers.

use std::{
    fmt,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use crate::{events::MachineStep, recorded_request::RecordedRequest};

/// Something that happened in an emulator, for
/// [`EmulatorBuilder::on_event`](crate::EmulatorBuilder::on_event). It displays as one line of
/// text, and holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A request was answered, or its connection ended without an answer.
    #[non_exhaustive]
    Answered {
        /// What is known of it.
        request: Box<RecordedRequest>,
    },
    /// A connection was closed at once, as it came from no network that is
    /// [allowed](crate::EmulatorBuilder::allow_from).
    #[non_exhaustive]
    Refused {
        /// Where it came from.
        peer: SocketAddr,
    },
    /// A file of the document changed, and the document was made anew.
    #[non_exhaustive]
    Reloaded {
        /// The files that changed. Empty if something else stood in the way before.
        files: Vec<PathBuf>,
    },
    /// A file of the document changed, but is no good. The document stays as it was.
    #[non_exhaustive]
    Rejected {
        /// The reason, with the file's name.
        why: String,
    },
    /// A step of a [`MachineEvent`](crate::MachineEvent) was played.
    #[non_exhaustive]
    Machine {
        /// The number of the event.
        id: u64,
        /// Its name, for example `preempt`.
        event: &'static str,
        /// The clients that it is for, if not all.
        client: Option<String>,
        /// What happened, in a few words each.
        what: Vec<String>,
        /// What happened to the machine itself.
        step: Option<MachineStep>,
    },
    /// Nothing can be served.
    #[non_exhaustive]
    Failed {
        /// The reason.
        why: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { request } => request.fmt(f),
            Self::Refused { peer } => write!(
                f,
                "a connection from {} was closed: it is of no network that is allowed",
                peer.ip().to_canonical()
            ),
            Self::Reloaded { files } => {
                f.write_str("the document was read again")?;
                for (index, file) in files.iter().enumerate() {
                    let before = if index == 0 { ":" } else { "," };
                    write!(f, "{before} {}", file.display())?;
                }
                Ok(())
            }
            Self::Rejected { why } => write!(f, "the document stays as it was: {why}"),
            Self::Machine {
                id,
                event,
                client,
                what,
                ..
            } => {
                write!(f, "event {id} ({event}")?;
                if let Some(client) = client {
                    write!(f, " for {}", client.escape_debug())?;
                }
                write!(f, "): {}", what.join("; "))
            }
            Self::Failed { why } => write!(f, "nothing can be served: {why}"),
        }
    }
}

type Observer = dyn Fn(&Event) + Send + Sync;

/// The functions that get each event.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<Observer>>);

impl Observers {
    pub(crate) fn add(&mut self, observer: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.push(Arc::new(observer));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls all. If one panics, the others are still called.
    pub(crate) fn tell(&self, event: &Event) {
        for observer in &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| observer(event)));
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}
