//! Breaks off a request when its last caller leaves.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use http::Request;

/// Says that the last caller of a request has left.
///
/// A request that a server may hold for long, as a
/// [`Watch`](crate::Watch) makes them, carries one in its extensions. A
/// [`Transport`](crate::transport::Transport) that breaks the request off when
/// it is called sets its thread free at once; one that does not, when the
/// server answers. The built-in one does.
///
/// # Examples
/// ```
/// use gce_auth::transport::Interrupt;
///
/// # fn send(request: http::Request<Vec<u8>>, stream: std::net::TcpStream) -> std::io::Result<()> {
/// let other_end = stream.try_clone()?;
/// let _armed = Interrupt::of(&request).map(|interrupt| {
///     interrupt.on_raise(move || drop(other_end.shutdown(std::net::Shutdown::Both)))
/// });
/// // Write the request and read its answer, until `_armed` is dropped.
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Interrupt(Arc<State>);

struct State {
    /// Whose it is. After a fork, the child's copy of a socket is the parent's
    /// connection all the same, and not to be broken.
    process: u32,
    raised: AtomicBool,
    hook: Mutex<Option<Hook>>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl Interrupt {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            process: std::process::id(),
            raised: AtomicBool::new(false),
            hook: Mutex::default(),
        }))
    }

    /// Returns the one that `request` carries, if it does.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Returns whether the last caller has stopped waiting.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(SeqCst)
    }

    /// Calls `hook`, from any thread, when the last caller has left; at once, if
    /// that is so. It is forgotten when what is returned is dropped, or when another
    /// one takes its place.
    pub fn on_raise(&self, hook: impl FnOnce() + Send + 'static) -> Armed {
        *self.hook() = Some(Box::new(hook));
        if self.is_raised() {
            self.call();
        }
        Armed(self.clone())
    }

    /// The last caller has stopped waiting.
    pub(crate) fn raise(&self) {
        if self.0.process == std::process::id() {
            self.0.raised.store(true, SeqCst);
            self.call();
        }
    }

    fn call(&self) {
        let hook = self.hook().take();
        if let Some(hook) = hook {
            hook();
        }
    }

    fn hook(&self) -> MutexGuard<'_, Option<Hook>> {
        self.0.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("is_raised", &self.is_raised())
            .finish_non_exhaustive()
    }
}

/// What [`Interrupt::on_raise`] was given stays until this is dropped.
#[derive(Debug)]
#[must_use = "what is to be called is forgotten when this is dropped"]
pub struct Armed(Interrupt);

impl Drop for Armed {
    fn drop(&mut self) {
        let hook = self.0.hook().take();
        drop(hook);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_hook_that_was_dropped_is_not_called() {
        let (called, calls) = channel();
        let interrupt = Interrupt::new();
        drop(interrupt.on_raise(move || called.send(()).unwrap()));
        interrupt.raise();
        assert!(calls.recv().is_err(), "it is forgotten, with what it holds");
    }

    #[test]
    fn a_hook_is_called_once_whether_it_comes_first_or_last() {
        let (called, calls) = channel();
        let call = move |n| {
            let called = called.clone();
            move || called.send(n).unwrap()
        };
        let interrupt = Interrupt::new();
        drop(interrupt.on_raise(call(1)));
        let armed = interrupt.on_raise(call(2));
        assert!(!interrupt.is_raised());
        assert!(format!("{interrupt:?}").contains("is_raised: false"));
        interrupt.raise();
        interrupt.raise();
        drop(armed);
        let _armed = interrupt.on_raise(call(3));
        assert!(interrupt.is_raised());
        assert_eq!(calls.try_iter().collect::<Vec<_>>(), [2, 3]);
    }
}
