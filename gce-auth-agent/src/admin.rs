//! The admin listener: health, metrics, the page, and the commands of the same user.

use std::sync::Arc;

use bytes::Bytes;
use gce_auth_server::{
    protocol::{
        guard,
        hosts::{AllowedHosts, is_loopback},
        reply::Reply,
        request::{Method, Request},
    },
    service::{Answer, Connection, Service},
};

use crate::{
    audit::Audit,
    caller::{self, Lookup},
    control::Control,
    metrics::Readings,
    page,
    source::{AccessKey, DEFAULT, failure::line},
};

/// What Prometheus asks for.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The admin listener.
#[derive(Debug)]
pub(crate) struct AdminService(pub(crate) Control);

impl Service for AdminService {
    /// The user at the other end, if the kernel tells.
    type Caller = Option<u32>;

    fn date(&self) -> Bytes {
        self.0.state.date.get()
    }

    fn server(&self) -> &'static str {
        "gce-auth agent"
    }

    async fn identify(&self, connection: &Connection) -> Option<u32> {
        caller::identify(connection, &Lookup::default()).uid
    }

    fn serve<'a>(&'a self, request: Request, uid: &'a Option<u32>) -> Answer<'a> {
        let reply = self.answer(&request, *uid);
        Answer::Ready(reply.flavored(None))
    }
}

impl AdminService {
    fn answer(&self, request: &Request, uid: Option<u32>) -> Reply {
        if let Err(reply) = check(request) {
            return reply;
        }
        match (&request.method, request.path.as_str()) {
            (Method::Get | Method::Head, "/healthz") => text(200, "ok\n"),
            (Method::Get | Method::Head, "/readyz") => self.readiness(),
            (Method::Get | Method::Head, "/metrics") => self.metrics(),
            (Method::Get | Method::Head, "/") => {
                Reply::new(200, "text/html; charset=utf-8", page::html(&self.0.state)).with(
                    "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
                )
            }
            (Method::Post, "/reload" | "/flush") if !self.may_command(uid) => line(
                403,
                "only the agent's own user and root may do this, and the kernel names another",
            ),
            (Method::Post, "/reload") => match self.0.reload() {
                Ok(()) => text(200, "reloaded\n"),
                Err(why) => line(400, &why),
            },
            (Method::Post, "/flush") => {
                self.0.flush();
                text(200, "flushed\n")
            }
            (Method::Get | Method::Head, _) => line(404, "there is no such page"),
            _ => line(405, "this can only be read").with("Allow", "GET, HEAD"),
        }
    }

    fn may_command(&self, uid: Option<u32>) -> bool {
        uid.is_some_and(|uid| uid == 0 || uid == self.0.own_uid)
    }

    fn readiness(&self) -> Reply {
        if self.0.state.tokens.is_ready() {
            text(200, "ready\n")
        } else {
            text(503, "no token of the default account is in hand\n")
        }
    }

    fn metrics(&self) -> Reply {
        let state = &self.0.state;
        let access = state.tokens.access_in_hand();
        // Accounts of requests are none of the labels.
        let default = AccessKey::plain(DEFAULT.into());
        let mut expiries = Vec::new();
        if let Some((_, left)) = access.iter().find(|(key, _)| *key == default) {
            expiries.push((Arc::from(DEFAULT), *left));
        }
        for (key, left) in &access {
            if let Some(email) = &key.act_as {
                match expiries.iter_mut().find(|(account, _)| account == email) {
                    Some((_, least)) => *least = (*left).min(*least),
                    None => expiries.push((Arc::clone(email), *left)),
                }
            }
        }
        let readings = Readings {
            access_tokens: access.len(),
            identity_tokens: state.tokens.identity_in_hand().len(),
            expiries,
            audit_lost: state.audit.as_ref().map_or(0, Audit::lost),
        };
        let text = state.metrics.text(&state.source.traffic, &readings);
        Reply::new(200, METRICS, text)
    }
}

/// Lets a request in that names this machine, and that no page of another origin sent.
fn check(request: &Request) -> Result<(), Reply> {
    let refused = || line(403, "the Host header names another server");
    let host = request.header("host").unwrap_or_default();
    if guard::check_host(request, &AllowedHosts::default()).is_err() || !is_loopback(host) {
        return Err(refused());
    }
    if let Some(origin) = request.header("origin")
        && origin != format!("http://{host}")
    {
        return Err(line(403, "a page of another origin is refused"));
    }
    match request.header("sec-fetch-site") {
        None | Some("none" | "same-origin") => Ok(()),
        Some(_) => Err(line(403, "a page of another origin is refused")),
    }
}

fn text(status: u16, text: &'static str) -> Reply {
    Reply::new(status, "text/plain; charset=utf-8", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_origins_are_refused() {
        let status = |headers: &[(&str, &str)]| {
            let request = Request {
                headers: headers.iter().copied().collect(),
                ..Request::default()
            };
            check(&request).err().map_or(200, |reply| reply.status)
        };
        let host = ("host", "127.0.0.1:9");
        assert_eq!(status(&[host]), 200);
        assert_eq!(status(&[("host", "localhost:9")]), 200);
        assert_eq!(status(&[host, ("sec-fetch-site", "none")]), 200);
        assert_eq!(status(&[host, ("origin", "http://127.0.0.1:9")]), 200);
        for headers in [
            &[][..],
            &[("host", "evil.example")],
            &[("host", "metadata.google.internal")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://127.0.0.1:8")],
            &[host, ("x-forwarded-for", "1")],
        ] {
            assert_eq!(status(headers), 403, "{headers:?}");
        }
    }
}
