//! Guest attributes: the part of the tree that programs on the machine may write.

use gce_auth_server::protocol::{Reply, pages, render, route::Target};
use serde_json::Value;

use crate::{client::Client, document::limits::Extent, profiles::attribute, state::State};

/// How many bytes all guest attributes may have together, their names and a few for each included.
const MAX_BYTES: usize = 256 * 1024;

impl State {
    /// The refusal, where this is among them and they are not enabled.
    pub(crate) fn guest_attributes_refusal(
        &self,
        client: Option<&Client>,
        target: &Target,
    ) -> Option<Reply> {
        const PLACE: &str = "instance/guest-attributes";
        let below = target.place().strip_prefix(PLACE)?;
        // Without its slash the directory is redirected.
        let inside = below.starts_with('/') || (below.is_empty() && target.slash());
        if !inside {
            return None;
        }
        let on = self.document.read_for(client, |document| {
            attribute(document, "enable-guest-attributes")
        });
        (!on).then(pages::guest_attributes_off)
    }

    pub(crate) fn write_guest_attribute(
        &self,
        client: Option<&Client>,
        target: &Target,
        (namespace, key): (&str, &str),
        value: &str,
    ) -> Reply {
        if let Some(reply) = self.guest_attributes_refusal(client, target) {
            return reply;
        }
        let place = |document: &Value| {
            let all = &document["instance"]["guestAttributes"];
            let old = Extent::of(&all[namespace][key]);
            Extent::of(all).minus(old).bytes + key.len() + value.len() > MAX_BYTES
        };
        if self.document.read(place) {
            return pages::too_large();
        }
        match self.document.set(
            &format!("instance/guest-attributes/{namespace}/{key}"),
            value,
        ) {
            Ok(()) => render::lines(""),
            Err(error) if error.is_too_large() => pages::too_large(),
            Err(_) => pages::bad_request("invalid guest attribute"),
        }
    }

    pub(crate) fn delete_guest_attribute(
        &self,
        client: Option<&Client>,
        target: &Target,
        namespace: &str,
        key: Option<&str>,
    ) -> Reply {
        if let Some(reply) = self.guest_attributes_refusal(client, target) {
            return reply;
        }
        let path = match key {
            Some(key) => format!("instance/guest-attributes/{namespace}/{key}"),
            None => format!("instance/guest-attributes/{namespace}"),
        };
        match self.document.remove(&path) {
            Ok(()) => render::lines(""),
            Err(_) => target.not_found(),
        }
    }
}
