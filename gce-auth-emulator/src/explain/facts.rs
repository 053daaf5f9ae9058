//! What an explanation may look at beside the request and its answer.

use gce_auth_server::protocol::{hosts::AllowedHosts, tree::Node};
use serde_json::Value;

use crate::policy::settings::Settings;

/// So many names are listed at most.
const LISTED: usize = 6;

/// The emulator at the moment of an answer.
pub(crate) struct Facts<'a> {
    pub(crate) document: &'a Value,
    pub(crate) hosts: &'a AllowedHosts,
    pub(crate) settings: &'a Settings,
}

impl Facts<'_> {
    /// The accounts of the machine, `default` and other aliases included.
    pub(super) fn accounts(&self) -> Vec<String> {
        let node = Node::find(self.document, ["instance", "service-accounts"]);
        let children = node.map(|node| node.children()).unwrap_or_default();
        children.into_iter().map(|(name, _)| name).collect()
    }

    /// The emails of the accounts that the APIs know.
    pub(super) fn emails(&self) -> Vec<String> {
        let accounts = self.document["instance"]["serviceAccounts"].as_object();
        let attached = accounts.into_iter().flat_map(|accounts| accounts.values());
        let mut emails: Vec<String> = attached
            .filter_map(|account| account["email"].as_str().map(Into::into))
            .collect();
        emails.extend(self.settings.config().accounts);
        emails.sort();
        emails.dedup();
        emails
    }
}

/// `a, b, c and 4 more`.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    let mut text = shown.join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}
