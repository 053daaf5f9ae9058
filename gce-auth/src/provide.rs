//! What everything that puts headers on requests accepts.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::values::{error::Error, headers::Headers};

/// Provides headers for requests: [`Credentials`](crate::Credentials),
/// [`IdTokenCredentials`](crate::IdTokenCredentials), or a type of the
/// program's. `Arc<dyn ProvideHeaders>` does, too.
///
/// # Examples
/// ```
/// use gce_auth::{Headers, HeadersFuture, ProvideHeaders};
///
/// /// A token that the caller hands in.
/// #[derive(Debug)]
/// struct Given(String);
///
/// impl ProvideHeaders for Given {
///     fn provide_headers(&self) -> HeadersFuture<'_> {
///         HeadersFuture::ready(Headers::bearer(&self.0))
///     }
/// }
///
/// # fn main() -> Result<(), gce_auth::Error> {
/// let provider: std::sync::Arc<dyn ProvideHeaders> = std::sync::Arc::new(Given("ya29.t".into()));
/// # let _ = provider;
/// # Ok(())
/// # }
/// ```
pub trait ProvideHeaders: Send + Sync + fmt::Debug {
    /// Returns the headers of a request that is about to be sent.
    fn provide_headers(&self) -> HeadersFuture<'_>;

    /// Returns the headers of a request that is about to be sent, as a future
    /// that owns this provider. Default: [`provide_headers`](Self::provide_headers)
    /// in a box; implement it to allocate nothing where the headers are in hand.
    fn provide_owned(self: Arc<Self>) -> HeadersFuture<'static>
    where
        Self: 'static,
    {
        HeadersFuture::new(async move { self.provide_headers().await })
    }

    /// Returns the headers if they are in hand: for callers that cannot wait.
    /// Never waits. Default: `None`.
    fn cached_headers(&self) -> Option<Headers> {
        None
    }

    /// Takes note that a server rejected these headers. Returns whether they were
    /// still in hand. `false` says nothing of the next ones, as another request may
    /// have replaced these: ask again and compare. Default: `false`.
    fn invalidate_headers(&self, rejected: &Headers) -> bool {
        let _ = rejected;
        false
    }
}

macro_rules! provide_through {
    ($pointer:ident $(, $owned:item)?) => {
        impl<P: ProvideHeaders + ?Sized> ProvideHeaders for $pointer<P> {
            fn provide_headers(&self) -> HeadersFuture<'_> {
                (**self).provide_headers()
            }

            $($owned)?

            fn cached_headers(&self) -> Option<Headers> {
                (**self).cached_headers()
            }

            fn invalidate_headers(&self, rejected: &Headers) -> bool {
                (**self).invalidate_headers(rejected)
            }
        }
    };
}

provide_through!(
    Arc,
    fn provide_owned(self: Arc<Self>) -> HeadersFuture<'static>
    where
        Self: 'static,
    {
        Self::clone(&self).provide_owned()
    }
);
provide_through!(Box);

/// What [`ProvideHeaders::provide_headers`] returns: headers that are there,
/// or that are to come.
#[must_use = "a future does nothing unless it is awaited"]
pub struct HeadersFuture<'a>(Kind<'a>);

enum Kind<'a> {
    Ready(Option<Result<Headers, Error>>),
    Coming(Pin<Box<dyn Future<Output = Result<Headers, Error>> + Send + 'a>>),
}

impl<'a> HeadersFuture<'a> {
    /// Returns a future of headers, or of an error, that are there: nothing is allocated.
    pub fn ready(outcome: Result<Headers, Error>) -> Self {
        Self(Kind::Ready(Some(outcome)))
    }

    /// Headers that are to come.
    pub fn new(future: impl Future<Output = Result<Headers, Error>> + Send + 'a) -> Self {
        Self(Kind::Coming(Box::pin(future)))
    }
}

impl Future for HeadersFuture<'_> {
    type Output = Result<Headers, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Kind::Coming(future) => future.as_mut().poll(context),
            Kind::Ready(outcome) => match outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                // It was ready before, and there is nothing more to come.
                None => Poll::Pending,
            },
        }
    }
}

impl fmt::Debug for HeadersFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadersFuture")
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use futures_executor::block_on;

    use super::*;
    use crate::{Credentials, values::error::ErrorKind};

    /// Fails, after a while.
    #[derive(Debug)]
    struct Slow;

    impl ProvideHeaders for Slow {
        fn provide_headers(&self) -> HeadersFuture<'_> {
            HeadersFuture::new(async {
                std::future::ready(()).await;
                Err(Error::of_provider("no luck"))
            })
        }
    }

    #[test]
    fn any_provider_is_one_behind_a_pointer() {
        let fixed = Credentials::fixed("ya29.t", None).unwrap();
        let providers: [Arc<dyn ProvideHeaders>; 2] = [Arc::new(fixed.clone()), Arc::new(Slow)];
        let headers = block_on(providers[0].provide_headers()).unwrap();
        assert_eq!(headers.authorization().unwrap(), "Bearer ya29.t");
        assert!(providers[0].invalidate_headers(&headers));
        assert!(fixed.cached_token().is_none());
        let error = block_on(Arc::new(Arc::clone(&providers[1])).provide_headers()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Provider);
        assert!(error.to_string().contains("no luck"), "{error}");
        assert!(!providers[1].invalidate_headers(&headers));
        assert!(providers[1].cached_headers().is_none());
    }

    #[test]
    fn each_pointer_passes_on_what_its_provider_has() {
        let of = |token| Credentials::fixed(token, None).unwrap();
        let [one, two, three] = ["one", "two", "three"].map(of);
        let boxed: Box<dyn ProvideHeaders> = Box::new(one.clone());
        let shared: Arc<dyn ProvideHeaders> = Arc::new(two.clone());
        // As middleware holds them, behind one pointer more.
        let both: Arc<Box<dyn ProvideHeaders>> = Arc::new(Box::new(three.clone()));
        let twice = Arc::new(Arc::clone(&shared));
        let owned = block_on(Arc::clone(&both).provide_owned()).unwrap();
        assert_eq!(owned, both.cached_headers().unwrap());
        let owned = block_on(Arc::clone(&twice).provide_owned()).unwrap();
        assert_eq!(owned, shared.cached_headers().unwrap());
        let other = of("other").cached_headers().unwrap();
        let pointers: [(&dyn ProvideHeaders, _, _); 3] = [
            (&boxed, one, "one"),
            (&twice, two, "two"),
            (&both, three, "three"),
        ];
        for (provider, credentials, token) in pointers {
            let headers = provider.cached_headers().unwrap();
            assert_eq!(block_on(provider.provide_headers()).unwrap(), headers);
            let authorization = headers.authorization().unwrap();
            assert_eq!(authorization, format!("Bearer {token}").as_str());
            assert!(!provider.invalidate_headers(&other), "{token}");
            assert!(credentials.cached_token().is_some(), "{token}");
            assert!(provider.invalidate_headers(&headers), "{token}");
            assert!(credentials.cached_token().is_none(), "{token}");
            assert!(provider.cached_headers().is_none(), "{token}");
        }
        assert!(Slow.cached_headers().is_none());
    }
}
