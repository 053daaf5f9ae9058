//! Values and directories of the document, once they have changed if that is wanted.

use std::pin::pin;

use gce_auth_server::protocol::{
    Reply,
    etag::Etag,
    query::{Reading, Wait},
    route::Target,
};

use crate::{client::Client, state::State};

impl State {
    /// A place as this client sees it now, and its ETag; or the refusal.
    pub(crate) fn look(
        &self,
        client: Option<&Client>,
        target: &Target,
        reading: &Reading,
    ) -> Result<(Reply, Etag), Reply> {
        match self.guest_attributes_refusal(client, target) {
            Some(reply) => Err(reply),
            None => self.document.look(client, target, reading),
        }
    }

    /// A place, once it has changed if that is wanted.
    pub(crate) async fn read(
        &self,
        client: Option<&Client>,
        target: &Target,
        reading: &Reading,
    ) -> Reply {
        // Before the first look, so that no change falls between the two.
        let changes = reading.wait.as_ref().map(|_| self.document.subscribe());
        let (reply, etag) = match self.look(client, target, reading) {
            Ok(seen) => seen,
            Err(reply) => return reply,
        };
        let (Some(Wait { last_etag, timeout }), Some(mut changes)) = (&reading.wait, changes)
        else {
            return reply;
        };
        if last_etag.as_ref().is_some_and(|last| !etag.is(last)) {
            return reply;
        }
        drop(reply);
        let mut changed = pin!(async {
            while changes.changed().await.is_ok() {
                if self.document.etag(client, target.place()) != Some(etag) {
                    break;
                }
            }
        });
        match timeout {
            None => changed.await,
            // In a box, as those that wait without a limit need no timer.
            Some(timeout) => {
                let _ = Box::pin(tokio::time::timeout(*timeout, changed.as_mut())).await;
            }
        }
        // Thousands may wake together: others come in between.
        tokio::task::yield_now().await;
        match self.look(client, target, reading) {
            Ok((reply, _)) | Err(reply) => reply,
        }
    }
}
