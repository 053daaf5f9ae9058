//! The document and its versions: one tree that serves every path, and tells those who wait when it
//! changes.

use std::sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool};

use aws_lc_rs::digest;
use gce_auth_server::protocol::{
    Reply,
    etag::Etag,
    query::Reading,
    render,
    route::Target,
    tree::{Node, steps},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    client::Client,
    document::{
        client_views::ClientViews,
        limits::{self, Usage},
        places::{TOO_DEEP, container, copy_account, empty, keys, look, segments, step},
        render_cache::{RenderCache, Representation},
    },
    error::SetError,
};

pub(crate) struct Document {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    /// Whether it looks different to some clients.
    pub(super) split: AtomicBool,
}

pub(super) struct State {
    document: Value,
    /// Of this version.
    rendered: RenderCache,
    usage: Usage,
    pub(super) views: ClientViews,
}

impl State {
    /// The document as a client sees it, and what was rendered of it. `None` stands for a client to
    /// which nothing else is rendered.
    fn view(&mut self, client: Option<&Client>) -> (&Value, &mut RenderCache) {
        let seen = match client {
            Some(client) if !self.views.is_empty() => self.views.seen_by(client),
            _ => Vec::new(),
        };
        if seen.is_empty() {
            return (&self.document, &mut self.rendered);
        }
        let view = self.views.view(seen, &self.document);
        (&view.document, &mut view.rendered)
    }
}

impl Document {
    pub(crate) fn new(document: Value) -> Self {
        Self {
            state: Mutex::new(State {
                usage: Usage::of(&document),
                document,
                rendered: RenderCache::default(),
                views: ClientViews::default(),
            }),
            version: watch::Sender::new(0),
            split: AtomicBool::new(false),
        }
    }

    /// Gets every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// How often it changed.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// How many are waiting to be told.
    pub(crate) fn waiting(&self) -> usize {
        self.version.receiver_count()
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Value) -> T) -> T {
        read(&self.lock().document)
    }

    /// As [`read`](Self::read), of what this client sees.
    pub(crate) fn read_for<T>(&self, client: Option<&Client>, read: impl FnOnce(&Value) -> T) -> T {
        read(self.lock().view(client).0)
    }

    /// The answer for a place as this client sees it now, and its ETag; or the refusal.
    pub(crate) fn look(
        &self,
        client: Option<&Client>,
        target: &Target,
        reading: &Reading,
    ) -> Result<(Reply, Etag), Reply> {
        let mut state = self.lock();
        let (document, rendered) = state.view(client);
        let representation = Representation::new(target, reading);
        if let Some(known) = rendered.find(target.place(), representation) {
            return Ok(known);
        }
        let node = Node::find(document, target.steps()).ok_or_else(|| target.not_found())?;
        let form = render::form(&node, target, reading)?;
        let etag = rendered
            .etag(target.place())
            .unwrap_or_else(|| etag_of(&node));
        let reply = render::reply(&node, form, etag);
        rendered.keep(target.place(), etag, representation, &reply);
        Ok((reply, etag))
    }

    /// The ETag of a place as this client sees it; `None` if there is no such place.
    pub(crate) fn etag(&self, client: Option<&Client>, place: &str) -> Option<Etag> {
        let mut state = self.lock();
        let (document, rendered) = state.view(client);
        if let Some(known) = rendered.etag(place) {
            return Some(known);
        }
        let etag = etag_of(&Node::find(document, steps(place))?);
        rendered.keep_etag(place, etag);
        Some(etag)
    }

    /// Puts any JSON at a place.
    pub(crate) fn set_json(&self, path: &str, json: &str) -> Result<(), SetError> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| SetError::new(path, &format!("not JSON: {error}")))?;
        // Before the lock: to take it apart again needs time.
        if Usage::of(&value).is_exceeded() {
            return Err(SetError::too_large(path));
        }
        self.change(path, |_| Ok(value))
    }

    pub(crate) fn into_document(self) -> Value {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .document
    }

    /// Puts another document in the place of this one.
    pub(crate) fn replace(&self, document: Value) {
        self.replace_with(|_| document);
    }

    /// Puts what is made of this document in its place.
    pub(crate) fn replace_with(&self, make: impl FnOnce(&Value) -> Value) {
        let mut state = self.lock();
        let document = make(&state.document);
        if state.document != document {
            state.usage = Usage::of(&document);
            state.document = document;
            self.changed(state);
        }
    }

    /// Takes a place away.
    pub(crate) fn remove(&self, path: &str) -> Result<(), SetError> {
        let segments = segments(path)?;
        let mut state = self.lock();
        let keys = Node::find(&state.document, &segments)
            .ok_or_else(|| SetError::new(path, "there is no such path"))?
            .keys();
        let (last, parents) = keys
            .split_last()
            .ok_or_else(|| SetError::new(path, "the root cannot be removed"))?;
        let parent = parents
            .iter()
            .try_fold(&mut state.document, step)
            .ok_or_else(|| SetError::new(path, "there is no such path"))?;
        match parent {
            Value::Object(map) => {
                map.remove(last);
            }
            Value::Array(items) => {
                if let Some(index) = last.parse().ok().filter(|index| *index < items.len()) {
                    items.remove(index);
                }
            }
            _ => {}
        }
        self.changed(state);
        Ok(())
    }

    pub(super) fn change(
        &self,
        path: &str,
        new: impl FnOnce(Option<&Value>) -> Result<Value, SetError>,
    ) -> Result<(), SetError> {
        let segments = segments(path)?;
        let mut state = self.lock();
        let keys = keys(&state.document, &segments).ok_or_else(|| {
            SetError::new(path, "this lies below a value, or beyond the end of a list")
        })?;
        let value = new(keys.iter().try_fold(&state.document, look))?;
        if keys.is_empty() && !value.is_object() {
            return Err(SetError::new(path, "the root has to be an object"));
        }
        if keys.len() + limits::depth(&value) > limits::DEPTH {
            return Err(SetError::new(path, TOO_DEEP));
        }
        let State {
            document, usage, ..
        } = &mut *state;
        let old = keys.iter().try_fold(&*document, look);
        if !usage.take(document, (&keys, old), &value) {
            return Err(SetError::too_large(path));
        }
        let mut place = &mut state.document;
        for key in &keys {
            place = match place {
                Value::Array(items) => {
                    let index: usize = key.parse().unwrap_or(items.len());
                    if index >= items.len() {
                        items.push(Value::Null);
                    }
                    let last = items.len() - 1;
                    &mut items[index.min(last)]
                }
                Value::Object(map) => map.entry(key.as_str()).or_insert_with(|| container(key)),
                other => {
                    *other = empty();
                    &mut other[key.as_str()]
                }
            };
        }
        if *place != value {
            *place = value;
            copy_account(&mut state.document, &keys);
            self.changed(state);
        }
        Ok(())
    }

    pub(super) fn changed(&self, mut state: MutexGuard<'_, State>) {
        state.rendered.clear();
        state.views.forget();
        drop(state);
        self.version.send_modify(|version| *version += 1);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes exactly when the place does, whatever form it is asked for in.
pub(crate) fn etag_of(node: &Node<'_>) -> Etag {
    let digest = digest::digest(&digest::SHA256, render::json(node).as_bytes());
    let number = digest.as_ref().iter().take(8);
    Etag(number.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree() -> Document {
        Document::new(json!({"instance": {
            "attributes": {}, "id": 1, "tags": ["a"], "machineType": "e2", "disks": [{"index": 0}],
            "serviceAccounts": {
                "default": {"email": "e", "scopes": []},
                "e": {"email": "e", "scopes": []},
                "f": {"email": "f", "scopes": []},
            },
        }}))
    }

    fn value(tree: &Document) -> Value {
        tree.read(Clone::clone)
    }

    #[test]
    fn values_keep_their_types() {
        let tree = tree();
        tree.set("instance/id", "18446744073709551615").unwrap();
        tree.set("instance/tags", "x\ny").unwrap();
        tree.set("instance/machine-type", "n2").unwrap();
        tree.set("instance/attributes/Some-Key", "1").unwrap();
        tree.set("instance/service-accounts/default/scopes", "[\"s\"]")
            .unwrap();
        let document = value(&tree);
        assert_eq!(document["instance"]["id"], u64::MAX);
        assert_eq!(document["instance"]["tags"], json!(["x", "y"]));
        assert_eq!(document["instance"]["machineType"], "n2");
        assert_eq!(document["instance"]["attributes"]["Some-Key"], "1");
        let scopes =
            |account: &str| document["instance"]["serviceAccounts"][account]["scopes"].clone();
        assert_eq!(
            (scopes("default"), scopes("e"), scopes("f")),
            (json!(["s"]), json!(["s"]), json!([]))
        );
        assert!(tree.set("instance/id", "many").is_err());
        assert!(tree.set("instance/disks/0/index/x", "1").is_err());
        assert!(tree.set("instance/disks/7", "1").is_err());
        assert!(tree.set("instance//id", "1").is_err());
    }

    #[test]
    fn values_of_tables_fit_where_they_go() {
        let tree = tree();
        for (path, value) in [
            ("instance/id", json!("5")),
            ("instance/machine-type", json!(7)),
            ("instance/attributes/on", json!(true)),
            ("instance/tags", json!(["x"])),
            ("instance/network-interfaces/0/mtu", json!(1400)),
        ] {
            tree.put(path, value).unwrap();
        }
        let document = value(&tree);
        let instance = &document["instance"];
        assert_eq!(
            (&instance["id"], &instance["machineType"]),
            (&json!(5), &json!("7"))
        );
        assert_eq!(instance["attributes"]["on"], "TRUE");
        assert_eq!(instance["tags"], json!(["x"]));
        assert_eq!(instance["networkInterfaces"], json!([{"mtu": 1400}]));
        assert!(tree.put("instance/id", json!("many")).is_err());
    }

    #[test]
    fn what_is_new_gets_the_keys_of_the_schema() {
        let tree = tree();
        tree.set("instance/upcoming-maintenance/can-reschedule", "TRUE")
            .unwrap();
        tree.set("instance/partner-attributes/a.b/some-key", "v")
            .unwrap();
        tree.set("/computeMetadata/v1/instance/disks/1/device-name", "d")
            .unwrap();
        let document = value(&tree);
        assert_eq!(
            document["instance"]["upcomingMaintenance"]["canReschedule"],
            "TRUE"
        );
        assert_eq!(
            document["instance"]["partnerAttributes"]["a.b"]["some-key"],
            "v"
        );
        assert_eq!(document["instance"]["disks"][1]["deviceName"], "d");
    }

    #[test]
    fn etags_change_with_the_value_and_only_then() {
        let tree = tree();
        let etag = |path: &str| tree.etag(None, path).unwrap();
        let (root, tags, id) = (etag(""), etag("instance/tags"), etag("instance/id"));
        assert_eq!(etag("instance/tags"), tags);
        tree.set("instance/id", "2").unwrap();
        assert_eq!(etag("instance/tags"), tags);
        assert_ne!(etag("instance/id"), id);
        assert_ne!(etag(""), root);
        tree.set("instance/id", "1").unwrap();
        assert_eq!((etag(""), etag("instance/id")), (root, id));
    }

    #[test]
    fn only_changes_are_told() {
        let tree = tree();
        let told = tree.subscribe();
        tree.set("instance/id", "1").unwrap();
        assert!(!told.has_changed().unwrap());
        tree.remove("instance/tags").unwrap();
        assert!(told.has_changed().unwrap());
        assert!(tree.remove("instance/tags").is_err());
        assert!(tree.remove("").is_err());
    }
}
