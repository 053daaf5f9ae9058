//! What decides about one request: the rules, and the one that fits its caller.

use std::sync::Arc;

use gce_auth_server::protocol::reply::Reply;

use crate::{
    audit::AuditCaller,
    connection::Caller,
    policy::Fit,
    source::failure::line,
    state::{Rules, State},
};

/// What decides about one request.
pub(crate) struct Turn<'a> {
    pub(crate) state: &'a State,
    pub(crate) rules: Arc<Rules>,
    pub(crate) fit: Fit,
    pub(crate) caller: &'a Caller,
}

impl Turn<'_> {
    /// Says who the caller is taken for, and which rule decides.
    pub(crate) fn introduce(&self) -> Reply {
        let (rule, _) = self.rules.of(Some(self.fit));
        let introduction = serde_json::json!({
            "agent": env!("CARGO_PKG_VERSION"),
            "caller": AuditCaller(&self.caller.found()),
            "rule": &**rule,
        });
        Reply::new(200, "application/json", introduction.to_string())
    }

    /// The answer to what a rule refuses: one line that names it, and how to see why.
    pub(crate) fn refused(&self, path: &str, why: &str) -> Reply {
        let (rule, _) = self.rules.of(Some(self.fit));
        let by = match self.fit {
            Fit::Rule(_) => format!("rule `{rule}`"),
            Fit::Served | Fit::Refused => "`default`".to_owned(),
        };
        let mut check = "gce-auth agent check".to_owned();
        if let Some(file) = &self.state.config_file {
            check = format!("{check} --config {}", file.display());
        }
        if let Some(uid) = self.caller.found().uid {
            check = format!("{check} --uid {uid}");
        }
        line(
            403,
            &format!("{path} is refused by {by}: {why}; see `{check} {path}`"),
        )
    }
}
