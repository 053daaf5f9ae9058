//! X.509 certificates in PEM, and the workload identity that they name.

use rustls_pki_types::{CertificateDer, pem::PemObject};
use webpki::EndEntityCert;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A chain of certificates, the holder's own first.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    blocks: Vec<String>,
    identities: Vec<String>,
}

impl Chain {
    /// Reads every certificate in `pem`; keys and other blocks are left out.
    /// The error says what is wrong.
    pub(crate) fn read(pem: &str) -> Result<Self, &'static str> {
        let blocks = blocks(pem);
        if blocks.is_empty() {
            return Err("it holds no certificate");
        }
        let marks = |mark: &str| pem.matches(mark).count();
        if marks(BEGIN) != blocks.len() || marks(END) != blocks.len() {
            return Err("a certificate in it is cut off");
        }
        let mut identities = Vec::new();
        for (place, block) in blocks.iter().enumerate() {
            let der = CertificateDer::from_pem_slice(block.as_bytes())
                .map_err(|_| "a certificate in it is damaged")?;
            let certificate =
                EndEntityCert::try_from(&der).map_err(|_| "a certificate in it is damaged")?;
            if place == 0 {
                identities = certificate.valid_uri_names().map(str::to_owned).collect();
            }
        }
        Ok(Self {
            blocks: blocks.into_iter().map(str::to_owned).collect(),
            identities,
        })
    }

    /// The certificates alone, one after the other.
    pub(crate) fn to_pem(&self) -> String {
        let mut pem = self.blocks.join("\n");
        pem.push('\n');
        pem
    }

    /// Whether the holder is an agent that Google Cloud gave its identity.
    pub(crate) fn is_of_an_agent(&self) -> bool {
        self.identities.iter().any(|uri| names_an_agent(uri))
    }
}

fn blocks(pem: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = pem;
    while let Some(start) = rest.find(BEGIN) {
        let from = &rest[start..];
        let Some(end) = from.find(END) else {
            break;
        };
        let (block, after) = from.split_at(end + END.len());
        found.push(block);
        rest = after;
    }
    found
}

/// `spiffe://agents[-nonprod].global.{org|proj}-NUMBER.system.id.goog/…`
/// (google-auth, `_agent_identity_utils`).
fn names_an_agent(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return false;
    };
    let domain = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some(name) = domain.strip_suffix(".system.id.goog") else {
        return false;
    };
    let owner = ["agents.global.", "agents-nonprod.global."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let number = owner.and_then(|owner| {
        ["org-", "proj-", "project-"]
            .iter()
            .find_map(|kind| owner.strip_prefix(kind))
    });
    scheme.eq_ignore_ascii_case("spiffe")
        && number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_told_by_their_trust_domain() {
        for (uri, agent) in [
            ("spiffe://agents.global.org-12.system.id.goog/a/b", true),
            ("SPIFFE://agents.global.proj-1.system.id.goog", true),
            ("spiffe://agents.global.project-1.system.id.goog/a", true),
            ("spiffe://agents.global.project-.system.id.goog/a", false),
            (
                "spiffe://agents-nonprod.global.org-9.system.id.goog/x",
                true,
            ),
            ("spiffe://agents.global.org-a.system.id.goog/x", false),
            ("spiffe://agents.global.org-.system.id.goog/x", false),
            ("spiffe://agents.global.org-1.system.id.goog.evil/x", false),
            ("spiffe://x.agents.global.org-1.system.id.goog/x", false),
            ("spiffe://agents.global.org-1.system.id.goog:1/x", false),
            ("https://agents.global.org-1.system.id.goog/x", false),
            ("agents.global.org-1.system.id.goog", false),
        ] {
            assert_eq!(names_an_agent(uri), agent, "{uri}");
        }
    }

    #[test]
    fn what_is_no_chain_is_said() {
        let refused = |pem: &str| Chain::read(pem).err().unwrap();
        assert!(refused("nothing").contains("no certificate"));
        let damaged = format!("{BEGIN}\nAAAA\n{END}\n");
        assert!(refused(&damaged).contains("damaged"));
        assert!(refused(&format!("{damaged}{BEGIN}\nAAAA")).contains("cut off"));
    }
}
