//! The access tokens that are accepted, as control requests and the page show them: without the
//! tokens.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{policy::tokens::Issued, state::State};

/// So many are shown, those that live longest first.
const SHOWN: usize = 200;

impl State {
    /// Whose they are, what they may do, and how long they live.
    pub(crate) fn issued_tokens(&self) -> Value {
        let now = self.clock.now();
        let mut all = self.issuer().tokens.accepted(now);
        all.sort_by_key(|issued| std::cmp::Reverse(issued.expires));
        let count = all.len();
        all.truncate(SHOWN);
        let show = |issued: &Issued| {
            json!({
                "id": id(issued),
                "principal": issued.grant.principal.member(),
                "scopes": issued.grant.scopes,
                "downscoped": issued.grant.boundary.is_some(),
                "issuedAt": issued.issued.rfc3339(),
                "expiresAt": issued.expires.rfc3339(),
                "lifetimeSeconds": issued.issued.until(issued.expires).as_secs(),
                "secondsLeft": now.until(issued.expires).as_secs(),
            })
        };
        let shown: Vec<Value> = all.iter().map(|issued| show(issued)).collect();
        json!({ "tokens": shown, "count": count })
    }

    /// Accepts the token of this id no more. False if there is none.
    pub(crate) fn revoke_issued(&self, wanted: &str) -> bool {
        let now = self.clock.now();
        let mut issuer = self.issuer();
        let all = issuer.tokens.accepted(now);
        let Some(issued) = all.iter().find(|issued| id(issued) == wanted) else {
            return false;
        };
        issuer.tokens.revoke(&issued.token);
        issuer.forget(&issued.token);
        true
    }
}

/// A name for a token that does not tell the token.
fn id(issued: &Issued) -> String {
    let hash = digest(&SHA256, issued.token.as_bytes());
    hash.as_ref()[..8]
        .iter()
        .fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
}
