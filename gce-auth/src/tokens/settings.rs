//! A setting of credentials that were found or read rather than built.

use crate::tokens::credentials::Credentials;

impl Credentials {
    /// Returns the same credentials, which share no token with others of this
    /// process and start without one. See
    /// [`CredentialsBuilder::shared`](crate::CredentialsBuilder::shared).
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self(self.0.reconfigured(|options| options.shared = false))
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use crate::{Credentials, io::fake::Reply, world::World};

    #[test]
    fn unshared_copies_fetch_for_themselves() {
        let world = World::new([Reply::token("one", 3600), Reply::token("two", 3600)]);
        let shared = || {
            let builder = Credentials::builder().client(world.client.clone());
            builder.build().unwrap()
        };
        let first = shared();
        let apart = first.unshared();
        assert_eq!(first.blocking_token().unwrap().secret(), "one");
        assert_eq!(shared().blocking_token().unwrap().secret(), "one");
        assert_eq!(apart.blocking_token().unwrap().secret(), "two");
        assert_eq!(apart.blocking_token().unwrap().secret(), "two");
    }
}
