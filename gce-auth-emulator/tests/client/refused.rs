//! Requests that are refused, with what explains it.

use gce_auth_emulator::Emulator;

use super::{cloud::encode, request};

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
pub(crate) const TREE: &str = "/computeMetadata/v1/";

/// A request that is refused, and what its explanation says.
pub(crate) struct Refused<'a> {
    pub(crate) name: &'a str,
    pub(crate) ask: Ask,
    pub(crate) status: u16,
    pub(crate) why: &'a str,
    pub(crate) instead: &'a str,
    /// The mended request, which is answered with 200.
    pub(crate) mended: Option<Ask>,
}

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Below version 1, with the flavor.
    pub(crate) fn tree(path: &str) -> Self {
        Self::new("GET", format!("{TREE}{path}")).with(FLAVOR)
    }

    pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)));
        let body = fields.collect::<Vec<_>>().join("&");
        Self::new("POST", path).with(FORM).body(body)
    }

    pub(crate) fn iam(
        token: &str,
        method: &'static str,
        call: &str,
        body: &serde_json::Value,
    ) -> Self {
        let ask = Self::new(method, format!("/v1/projects/-/serviceAccounts/{call}"));
        ask.with(("Authorization", &format!("Bearer {token}")))
            .body(body.to_string())
    }

    pub(crate) fn with(mut self, (name, value): (&str, &str)) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn send(&self, emulator: &Emulator) -> u16 {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        request(
            emulator.addr(),
            self.method,
            &self.target,
            &headers,
            self.body.as_bytes(),
        )
        .status
    }
}

/// Checks that each is refused and explained, and is answered once it is mended. Returns how many
/// there are.
pub(crate) fn check(emulator: &Emulator, rows: &[Refused<'_>]) -> usize {
    for row in rows {
        let name = row.name;
        assert_eq!(row.ask.send(emulator), row.status, "{name}");
        let seen = emulator.requests().pop().unwrap();
        let explanation = seen
            .explanation
            .unwrap_or_else(|| panic!("{name} is not explained"));
        assert!(explanation.why.contains(row.why), "{name}: {explanation:?}");
        let instead = explanation.instead.unwrap_or_default();
        assert!(instead.contains(row.instead), "{name}: {instead}");
        if let Some(mended) = &row.mended {
            assert_eq!(mended.send(emulator), 200, "{name}, mended");
        }
    }
    rows.len()
}
