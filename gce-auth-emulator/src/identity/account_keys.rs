//! The keys of service accounts where each has its own: what one account signs is neither another's
//! nor Google's.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::{Semaphore, oneshot};

use crate::{identity::keys::SigningKey, policy::principal::unique_id};

/// The keys that were made so far, by the account's email.
#[derive(Clone)]
pub(crate) struct AccountKeys(Arc<Shared>);

struct Shared {
    /// Where they are kept, if they are.
    directory: Option<PathBuf>,
    made: Mutex<HashMap<String, Arc<SigningKey>>>,
    /// Two keys are not made at once.
    making: Mutex<()>,
    turn: Semaphore,
}

impl AccountKeys {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            directory,
            made: Mutex::default(),
            making: Mutex::default(),
            turn: Semaphore::new(1),
        }))
    }

    /// Returns the key of an account. The first call takes as long as it takes to find two primes;
    /// `None` if that fails.
    pub(crate) fn get(&self, email: &str) -> Option<Arc<SigningKey>> {
        let Shared {
            directory, making, ..
        } = &*self.0;
        let _making = making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.made(email) {
            return Some(key);
        }
        let key = match directory {
            Some(directory) => {
                let file = format!("signing-key-{}.pem", unique_id(email));
                SigningKey::kept_as(directory, &file).ok()?
            }
            None => SigningKey::generate()?,
        };
        let key = Arc::new(key);
        let made = &mut self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(email.to_owned(), Arc::clone(&key));
        Some(key)
    }

    /// As [`get`](Self::get), where many are served by one thread: the key is made on another. Not
    /// on one of the runtime's, all of which may wait for it.
    pub(crate) async fn get_beside(&self, email: &str) -> Option<Arc<SigningKey>> {
        if let Some(key) = self.made(email) {
            return Some(key);
        }
        let _turn = self.0.turn.acquire().await.ok()?;
        if let Some(key) = self.made(email) {
            return Some(key);
        }
        let (send, made) = oneshot::channel();
        let (keys, email) = (self.clone(), email.to_owned());
        let make = move || {
            let _ = send.send(keys.get(&email));
        };
        thread::Builder::new()
            .name("account-key".into())
            .spawn(make)
            .ok()?;
        made.await.ok().flatten()
    }

    /// Returns whether an account signed this.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = made.values().cloned().collect();
        drop(made);
        keys.iter().any(|key| key.verify(message, signature))
    }

    fn made(&self, email: &str) -> Option<Arc<SigningKey>> {
        let made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(email).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_one_key_of_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let keys = AccountKeys::new(None);
        let (one, two, again) = runtime.block_on(async {
            tokio::join!(
                keys.get_beside("a@p"),
                keys.get_beside("b@p"),
                keys.get_beside("a@p")
            )
        });
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(Arc::ptr_eq(&one, &again.unwrap()));
        assert!(Arc::ptr_eq(&one, &keys.get("a@p").unwrap()));
        assert_ne!(one.id(), two.id());
        let signature = one.sign(b"message").unwrap();
        assert!(one.verify(b"message", &signature) && !two.verify(b"message", &signature));
        assert!(keys.verify(b"message", &signature) && !keys.verify(b"massage", &signature));
    }
}
