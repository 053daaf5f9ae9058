//! Changes of the document that can be taken back, and those for some clients only.

use std::sync::atomic::Ordering;

use crate::{
    client::ClientPattern,
    document::{
        change::{Change, Uncover},
        limits::Extent,
        patch::Patch,
        versions::Document,
    },
};

impl Document {
    /// Makes all these changes as one version, and takes note of them in `changes`. Nothing changes
    /// if the document would become too large; the answer is then false.
    pub(crate) fn patch(
        &self,
        patches: &[Patch],
        (changes, made): (&mut Vec<Change>, u64),
        uncover: Uncover<'_>,
    ) -> bool {
        let mut fits = true;
        self.replace_with(|document| {
            let (mut next, mut noted) = (document.clone(), changes.clone());
            Change::make(&mut next, patches, (&mut noted, made), uncover);
            fits = !Extent::of(&next).is_too_large();
            if !fits {
                return document.clone();
            }
            *changes = noted;
            next
        });
        fits
    }

    /// Takes changes back, except where something else was put since.
    pub(crate) fn take_back(&self, changes: &[Change], uncover: Uncover<'_>) {
        self.replace_with(|document| {
            let mut document = document.clone();
            Change::take_back(&mut document, changes, uncover);
            document
        });
    }

    /// Puts patches over the document for these clients, as overlay `id`.
    pub(crate) fn put_over(&self, id: u64, clients: &ClientPattern, patches: &[Patch]) {
        let mut state = self.lock();
        state.views.put(id, clients, patches);
        self.split.store(!state.views.is_empty(), Ordering::Relaxed);
        self.changed(state);
    }

    /// Takes overlay `id` away, if it is there.
    pub(crate) fn lift(&self, id: u64) {
        let mut state = self.lock();
        if state.views.lift(id) {
            self.split.store(!state.views.is_empty(), Ordering::Relaxed);
            self.changed(state);
        }
    }

    /// Takes all overlays away.
    pub(crate) fn lift_all(&self) {
        let mut state = self.lock();
        if state.views.clear() {
            self.split.store(false, Ordering::Relaxed);
            self.changed(state);
        }
    }

    /// Returns whether something lies over the document for some clients.
    pub(crate) fn is_split(&self) -> bool {
        self.split.load(Ordering::Relaxed)
    }
}
