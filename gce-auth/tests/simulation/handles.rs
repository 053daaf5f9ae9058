//! What programs hold: credentials with all kinds of settings.

use std::{sync::Arc, time::Duration};

use gce_auth::{
    Credentials, Error, Headers, IdTokenCredentials, IdTokenVerifier, MetadataClient, RefreshMode,
    RetryPolicy, Signer, executor::Executor, transport::Limits,
};

use crate::{
    executors::{Crew, Manner},
    servers::{FIRST_CLASS, IAM, KEYS, METADATA, Net},
    stage::Stage,
};

#[derive(Clone)]
pub(crate) enum Tokens {
    Access(Credentials),
    Identity(IdTokenCredentials),
}

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
    pub(crate) server: &'static str,
    pub(crate) class: usize,
    pub(crate) mode: RefreshMode,
    pub(crate) manner: Manner,
    pub(crate) budget: Duration,
    /// Whether its settings give a healthy server the time that it needs.
    pub(crate) is_patient: bool,
}

impl Handle {
    /// Handle number `n`, with settings by chance.
    pub(crate) fn new(n: usize, stage: &Arc<Stage>, net: &Arc<Net>, crew: &Arc<Crew>) -> Self {
        let (server, kind, wants) = stage.roll(|dice| {
            (
                METADATA[dice.index(2)],
                dice.roll(3),
                [(); 4].map(|()| dice.roll(4)),
            )
        });
        let mut limits = Limits::new();
        limits.header_lines = FIRST_CLASS + n;
        let (retry, budget) = match wants[0] {
            0 => (RetryPolicy::google_auth(), Duration::from_secs(32)),
            1 => {
                limits.attempt = Duration::from_millis(200);
                let budget = Duration::from_secs(1);
                (RetryPolicy::new().attempts(1).budget(budget), budget)
            }
            _ => (RetryPolicy::new(), Duration::from_secs(10)),
        };
        let mode = if wants[1] == 0 {
            RefreshMode::Blocking
        } else {
            RefreshMode::Background
        };
        let client = MetadataClient::builder()
            .endpoint(server)
            .transport(Arc::clone(net) as _)
            .clock(Arc::clone(stage) as _)
            .executor(Arc::clone(crew) as Arc<dyn Executor>)
            .limits(limits)
            .retry(retry)
            .build()
            .unwrap();
        let unshared = wants[2] == 0;
        let credentials = Credentials::builder()
            .client(client.clone())
            .refresh_mode(mode);
        let credentials = if unshared {
            credentials.unshared()
        } else {
            credentials
        };
        let credentials = credentials.build().unwrap();
        let audience = format!("audience-{}", wants[3] % 2);
        let account = "/computeMetadata/v1/instance/service-accounts/default";
        let (tokens, path) = if kind == 0 {
            let tokens = IdTokenCredentials::builder(&audience)
                .client(client.clone())
                .refresh_mode(mode);
            let tokens = if unshared { tokens.unshared() } else { tokens };
            let path = format!("{server}{account}/identity?audience={audience}");
            (Tokens::Identity(tokens.build().unwrap()), path)
        } else {
            let path = format!("{server}{account}/token");
            (Tokens::Access(credentials.clone()), path)
        };
        let signer = Signer::builder()
            .credentials(credentials)
            .service_account("a@p.iam.gserviceaccount.com")
            .iam_endpoint(format!("http://{IAM}"))
            .build()
            .unwrap();
        let verifier = IdTokenVerifier::builder()
            .audience("me")
            .issuer("i")
            .jwks_url(format!("http://{KEYS}/certs"))
            .client(client.clone())
            .build()
            .unwrap();
        let alone = if unshared {
            format!("#{n}")
        } else {
            String::new()
        };
        Self {
            tokens,
            client,
            signer,
            verifier,
            slot: format!("{path}{alone}"),
            path,
            server,
            class: n,
            mode,
            manner: crew.manner,
            budget,
            is_patient: wants[0] != 1,
        }
    }

    /// Whether its tokens say how long they live, and not until when.
    pub(crate) fn is_access(&self) -> bool {
        matches!(self.tokens, Tokens::Access(_))
    }

    pub(crate) fn cached(&self) -> Option<String> {
        match &self.tokens {
            Tokens::Access(it) => it.cached_token().map(|token| token.secret().to_owned()),
            Tokens::Identity(it) => it.cached_token().map(|token| token.secret().to_owned()),
        }
    }

    /// Whether a caller waits for the renewal of a stale token: an executor that
    /// gives renewals back has the caller make them.
    pub(crate) fn waits_for_renewals(&self) -> bool {
        self.mode == RefreshMode::Blocking || self.manner == Manner::GivesBack
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
