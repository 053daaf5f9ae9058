//! The caller of IAM: credentials, whose headers each request carries.

use http::{Method, Request};

use crate::{
    client::iam::Authorize,
    tokens::credentials::Credentials,
    values::{error::Error, headers::Headers},
};

/// The caller of IAM, with headers of the moment at each attempt.
pub(crate) struct IamCaller<'a> {
    credentials: &'a Credentials,
    sent: Option<Headers>,
}

impl<'a> IamCaller<'a> {
    pub(crate) fn new(credentials: &'a Credentials) -> Self {
        Self {
            credentials,
            sent: None,
        }
    }
}

impl Authorize for IamCaller<'_> {
    fn authorize(&mut self, request: &mut Request<Vec<u8>>) -> Result<(), Error> {
        let uri = request.uri().clone();
        let (credentials, headers) = (self.credentials, request.headers_mut());
        if credentials.client().0.exact {
            return credentials.blocking_before_request(&Method::POST, &uri, headers);
        }
        let sent = credentials.blocking_headers()?;
        sent.apply_to(headers);
        credentials.0.count(headers);
        self.sent = Some(sent);
        Ok(())
    }

    fn reject(&mut self) {
        if let Some(sent) = &self.sent {
            self.credentials.invalidate_headers(sent);
        }
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use crate::{
        Credentials, IdTokenCredentials, RetryPolicy,
        io::fake::{HandQueue, Reply},
        world::World,
    };

    /// How often a token is asked for by credentials, and then for an ID token that IAM signs for
    /// with them, where the metadata server gives none.
    fn asked(exact: bool) -> usize {
        let reply = Reply::Answer(200, "{".to_owned());
        let world = World::with([reply], HandQueue::new(), |it| {
            it.retry(RetryPolicy::google_auth()).exact_freshness(exact)
        });
        let credentials = Credentials::builder().client(world.client.clone());
        let credentials = credentials.universe_domain("googleapis.com");
        let credentials = credentials.build().unwrap();
        credentials.blocking_token().unwrap_err();
        let id_tokens = IdTokenCredentials::builder("aud").client(world.client.clone());
        let id_tokens = id_tokens.iam_flow(true).credentials(credentials);
        let id_tokens = id_tokens.service_account("a@x").build().unwrap();
        id_tokens.blocking_token().unwrap_err();
        world.asked().len()
    }

    #[test]
    fn a_token_that_has_just_failed_is_not_asked_for_again() {
        assert_eq!(asked(false), 1);
        assert_eq!(asked(true), 2, "google-auth asks");
    }
}
