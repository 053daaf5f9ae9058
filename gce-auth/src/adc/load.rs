//! Credentials of a credentials file.

use std::{path::Path, sync::Arc};

use http::Uri;

use crate::{
    adc::{DefaultCredentials, DefaultOptions, DefaultSource},
    client::config::MetadataClient,
    io::files,
    refresh::RefreshMode,
    tokens::{
        credentials::Credentials,
        handle::{Handle, Options},
        id_token_credentials::IdTokenCredentials,
        impersonate::authorizing,
        info::CredentialsKind,
        source::{
            TokenSource,
            authorized_user::UserTokens,
            external_account::ExternalTokens,
            external_user::ExternalUserTokens,
            impersonated::{Impersonated, ImpersonatedParams},
            key_file::KeyFile,
            origin::Origin,
            service_account::{KeyParams, KeyTokens},
            subject::Supplier,
            target::Target,
        },
    },
    values::{error::Error, scope::Scopes},
    wire::{
        credentials_file::{
            self, Document, authorized_user::AuthorizedUser, external_account::ExternalAccount,
            external_user::ExternalUser, service_account::ServiceAccountKey,
        },
        iam::IamEndpoint,
        iam_tokens::{LIFETIME, Place},
        oauth::TOKEN_ENDPOINT,
        trusted_hosts::{Purpose, TrustedHosts},
    },
};

/// What credentials ask for that need scopes and were given none.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Reads the file at `path`. `with_scopes`: the scopes of the options are asked
/// for, also by users, who need none.
pub(super) fn file(
    options: &DefaultOptions,
    path: &Path,
    source: DefaultSource,
    with_scopes: bool,
) -> Result<DefaultCredentials, Error> {
    let place = files::name(path);
    let bytes = files::read(path)?;
    let document = credentials_file::read(&place, &bytes)?;
    let named = match &source {
        DefaultSource::EnvironmentFile(path) => format!(
            "{} file via the GOOGLE_APPLICATION_CREDENTIALS environment variable",
            path.display()
        ),
        _ => path.display().to_string(),
    };
    let loader = Loader::new(options, &place, Origin::new(named))?;
    loader.load(document, source, with_scopes)
}

pub(super) fn json(options: &DefaultOptions, json: &str) -> Result<DefaultCredentials, Error> {
    let place = "the JSON document";
    let document = credentials_file::read(place, json.as_bytes())?;
    let loader = Loader::new(options, place, Origin::PROGRAM)?;
    loader.load(document, DefaultSource::Json, true)
}

/// The ID-token credentials of a key or an impersonated account in the file;
/// `None` for other files.
pub(super) fn identity(
    options: &DefaultOptions,
    source: DefaultSource,
    audience: &str,
) -> Result<Option<IdTokenCredentials>, Error> {
    let DefaultSource::EnvironmentFile(path) = &source else {
        return Ok(None);
    };
    let bytes = files::read(path)?;
    // Another document gives no ID tokens, whatever is in it.
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(serde_json::Value::Object(fields)) => match fields.get("type") {
            Some(kind) if kind == "service_account" || kind == "impersonated_service_account" => {}
            _ => return Ok(None),
        },
        _ => {
            credentials_file::read(&files::name(path), &bytes)?;
        }
    }
    let path = path.clone();
    let credentials = file(options, &path, source, false)?.credentials;
    let identity = credentials.id_token(audience)?;
    let identity = match credentials.kind() {
        CredentialsKind::ImpersonatedServiceAccount => identity.with_include_email(true)?,
        _ => identity,
    };
    Ok(Some(identity))
}

/// Returns credentials with the scopes of the options, for those that have
/// none.
pub(super) fn scoped(credentials: &Credentials, options: &DefaultOptions) -> Credentials {
    let unless_exact = || {
        let wanted = !credentials.client().0.exact && options.default_scopes.is_none();
        wanted.then(|| vec![CLOUD_PLATFORM.to_owned()])
    };
    let scopes = options.scopes.clone().or_else(unless_exact);
    credentials.with_both_scopes(
        scopes.map(Scopes::new),
        options.default_scopes.clone().map(Scopes::new),
    )
}

/// Makes the credentials of a builder, which errors call `place`; `make` gets
/// the scopes of the options, and the default ones.
pub(super) fn built(
    options: &DefaultOptions,
    place: &str,
    make: impl FnOnce(&Loader<'_>, Option<Scopes>, Option<Scopes>) -> Result<Credentials, Error>,
) -> Result<Credentials, Error> {
    let loader = Loader::new(options, place, Origin::PROGRAM)?;
    let (scopes, defaults) = loader.scopes();
    let credentials = make(&loader, scopes, defaults)?;
    loader.billed(&credentials)
}

pub(super) struct Loader<'a> {
    options: &'a DefaultOptions,
    client: MetadataClient,
    trusted: TrustedHosts,
    /// How errors call the file.
    place: &'a str,
    origin: Origin,
}

impl<'a> Loader<'a> {
    fn new(options: &'a DefaultOptions, place: &'a str, origin: Origin) -> Result<Self, Error> {
        Ok(Self {
            options,
            client: options.client_or_new(),
            trusted: options.trusted_hosts()?,
            place,
            origin,
        })
    }

    fn load(
        self,
        document: Document,
        source: DefaultSource,
        with_scopes: bool,
    ) -> Result<DefaultCredentials, Error> {
        let (scopes, defaults) = if with_scopes {
            self.scopes()
        } else {
            (None, None)
        };
        let credentials = self.credentials(document, scopes, defaults)?;
        let project_id = credentials.0.inner.source.project_id().map(str::to_owned);
        Ok(DefaultCredentials {
            credentials: self.billed(&credentials)?,
            project_id,
            source,
        })
    }

    /// The scopes of the options, and the default ones.
    fn scopes(&self) -> (Option<Scopes>, Option<Scopes>) {
        let list = |scopes: &Option<Vec<String>>| scopes.clone().map(Scopes::new);
        let options = self.options;
        (list(&options.scopes), list(&options.default_scopes))
    }

    /// The same credentials with the project that is billed.
    fn billed(&self, credentials: &Credentials) -> Result<Credentials, Error> {
        match &self.options.quota_project_id {
            Some(project) => credentials.with_quota_project(project.as_str()),
            None => credentials.with_quota_project_from_environment(),
        }
    }

    fn credentials(
        &self,
        document: Document,
        scopes: Option<Scopes>,
        defaults: Option<Scopes>,
    ) -> Result<Credentials, Error> {
        match document {
            Document::AuthorizedUser(user) => Ok(self.user(user, scopes)),
            Document::ServiceAccount(file) => self.key(file, scopes, defaults),
            Document::Impersonated(file) => self.impersonated(file, scopes),
            Document::ExternalAccount(account) => self.external(account, None, scopes, defaults),
            Document::ExternalUser(user) => self.external_user(user),
        }
    }

    pub(super) fn user(&self, user: AuthorizedUser, scopes: Option<Scopes>) -> Credentials {
        let uri = user.token_uri.clone().filter(|uri| self.is_named(uri));
        let uri = uri.unwrap_or_else(|| TOKEN_ENDPOINT.to_owned());
        let (client, origin) = (self.client.clone(), self.origin.clone());
        self.handle(Arc::new(UserTokens::new(client, origin, user, uri, scopes)))
    }

    pub(super) fn key(
        &self,
        file: ServiceAccountKey,
        scopes: Option<Scopes>,
        defaults: Option<Scopes>,
    ) -> Result<Credentials, Error> {
        let universe = file.universe_domain.as_deref().filter(|it| !it.is_empty());
        self.check_universe(universe)?;
        self.check("token_uri", &file.token_uri, Purpose::OAuth)?;
        let params = KeyParams::new(&file).scoped(scopes, defaults);
        let key = KeyFile::read(self.place, file)?;
        let (client, origin) = (self.client.clone(), self.origin.clone());
        Ok(self.handle(Arc::new(KeyTokens::new(client, origin, key, params))))
    }

    fn impersonated(
        &self,
        file: credentials_file::impersonated::Impersonated,
        scopes: Option<Scopes>,
    ) -> Result<Credentials, Error> {
        self.check("service_account_impersonation_url", &file.url, Purpose::Iam)?;
        let source = self.credentials(*file.source, None, None)?;
        let asked = scopes.filter(|scopes| !scopes.is_empty());
        Ok(self.handle(Arc::new(Impersonated {
            client: self.client.clone(),
            origin: self.origin.clone(),
            kind: CredentialsKind::ImpersonatedServiceAccount,
            target: Arc::new(Target::new(
                authorizing(&source),
                file.target,
                file.delegates,
                // Google's host is that of the universe, as in
                // google-auth, whatever region the file names.
                self.named_endpoint(&file.url)?,
            )),
            params: ImpersonatedParams {
                scopes: asked.or_else(|| file.scopes.map(Scopes::new)),
                default_scopes: None,
                lifetime: LIFETIME,
                subject: None,
            },
            quota_project_id: file.quota_project_id,
            project_number: None,
        })))
    }

    pub(super) fn external_user(&self, user: ExternalUser) -> Result<Credentials, Error> {
        if let Some(renewal) = user.renewal() {
            self.check("token_url", renewal.token_url, Purpose::Sts)?;
        }
        self.check_universe(user.universe_domain.as_deref())?;
        let source = ExternalUserTokens::new(self.client.clone(), self.origin.clone(), user);
        source.check(self.place)?;
        Ok(self.handle(Arc::new(source)))
    }

    pub(super) fn external(
        &self,
        account: ExternalAccount,
        supplier: Option<Supplier>,
        scopes: Option<Scopes>,
        defaults: Option<Scopes>,
    ) -> Result<Credentials, Error> {
        self.check_universe(Some(&account.universe_domain))?;
        self.check("token_url", &account.token_url, Purpose::Sts)?;
        if !self.client.0.exact {
            account.check(self.place)?;
        }
        let (impersonation, lifetime) = (account.impersonation.clone(), account.lifetime);
        let quota_project_id = account.quota_project_id.clone();
        let number = account.project_number().map(str::to_owned);
        let number = number.or_else(|| account.workforce_pool_user_project.clone());
        let client = self.client.clone();
        let tokens = ExternalTokens::new(client.clone(), self.origin.clone(), account, supplier);
        let Some(impersonation) = impersonation else {
            return Ok(self.handle(Arc::new(tokens.scoped(scopes, defaults))));
        };
        let url = &impersonation.url;
        self.check("service_account_impersonation_url", url, Purpose::Iam)?;
        let place = match self.named_endpoint(url)? {
            Some(named) => named,
            None => Place::url(url)?,
        };
        Ok(self.handle(Arc::new(Impersonated {
            client,
            origin: self.origin.clone(),
            kind: CredentialsKind::ExternalAccount,
            target: Arc::new(Target::new(
                authorizing(&self.handle(Arc::new(tokens))),
                impersonation.target,
                None,
                Some(place),
            )),
            params: ImpersonatedParams {
                scopes,
                default_scopes: defaults,
                lifetime: lifetime.unwrap_or(LIFETIME),
                subject: None,
            },
            quota_project_id,
            project_number: number,
        })))
    }

    fn check(&self, name: &str, url: &str, purpose: Purpose) -> Result<(), Error> {
        self.trusted.check(self.place, name, url, purpose)
    }

    fn check_universe(&self, domain: Option<&str>) -> Result<(), Error> {
        domain.map_or(Ok(()), |domain| {
            self.trusted.check_universe(self.place, domain)
        })
    }

    /// Whether the program or the environment named the host of `url`.
    fn is_named(&self, url: &str) -> bool {
        url.parse::<Uri>().is_ok_and(|uri| self.trusted.names(&uri))
    }

    /// The API at the host of `url`, if that host was named: an emulator's.
    fn named_endpoint(&self, url: &str) -> Result<Option<Place>, Error> {
        match url.parse::<Uri>() {
            Ok(uri) if self.trusted.names(&uri) => {
                IamEndpoint::of(&uri).map(|endpoint| Some(Place::Endpoint(endpoint)))
            }
            _ => Ok(None),
        }
    }
    fn handle(&self, source: Arc<dyn TokenSource>) -> Credentials {
        // google-auth renews nothing in the background unless it is told to.
        let mode = if source.client().0.exact {
            RefreshMode::Blocking
        } else {
            RefreshMode::default()
        };
        let options = Options {
            mode,
            shared: !self.options.unshared,
            boundary: self.options.boundary,
            ..Options::default()
        };
        Credentials(Handle::new(source, options))
    }
}
