//! The live leaves of a service account: its access token and its identity token.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError},
};

use gce_auth_server::protocol::{
    Reply, pages,
    query::{Alt, Query, Reading, is_true},
    render,
    route::Target,
};
use serde_json::Value;

use crate::{
    client::Client,
    identity::{
        accounts::{Account, CLOUD_PLATFORM, Identity, Refusal},
        agents::Agent,
        claims::{self, Detail},
        jwt,
        standings::Standing,
        token_issuer::Holder,
    },
    policy::{
        principal::Principal,
        tokens::{Grant, Issued},
    },
    profiles::attribute,
    state::State,
    token_source::{self, SharedSource},
};

/// A request for a token: its target, the account's name, its query.
type Asked<'a> = (&'a Target, &'a str, &'a Query);

/// The token that a request is for, and the form of the answer.
struct Wanted {
    standing: Arc<Standing>,
    /// The account with the scopes of the token, if these are not all.
    narrowed: Option<Identity>,
    alt: Option<Alt>,
}

impl Wanted {
    fn account(&self) -> &Identity {
        self.narrowed.as_ref().unwrap_or(&self.standing.account)
    }

    fn holder(&self, certificates: Option<&str>) -> Cow<'_, Holder> {
        match (&self.narrowed, certificates) {
            (None, None) => Cow::Borrowed(&self.standing.holder),
            _ => Cow::Owned(Holder::new(self.account(), certificates)),
        }
    }
}

impl State {
    /// Answers `token`, unless a source of real tokens has to be asked.
    pub(crate) fn token_at_once(
        &self,
        client: Option<&Client>,
        asked: Asked<'_>,
        bound: Option<&str>,
    ) -> Option<Reply> {
        if self.source.is_some() {
            return None;
        }
        let answer = self.wanted(client, asked).and_then(|wanted| {
            let (now, mut issuer) = (self.clock.now(), self.issuer());
            let issued = issuer.cached(wanted.account(), &wanted.holder(bound), now);
            let issued = issued.ok_or_else(pages::internal)?;
            Ok(issuer.answer(&issued, wanted.alt, now, |left| {
                access_token(&issued.token, left, wanted.alt)
            }))
        });
        Some(answer.unwrap_or_else(|reply| reply))
    }

    /// Answers `token`.
    pub(crate) async fn token(
        &self,
        client: Option<&Client>,
        asked: Asked<'_>,
        bound: Option<String>,
    ) -> Reply {
        let Some(source) = self.source.clone() else {
            let answer = self.token_at_once(client, asked, bound.as_deref());
            return answer.unwrap_or_else(pages::internal);
        };
        let wanted = match self.wanted(client, asked) {
            Ok(wanted) => wanted,
            Err(reply) => return reply,
        };
        match self.fetched_token(source, &wanted, bound).await {
            Ok(issued) => {
                let left = self.clock.now().until(issued.expires).as_secs();
                access_token(&issued.token, left, wanted.alt)
            }
            Err(reply) => reply,
        }
    }

    /// What token a request is for; or the refusal.
    fn wanted(
        &self,
        client: Option<&Client>,
        (target, account, query): Asked<'_>,
    ) -> Result<Wanted, Reply> {
        let standing = self.standing(client, account);
        let alt = Reading::parse(query)?.alt;
        let standing = standing
            .filter(|standing| !standing.account.scopes.is_empty())
            .ok_or_else(|| target.not_found())?;
        let (account, enforced) = (&standing.account, standing.enforced);
        let permission = "iam.serviceAccounts.getAccessToken";
        if let Some(reply) = self.iam_refusal(account, "access token", permission) {
            return Err(reply);
        }
        let asked: Vec<String> = query
            .get("scopes")
            .unwrap_or_default()
            .split([',', ' '])
            .filter(|scope| !scope.is_empty())
            .map(Into::into)
            .collect();
        let enforce = match query.get("enforce_scopes") {
            None => enforced && !asked.is_empty(),
            Some(value) if is_true(value) => true,
            Some(_) => {
                return Err(pages::bad_request(
                    "enforce_scopes must be true when it is given",
                ));
            }
        };
        if enforce {
            if asked.is_empty() {
                return Err(pages::bad_request(
                    "enforce_scopes requires non-empty scopes",
                ));
            }
            let all = account.scopes.iter().any(|scope| scope == CLOUD_PLATFORM);
            if !all && !asked.iter().all(|scope| account.scopes.contains(scope)) {
                return Err(pages::bad_request(
                    "the requested scopes are not a subset of the scopes of the instance",
                ));
            }
        }
        let narrows = enforce || (self.profile.honours_scopes() && !asked.is_empty());
        let narrowed = narrows.then(|| Identity {
            email: account.email.clone(),
            scopes: asked,
        });
        Ok(Wanted {
            standing,
            narrowed,
            alt,
        })
    }

    /// An account as this client sees it. What all clients see is looked up once.
    fn standing(&self, client: Option<&Client>, name: &str) -> Option<Arc<Standing>> {
        let find = || {
            self.document.read_for(client, |document| {
                let enforced = attribute(document, "enable-access-token-enforce-scopes");
                Some(Standing::new(Identity::find(document, name)?, enforced))
            })
        };
        match client {
            None => self.standings.get(self.document.version(), name, find),
            Some(_) => find().map(Arc::new),
        }
    }

    fn iam_refusal(&self, account: &Identity, what: &str, permission: &str) -> Option<Reply> {
        let code = match Account::refusal(self.accounts(), &account.email)? {
            Refusal::Denied => 403,
            Refusal::Missing => 404,
        };
        Some(pages::iam_refused(code, what, permission))
    }

    /// A token from the server's cache, or from the program's own source. One that is good is never
    /// given up for a renewal that fails or takes long.
    async fn fetched_token(
        &self,
        source: SharedSource,
        wanted: &Wanted,
        bound: Option<String>,
    ) -> Result<Arc<Issued>, Reply> {
        let account = wanted.account().clone();
        let holder = wanted.holder(bound.as_deref()).into_owned();
        let now = self.clock.now();
        let valid = {
            let issuer = self.issuer();
            if let Some(issued) = issuer.current(&holder, now) {
                return Ok(issued);
            }
            issuer.valid(&holder, now)
        };
        let (issuer, whose) = (self.shared_issuer(), holder.clone());
        let fetch = async move {
            let asked = source
                .0
                .token(account.email.clone(), account.scopes.clone());
            let (token, lifetime) = asked.await?;
            let issued = Arc::new(Issued {
                token,
                grant: Grant::new(Principal::service_account(account.email), account.scopes),
                issued: now,
                expires: now.plus(lifetime),
            });
            issuer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .keep(whose, &issued, now);
            Ok(issued)
        };
        token_source::shared_lookup(&self.lookups, holder, valid, fetch)
            .await
            .map_err(|why| pages::backend_failed(&why))
    }

    /// Answers `identity`.
    pub(crate) async fn identity(
        &self,
        client: Option<&Client>,
        (target, account, query): Asked<'_>,
        agent: Option<Agent>,
    ) -> Reply {
        let account = self
            .document
            .read_for(client, |document| Identity::find(document, account));
        let Some(account) = account else {
            return target.not_found();
        };
        let Some(audience) = query.non_empty("audience") else {
            return pages::bad_request("non-empty audience parameter required");
        };
        let permission = "iam.serviceAccounts.getOpenIdToken";
        if let Some(reply) = self.iam_refusal(&account, "ID token", permission) {
            return reply;
        }
        if account.is_pool() {
            return pages::not_annotated();
        }
        let full = match query.non_empty("format") {
            None => false,
            Some(format) if format.eq_ignore_ascii_case("standard") => false,
            Some(format) if format.eq_ignore_ascii_case("full") => true,
            Some(_) => return pages::bad_request("format must be standard or full"),
        };
        let machine = full && self.profile.has_full_identity();
        let detail = Detail {
            email: full || !self.profile.has_full_identity(),
            machine,
            licenses: machine && query.flag("licenses"),
        };
        let now = self.clock.now();
        let claims = match agent {
            Some(agent) => agent.claims(audience, full, now.seconds()),
            None => self.document.read_for(client, |document| {
                claims::claims(document, &account, audience, detail, now)
            }),
        };
        match self.key().await.and_then(|key| jwt::sign(&key, &claims)) {
            Some(token) => render::credential("text/html", token),
            None => pages::internal(),
        }
    }
}

/// A token as JSON, or as text, as a directory of its parts would be shown.
fn access_token(token: &str, seconds: u64, alt: Option<Alt>) -> Reply {
    if alt == Some(Alt::Text) {
        let text = format!("access_token {token}\nexpires_in {seconds}\ntoken_type Bearer\n");
        return render::credential("application/text", text);
    }
    let token = Value::from(token);
    let text =
        format!(r#"{{"access_token":{token},"expires_in":{seconds},"token_type":"Bearer"}}"#);
    render::credential("application/json", text)
}
