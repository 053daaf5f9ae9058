//! What an emulator knows: data, and the locks around it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

use crate::{
    access::Access,
    clock::{Clock, Instant},
    document::{Document, DocumentSource, carry_over},
    error::StartError,
    events::events_queue::Events,
    faults::{FaultRule, fault_config, plan::Plan, rules::Rules},
    identity::{
        account_keys::AccountKeys, accounts::Account, keys::SigningKey, standings::Standings,
        token_issuer::TokenIssuer,
    },
    journal::Journal,
    observers::{Event, Observers},
    peer_process::Search,
    policy::{cloud::Cloud, settings::Settings},
    profiles::Profile,
    token_source::{Lookups, SharedSource},
    upstream::Upstream,
};

/// What a state is made from.
pub(crate) struct Parts {
    pub(crate) document: Value,
    pub(crate) document_source: DocumentSource,
    pub(crate) observers: Observers,
    pub(crate) issuer: TokenIssuer,
    pub(crate) settings: Settings,
    pub(crate) source: Option<SharedSource>,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) key: Option<SigningKey>,
    pub(crate) account_keys: AccountKeys,
    pub(crate) plan: Plan,
    pub(crate) access: Access,
}

/// How many can listen to what is new at once.
pub(crate) const LISTENERS: usize = 32;

pub(crate) struct State {
    pub(crate) access: Access,
    pub(crate) document: Document,
    pub(crate) clock: Clock,
    /// The document at the start, or when its files were last read.
    initial: Mutex<Value>,
    document_source: DocumentSource,
    pub(crate) observers: Observers,
    pub(crate) profile: Profile,
    /// If it isn't the one that all share.
    key: Option<Arc<SigningKey>>,
    /// In strict mode each account has its own.
    pub(crate) account_keys: AccountKeys,
    issuer: Arc<Mutex<TokenIssuer>>,
    pub(crate) standings: Standings,
    pub(crate) cloud: Cloud,
    pub(crate) source: Option<SharedSource>,
    pub(crate) upstream: Option<Upstream>,
    /// Of tokens at the source, under way.
    pub(crate) lookups: Arc<Lookups>,
    journal: Mutex<Journal>,
    /// Notified when a request comes or ends.
    pub(crate) news: Notify,
    /// For those who listen to them.
    pub(crate) listeners: Arc<Semaphore>,
    /// For control requests, which are answered one by one: many at once would take the processor
    /// from the thread that serves.
    pub(crate) control: Arc<Semaphore>,
    /// When it began, by the clock of the machine: another emulator at the same address began at
    /// another time.
    pub(crate) started: String,
    pub(crate) search: Search,
    rules: Mutex<Rules>,
    /// Notified of the first request.
    pub(crate) asked: Notify,
    /// The rules at the start.
    planned: Vec<FaultRule>,
    /// What happens to the machine.
    pub(crate) events: Events,
    /// Until when connections are refused.
    pub(crate) warm: Option<Instant>,
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        let clock = Clock::default();
        let state = Self {
            access: parts.access,
            document: Document::new(parts.document.clone()),
            initial: Mutex::new(parts.document),
            profile: parts.document_source.profile,
            document_source: parts.document_source,
            observers: parts.observers,
            warm: parts.plan.refuse.map(|time| clock.now().plus(time)),
            clock,
            key: parts.key.map(Arc::new),
            account_keys: parts.account_keys,
            issuer: Arc::new(Mutex::new(parts.issuer)),
            standings: Standings::default(),
            cloud: Cloud::new(parts.settings),
            source: parts.source,
            upstream: parts.upstream,
            lookups: Arc::default(),
            journal: Mutex::default(),
            news: Notify::new(),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            control: Arc::new(Semaphore::new(1)),
            started: Instant::from_system(Clock::machine_time()).rfc3339_millis(),
            search: Search::default(),
            rules: Mutex::default(),
            asked: Notify::new(),
            planned: parts.plan.rules,
            events: Events::new(parts.plan.events),
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
        drop(rules);
        self.events.begin(now);
    }

    pub(crate) fn add_fault(&self, rule: FaultRule) -> u64 {
        let now = self.clock.now();
        self.rules().add(rule, now)
    }

    /// The faults that are not over, as control requests and the page show them.
    pub(crate) fn faults_as_json(&self) -> Value {
        fault_config::show_all(&self.rules(), self.clock.now())
    }

    pub(crate) fn issuer(&self) -> MutexGuard<'_, TokenIssuer> {
        self.issuer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The issuer, for who outlives a request.
    pub(crate) fn shared_issuer(&self) -> Arc<Mutex<TokenIssuer>> {
        Arc::clone(&self.issuer)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything as it was at the start, the signing key excepted.
    pub(crate) fn reset(&self) {
        self.issuer().reset();
        self.cloud.reset();
        self.journal().clear();
        self.clock.reset();
        self.events.clear();
        let initial = self.initial.lock();
        let document = initial.unwrap_or_else(PoisonError::into_inner).clone();
        self.document.lift_all();
        self.document.replace(document);
        self.begin_plan();
    }

    /// Makes the document anew from its files, but for what programs wrote. If they are no good
    /// nothing changes.
    pub(crate) fn reload(&self) -> Result<(), StartError> {
        let document = self.document_source.make()?;
        let mut initial = self.initial.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *initial, document.clone());
        drop(initial);
        self.document.replace_with(|now| {
            let mut next = document;
            carry_over(&before, now, &mut next);
            next
        });
        Ok(())
    }

    /// The accounts as they were given in code.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.document_source.accounts
    }

    /// Whether an answer may have to wait for another server.
    pub(crate) fn asks_others(&self) -> bool {
        self.upstream.is_some() || self.source.is_some()
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.observers.tell(event);
    }

    /// The signing key, if it isn't the one that all share.
    pub(crate) fn own_key(&self) -> Option<Arc<SigningKey>> {
        self.key.clone()
    }

    /// The signing key. Making the shared one takes a while, so it is not made on the thread that
    /// serves all.
    pub(crate) async fn key(&self) -> Option<Arc<SigningKey>> {
        if let Some(key) = self.own_key().or_else(SigningKey::shared_if_made) {
            return Some(key);
        }
        tokio::task::spawn_blocking(SigningKey::shared)
            .await
            .ok()
            .flatten()
    }

    /// The key that an account signs with: in strict mode its own, else the one that signs all.
    pub(crate) async fn key_of(&self, account: &str) -> Option<Arc<SigningKey>> {
        if self.cloud.settings().is_strict() {
            return self.account_keys.get_beside(account).await;
        }
        self.key().await
    }

    /// As [`key_of`](Self::key_of), on a thread that may wait.
    pub(crate) fn blocking_key_of(&self, account: &str) -> Option<Arc<SigningKey>> {
        if self.cloud.settings().is_strict() {
            return self.account_keys.get(account);
        }
        self.own_key().or_else(SigningKey::shared)
    }
}
