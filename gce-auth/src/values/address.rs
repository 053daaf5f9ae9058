//! Shared things, told apart by where they are.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, Weak},
};

/// An `Arc`, equal to itself alone. Holds it weakly, so that its address is
/// no other's as long as the key exists.
pub(crate) struct ByAddress<T: ?Sized>(Weak<T>);

impl<T: ?Sized> ByAddress<T> {
    pub(crate) fn of(shared: &Arc<T>) -> Self {
        Self(Arc::downgrade(shared))
    }

    fn address(&self) -> *const () {
        self.0.as_ptr().cast()
    }
}

impl<T: ?Sized> Clone for ByAddress<T> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl<T: ?Sized> PartialEq for ByAddress<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl<T: ?Sized> Eq for ByAddress<T> {}

impl<T: ?Sized> Hash for ByAddress<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl<T: ?Sized> fmt::Debug for ByAddress<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByAddress").field(&self.address()).finish()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_arc_is_equal_to_itself_alone() {
        let (a, b) = (Arc::new(1), Arc::new(1));
        assert_eq!(ByAddress::of(&a), ByAddress::of(&Arc::clone(&a)));
        assert_ne!(ByAddress::of(&a), ByAddress::of(&b));
    }
}
