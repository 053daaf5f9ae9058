//! What unit tests stand on: a client whose clock, server and threads are
//! turned by hand.

use std::{sync::Arc, time::Duration};

use crate::{
    client::{builder::MetadataClientBuilder, config::MetadataClient},
    io::fake::{HandClock, HandQueue, Reply, ScriptedTransport},
};

/// When every world begins, in seconds since the Unix epoch.
pub(crate) const START: u64 = 1_700_000_000;

pub(crate) struct World {
    pub(crate) client: MetadataClient,
    pub(crate) transport: Arc<ScriptedTransport>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) queue: Arc<HandQueue>,
}

impl World {
    /// A world whose servers answer with these replies, the last one forever.
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(replies, HandQueue::new(), |builder| builder)
    }

    /// The same, with another queue and other settings of the client.
    pub(crate) fn with(
        replies: impl IntoIterator<Item = Reply>,
        queue: HandQueue,
        set: impl FnOnce(MetadataClientBuilder) -> MetadataClientBuilder,
    ) -> Self {
        let transport = Arc::new(ScriptedTransport::new(replies));
        let clock = Arc::new(HandClock::at(START));
        let queue = Arc::new(queue);
        let builder = MetadataClient::builder()
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::clone(&clock) as _)
            .executor(Arc::clone(&queue) as _)
            .endpoint("metadata");
        Self {
            client: set(builder).build_without_environment(),
            transport,
            clock,
            queue,
        }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Path and query of every request so far, without what all of those for
    /// service accounts begin with.
    pub(crate) fn asked(&self) -> Vec<String> {
        let requests = self.transport.requests();
        let path = |request: &http::Request<Vec<u8>>| {
            let path = request.uri().path_and_query().unwrap().as_str();
            let short = path.trim_start_matches("/computeMetadata/v1/instance/service-accounts/");
            short.to_owned()
        };
        requests.iter().map(path).collect()
    }
}

/// What the metadata server says of an account with scopes `s` and `t`.
pub(crate) fn account() -> Reply {
    let info =
        r#"{"email":"a@p.iam.gserviceaccount.com","aliases":["default"],"scopes":["s","t"]}"#;
    Reply::Answer(200, info.to_owned())
}

#[cfg(test)]
pub(crate) use folder::Folder;

#[cfg(test)]
mod folder {
    use std::{
        fs,
        ops::Deref,
        path::{Path, PathBuf},
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// A folder of one test's own. It is gone when the test ends, or fails.
    #[derive(Debug)]
    pub(crate) struct Folder(PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            static MADE: AtomicUsize = AtomicUsize::new(0);
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let name = format!("gce-auth-test-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// Writes a file, and returns its path.
        pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
            let file = self.join(name);
            fs::write(&file, content).unwrap();
            file
        }
    }

    impl Deref for Folder {
        type Target = Path;

        fn deref(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
