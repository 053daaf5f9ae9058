//! Agent identities: the certificates that bind tokens to agents, and who issues their ID tokens.

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

/// An agent, as the first certificate of a chain names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    /// `spiffe://TRUST_DOMAIN/PATH`.
    id: String,
    /// `{organizations|projects}/NUMBER/locations/global/workloadIdentityPools/TRUST_DOMAIN`.
    pool: String,
    /// SHA-256 of the certificate, as `x5t#S256` has it (RFC 8705).
    thumbprint: String,
}

impl Agent {
    /// The agent of a chain in PEM; `None` if its first certificate is not that of an agent.
    pub(crate) fn of(chain: &str) -> Option<Self> {
        let leaf = CertificateDer::pem_slice_iter(chain.as_bytes())
            .next()?
            .ok()?;
        let id = san_uris(&leaf)?
            .into_iter()
            .find(|uri| pool_of(uri).is_some())?;
        let digest = digest::digest(&digest::SHA256, &leaf);
        Some(Self {
            pool: pool_of(&id)?,
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(digest),
            id,
        })
    }

    /// The claims of the agent's ID token. Only a full one is bound to the certificate.
    pub(crate) fn claims(&self, audience: &str, full: bool, now: i64) -> Value {
        let mut claims = json!({
            "aud": audience,
            "exp": now.saturating_add(3600),
            "iat": now,
            "iss": issuer_url(&self.pool),
            "sub": self.id,
        });
        if full {
            claims["cnf"] = json!({"x5t#S256": self.thumbprint});
        }
        claims
    }
}

/// The issuer of a pool's ID tokens, by the pool's name.
pub(crate) fn issuer_url(pool: &str) -> String {
    format!("https://sts.googleapis.com/v1/{pool}")
}

/// The pool of an agent's SPIFFE id, whose trust domain is
/// `agents[-nonprod].global.{org|proj}-NUMBER.system.id.goog`. The docs of Cloud Run write
/// `project-` for `proj-`.
fn pool_of(id: &str) -> Option<String> {
    let trust_domain = id.strip_prefix("spiffe://")?.split('/').next()?;
    let rest = trust_domain
        .strip_prefix("agents.global.")
        .or_else(|| trust_domain.strip_prefix("agents-nonprod.global."))?;
    let (kind, number) = rest.strip_suffix(".system.id.goog")?.split_once('-')?;
    let parent = match kind {
        "org" => "organizations",
        "proj" | "project" => "projects",
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| format!("{parent}/{number}/locations/global/workloadIdentityPools/{trust_domain}"))
}

/// The URIs among the subject's alternative names of a certificate (RFC 5280).
fn san_uris(certificate: &[u8]) -> Option<Vec<String>> {
    const SEQUENCE: u8 = 0x30;
    const OCTET_STRING: u8 = 0x04;
    const EXTENSIONS: u8 = 0xa3;
    const URI: u8 = 0x86;
    const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

    let inside = |bytes, tag| {
        Elements(bytes)
            .find(|(of, _)| *of == tag)
            .map(|(_, inside)| inside)
    };
    let to_be_signed = inside(inside(certificate, SEQUENCE)?, SEQUENCE)?;
    let extensions = inside(inside(to_be_signed, EXTENSIONS)?, SEQUENCE)?;
    let names = Elements(extensions).find_map(|(_, extension)| {
        let is_names = Elements(extension)
            .next()
            .is_some_and(|(_, oid)| oid == SUBJECT_ALT_NAME);
        is_names.then(|| inside(extension, OCTET_STRING)).flatten()
    })?;
    let uris = Elements(inside(names, SEQUENCE)?)
        .filter(|(tag, _)| *tag == URI)
        .filter_map(|(_, uri)| String::from_utf8(uri.to_vec()).ok());
    Some(uris.collect())
}

/// The elements of a DER encoding, one behind the other: tag and contents.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [tag, first, rest @ ..] = self.0 else {
            return None;
        };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (inside, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, inside))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_trust_domains_of_agents_have_pools() {
        for (id, pool) in [
            (
                "spiffe://agents.global.proj-12.system.id.goog/x",
                "projects/12/locations/global/workloadIdentityPools/agents.global.proj-12.system.id.goog",
            ),
            (
                "spiffe://agents-nonprod.global.org-3.system.id.goog",
                "organizations/3/locations/global/workloadIdentityPools/agents-nonprod.global.org-3.system.id.goog",
            ),
        ] {
            assert_eq!(pool_of(id).as_deref(), Some(pool));
        }
        for id in [
            "https://agents.global.proj-12.system.id.goog/x",
            "spiffe://agents.global.proj-.system.id.goog/x",
            "spiffe://agents.global.proj-1x.system.id.goog/x",
            "spiffe://agents.global.proj-12.system.id.goog.evil.example/x",
            "spiffe://evil.agents.global.proj-12.system.id.goog/x",
            "spiffe://agents.global.folder-12.system.id.goog/x",
        ] {
            assert_eq!(pool_of(id), None, "{id}");
        }
    }

    /// Another kind of name may have any text, and another extension any bytes.
    #[test]
    fn an_agent_is_named_by_a_uri_of_the_first_certificate_alone() {
        use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};
        let key = KeyPair::generate().unwrap();
        let chain = |names: &[SanType]| {
            let mut params = CertificateParams::default();
            params.subject_alt_names = names.to_vec();
            params.use_authority_key_identifier_extension = true;
            // A name in an extension that is none of names.
            let id = b"spiffe://agents.global.proj-3.system.id.goog/x";
            let mut inside = vec![0x30, u8::try_from(id.len()).unwrap() + 2, 0x86];
            inside.push(u8::try_from(id.len()).unwrap());
            inside.extend(id);
            let other = CustomExtension::from_oid_content(&[1, 2, 3], inside);
            params.custom_extensions.push(other);
            params.self_signed(&key).unwrap().pem()
        };
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
        let agent = "spiffe://agents.global.proj-1.system.id.goog/x";
        let other = "spiffe://agents.global.proj-2.system.id.goog/x";
        let first = chain(&[dns(other), uri("https://example.com"), uri(agent)]);
        let of = |chain: &str| Agent::of(chain).map(|agent| agent.id);
        assert_eq!(of(&first).as_deref(), Some(agent));
        let without = chain(&[dns(other), uri("https://example.com")]);
        assert_eq!(of(&without), None);
        assert_eq!(of(&chain(&[])), None);
        assert_eq!(of(&format!("{without}{first}")), None);
        assert_eq!(of(&format!("{first}{without}")).as_deref(), Some(agent));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = san_uris(&bytes);
            let _ = Agent::of(&String::from_utf8_lossy(&bytes));
        }
    }
}
