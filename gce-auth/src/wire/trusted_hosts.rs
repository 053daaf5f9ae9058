//! Hosts that secrets of a credentials file may be sent to.
//!
//! A file names the servers that its secrets go to. google-auth sends them
//! there, and warns in its documentation of files from others; here they go to
//! Google alone, and to hosts that the program or the environment names.

use http::Uri;

use crate::values::error::{Error, ErrorKind};

/// The default universe.
const GOOGLE: &str = "googleapis.com";

/// What a server is for. Only Google's servers for it are Google's for a
/// secret: others store what is sent to them, for the owner of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `token_uri` of a key or a user.
    OAuth,
    /// `token_url` of an external account.
    Sts,
    /// `service_account_impersonation_url`.
    Iam,
}

impl Purpose {
    fn services(self) -> &'static [&'static str] {
        match self {
            Self::OAuth => &["oauth2", "sts"],
            Self::Sts => &["sts"],
            Self::Iam => &["iamcredentials"],
        }
    }
}

/// Hosts that were named by the program or the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TrustedHosts {
    universes: Vec<String>,
    hosts: Vec<Host>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    name: String,
    port: Option<u16>,
    plain: bool,
}

impl TrustedHosts {
    /// Trusts the hosts of a universe.
    pub(crate) fn add_universe(&mut self, domain: &str) {
        let domain = domain.trim().to_ascii_lowercase();
        // Every host ends with an empty one.
        if !domain.is_empty() {
            self.universes.push(domain);
        }
    }

    /// Trusts `host`, `host:port`, or the same after `https://` or, for what is
    /// not encrypted, `http://`.
    pub(crate) fn add_host(&mut self, text: &str) -> Result<(), Error> {
        let refuse = || {
            Error::new(
                ErrorKind::Config,
                format!("{text:?} is not a host that can be trusted"),
            )
            .with_hint("write host or host:port, and http:// before it for what is not encrypted")
        };
        let trimmed = text.trim();
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        let (plain, rest) = match trimmed.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("https", rest)) => (false, rest),
            Some(_) => return Err(refuse()),
            None => (false, trimmed),
        };
        let authority: http::uri::Authority = rest.parse().map_err(|_| refuse())?;
        if authority.host().is_empty() || rest.contains(['@', '*', '/']) {
            return Err(refuse());
        }
        let name = authority.host().to_ascii_lowercase();
        let plain = plain || is_loopback(&name);
        self.hosts.push(Host {
            name,
            port: authority.port_u16(),
            plain,
        });
        Ok(())
    }

    /// Whether a file may name this universe.
    pub(crate) fn knows_universe(&self, domain: &str) -> bool {
        let domain = domain.to_ascii_lowercase();
        domain == GOOGLE || self.universes.contains(&domain)
    }

    /// Checks the universe that a file names.
    pub(crate) fn check_universe(&self, place: &str, domain: &str) -> Result<(), Error> {
        if self.knows_universe(domain) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "{place}: the member `universe_domain` is {domain:?}, which only the file names"
            ),
        )
        .with_hint(
            "if it is yours, set GOOGLE_CLOUD_UNIVERSE_DOMAIN to it, or call universe_domain",
        ))
    }

    /// Whether the program or the environment named the host of `uri`.
    pub(crate) fn names(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return false,
        };
        self.hosts.iter().any(|trusted| {
            trusted.name == host
                && trusted.port.is_none_or(|port| uri.port_u16() == Some(port))
                && (trusted.plain || !plain)
        })
    }

    /// Checks a URL that secrets are sent to: the member `name` of the file
    /// that errors call `place`.
    pub(crate) fn check(
        &self,
        place: &str,
        name: &str,
        url: &str,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let refuse = |what: String| {
            Err(Error::new(
                ErrorKind::Config,
                format!("{place}: the member `{name}` {what}"),
            ))
        };
        let uri = match url.parse::<Uri>() {
            Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => uri,
            _ => return refuse("is not a URL".to_owned()),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return refuse("is a URL with a user name".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        if uri.port_u16().is_none() && authority.len() > host.len() {
            return refuse("is a URL whose port is none".to_owned());
        }
        if self.names(&uri) || self.is_google(&uri, purpose) {
            return Ok(());
        }
        if uri.scheme_str() != Some("https") {
            return refuse(format!("does not begin with https://, at the host {host}"))
                .map_err(|error: Error| error.with_hint(hint(&uri)));
        }
        refuse(format!(
            "names the host {host}, which is not Google's for this; nothing was sent to it"
        ))
        .map_err(|error: Error| error.with_hint(hint(&uri)))
    }

    fn is_google(&self, uri: &Uri, purpose: Purpose) -> bool {
        if uri.scheme_str() != Some("https") || uri.port_u16().is_some_and(|port| port != 443) {
            return false;
        }
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        // Servers may follow `..` and `%2e%2e` to a service that stores what is sent.
        let path = uri.path();
        let leads_elsewhere = path.contains('%') || path.split('/').any(|part| part == "..");
        if purpose == Purpose::OAuth && !leads_elsewhere {
            match (&*host, path) {
                ("accounts.google.com", path) if path.starts_with("/o/oauth2/") => return true,
                ("www.googleapis.com", path) if path.starts_with("/oauth2/") => return true,
                _ => {}
            }
        }
        let universes = self.universes.iter().map(String::as_str).chain([GOOGLE]);
        let mut below = universes.filter_map(|universe| {
            host.strip_suffix(universe)
                .and_then(|rest| rest.strip_suffix('.'))
        });
        let services = purpose.services();
        below.any(|labels| services.iter().any(|service| is_service(labels, service)))
    }
}

fn hint(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!(
        "if you trust it, set GCE_AUTH_TRUST_HOSTS to {authority}, call trust_host, or give \
         --trust-host; else do not use this file"
    )
}

/// Whether `labels`, before the universe, name this service: `sts`, `sts.mtls`,
/// `sts.REGION.rep`, `sts.REGION.rep.mtls`, `REGION-sts`, `sts.REGION` or
/// `sts-NAME.p` (Private Service Connect).
fn is_service(labels: &str, service: &str) -> bool {
    let labels: Vec<&str> = labels.split('.').collect();
    match labels[..] {
        [name] => {
            name == service
                || name
                    .strip_suffix(service)
                    .and_then(|rest| rest.strip_suffix('-'))
                    .is_some_and(is_region)
        }
        [name, "mtls"] => name == service,
        [name, "p"] => name
            .strip_prefix(service)
            .is_some_and(|rest| rest.len() > 1 && rest.starts_with('-')),
        [name, region] => name == service && is_region(region),
        [name, region, "rep"] | [name, region, "rep", "mtls"] => {
            name == service && (is_region(region) || matches!(region, "eu" | "us"))
        }
        _ => false,
    }
}

/// Whether nothing that is sent to `host` leaves this machine.
fn is_loopback(host: &str) -> bool {
    let v4 = host.split('.').collect::<Vec<_>>();
    let v4 = v4.len() == 4 && v4[0] == "127" && v4.iter().all(|part| part.parse::<u8>().is_ok());
    v4 || matches!(host, "localhost" | "[::1]")
}

/// Such as `us-east1` or `northamerica-northeast2`.
fn is_region(text: &str) -> bool {
    let Some((area, place)) = text.split_once('-') else {
        return false;
    };
    let letters = place.trim_end_matches(|c: char| c.is_ascii_digit());
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_lowercase());
    plain(area) && plain(letters) && letters.len() < place.len()
}

#[cfg(test)]
mod tests;
