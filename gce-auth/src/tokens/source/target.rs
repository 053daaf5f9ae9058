//! A service account that other credentials act as, and how IAM is asked for its tokens and
//! signatures.

use http::{Method, Request, header::AUTHORIZATION};

use crate::{
    client::{
        config::{Config, MetadataClient},
        grants, iam,
    },
    io::threads::LaneKey,
    refresh::shared_map::SharingKey,
    tokens::{credentials::Credentials, source::lane_of, status::TokenState},
    values::error::Error,
    wire::{
        iam::{IamEndpoint, Signatory},
        iam_tokens::{self, Place},
        oauth::TOKEN_ENDPOINT,
    },
};

/// An account, and who acts as it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Whose tokens authorize the requests.
    pub(crate) source: Credentials,
    /// By email address or unique id.
    pub(crate) email: String,
    /// As they were given: full names (`projects/-/serviceAccounts/EMAIL`), as
    /// in the files of gcloud, or email addresses.
    pub(crate) delegates: Option<Vec<String>>,
    /// Where IAM is, if that was named.
    pub(crate) place: Option<Place>,
    /// Of work that asks the source and IAM.
    lane: LaneKey,
    /// Of work that asks the token endpoint, too, for what acts as a user.
    pub(super) user_lane: LaneKey,
}

impl Target {
    pub(crate) fn new(
        source: Credentials,
        email: String,
        delegates: Option<Vec<String>>,
        place: Option<Place>,
    ) -> Self {
        let config = &*source.client().0;
        let iam = match &place {
            Some(Place::Url(url)) => LaneKey::of(url, &config.transport),
            Some(Place::Endpoint(endpoint)) => iam::lane(config, Some(endpoint)),
            None => iam::lane(config, None),
        };
        let lane = iam.after(source.0.inner.source.lane());
        Self {
            user_lane: lane_of(source.client(), TOKEN_ENDPOINT).after(&lane),
            lane,
            source,
            email,
            delegates,
            place,
        }
    }

    /// Returns the same account, over another source.
    pub(super) fn over(&self, source: Credentials) -> Self {
        let (email, place) = (self.email.clone(), self.place.clone());
        Self::new(source, email, self.delegates.clone(), place)
    }

    /// Returns the lane of work that asks the source for a token, and IAM with it.
    pub(crate) fn lane(&self) -> &LaneKey {
        &self.lane
    }

    pub(crate) fn signatory(&self) -> Signatory<'_> {
        Signatory {
            email: &self.email,
            delegates: self.delegates.as_deref(),
        }
    }

    /// Returns where IAM is asked for the account's methods.
    pub(crate) fn place(&self, config: &Config) -> Result<Place, Error> {
        match &self.place {
            Some(place) => Ok(place.clone()),
            None => {
                let universe = self.source.blocking_universe_domain()?;
                iam::endpoint(config, &universe).map(Place::Endpoint)
            }
        }
    }

    /// Returns the same for methods other than `generateAccessToken`.
    pub(crate) fn other_place(&self, config: &Config) -> Result<Place, Error> {
        match &self.place {
            // google-auth asks a URL that was given for nothing else.
            Some(Place::Url(_)) => {
                let universe = self.source.blocking_universe_domain()?;
                iam::endpoint(config, &universe).map(Place::Endpoint)
            }
            _ => self.place(config),
        }
    }

    /// Returns where IAM signs, if that was named.
    pub(crate) fn signing_endpoint(&self) -> Option<IamEndpoint> {
        match &self.place {
            Some(Place::Endpoint(endpoint)) => Some(endpoint.clone()),
            _ => None,
        }
    }

    /// Returns what the source is asked for with, for slots to be shared.
    pub(crate) fn key(&self) -> Option<SharingKey> {
        let source = self.source.0.inner.source.key()?;
        let quota = self.source.quota_project_id().map(str::to_owned);
        let source = SharingKey::of((source, quota));
        let (email, delegates) = (self.email.clone(), self.delegates.clone());
        let own = (email, delegates, self.place.clone());
        Some(SharingKey::of((source, own)))
    }

    /// Adds the source's token, and what it sends besides.
    pub(crate) fn authorize(&self, request: &mut Request<Vec<u8>>) -> Result<(), Error> {
        let source = &self.source;
        let token = if source.client().0.exact && source.token_state() != TokenState::Fresh {
            // google-auth asks for the account along with the token.
            source.0.refreshed_bearer()?
        } else {
            source.0.blocking_bearer()?
        };
        source.0.put(&source.0.show(&token), request.headers_mut());
        Ok(())
    }

    /// Adds the source's token, and what it sends besides, with the metric of the
    /// source.
    pub(crate) fn before_request(&self, request: &mut Request<Vec<u8>>) -> Result<(), Error> {
        let source = &self.source;
        if source.client().0.exact {
            let uri = request.uri().clone();
            let headers = request.headers_mut();
            return source.blocking_before_request(&Method::POST, &uri, headers);
        }
        // Without exact freshness a stale token is sent, and one that has just failed is not asked
        // for.
        self.authorize(request)?;
        source.0.count(request.headers_mut());
        Ok(())
    }

    /// Drops the source's token that `request` carries, which IAM has rejected;
    /// whether another may come.
    pub(crate) fn reject(&self, request: &Request<Vec<u8>>) -> Result<bool, Error> {
        let source = &self.source;
        let sent = request.headers().get(AUTHORIZATION);
        let dropped = source
            .0
            .invalidate(|held| sent == Some(held.value().header()));
        if dropped && source.client().0.exact {
            // google-auth refreshes here, and again for the next request if what came is stale.
            source.0.refreshed_bearer()?;
        }
        Ok(dropped)
    }
}

/// Signs as the account, through IAM.
pub(crate) fn sign(
    client: &MetadataClient,
    target: &Target,
    bytes: &[u8],
) -> Result<(Option<String>, Vec<u8>), Error> {
    let config = &*client.0;
    let place = target.other_place(config)?;
    let make = || {
        let mut request = iam_tokens::sign_blob(&place, target.signatory(), bytes)?;
        target.before_request(&mut request)?;
        iam::identified(config, request)
    };
    grants::signed_blob(config, make, |request| target.reject(request))
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;
    use crate::{
        io::fake::{HandQueue, Reply},
        world::{World, account},
    };

    /// A target over credentials of the metadata server with a token "one".
    fn target(exact: bool) -> (World, Target) {
        let replies = [
            Reply::token("one", 3600),
            account(),
            Reply::token("two", 3600),
        ];
        let world = World::with(replies, HandQueue::new(), |it| it.exact_freshness(exact));
        let builder = Credentials::builder().client(world.client.clone());
        let source = builder.shared(false).build().unwrap();
        source.blocking_token().unwrap();
        let target = Target::new(source, "t@x".to_owned(), None, None);
        (world, target)
    }

    fn authorized(target: &Target) -> Request<Vec<u8>> {
        let mut request = Request::new(Vec::new());
        target.authorize(&mut request).unwrap();
        request
    }

    #[test]
    fn a_token_that_is_not_fresh_is_asked_for_with_the_account_if_freshness_is_exact() {
        for (exact, asked) in [(true, 3), (false, 2)] {
            let (world, target) = target(exact);
            assert_eq!(authorized(&target).headers()[AUTHORIZATION], "Bearer one");
            assert_eq!(world.asked().len(), 1, "it is fresh");
            world.advance(3600);
            if !exact {
                world.transport.script([Reply::token("two", 3600)]);
            }
            assert_eq!(authorized(&target).headers()[AUTHORIZATION], "Bearer two");
            assert_eq!(world.asked().len(), asked);
        }
    }

    #[test]
    fn a_rejected_token_is_replaced_at_once_if_freshness_is_exact() {
        for (exact, asked) in [(true, 3), (false, 1)] {
            let (world, target) = target(exact);
            let sent = authorized(&target);
            assert!(target.reject(&sent).unwrap());
            assert_eq!(world.asked().len(), asked);
            // It is rejected once: another one is held by now, or none.
            assert!(!target.reject(&sent).unwrap());
            assert_eq!(world.asked().len(), asked);
        }
    }
}
