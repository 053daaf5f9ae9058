//! Requests to another metadata server, over plain HTTP: one connection for each, no proxies, no
//! redirects.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is merged and shown in one piece, while others wait.
const MAX_BODY: usize = 4 << 20;

/// Headers of an answer that are passed on, as the server spells them.
const KEPT: [&str; 3] = ["ETag", "Retry-After", "Allow"];

/// Another metadata server.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    host: String,
    port: u16,
    authority: String,
}

/// A request to it.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) target: String,
    /// Besides `Host` and the flavor.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// For the whole exchange; `None`: no limit.
    pub(crate) timeout: Option<Duration>,
}

/// Its answer. It has shown the flavor.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Upstream {
    /// Understands `http://HOST` with or without a port.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let authority = url
            .strip_prefix("http://")
            .ok_or("it has to begin with http://")?
            .trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ']) {
            return Err("it has to be http://HOST or http://HOST:PORT".into());
        }
        let bare = authority.ends_with(']') || !authority.contains(':');
        let (host, port) = match authority.rsplit_once(':').filter(|_| !bare) {
            None => (authority, 80),
            Some((host, port)) => (
                host,
                port.parse()
                    .map_err(|_| format!("`{port}` is no port number"))?,
            ),
        };
        if HeaderValue::from_str(authority).is_err() {
            return Err("it has characters that no host has".into());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).into(),
            port,
            authority: authority.into(),
        })
    }

    /// Asks. An error says in one line what went wrong.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, String> {
        let limit = ask.timeout;
        let exchange = self.exchange(ask);
        let answer = match limit {
            None => exchange.await,
            Some(limit) => timeout(limit, exchange)
                .await
                .unwrap_or_else(|_| Err(format!("no answer in {} seconds", limit.as_secs()))),
        };
        answer.map_err(|why| format!("the metadata server at http://{}: {why}", self.authority))
    }

    async fn exchange(&self, ask: Ask<'_>) -> Result<Answer, String> {
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(|_| "it could not be reached in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        let request = self.request(ask)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Both in one future, so that nothing is left of it when the client leaves.
        let (answer, _) = tokio::join!(
            async move {
                let response = sender
                    .send_request(request)
                    .await
                    .map_err(|error| error.to_string())?;
                understand(response).await
            },
            connection
        );
        answer
    }

    fn request(&self, ask: Ask<'_>) -> Result<hyper::Request<Full<Bytes>>, String> {
        let mut request = hyper::Request::builder()
            .method(ask.method)
            .uri(ask.target)
            .header(HOST, &self.authority)
            .header("Metadata-Flavor", "Google")
            .header(CONNECTION, "close");
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        request
            .body(Full::from(ask.body))
            .map_err(|error| error.to_string())
    }
}

async fn understand(response: hyper::Response<hyper::body::Incoming>) -> Result<Answer, String> {
    let (parts, body) = response.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(HeaderName::from_bytes(name.as_bytes()).ok()?)
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned)
    };
    if header("metadata-flavor").as_deref() != Some("Google") {
        return Err(format!(
            "what answers there is no metadata server (status {}, no Metadata-Flavor: Google)",
            parts.status.as_u16()
        ));
    }
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|error| format!("the answer broke off: {error}"))?
        .to_bytes();
    Ok(Answer {
        status: parts.status.as_u16(),
        content_type: header("content-type").unwrap_or_default(),
        headers: KEPT
            .into_iter()
            .filter_map(|name| Some((name, header(name)?)))
            .collect(),
        body: body.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood() {
        let parts = |url: &str| {
            let upstream = Upstream::parse(url).unwrap();
            (upstream.host, upstream.port)
        };
        assert_eq!(
            parts("http://169.254.169.254"),
            ("169.254.169.254".into(), 80)
        );
        assert_eq!(parts("http://m.example:8080/"), ("m.example".into(), 8080));
        assert_eq!(parts("http://[fd20:ce::254]"), ("fd20:ce::254".into(), 80));
        assert_eq!(parts("http://[::1]:81"), ("::1".into(), 81));
        for bad in [
            "https://x",
            "x",
            "http://",
            "http://x/y",
            "http://x:y",
            "http://a@b",
            "http://x\n",
        ] {
            assert!(Upstream::parse(bad).is_err(), "{bad}");
        }
    }
}
