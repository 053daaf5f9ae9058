//! Where access tokens come from, and who shares them.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::{
    client::{
        call,
        config::{ClientKey, MetadataClient},
    },
    credentials::LastBinding,
    io::threads::{LaneKey, WorkKind},
    refresh::{
        FetchContext, Source,
        keeper::{Keeper, Value},
        policy::Policy,
        shared_map::{Family, Registry},
        thread_local::{PerThread, Slots},
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        headers::Headers,
        scope::Scopes,
        token::{Bearer, Validity},
    },
    wire::{
        request::{self, MetadataPath},
        response::{self, AccountInfo},
    },
};

/// How many token requests one family of credentials remembers the answer of.
pub(crate) const FAMILY_BOUND: usize = 64;

/// What an access token is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wish {
    /// `default`, an alias or an email address.
    pub(crate) account: String,
    /// What the program asks for; `None` for whatever the account has.
    pub(crate) scopes: Option<Scopes>,
    /// What a library asks for where the program asks for nothing.
    pub(crate) default_scopes: Option<Scopes>,
    pub(crate) enforce_scopes: bool,
    /// The identity that the token must be of.
    pub(crate) expected: Option<String>,
}

impl Wish {
    /// What nobody configured: the default account, with what it has.
    pub(crate) fn new() -> Self {
        Self {
            account: "default".to_owned(),
            scopes: None,
            default_scopes: None,
            enforce_scopes: false,
            expected: None,
        }
    }
}

/// What the server said of the account, kept for as long as the credential.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    pub(crate) account: Option<AccountInfo>,
    /// The scopes of the account where the program asks for none: those that
    /// were heard of first, as google-auth has it.
    pub(crate) scopes: Option<Scopes>,
}

/// Who has the same key would send the same request.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key {
    reach: ClientKey,
    wish: Wish,
}

pub(crate) type TokenKeeper = Keeper<Bearer>;
pub(crate) type TokenFamily = Family<TokenKeeper>;

static SHARED: Registry<Key, TokenKeeper> = Registry::new();

/// The keeper of what `wish` asks for: the process's, or one of its own.
pub(crate) fn keeper(client: &MetadataClient, wish: &Wish, shared: bool) -> Arc<TokenKeeper> {
    let settings = &client.0;
    let make = || Keeper::new(Policy::chosen(settings.exact));
    match settings.key().filter(|_| shared) {
        Some(reach) => SHARED.get_or_insert(
            Key {
                reach,
                wish: wish.clone(),
            },
            make,
        ),
        None => Arc::new(make()),
    }
}

/// Asks the metadata server for access tokens.
#[derive(Debug)]
pub(crate) struct TokenSource {
    pub(crate) client: MetadataClient,
    pub(crate) wish: Wish,
    pub(crate) origin: Origin,
    learned: RwLock<Learned>,
    pub(crate) binding: LastBinding,
}

/// Who makes the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The metadata server.
    Server,
    /// Nobody: there is one, and no other will come.
    #[cfg(any(test, feature = "test-util"))]
    Fixed,
    /// Nobody: there is none.
    #[cfg(any(test, feature = "test-util"))]
    Anonymous,
}

impl TokenSource {
    pub(crate) fn new(client: MetadataClient, wish: Wish, learned: Learned) -> Self {
        Self {
            client,
            wish,
            origin: Origin::Server,
            learned: RwLock::new(learned),
            binding: LastBinding::default(),
        }
    }

    /// Whether there is somebody to ask for tokens.
    pub(crate) fn asks_a_server(&self) -> bool {
        self.origin == Origin::Server
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.holds_tokens().is_err()
    }

    /// An error where there is no token and never will be one.
    pub(crate) fn holds_tokens(&self) -> Result<(), Error> {
        match self.origin {
            #[cfg(any(test, feature = "test-util"))]
            Origin::Anonymous => Err(no_token()),
            _ => Ok(()),
        }
    }

    pub(crate) fn learned(&self) -> Learned {
        let learned = self.learned.read();
        learned.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of what the server says of the account.
    pub(crate) fn learn(&self, info: &AccountInfo) {
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if learned.scopes.is_none() && info.states_scopes {
            learned.scopes = Some(Scopes::new(info.scopes.iter().cloned()));
        }
        learned.account = Some(info.clone());
    }

    /// The name to ask for the account by: its email address, once that is
    /// known.
    pub(crate) fn email(&self) -> String {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        let known = learned.account.as_ref().map(|account| &account.email);
        known.unwrap_or(&self.wish.account).clone()
    }

    /// The scopes that the token request names.
    fn scopes(&self) -> Scopes {
        let named = self.wish.scopes.clone().or_else(|| self.learned().scopes);
        named
            .or_else(|| self.wish.default_scopes.clone())
            .unwrap_or_default()
    }

    pub(crate) fn ask_account(&self, budget: &mut Budget) -> Result<AccountInfo, Error> {
        // An identity that is a URL is no name in a path.
        let learned = Some(self.email()).filter(|email| !email.contains('/'));
        let learned = learned.filter(|email| *email != self.wish.account);
        let info = match learned {
            None => self.ask_account_by(&self.wish.account, budget)?,
            Some(email) => match self.ask_account_by(&email, budget) {
                // Another account was attached since: who is it now?
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.ask_account_by(&self.wish.account, budget)?
                }
                asked => asked?,
            },
        };
        self.expect(&info.email)?;
        self.learn(&info);
        Ok(info)
    }

    fn ask_account_by(&self, name: &str, budget: &mut Budget) -> Result<AccountInfo, Error> {
        let settings = &*self.client.0;
        let request = request::account_info(settings.endpoint()?, name)?;
        call::call(settings, budget, &request, |answer, _| {
            response::account_info(answer)
        })
        .map_err(|error| explain(error, name))
    }

    /// The email address that stands behind the account now.
    fn ask_email(&self, budget: &mut Budget) -> Result<String, Error> {
        let settings = &*self.client.0;
        let path = MetadataPath::account(&self.wish.account, "email")?;
        let request = request::value(settings.endpoint()?, &path, &request::Query::default())?;
        call::call(settings, budget, &request, |answer, _| {
            response::account_name(answer.text()?.trim())
        })
    }

    fn expect(&self, email: &str) -> Result<(), Error> {
        match &self.wish.expected {
            Some(expected) if expected != email => Err(Error::new(
                ErrorKind::InvalidResponse,
                format!("the metadata server speaks for {email}, and not for {expected}"),
            )
            .with_hint("the token was dropped; is the right service account attached?")),
            _ => Ok(()),
        }
    }
}

impl Source for TokenSource {
    type Value = Bearer;

    fn fetch(&self, departure: &FetchContext) -> Result<Bearer, Error> {
        if self.origin != Origin::Server {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "the token of these credentials is fixed, and has expired or was dropped",
            ));
        }
        let settings = &*self.client.0;
        let mut budget =
            Budget::new(departure.began, settings.retry.total()).going_on(departure.waits);
        if departure.forced {
            self.ask_account(&mut budget)?;
        }
        let wish = &self.wish;
        let request = request::token(
            settings.endpoint()?,
            &wish.account,
            &self.scopes(),
            wish.enforce_scopes,
        )?;
        #[cfg(feature = "tls")]
        let request = super::binding::bound(settings, &budget, request, &self.binding)?;
        #[cfg(not(feature = "tls"))]
        self.binding
            .note(crate::credentials::CertificateBinding::none(
                "the feature tls is off",
            ));
        let bearer = call::call(settings, &mut budget, &request, response::token)
            .map_err(|error| explain(error, &wish.account))?;
        if wish.expected.is_some() {
            // Asked after the token: an account exchanged in between shows.
            self.expect(&self.ask_email(&mut budget)?)?;
        }
        Ok(bearer)
    }

    fn budget(&self) -> std::time::Duration {
        self.client.0.retry.total()
    }

    fn kind(&self) -> WorkKind {
        WorkKind::AccessToken
    }

    fn lane(&self) -> &LaneKey {
        &self.client.0.lane
    }
}

/// Kept out of the hot path, which asks and never gets it.
#[cfg(any(test, feature = "test-util"))]
#[cold]
fn no_token() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "anonymous credentials have no token",
    )
}

/// Says of a failed request for an account what it means.
pub(crate) fn explain(error: Error, account: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound => error
            .context(&format!("no service account {account:?} is attached"))
            .or_hint(
                "attach a service account to the instance or the workload, or name one that is",
            ),
        ErrorKind::Forbidden => error.context("no token was given").or_hint(
            "check that the service account is enabled, and on GKE that the Kubernetes service \
             account may impersonate it (roles/iam.workloadIdentityUser)",
        ),
        _ => error,
    }
}

impl Value for Bearer {
    fn validity(&self) -> Validity {
        *self.validity()
    }

    fn is_same(&self, other: &Self) -> bool {
        Self::is_same(self, other)
    }
}

impl PerThread for Headers {
    fn detached(&self) -> Self {
        Self::detached(self)
    }

    #[inline]
    fn with_slots<R>(f: impl FnOnce(&std::cell::RefCell<Slots<Self>>) -> R) -> Option<R> {
        thread_local! {
            static SLOTS: std::cell::RefCell<Slots<Headers>> =
                const { std::cell::RefCell::new(Slots::new()) };
        }
        SLOTS.try_with(f).ok()
    }
}

/// The universe, asked for once.
pub(crate) type Universe = OnceLock<String>;
