//! The serialized request of a subject token.

use gce_auth_server::protocol::query::Query;
use serde_json::Value;

/// A request that was serialized to be sent by another.
pub(super) struct Signed {
    pub(super) region: String,
    pub(super) query: String,
    /// Names are in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Signed {
    /// Parses a token: JSON, percent-encoded.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let json = if token.trim_start().starts_with('{') {
            token.to_owned()
        } else {
            let encoded = token.replace('+', "%2B").replace('&', "%26");
            Query::parse(&format!("token={encoded}"))
                .get("token")?
                .to_owned()
        };
        let request: Value = serde_json::from_str(&json).ok()?;
        if request["method"] != "POST" {
            return None;
        }
        let headers = request["headers"].as_array()?.iter().map(|header| {
            let text = |name: &str| header[name].as_str();
            Some((
                text("key")?.to_ascii_lowercase(),
                text("value")?.trim().to_owned(),
            ))
        });
        let headers: Vec<_> = headers.collect::<Option<_>>()?;
        let (host, query) = of_caller_identity(request["url"].as_str()?)?;
        let named = headers.iter().find(|(name, _)| name == "host");
        if named.is_none_or(|(_, value)| value != host) {
            return None;
        }
        Some(Self {
            region: region(host)?.to_owned(),
            query: query.to_owned(),
            headers,
            body: request["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Host and query of a URL that asks AWS who the caller is; `None` for every other.
fn of_caller_identity(url: &str) -> Option<(&str, &str)> {
    let (host, query) = url.strip_prefix("https://")?.split_once('?')?;
    let asked = Query::parse(query);
    let is_asked = asked.get("Action") == Some("GetCallerIdentity")
        && asked.get("Version") == Some("2011-06-15");
    is_asked.then_some((host.strip_suffix('/').unwrap_or(host), query))
}

/// The region of a host of the service: `sts.REGION.amazonaws.com`, where `sts.amazonaws.com` is in
/// us-east-1.
pub(super) fn region(host: &str) -> Option<&str> {
    let rest = host
        .strip_suffix(".cn")
        .unwrap_or(host)
        .strip_suffix(".amazonaws.com");
    match rest?.split_once('.') {
        None if rest == Some("sts") => Some("us-east-1"),
        Some(("sts" | "sts-fips", region)) if !region.is_empty() && !region.contains('.') => {
            Some(region)
        }
        _ => None,
    }
}
