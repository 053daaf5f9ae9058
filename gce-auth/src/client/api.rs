//! Requests to Google's APIs beside the metadata server: made anew for each
//! attempt, so that each carries the headers of its moment.

use std::time::Duration;

use http::{Request, Response};

use crate::{
    client::{
        config::Config,
        retry::{self, Exchange, Sent},
    },
    io::transport::{Limits, TransportError},
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::{
        api::Refusal,
        request,
        retry::{
            RetryPolicy,
            attempts::{Attempt, Attempts},
            server::Server,
        },
    },
};

/// How an API is asked.
pub(crate) struct Api<'a> {
    pub(crate) config: &'a Config,
    pub(crate) server: Server,
    pub(crate) policy: &'a RetryPolicy,
    pub(crate) limits: &'a Limits,
}

impl Api<'_> {
    /// Sends what `make` makes until there is an answer that `read` takes, a
    /// final failure, or no attempt and no time left.
    ///
    /// `make` is called before each attempt; its errors end the operation as
    /// they are. `read` is given the moment of sending, from which lifetimes
    /// count.
    pub(crate) fn send<T, E: Into<Refusal>>(
        &self,
        budget: &mut Budget,
        make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
        read: impl Fn(Response<Vec<u8>>, Now) -> Result<T, E>,
    ) -> Result<T, Error> {
        let mut call = Call {
            api: self,
            make,
            read: |response, sent| read(response, sent).map_err(Into::into),
            location: String::new(),
        };
        let mut attempts = Attempts::new(self.policy, self.server);
        retry::retry(&*self.config.clock, &mut attempts, budget, &mut call)
    }
}

struct Call<'a, M, R> {
    api: &'a Api<'a>,
    make: M,
    read: R,
    location: String,
}

impl<T, M, R> Exchange for Call<'_, M, R>
where
    M: FnMut() -> Result<Request<Vec<u8>>, Error>,
    R: Fn(Response<Vec<u8>>, Now) -> Result<T, Refusal>,
{
    type Answer = T;
    type Unsent = TransportError;

    fn limit(&self) -> Duration {
        self.api.limits.attempt
    }

    fn request(&mut self) -> Result<Request<Vec<u8>>, Error> {
        let request = (self.make)()?;
        self.location = request::location(&request);
        Ok(request)
    }

    fn send(&self, request: Request<Vec<u8>>, limit: Duration, _: Duration) -> Sent<Self> {
        let limits = self.api.limits.within(limit);
        let transport = &self.api.config.transport;
        Sent {
            response: transport.send(request, &limits),
            allowed: limit,
        }
    }

    fn read(
        &mut self,
        response: Result<Response<Vec<u8>>, TransportError>,
        sent: Now,
    ) -> Attempt<T> {
        match response {
            Err(error) => Attempt::Broken(broken(error)),
            Ok(response) => match (self.read)(response, sent) {
                Ok(answer) => Attempt::Answer(answer),
                Err(refusal) => Attempt::Failed(refusal.error),
            },
        }
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

fn broken(error: TransportError) -> Error {
    let failed = retry::unanswered(error);
    if matches!(failed.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
        return failed.with_hint(
            "can this host be reached from here? Without an external address, a machine needs \
             Private Google Access or Cloud NAT",
        );
    }
    failed
}
