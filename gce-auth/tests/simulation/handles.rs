//! What programs hold: credentials with all kinds of settings.

use std::{sync::Arc, time::Duration};

use gce_auth::{
    Credentials, Error, Headers, IdTokenVerifier, MetadataClient, RefreshMode, RetryPolicy, Signer,
    executor::Executor, transport::Limits,
};

use crate::{
    executors::{Crew, Manner},
    servers::{FIRST_CLASS, IAM, KEYS, METADATA, Net},
    sources::{ACCOUNT, KINDS, Kind, Patience, Tokens, Wanted},
    stage::Stage,
};

#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) tokens: Tokens,
    pub(crate) client: MetadataClient,
    pub(crate) signer: Signer,
    pub(crate) verifier: IdTokenVerifier,
    /// Handles with equal slots share a token.
    pub(crate) slot: String,
    /// The path that its token is asked at.
    pub(crate) path: String,
    /// The servers that a fetch asks; the last one makes the token.
    pub(crate) servers: Vec<&'static str>,
    /// The metadata server that the client asks.
    pub(crate) metadata: &'static str,
    pub(crate) class: usize,
    pub(crate) kind: Kind,
    pub(crate) mode: RefreshMode,
    pub(crate) manner: Manner,
    pub(crate) crew: Arc<Crew>,
    /// The budget of a fetch of its token.
    pub(crate) budget: Duration,
    /// The budget of what asks the metadata server alone.
    pub(crate) own_budget: Duration,
    /// Whether its settings give a healthy server the time that it needs.
    pub(crate) is_patient: bool,
    /// Whether its tokens say until when they live, and not how long.
    pub(crate) is_dated: bool,
    /// Whether a thread may be missing when its work is to begin.
    is_poor: bool,
}

impl Handle {
    /// Handle number `n`, with settings by chance; of `alike` if that is given.
    pub(crate) fn new(
        n: usize,
        stage: &Arc<Stage>,
        net: &Arc<Net>,
        crew: &Arc<Crew>,
        alike: Option<Kind>,
    ) -> Self {
        let (metadata, kind, mut wants) = stage.roll(|dice| {
            (
                METADATA[dice.index(2)],
                KINDS[dice.index(KINDS.len())],
                [(); 4].map(|()| dice.roll(4)),
            )
        });
        let (metadata, kind) = match alike {
            Some(kind) => {
                wants[3] = 0;
                (METADATA[0], kind)
            }
            None => (metadata, kind),
        };
        let mut limits = Limits::new();
        limits.header_lines = FIRST_CLASS + n;
        let (retry, budget) = match wants[0] {
            0 => (RetryPolicy::google_auth(), Duration::from_secs(32)),
            1 => {
                limits.attempt = Duration::from_millis(200);
                let budget = Duration::from_secs(1);
                (RetryPolicy::new().attempts(1).budget(budget), budget)
            }
            2 => {
                // One attempt may take nearly all of the budget, and a thread.
                limits.attempt = Duration::from_secs(9);
                limits.first_byte = limits.attempt;
                (RetryPolicy::new(), Duration::from_secs(10))
            }
            _ => (RetryPolicy::new(), Duration::from_secs(10)),
        };
        let patience = Patience {
            retry,
            budget,
            is_recorded: wants[0] == 0,
        };
        let mode = if wants[1] == 0 {
            RefreshMode::Blocking
        } else {
            RefreshMode::Background
        };
        let client = MetadataClient::builder()
            .endpoint(metadata)
            .transport(Arc::clone(net) as _)
            .clock(Arc::clone(stage) as _)
            .limits(limits)
            .retry(patience.retry.clone());
        let client = if crew.manner == Manner::Library {
            client
        } else {
            client.executor(Arc::clone(crew) as Arc<dyn Executor>)
        };
        let client = client.build().unwrap();
        let unshared = wants[2] == 0;
        let credentials = Credentials::builder()
            .client(client.clone())
            .refresh_mode(mode);
        let credentials = if unshared {
            credentials.shared(false)
        } else {
            credentials
        };
        let credentials = credentials.build().unwrap();
        let wanted = Wanted {
            stage,
            kind,
            class: n,
            client: &client,
            metadata,
            credentials: &credentials,
            patience: &patience,
            mode,
            unshared,
            which: wants[3] % 2,
        };
        let source = wanted.source();
        let signer = Signer::builder()
            .credentials(credentials)
            .iam_endpoint(format!("http://{IAM}"));
        // The others refresh other credentials than the signer has.
        let signer = match kind {
            Kind::Metadata => signer,
            _ => signer.service_account(ACCOUNT),
        };
        let signer = signer.build().unwrap();
        let verifier = IdTokenVerifier::builder()
            .audience("me")
            .issuer("i")
            .jwks_url(format!("http://{KEYS}/certs"))
            .client(client.clone())
            .build()
            .unwrap();
        let alone = if source.is_shared {
            String::new()
        } else {
            format!("#{n}")
        };
        let path = source.path;
        Self {
            tokens: source.tokens,
            client,
            signer,
            verifier,
            slot: format!("{metadata} {path}{alone}"),
            path,
            servers: source.servers,
            metadata,
            class: n,
            kind,
            mode,
            manner: crew.manner,
            crew: Arc::clone(crew),
            budget: source.budget,
            own_budget: budget,
            is_patient: wants[0] != 1,
            is_dated: source.is_dated,
            is_poor: stage.is_poor,
        }
    }

    /// The server that makes its tokens.
    pub(crate) fn maker(&self) -> &'static str {
        self.servers[self.servers.len() - 1]
    }

    /// Whether its work is begun soon, on whatever thread.
    pub(crate) fn is_reliable(&self) -> bool {
        matches!(
            self.manner,
            Manner::Good | Manner::GivesBack | Manner::Library
        )
    }

    /// Whether a caller's own thread may do work that was to be done elsewhere.
    pub(crate) fn works_here(&self) -> bool {
        self.manner == Manner::GivesBack || self.manner == Manner::Library && self.is_poor
    }

    /// Whether a caller waits for the renewal of a stale token: an executor that
    /// gives renewals back has the caller make them.
    pub(crate) fn waits_for_renewals(&self) -> bool {
        self.mode == RefreshMode::Blocking || self.works_here()
    }

    pub(crate) fn cached(&self) -> Option<String> {
        match &self.tokens {
            Tokens::Access(it) => it.cached_token().map(|token| token.secret().to_owned()),
            Tokens::Identity(it) => it.cached_token().map(|token| token.secret().to_owned()),
        }
    }

    /// The token that is held, also when it has expired.
    pub(crate) fn held(&self) -> Option<String> {
        match &self.tokens {
            Tokens::Access(it) => it.held_token().map(|token| token.secret().to_owned()),
            Tokens::Identity(it) => it.held_token().map(|token| token.secret().to_owned()),
        }
    }

    pub(crate) async fn headers(&self) -> Result<Headers, Error> {
        match &self.tokens {
            Tokens::Access(it) => it.headers().await,
            Tokens::Identity(it) => it.headers().await,
        }
    }

    pub(crate) fn blocking_headers(&self) -> Result<Headers, Error> {
        match &self.tokens {
            Tokens::Access(it) => it.blocking_headers(),
            Tokens::Identity(it) => it.blocking_headers(),
        }
    }

    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        match &self.tokens {
            Tokens::Access(it) => it.refresh().await,
            Tokens::Identity(it) => it.refresh().await,
        }
    }

    pub(crate) fn blocking_refresh(&self) -> Result<(), Error> {
        match &self.tokens {
            Tokens::Access(it) => it.blocking_refresh(),
            Tokens::Identity(it) => it.blocking_refresh(),
        }
    }

    pub(crate) fn invalidate(&self, headers: &Headers) -> bool {
        match &self.tokens {
            Tokens::Access(it) => it.invalidate_headers(headers),
            Tokens::Identity(it) => it.invalidate_headers(headers),
        }
    }
}
