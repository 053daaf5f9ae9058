//! One piece of work for all that want the same at the same time.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// Work under way, by what it is for.
#[derive(Debug)]
pub(crate) struct Flights<K, V>(Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the work for `key`, or starts it. It ends even if every caller leaves. `None` if it
    /// panicked, or the runtime shuts down.
    pub(crate) async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut result = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match all.get(&key) {
                Some(under_way) => under_way.clone(),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    all.insert(key.clone(), receiver.clone());
                    let landing = Landing {
                        key,
                        all: Arc::clone(&self.0),
                    };
                    let work = work();
                    tokio::spawn(async move {
                        let value = work.await;
                        // Who comes now begins anew.
                        drop(landing);
                        sender.send_replace(Some(value));
                    });
                    receiver
                }
            }
        };
        let found = result.wait_for(Option::is_some).await.ok()?;
        found.clone()
    }
}

/// Takes work off the list when it ends, in whatever way.
struct Landing<K: Eq + Hash, V> {
    key: K,
    all: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn callers_at_the_same_time_share_and_later_ones_do_not() {
        block_on(async {
            let flights = Arc::new(Flights::<&str, usize>::default());
            let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
            let ask = |key| {
                let (flights, begun, gate) = (flights.clone(), begun.clone(), gate.clone());
                async move {
                    let work = || async move {
                        let number = begun.fetch_add(1, Ordering::Relaxed);
                        gate.notified().await;
                        number
                    };
                    flights.join(key, work).await
                }
            };
            let leader = tokio::spawn(ask("a"));
            let others: Vec<_> = (0..10).map(|_| tokio::spawn(ask("a"))).collect();
            let apart = tokio::spawn(ask("b"));
            while begun.load(Ordering::Relaxed) < 2 {
                tokio::task::yield_now().await;
            }
            // The work survives the one that began it.
            leader.abort();
            gate.notify_waiters();
            let mut seen = Vec::new();
            for other in others {
                seen.push(other.await.unwrap());
            }
            assert!(
                seen.iter()
                    .all(|found| *found == seen[0] && found.is_some())
            );
            assert_ne!(apart.await.unwrap(), seen[0]);
            assert_eq!(begun.load(Ordering::Relaxed), 2);
            gate.notify_one();
            assert_eq!(ask("a").await, Some(2));
        });
    }

    #[test]
    fn work_that_panics_is_none_and_the_next_begins_anew() {
        block_on(async {
            let flights = Flights::<u8, u8>::default();
            let broken = flights
                .join(1, || async { panic!("as a test wants") })
                .await;
            assert_eq!(broken, None);
            assert_eq!(flights.join(1, || async { 7 }).await, Some(7));
        });
    }
}
