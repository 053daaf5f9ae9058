//! What `Credentials` and `IdTokenCredentials` are handles to: one source of
//! tokens, the slot that keeps them, and the headers made of them.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use http::HeaderValue;

#[cfg(feature = "iam")]
use crate::tokens::boundary::Boundary;
use crate::{
    refresh::{
        RefreshMode,
        cache::Cache,
        policy::Policy,
        reader::Reader,
        refreshes::Refreshes,
        shared::Shared,
        shared_map::{Family, Registry, SharingKey},
        slot::Entry,
        value::Value,
    },
    tokens::source::{AnySource, TokenSource},
    values::{
        headers::ExtraHeaders,
        token::{Bearer, Now, Validity},
    },
};

/// How many slots one family of credentials keeps: of access tokens by what
/// they were asked for with, and of ID tokens by audience.
const ACCESS_TOKENS: usize = 64;
const ID_TOKENS: usize = 256;

static SHARED: Registry<SharingKey, Shared<Bearer>> = Registry::new();

/// A credential; cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) inner: Arc<Inner>,
    // What a hit reads stands here and not behind the pointer: a program with
    // thousands of audiences waits for memory more than for anything else.
    pub(super) reader: Reader<Bearer>,
    /// What is sent besides the token, but for the boundary.
    pub(crate) extra: Option<Arc<ExtraHeaders>>,
}

pub(crate) struct Inner {
    pub(crate) cache: Cache<AnySource>,
    pub(crate) source: Arc<dyn TokenSource>,
    family: Arc<Family<Shared<Bearer>>>,
    pub(crate) options: Options,
    blocking: AtomicBool,
    /// The universe domain, asked for once.
    pub(crate) universe: OnceLock<String>,
    /// The project of an external account, asked for once.
    #[cfg(feature = "adc")]
    pub(crate) project: OnceLock<String>,
    #[cfg(feature = "iam")]
    pub(crate) boundary: Option<Arc<Boundary>>,
}

/// The settings of one credential, checked.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) user_project: Option<HeaderValue>,
    pub(crate) universe_domain: Option<String>,
    pub(crate) mode: RefreshMode,
    /// Whether credentials that send the same requests share a slot, which
    /// stays for some minutes after the last of them.
    pub(crate) shared: bool,
    #[cfg(feature = "iam")]
    pub(crate) boundary: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_project: None,
            universe_domain: None,
            mode: RefreshMode::default(),
            shared: true,
            #[cfg(feature = "iam")]
            boundary: false,
        }
    }
}

impl Handle {
    pub(crate) fn new(source: Arc<dyn TokenSource>, options: Options) -> Self {
        let bound = if source.audience().is_some() {
            ID_TOKENS
        } else {
            ACCESS_TOKENS
        };
        let refreshes = refreshes(&*source, options.shared, source.saved());
        Self::assemble(source, refreshes, options, Arc::new(Family::new(bound)))
    }

    /// A handle to one token that is there.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn fixed(
        source: Arc<dyn TokenSource>,
        refreshes: Refreshes<Bearer>,
        options: Options,
    ) -> Self {
        let family = Arc::new(Family::new(1));
        Self::assemble(source, refreshes, options, family)
    }

    /// Returns a handle to another source with other settings, which knows the
    /// same universe and remembers the same slots.
    pub(crate) fn copied(&self, source: Arc<dyn TokenSource>, options: Options) -> Self {
        let inner = &*self.inner;
        let refreshes = if source.is_fixed() {
            inner.cache.refreshes().clone()
        } else {
            let kept = self.held().filter(|_| source.copies_keep_token());
            refreshes(&*source, options.shared, kept.map(|held| held.value))
        };
        let copy = Self::assemble(source, refreshes, options, Arc::clone(&inner.family));
        if let Some(universe) = inner.universe.get() {
            let _ = copy.inner.universe.set(universe.clone());
        }
        #[cfg(feature = "iam")]
        if let (Some(theirs), Some(ours)) = (&copy.inner.boundary, &inner.boundary) {
            theirs.start_as(ours);
        }
        copy
    }

    /// Returns a handle that knows the same boundary, and fetches for itself if
    /// this one does.
    #[cfg(feature = "iam")]
    pub(crate) fn twin(&self) -> Self {
        let mut twin = self.reconfigured(|_| ());
        if let Some(inner) = Arc::get_mut(&mut twin.inner) {
            inner.boundary.clone_from(&self.inner.boundary);
        }
        twin
    }

    fn assemble(
        source: Arc<dyn TokenSource>,
        refreshes: Refreshes<Bearer>,
        mut options: Options,
        family: Arc<Family<Shared<Bearer>>>,
    ) -> Self {
        family.keep(&refreshes.shared);
        if options.user_project.is_none() {
            options.user_project = source.quota_project();
        }
        let settings = &source.client().0;
        let (clock, executor) = (Arc::clone(&settings.clock), Arc::clone(&settings.executor));
        #[cfg(feature = "iam")]
        let boundary = options
            .boundary
            .then(|| Arc::new(Boundary::beside(options.user_project.clone())));
        let any = Arc::new(AnySource(Arc::clone(&source)));
        let cache = Cache::new(refreshes, any, clock, executor);
        Self {
            reader: cache.reader().clone(),
            extra: ExtraHeaders::of(options.user_project.as_ref()),
            inner: Arc::new(Inner {
                cache,
                source,
                family,
                blocking: AtomicBool::new(options.mode == RefreshMode::Blocking),
                universe: OnceLock::new(),
                #[cfg(feature = "adc")]
                project: OnceLock::new(),
                #[cfg(feature = "iam")]
                boundary,
                options,
            }),
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.inner.cache.now()
    }

    pub(crate) fn set_mode(&self, mode: RefreshMode) {
        let blocking = mode == RefreshMode::Blocking;
        self.inner.blocking.store(blocking, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn mode(&self) -> RefreshMode {
        if self.inner.blocking.load(Ordering::Relaxed) {
            RefreshMode::Blocking
        } else {
            RefreshMode::Background
        }
    }

    /// Returns the token that is held, also when it has expired.
    pub(crate) fn held(&self) -> Option<Entry<Bearer>> {
        let entry = self.inner.cache.refreshes().shared.slot.read()?;
        (!entry.value.is_nothing()).then_some(entry)
    }

    /// Returns the token that is held, if it is valid.
    pub(crate) fn valid(&self) -> Option<Bearer> {
        let (entry, _) = self.inner.cache.refreshes().read(self.now())?;
        (!entry.value.is_nothing()).then_some(entry.value)
    }

    /// Whether there is no token and never will be one.
    pub(crate) fn is_anonymous(&self) -> bool {
        let held = self.inner.cache.refreshes().shared.slot.read();
        held.is_some_and(|entry| entry.value.is_nothing())
    }

    pub(crate) fn invalidate(&self, rejected: impl FnOnce(&Bearer) -> bool) -> bool {
        self.inner
            .cache
            .refreshes()
            .invalidate(self.now(), rejected)
    }
}

/// A program that makes credentials for each call fetches once.
impl Drop for Inner {
    fn drop(&mut self) {
        let shared = &self.cache.refreshes().shared;
        if let Some(key) = shared.key.as_ref().filter(|_| shared.was_used()) {
            SHARED.leave(key, shared, self.cache.clock());
        }
    }
}

/// The refreshes of what `source` asks for: those of all who have equal
/// settings, or its own. They begin with `token`, if there is one and they have
/// not begun.
fn refreshes(source: &dyn TokenSource, shared: bool, token: Option<Bearer>) -> Refreshes<Bearer> {
    let config = &*source.client().0;
    let policy = Policy::chosen(config.exact);
    let refreshes = match source.key().filter(|_| shared) {
        Some(key) => {
            let shared = SHARED.get_or_insert(key.clone(), || Shared::under(key, policy));
            Refreshes::of(shared, SharingKey::of(config.settings()))
        }
        None => Refreshes::alone(policy),
    };
    if let Some(token) = token {
        let slot = &refreshes.shared.slot;
        if slot.read().is_none() && !refreshes.shared.was_used() {
            let deadlines = policy.deadlines(token.validity(), 0.0);
            slot.store(token, deadlines);
        }
    }
    refreshes
}

impl Value for Bearer {
    fn validity(&self) -> Validity {
        *self.validity()
    }

    fn is_same(&self, other: &Self) -> bool {
        Self::is_same(self, other)
    }
}
