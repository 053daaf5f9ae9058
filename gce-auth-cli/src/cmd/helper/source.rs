//! Where helpers get their tokens from: the same sources as `gce-auth token`.

use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::{
    clock,
    exit::Failure,
    helper::{
        hosts::{Hosts, Pattern},
        token::{Token, Tokens},
    },
    options::{AccessArgs, Scopes, Source, SourceArgs},
    output::Output,
};

/// The options that all helpers have.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HelperArgs {
    /// Give tokens to this host, too: HOST, HOST:PORT, or *.DOMAIN. May be repeated
    #[arg(long, value_name = "HOST", value_parser = Pattern::parse)]
    allow_host: Vec<Pattern>,
    /// The scopes to request, separated by commas
    #[arg(long, value_name = "SCOPES", value_parser = Scopes::parse)]
    scopes: Vec<Scopes>,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl HelperArgs {
    /// Returns the hosts of `--allow-host`.
    pub(crate) fn hosts(&self) -> Hosts {
        Hosts(self.allow_host.clone())
    }

    /// Returns the source of tokens. Makes no request before it is asked for one.
    pub(crate) fn tokens<'a>(&'a self, out: &'a Output) -> impl Tokens + 'a {
        FromSource { args: self, out }
    }
}

struct FromSource<'a> {
    args: &'a HelperArgs,
    out: &'a Output,
}

impl Tokens for FromSource<'_> {
    fn access(&self) -> Result<Token, Failure> {
        let HelperArgs {
            scopes,
            access,
            source,
            ..
        } = self.args;
        let credentials = source.credentials(scopes, Some(access), self.out)?;
        let token = access.limit(credentials)?.blocking_token()?;
        Ok(ready(token.secret(), token.expires_at()))
    }

    fn identity(&self, audience: &str) -> Result<Token, Failure> {
        let credentials = self.args.source.id_token_credentials(audience, self.out)?;
        let token = credentials.blocking_token()?;
        Ok(ready(token.secret(), token.expires_at()))
    }

    fn account(&self) -> Option<String> {
        let source = &self.args.source;
        if source.target.is_some() {
            return source.target.clone();
        }
        let credentials = source.own_credentials(&[], self.out).ok()?;
        let name = match source.choose().ok()? {
            Source::Metadata(_) => credentials.blocking_account().ok()?.email().to_owned(),
            Source::File(..) => credentials.info().principal,
        };
        Some(name).filter(|name| !name.is_empty())
    }
}

fn ready(secret: &str, expires_at: Option<SystemTime>) -> Token {
    Token {
        secret: Zeroizing::new(secret.to_owned()),
        expires_at,
        left: expires_at.map(clock::left),
    }
}
