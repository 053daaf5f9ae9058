//! A signature with Signature Version 4, and what it covers.

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac::{HMAC_SHA256, Key, sign},
};

use super::signed::Signed;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the header `Authorization` says.
pub(super) struct Proof<'a> {
    pub(super) key_id: &'a str,
    pub(super) date: &'a str,
    day: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    names: Vec<&'a str>,
    pub(super) signature: &'a str,
}

impl<'a> Proof<'a> {
    pub(super) fn parse(request: &'a Signed) -> Option<Self> {
        let header = request.header("authorization")?.strip_prefix(ALGORITHM)?;
        let part = |name: &str| {
            let mut parts = header.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = part("Credential")?.rsplitn(5, '/');
        let end = scope.next()?;
        let (service, region, day, key_id) =
            (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let date = request.header("x-amz-date")?;
        (end == "aws4_request" && date.starts_with(day) && day.len() == 8).then_some(())?;
        Some(Self {
            key_id,
            date,
            day,
            region,
            service,
            names: part("SignedHeaders")?.split(';').collect(),
            signature: part("Signature")?,
        })
    }

    /// Whether all headers are signed that must be.
    pub(super) fn covers(&self, request: &Signed) -> bool {
        let mut needed = request.headers.iter().map(|(name, _)| name.as_str());
        needed.all(|name| {
            !(name == "host" || name.starts_with("x-amz-")) || self.names.contains(&name)
        })
    }

    /// The signature that the request has if `secret` made it, in hexadecimal digits.
    pub(super) fn signature(&self, request: &Signed, secret: &str) -> String {
        let mut pairs: Vec<&str> = request.query.split('&').collect();
        pairs.sort_unstable();
        let mut canonical = format!("POST\n/\n{}\n", pairs.join("&"));
        for name in &self.names {
            let value = request.header(name).unwrap_or_default();
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        let names = self.names.join(";");
        canonical.push_str(&format!("\n{names}\n{}", hash(request.body.as_bytes())));
        let Self {
            date,
            day,
            region,
            service,
            ..
        } = self;
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let to_sign = format!(
            "{ALGORITHM}\n{date}\n{scope}\n{}",
            hash(canonical.as_bytes())
        );
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day, region, service, "aws4_request", &to_sign] {
            key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes())
                .as_ref()
                .to_vec();
        }
        hex(&key)
    }
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
