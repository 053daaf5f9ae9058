//! Settings of credentials that were found or read rather than built.

use crate::tokens::credentials::Credentials;

impl Credentials {
    /// Returns the same credentials, which share no token with others of this
    /// process and start without one. See
    /// [`CredentialsBuilder::unshared`](crate::CredentialsBuilder::unshared).
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self(self.0.reconfigured(|options| options.shared = false))
    }

    /// Returns the same credentials, which look their regional access boundary
    /// up, or do not. Default: no. See
    /// [`CredentialsBuilder::regional_access_boundary`](crate::CredentialsBuilder::regional_access_boundary).
    #[cfg(feature = "iam")]
    #[must_use]
    pub fn with_regional_access_boundary(&self, look_up: bool) -> Self {
        Self(self.0.reconfigured(|options| options.boundary = look_up))
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use crate::{
        Credentials,
        io::fake::Reply,
        world::{World, account},
    };

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
        assert_eq!(apart.clone().blocking_token().unwrap().secret(), "two");
    }

    #[cfg(feature = "iam")]
    #[test]
    fn a_copy_looks_its_boundary_up_if_it_is_told_to() {
        use http::{HeaderMap, Method, Uri};

        let boundary = r#"{"encodedLocations":"0xA"}"#.to_owned();
        let world = World::new([
            account(),
            Reply::token("one", 3600),
            Reply::text("googleapis.com"),
            Reply::Answer(200, boundary),
        ]);
        let builder = Credentials::builder().client(world.client.clone());
        let plain = builder.unshared().build().unwrap();
        let bounded = plain.with_regional_access_boundary(true);
        let sent = |credentials: &Credentials| {
            let mut headers = HeaderMap::new();
            let uri = Uri::from_static("https://storage.googleapis.com/");
            let put = credentials.blocking_before_request(&Method::GET, &uri, &mut headers);
            put.unwrap();
            world.queue.run_all();
            headers.get("x-allowed-locations").cloned()
        };
        assert_eq!(sent(&bounded), None);
        assert_eq!(sent(&bounded).unwrap(), "0xA");
        let off = bounded.with_regional_access_boundary(false);
        assert_eq!(off.regional_access_boundary(), None);
    }
}
