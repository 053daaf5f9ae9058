//! Access tokens from elsewhere, for programs that need real ones.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::{Clock, Lap},
    identity::token_issuer::Holder,
    policy::tokens::Issued,
};

/// How long a lookup may take. A later one is begun anew.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the request that begins a renewal waits for it, before it takes the token that is
/// there.
const GRACE: Duration = Duration::from_millis(100);

/// After a renewal failed, how long the token that is there is handed out without another.
const QUIET: Duration = Duration::from_secs(1);

/// What a source gives: a token and for how long it is good, or in one line why there is none.
pub type TokenFuture = Pin<Box<dyn Future<Output = Result<(String, Duration), String>> + Send>>;

/// Where an emulator takes real access tokens from, in place of making them: see
/// [`EmulatorBuilder::token_source`](crate::EmulatorBuilder::token_source).
///
/// Each function of an email and scopes is one, and may block.
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a token for an account and its scopes. Called for one lookup of the same account and
    /// scopes at a time; lookups for others run beside it. It is given up after 30 seconds, but not
    /// when its client leaves.
    fn token(self: Arc<Self>, email: String, scopes: Vec<String>) -> TokenFuture;
}

impl<F> TokenSource for F
where
    F: Fn(&str, &[String]) -> Result<(String, Duration), String> + Send + Sync + 'static,
{
    fn token(self: Arc<Self>, email: String, scopes: Vec<String>) -> TokenFuture {
        let fetched = tokio::task::spawn_blocking(move || self(&email, &scopes));
        Box::pin(async move {
            fetched
                .await
                .unwrap_or_else(|_| Err("the source of tokens panicked".into()))
        })
    }
}

/// A source as it is kept.
#[derive(Clone)]
pub(crate) struct SharedSource(pub(crate) Arc<dyn TokenSource>);

impl fmt::Debug for SharedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

type Outcome = Option<Result<Arc<Issued>, String>>;

/// Lookups under way and those that failed a moment ago, by whose token they are for.
#[derive(Default)]
pub(crate) struct Lookups(Mutex<HashMap<Holder, Lookup>>);

enum Lookup {
    Running(watch::Receiver<Outcome>),
    Failed(Lap),
}

impl Lookups {
    /// Joins the lookup for this holder, or begins it. `None` if one failed a moment ago and
    /// `valid` is there to be handed out.
    fn join(
        &self,
        holder: &Holder,
        valid: bool,
    ) -> Option<(watch::Receiver<Outcome>, Option<watch::Sender<Outcome>>)> {
        let mut lookups = self.lock();
        match lookups.get(holder) {
            // Its task may have ended without a word.
            Some(Lookup::Running(running)) if running.has_changed().is_ok() => {
                return Some((running.clone(), None));
            }
            Some(Lookup::Failed(at)) if valid && at.elapsed() < QUIET => return None,
            Some(Lookup::Running(_) | Lookup::Failed(_)) | None => {}
        }
        let (send, running) = watch::channel(None);
        lookups.insert(holder.clone(), Lookup::Running(running.clone()));
        Some((running, Some(send)))
    }

    fn end(&self, holder: &Holder, failed: bool) {
        let mut lookups = self.lock();
        if failed {
            lookups.retain(|_, lookup| match lookup {
                Lookup::Running(_) => true,
                Lookup::Failed(at) => at.elapsed() < QUIET,
            });
            lookups.insert(holder.clone(), Lookup::Failed(Clock::lap()));
        } else {
            lookups.remove(holder);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, Lookup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gets the token of a holder by a lookup that all share who want it. `valid` is handed out if
/// there is none new in time; `keep` takes what was found.
pub(crate) async fn shared_lookup(
    lookups: &Arc<Lookups>,
    holder: Holder,
    valid: Option<Arc<Issued>>,
    fetch: impl Future<Output = Result<Arc<Issued>, String>> + Send + 'static,
) -> Result<Arc<Issued>, String> {
    let Some((mut running, begin)) = lookups.join(&holder, valid.is_some()) else {
        return valid.ok_or_else(String::new);
    };
    let begun = begin.is_some();
    if let Some(send) = begin {
        let lookups = Arc::clone(lookups);
        // It goes on when the client gives up, so that the next one finds the token.
        tokio::spawn(async move {
            let found = tokio::time::timeout(LIMIT, fetch)
                .await
                .unwrap_or_else(|_| Err(format!("no token came within {} s", LIMIT.as_secs())));
            lookups.end(&holder, found.is_err());
            send.send_replace(Some(found));
        });
    }
    let outcome = async {
        match running.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(String::new())),
            Err(_) => Err("the lookup of a token ended without one".into()),
        }
    };
    match valid {
        None => outcome.await,
        Some(valid) if begun => match tokio::time::timeout(GRACE, outcome).await {
            Ok(Ok(new)) => Ok(new),
            Ok(Err(_)) | Err(_) => Ok(valid),
        },
        Some(valid) => Ok(valid),
    }
}
