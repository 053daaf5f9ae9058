//! What google-auth's ID-token credentials can sign, in its names.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::{
    io::threads::{LaneKey, WorkKind},
    tokens::{
        handle::Handle,
        id_token_credentials::IdTokenCredentials,
        source::{TokenSource, jwt_signer::JwtSigner},
    },
    values::error::{Error, ErrorKind},
};

impl IdTokenCredentials {
    /// Signs `message` as the account, in the IAM flow: through IAM, or by the
    /// program's signer.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) in the metadata flow,
    /// which signs nothing; else what keeps the signature from being made.
    pub async fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (credentials, message) = (self.clone(), message.to_vec());
        let work = move || credentials.blocking_sign_bytes(&message);
        self.0.in_lane_of_signatures(work).await
    }

    /// [`sign_bytes`](Self::sign_bytes), waiting on this thread.
    ///
    /// # Errors
    /// As for [`sign_bytes`](Self::sign_bytes).
    pub fn blocking_sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        sign(&*self.0.inner.source, message)
    }

    /// Returns what signs assertions in the IAM flow: the program's signer, else
    /// one that signs through IAM as the account, waiting on the thread that
    /// calls it, without a key id. `None` in the metadata flow, which signs
    /// nothing.
    #[must_use]
    pub fn signer(&self) -> Option<Arc<dyn JwtSigner>> {
        let source = &self.0.inner.source;
        let own = source.signs()?.own();
        Some(own.unwrap_or_else(|| Arc::new(ThroughIam(Arc::clone(source)))))
    }

    /// Returns the account that signs, if its email address is known.
    #[must_use]
    pub fn signer_email(&self) -> Option<String> {
        self.service_account_email()
    }
}

impl Handle {
    /// Signs in the background, apart from work for other servers than those that signatures ask.
    pub(super) async fn in_lane_of_signatures(
        &self,
        sign: impl FnOnce() -> Result<Vec<u8>, Error> + Send + 'static,
    ) -> Result<Vec<u8>, Error> {
        let source = &self.inner.source;
        let lane = source.signs().map_or_else(LaneKey::nowhere, |it| it.lane());
        let (client, kind) = (source.client(), WorkKind::Other);
        let budget = client.0.retry.total();
        client.background_in(&lane, kind, budget, |_| sign()).await
    }
}

fn sign(source: &dyn TokenSource, message: &[u8]) -> Result<Vec<u8>, Error> {
    let Some(signer) = source.signs() else {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "credentials of the metadata flow sign nothing",
        )
        .with_hint("build them with iam_flow(true), or use a Signer"));
    };
    signer.sign(message).map(|(_, signature)| signature)
}

/// Signs as the account of these credentials.
struct ThroughIam(Arc<dyn TokenSource>);

impl JwtSigner for ThroughIam {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>> {
        Ok(sign(&*self.0, bytes)?)
    }
}

impl fmt::Debug for ThroughIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThroughIam")
            .field("service_account", &self.0.info().principal)
            .finish_non_exhaustive()
    }
}
