//! The emulator behind the protocol: it answers what the surface understood.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};

use super::accounts::Account;
use super::clock::{Clock, Instant};
use super::error::StartError;
use super::event::{Event, Observers};
use super::guest;
use super::journal::{Journal, RecordedRequest};
use super::keys::SigningKey;
use super::mint::Mint;
use super::plan::Plan;
use super::profiles::Profile;
use super::recipe::Recipe;
use super::rules::{FaultRule, Rules};
use super::source::TokenSource;
use super::watch::Watcher;
use super::world::World;
use super::{control, hints, iam, oauth, oslogin, page};
use crate::backend::{Arrival, Backend};
use crate::surface::cloud::Endpoint;
use crate::surface::etag::Etag;
use crate::surface::query::{Reading, Wait};
use crate::surface::render;
use crate::surface::route::{Credential, Op, PAGE, Target};
use crate::surface::{Reply, Request};
use crate::upstream::Upstream;

/// What a state is made from.
pub(crate) struct Parts {
    pub(crate) document: Value,
    pub(crate) recipe: Recipe,
    pub(crate) observers: Observers,
    pub(crate) watcher: Watcher,
    pub(crate) mint: Mint,
    pub(crate) source: Option<TokenSource>,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) key: Option<SigningKey>,
    pub(crate) plan: Plan,
}

pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    /// The document at the start, or when its files were last read.
    initial: Mutex<Value>,
    recipe: Recipe,
    observers: Observers,
    /// Taken by who follows the files.
    watcher: Mutex<Option<Watcher>>,
    pub(crate) profile: Profile,
    /// If it isn't the one that all share.
    key: Option<Arc<SigningKey>>,
    mint: Arc<Mutex<Mint>>,
    pub(crate) source: Option<TokenSource>,
    upstream: Option<Upstream>,
    /// Held while the source is asked.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    journal: Mutex<Journal>,
    told: broadcast::Sender<RecordedRequest>,
    rules: Mutex<Rules>,
    /// The rules at the start.
    planned: Vec<FaultRule>,
    /// Until when connections are refused.
    warm: Option<Instant>,
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        let clock = Clock::default();
        let state = Self {
            world: World::new(parts.document.clone()),
            initial: Mutex::new(parts.document),
            profile: parts.recipe.profile,
            recipe: parts.recipe,
            observers: parts.observers,
            watcher: Mutex::new(Some(parts.watcher)),
            warm: parts.plan.refuse.map(|time| clock.now().plus(time)),
            clock,
            key: parts.key.map(Arc::new),
            mint: Arc::new(Mutex::new(parts.mint)),
            source: parts.source,
            upstream: parts.upstream,
            turn: Arc::default(),
            journal: Mutex::default(),
            told: broadcast::Sender::new(1024),
            rules: Mutex::default(),
            planned: parts.plan.rules,
        };
        state.begin_plan();
        state
    }

    fn begin_plan(&self) {
        let now = self.clock.now();
        let mut rules = self.rules();
        rules.clear();
        for rule in &self.planned {
            rules.add(rule.clone(), now);
        }
    }

    pub(crate) fn add_fault(&self, rule: FaultRule) -> u64 {
        let now = self.clock.now();
        self.rules().add(rule, now)
    }

    pub(crate) fn mint(&self) -> MutexGuard<'_, Mint> {
        self.mint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mint, for who outlives a request.
    pub(crate) fn shared_mint(&self) -> Arc<Mutex<Mint>> {
        Arc::clone(&self.mint)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything as it was at the start, the signing key excepted.
    pub(crate) fn reset(&self) {
        self.mint().reset();
        self.journal().clear();
        self.clock.reset();
        self.begin_plan();
        let initial = self.initial.lock();
        let document = initial.unwrap_or_else(PoisonError::into_inner).clone();
        self.world.replace(document);
    }

    /// Makes the document anew from its files, but for what programs wrote. If they are no good nothing changes.
    pub(crate) fn reload(&self) -> Result<(), StartError> {
        let document = self.recipe.make()?;
        let mut initial = self.initial.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *initial, document.clone());
        drop(initial);
        self.world.replace_with(|now| {
            let mut next = document;
            guest::carry_over(&before, now, &mut next);
            next
        });
        Ok(())
    }

    /// The accounts as they were given in code.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.recipe.accounts
    }

    /// Where requests are told as they come and as they end.
    pub(crate) fn requests_told(&self) -> &broadcast::Sender<RecordedRequest> {
        &self.told
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.observers.tell(event);
    }

    /// The signing key. Making the shared one takes a while, so it is not made on the thread that serves everybody.
    pub(crate) async fn key(&self) -> Option<Arc<SigningKey>> {
        if self.key.is_some() {
            return self.key.clone();
        }
        tokio::task::spawn_blocking(SigningKey::shared)
            .await
            .ok()
            .flatten()
    }

    /// A place as it is now, and its ETag; or the refusal.
    fn look(&self, target: &Target, reading: &Reading) -> Result<(Reply, Etag), Reply> {
        match self.guest_attributes_refusal(target) {
            Some(reply) => Err(reply),
            None => self.world.look(target, reading),
        }
    }

    /// A place, once it has changed if that is wanted.
    async fn read(&self, target: &Target, reading: &Reading) -> Reply {
        // Before the first look, so that no change falls between the two.
        let changes = reading.wait.as_ref().map(|_| self.world.subscribe());
        let (reply, etag) = match self.look(target, reading) {
            Ok(seen) => seen,
            Err(reply) => return reply,
        };
        let (Some(Wait { last_etag, timeout }), Some(mut changes)) = (&reading.wait, changes)
        else {
            return reply;
        };
        if last_etag.as_ref().is_some_and(|last| !etag.is(last)) {
            return reply;
        }
        drop(reply);
        let changed = async {
            while changes.changed().await.is_ok() {
                if self.world.etag(target.place()) != Some(etag) {
                    break;
                }
            }
        };
        match timeout {
            None => changed.await,
            Some(timeout) => {
                let _ = tokio::time::timeout(*timeout, changed).await;
            }
        }
        match self.look(target, reading) {
            Ok((reply, _)) | Err(reply) => reply,
        }
    }
}

impl Backend for State {
    fn date(&self) -> Bytes {
        self.clock.http_date()
    }

    async fn warm(&self) {
        if let Some(then) = self.warm {
            self.clock.sleep_until(then).await;
        }
    }

    async fn run(self: Arc<Self>) {
        let slot = || self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let watcher = slot().take();
        if let Some(watcher) = watcher {
            watcher.run(&self).await;
        }
    }

    fn refused(&self, peer: SocketAddr) {
        self.tell(&Event::Refused { peer });
    }

    fn failed(&self, error: &io::Error) {
        self.tell(&Event::Failed {
            why: error.to_string(),
        });
    }

    fn arrived(&self, request: &Request) -> Arrival {
        if request.path.starts_with(PAGE) || PAGE.trim_end_matches('/') == request.path {
            return Arrival {
                id: 0,
                disturbance: None,
            };
        }
        let now = || self.clock.now();
        let (disturbance, name) = self.rules().next(request, now).unzip();
        let mut journal = self.journal();
        let id = journal.record(request, name);
        if self.told.receiver_count() > 0
            && let Some(request) = journal.last()
        {
            let _ = self.told.send(request.show());
        }
        Arrival { id, disturbance }
    }

    fn departed(&self, id: u64, status: Option<u16>) {
        let mut journal = self.journal();
        let Some(entry) = journal.complete(id, status) else {
            return;
        };
        if let Some(status @ (301 | 403 | 404)) = status
            && !self.relays()
        {
            let request = entry.show();
            let hint = |document: &Value| hints::hint(&request, status, document);
            entry.hint = self.world.read(hint);
        }
        let listeners = self.told.receiver_count() > 0;
        if !listeners && self.observers.is_empty() {
            return;
        }
        let request = entry.show();
        drop(journal);
        if listeners {
            let _ = self.told.send(request.clone());
        }
        self.tell(&Event::Answered { request });
    }

    fn feed(self: Arc<Self>) -> Option<mpsc::Receiver<Vec<u8>>> {
        page::follow(self)
    }

    fn relays(&self) -> bool {
        self.upstream.is_some()
    }

    fn at_once(&self, op: &Op) -> Option<Reply> {
        if self.relays() {
            return None;
        }
        match op {
            Op::Read(reading, target) if reading.wait.is_none() => {
                let (Ok((reply, _)) | Err(reply)) = self.look(target, reading);
                Some(reply)
            }
            Op::Credential {
                target,
                account,
                kind: Credential::Token,
                query,
                certificates,
            } => self.token_at_once(target, account, query, certificates.as_deref()),
            _ => None,
        }
    }

    fn answer(
        &self,
        op: Op,
        request: Option<Request>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self.answer_in_time(op, request))
    }
}

impl State {
    async fn answer_in_time(&self, op: Op, request: Option<Request>) -> Reply {
        if let (Some(upstream), Some(request)) = (&self.upstream, &request)
            // In a box of its own, too: thousands may wait who need none of it.
            && let Some(reply) = Box::pin(self.relay(upstream, &op, request)).await
        {
            return reply;
        }
        match op {
            Op::Home => render::lines("computeMetadata/\n"),
            Op::Versions => render::lines("v1/\n"),
            Op::Read(reading, target) => self.read(&target, &reading).await,
            Op::Credential {
                target,
                account,
                kind: Credential::Token,
                query,
                certificates,
            } => self.token(&target, &account, &query, certificates).await,
            Op::Credential {
                target,
                account,
                kind: Credential::Identity,
                query,
                ..
            } => self.identity(&target, &account, &query).await,
            Op::WriteGuestAttribute {
                target,
                namespace,
                key,
                value,
            } => self.write_guest_attribute(&target, &namespace, &key, &value),
            Op::DeleteGuestAttribute {
                target,
                namespace,
                key,
            } => self.delete_guest_attribute(&target, &namespace, key.as_deref()),
            Op::Login {
                target,
                what,
                query,
            } => self
                .world
                .read(|document| oslogin::answer(document, what, &query, &target)),
            Op::Page => page::page(),
            Op::Control(call) => control::answer(self, &call),
            Op::Cloud(call) => match &call.endpoint {
                Endpoint::Iam { account, method } => {
                    iam::answer(self, self.key().await.as_deref(), account, method, &call)
                }
                _ => oauth::answer(self, self.key().await.as_deref(), &call),
            },
        }
    }
}
