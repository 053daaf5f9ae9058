//! What lies over the document for some clients only, and how it looks to them.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    client::{Client, ClientPattern},
    document::{patch::Patch, render_cache::RenderCache},
};

/// How many views are remembered; beyond that all are forgotten.
const VIEWS: usize = 64;

/// Patches for the clients that fit.
struct Overlay {
    id: u64,
    clients: ClientPattern,
    patches: Vec<Patch>,
}

/// The document as some clients see it.
pub(super) struct View {
    pub(super) document: Value,
    pub(super) rendered: RenderCache,
}

/// All overlays, and the views that they make of this version of the document.
#[derive(Default)]
pub(super) struct ClientViews {
    overlays: Vec<Overlay>,
    /// By the overlays that they are made of.
    views: HashMap<Vec<u64>, View>,
}

impl ClientViews {
    /// Returns which overlays a client sees.
    pub(super) fn seen_by(&self, client: &Client) -> Vec<u64> {
        let seen = |overlay: &&Overlay| overlay.clients.fits(client);
        let ids = self.overlays.iter().filter(seen).map(|overlay| overlay.id);
        ids.collect()
    }

    /// Returns the document with these overlays.
    pub(super) fn view(&mut self, seen: Vec<u64>, document: &Value) -> &mut View {
        if self.views.len() >= VIEWS && !self.views.contains_key(&seen) {
            self.views.clear();
        }
        let overlays = &self.overlays;
        self.views.entry(seen).or_insert_with_key(|seen| {
            let mut document = document.clone();
            for overlay in overlays.iter().filter(|overlay| seen.contains(&overlay.id)) {
                for patch in &overlay.patches {
                    patch.apply(&mut document);
                }
            }
            View {
                document,
                rendered: RenderCache::default(),
            }
        })
    }

    /// Forgets the views, as the document has changed.
    pub(super) fn forget(&mut self) {
        self.views.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.overlays.is_empty()
    }

    /// Puts patches over the document for these clients, behind those that this overlay has.
    pub(super) fn put(&mut self, id: u64, clients: &ClientPattern, patches: &[Patch]) {
        let known = self.overlays.iter().position(|overlay| overlay.id == id);
        let mut overlay = match known {
            Some(known) => self.overlays.remove(known),
            None => Overlay {
                id,
                clients: clients.clone(),
                patches: Vec::new(),
            },
        };
        for patch in patches {
            let place = patch.place();
            match patch {
                Patch::Restore(_) => overlay.patches.retain(|old| old.place() != place),
                Patch::Set(..) | Patch::Remove(_) => {
                    // It hides the older one.
                    overlay.patches.retain(|old| old.place() != place);
                    overlay.patches.push(patch.clone());
                }
                _ => overlay.patches.push(patch.clone()),
            }
        }
        if !overlay.patches.is_empty() {
            // Behind the others: the last word counts.
            self.overlays.push(overlay);
        }
    }

    /// Takes an overlay away; false if there is none of this number.
    pub(super) fn lift(&mut self, id: u64) -> bool {
        let before = self.overlays.len();
        self.overlays.retain(|overlay| overlay.id != id);
        self.overlays.len() < before
    }

    /// Takes all away; false if there is none.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.overlays.is_empty();
        self.overlays.clear();
        any
    }
}
