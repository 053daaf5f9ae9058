//! Names to addresses, within a time limit.
//!
//! The system's resolver knows no limit, so a look-up runs on a thread and the
//! caller waits only as long as it can. Callers that ask for the same name
//! meanwhile wait for the same look-up: a resolver that hangs costs one
//! thread, not one for each attempt.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::io::spawn;

type Found = Result<Vec<SocketAddr>, io::ErrorKind>;

#[derive(Default)]
struct Lookup {
    found: Mutex<Option<Found>>,
    done: Condvar,
}

/// Look-ups in progress. The process id keeps a forked child from waiting for
/// a thread that only its parent has.
static PENDING: Mutex<Vec<(Key, Arc<Lookup>)>> = Mutex::new(Vec::new());

/// Process, host, port.
type Key = (u32, String, u16);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses of `host`, which may be a literal (`[::1]` too); `None` where
/// the limit passed first.
pub(crate) fn lookup(host: &str, port: u16, limit: Option<Duration>) -> Option<Found> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Some(Ok(vec![SocketAddr::new(address, port)]));
    }
    let Some(limit) = limit else {
        return Some(ask_system(host, port));
    };
    let key = (std::process::id(), host.to_owned(), port);
    let (lookup, started) = {
        let mut pending = lock(&PENDING);
        match pending.iter().find(|(other, _)| *other == key) {
            Some((_, lookup)) => (Arc::clone(lookup), true),
            None => {
                let lookup = Arc::new(Lookup::default());
                pending.push((key.clone(), Arc::clone(&lookup)));
                (lookup, false)
            }
        }
    };
    if !started {
        let job = {
            let (lookup, key) = (Arc::clone(&lookup), key.clone());
            move || finish(&lookup, &key)
        };
        if spawn::start("gce-auth-dns", None, Box::new(job)).is_err() {
            // No thread to be had: look up here, without a limit.
            finish(&lookup, &key);
        }
    }
    let found = lock(&lookup.found);
    let (found, _) = lookup
        .done
        .wait_timeout_while(found, limit, |found| found.is_none())
        .unwrap_or_else(PoisonError::into_inner);
    found.clone()
}

fn finish(lookup: &Lookup, key: &Key) {
    let found = ask_system(&key.1, key.2);
    lock(&PENDING).retain(|(other, _)| other != key);
    *lock(&lookup.found) = Some(found);
    lookup.done.notify_all();
}

fn ask_system(host: &str, port: u16) -> Found {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_not_looked_up() {
        for (host, address) in [
            ("127.0.0.1", "127.0.0.1:9"),
            ("::1", "[::1]:9"),
            ("[::1]", "[::1]:9"),
        ] {
            let found = lookup(host, 9, Some(Duration::ZERO)).unwrap().unwrap();
            assert_eq!(found, [address.parse().unwrap()]);
        }
    }

    #[test]
    fn a_name_is_looked_up_and_forgotten() {
        let found = lookup("localhost", 7, Some(Duration::from_secs(30)));
        let found = found.expect("in time").expect("localhost is known");
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 7)
        );
        let key = (std::process::id(), "localhost".to_owned(), 7);
        assert!(lock(&PENDING).iter().all(|(pending, _)| *pending != key));
    }

    #[test]
    fn a_look_up_in_progress_is_joined_and_left_at_the_limit() {
        let key = (std::process::id(), "hangs.invalid".to_owned(), 1);
        let hanging = Arc::new(Lookup::default());
        lock(&PENDING).push((key.clone(), Arc::clone(&hanging)));
        assert!(lookup("hangs.invalid", 1, Some(Duration::from_millis(1))).is_none());
        *lock(&hanging.found) = Some(Err(io::ErrorKind::NotFound));
        let found = lookup("hangs.invalid", 1, Some(Duration::from_secs(30)));
        assert_eq!(found, Some(Err(io::ErrorKind::NotFound)));
        lock(&PENDING).retain(|(pending, _)| *pending != key);
    }
}
