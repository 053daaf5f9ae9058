//! A service account whose private key is at hand, and what the key signs.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use crate::{
    io::crypto::RsaKey,
    tokens::source::Sign,
    values::{
        error::{Error, ErrorKind},
        secret::BearerValue,
        token::{Bearer, Now, Validity},
    },
    wire::{assertion, credentials_file::service_account::ServiceAccountKey, private_key},
};

/// A service account and its private key.
#[derive(Debug)]
pub(crate) struct KeyFile {
    pub(crate) file: ServiceAccountKey,
    key: RsaKey,
}

impl KeyFile {
    /// Reads the key of the file that errors call `place`.
    pub(crate) fn read(place: &str, file: ServiceAccountKey) -> Result<Arc<Self>, Error> {
        let refuse = |why: &str| {
            Error::new(
                ErrorKind::Config,
                format!("{place}: the member `private_key` {why}"),
            )
            .with_hint("create another key with `gcloud iam service-accounts keys create`")
        };
        let block = private_key::read(file.private_key.reveal()).map_err(refuse)?;
        let key = RsaKey::read(&block).map_err(refuse)?;
        Ok(Arc::new(Self { file, key }))
    }

    /// Signs claims as a JWT.
    pub(crate) fn jwt(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<zeroize::Zeroizing<String>, Error> {
        let to_sign = assertion::to_sign(self.file.private_key_id.as_deref(), claims);
        let (_, signature) = self.sign(to_sign.as_bytes())?;
        Ok(assertion::signed(&to_sign, &signature))
    }

    /// Returns a token that is signed here, for an audience (`aud`) or with a
    /// scope (`scope`).
    pub(crate) fn self_signed(&self, what: (&str, &str), now: Now) -> Result<Bearer, Error> {
        self.self_signed_with(what, assertion::LIFETIME, &Map::new(), now)
    }

    /// The same with additional claims, and another lifetime.
    pub(crate) fn self_signed_with(
        &self,
        what: (&str, &str),
        lifetime: Duration,
        additional: &Map<String, Value>,
        now: Now,
    ) -> Result<Bearer, Error> {
        let email = &self.file.client_email;
        let claims = assertion::self_signed(email, what, lifetime, additional, now);
        let jwt = self.jwt(&claims)?;
        let value = BearerValue::new(&jwt)
            .ok_or_else(|| Error::new(ErrorKind::Signing, "the signed token is empty"))?;
        // What is in the token counts whole seconds.
        let issued = Now::new(Duration::from_secs(now.wall.as_secs()), now.boot);
        Ok(Bearer::new(value, Validity::lasting(issued, lifetime)))
    }
}

impl Sign for KeyFile {
    fn sign(&self, bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), Error> {
        let signature = self.key.sign(bytes);
        let signature = signature.map_err(|why| Error::new(ErrorKind::Signing, why))?;
        Ok((self.file.private_key_id.clone(), signature))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn sign_jwt(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<(Option<String>, zeroize::Zeroizing<String>), Error> {
        Ok((self.file.private_key_id.clone(), self.jwt(claims)?))
    }
}

/// Reads additional claims.
pub(crate) fn claims(text: &str) -> Result<Map<String, Value>, Error> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(
            Error::new(ErrorKind::Config, "additional claims are not a JSON object")
                .with_hint("write them like {\"role\":\"reader\"}"),
        ),
    }
}
