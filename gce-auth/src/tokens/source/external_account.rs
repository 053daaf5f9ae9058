//! `external_account`: tokens for the tokens of another provider (workload and
//! workforce identity federation).

use std::{path::Path, sync::Arc, time::Duration};

use http::HeaderValue;

use crate::{
    client::{config::MetadataClient, grants},
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, TokenSource, lane_of,
            origin::Origin,
            subject::{SubjectTokens, Supplier},
            within,
        },
    },
    values::{
        error::{Error, ErrorKind},
        headers::quota_project,
        scope::Scopes,
        token::Bearer,
    },
    wire::{
        boundary::{self, Holder},
        credentials_file::{
            credential_source::SubjectSource, external_account::ExternalAccount, written::Written,
        },
        federation, sts,
    },
};

/// Exchanges tokens of another provider; what acts as a service account with
/// the result is [`Impersonated`](super::impersonated::Impersonated).
#[derive(Clone, Debug)]
pub(crate) struct ExternalTokens {
    client: MetadataClient,
    origin: Origin,
    account: Arc<ExternalAccount>,
    subject: Arc<SubjectTokens>,
    token_url: String,
    lane: LaneKey,
    universe_domain: String,
    scopes: Option<Scopes>,
    default_scopes: Option<Scopes>,
}

impl ExternalTokens {
    /// The URLs in `account` are checked.
    pub(crate) fn new(
        client: MetadataClient,
        origin: Origin,
        account: ExternalAccount,
        supplier: Option<Supplier>,
    ) -> Self {
        let account = Arc::new(account);
        let subject = SubjectTokens::new(client.clone(), Arc::clone(&account), supplier);
        Self {
            lane: lane(&client, &account, &subject, &account.token_url),
            subject: Arc::new(subject),
            client,
            origin,
            token_url: account.token_url.clone(),
            universe_domain: account.universe_domain.clone(),
            account,
            scopes: None,
            default_scopes: None,
        }
    }

    pub(crate) fn scoped(mut self, scopes: Option<Scopes>, default_scopes: Option<Scopes>) -> Self {
        self.scopes = scopes;
        self.default_scopes = default_scopes;
        self
    }
}

/// Returns the lane of work that gets a provider's token, and then exchanges that.
fn lane(
    client: &MetadataClient,
    account: &ExternalAccount,
    subject: &SubjectTokens,
    token_url: &str,
) -> LaneKey {
    let exchange = lane_of(client, token_url);
    let first = match &account.source {
        SubjectSource::Url { url, .. } => lane_of(client, url),
        SubjectSource::Aws(aws) => match aws.keys_url.as_ref().or(aws.region_url.as_ref()) {
            Some(url) => lane_of(client, url),
            None => return exchange,
        },
        SubjectSource::Executable(program) => apart(client, program.command.join(" ")),
        SubjectSource::Supplied => apart(client, subject.supplier_name()),
        // What lies in one folder is as slow as the other files there.
        SubjectSource::File { path, .. } => {
            let path = Path::new(path);
            apart(client, path.parent().unwrap_or(path).to_string_lossy())
        }
    };
    exchange.after(&first)
}

/// Returns the lane of work that asks no server first, but a program or a file system.
fn apart(client: &MetadataClient, name: impl Into<Arc<str>>) -> LaneKey {
    LaneKey::new(name, &client.0.transport)
}

impl TokenSource for ExternalTokens {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let subject = self.subject.token(&within(self, context))?;
        // An empty list hides the default scopes, as in google-auth.
        let scopes = self.scopes.as_ref().or(self.default_scopes.as_ref());
        let scopes = scopes.map(Scopes::as_slice).unwrap_or_default();
        let make = || federation::exchange(&self.account, &self.token_url, &subject, scopes);
        let token = grants::exchanged(&self.client.0, &within(self, context), make, sts::exchanged);
        token.inspect_err(|error| {
            if error.kind() == ErrorKind::Refused {
                self.subject.forget();
            }
        })
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn budget(&self) -> Duration {
        let own = self.client.0.retry.total();
        match &self.account.source {
            SubjectSource::Executable(program) => own.saturating_add(program.timeout),
            SubjectSource::Url { .. } | SubjectSource::Aws(_) => own.saturating_mul(2),
            SubjectSource::File { .. } | SubjectSource::Supplied => own,
        }
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        // Two functions may supply the tokens of two identities.
        if self.account.source == SubjectSource::Supplied {
            return None;
        }
        let client = self.client.0.key()?;
        let scopes = self.scopes.clone().or_else(|| self.default_scopes.clone());
        let url = self.token_url.clone();
        Some(SharingKey::of((
            client,
            Arc::clone(&self.account),
            url,
            scopes,
        )))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ExternalAccount
    }

    fn info(&self) -> CredentialsInfo {
        self.origin
            .info("external account credentials", String::new())
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        match change {
            Change::Scopes(scopes, defaults) => {
                copy.scopes.clone_from(scopes);
                copy.default_scopes.clone_from(defaults);
            }
            Change::DefaultScopes(defaults) => copy.default_scopes = Some(defaults.clone()),
            Change::TokenUri(url) => {
                copy.token_url.clone_from(url);
                copy.lane = lane(&self.client, &self.account, &self.subject, url);
            }
            Change::UniverseDomain(domain) => copy.universe_domain.clone_from(domain),
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    fn scopes(&self) -> Option<Scopes> {
        self.scopes.clone()
    }

    fn default_scopes(&self) -> Option<Scopes> {
        self.default_scopes.clone()
    }

    fn universe_domain(&self) -> Option<&str> {
        Some(&self.universe_domain)
    }

    fn boundary_holder(&self) -> Option<Holder> {
        boundary::pool(&self.account.audience)
    }

    fn quota_project(&self) -> Option<HeaderValue> {
        quota_project(self.account.quota_project_id.as_deref()?).ok()
    }

    fn token_uri(&self) -> Option<&str> {
        Some(&self.token_url)
    }

    fn file(&self) -> Option<Written> {
        let written = || self.account.written(&self.token_url, &self.universe_domain);
        (self.account.source != SubjectSource::Supplied).then(written)
    }

    fn project_number(&self) -> Option<&str> {
        let user_project = self.account.workforce_pool_user_project.as_deref();
        self.account.project_number().or(user_project)
    }
}
