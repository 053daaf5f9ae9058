//! Requests to the metadata server over HTTPS with a client certificate, where
//! that is wanted and can be had.

#[cfg(feature = "tls")]
pub(crate) use mutual::{Mode, MutualTls};

use std::time::Duration;

use http::{Request, Response};

use crate::{
    client::config::Config,
    io::transport::{Limits, TransportError},
    values::error::Error,
};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The way there failed.
    Broken(TransportError),
    /// The way there failed, where no other is allowed.
    #[cfg(feature = "tls")]
    Secured(TransportError),
    /// It must not be sent.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "needs a mode"))]
    Refused(Error),
}

/// An answer, or none.
pub(crate) struct Sent {
    pub(crate) response: Result<Response<Vec<u8>>, Unsent>,
    /// How long this was allowed to take: two sends may take twice as long.
    pub(crate) allowed: Duration,
}

/// Sends one request to the metadata server, the way that the settings say;
/// each send has `limits`, and all of them have `left`.
pub(crate) fn send(
    config: &Config,
    request: &Request<Vec<u8>>,
    limits: &Limits,
    left: Duration,
) -> Sent {
    let limits = limits.within(left);
    #[cfg(feature = "tls")]
    match config.mutual_tls.identity(request.uri()) {
        Ok(Some((identity, mode))) => {
            return mutual::send(config, request, &limits, left, identity, mode);
        }
        Ok(None) => {}
        Err(unsent) => {
            return Sent {
                response: Err(unsent),
                allowed: Duration::ZERO,
            };
        }
    }
    let response = config.transport.send(request.clone(), &limits);
    Sent {
        response: response.map_err(Unsent::Broken),
        allowed: limits.attempt,
    }
}

#[cfg(feature = "tls")]
mod mutual {
    use std::{fmt, path::PathBuf, time::Duration};

    use http::{Request, StatusCode, Uri, uri::Scheme};

    use super::{Sent, Unsent};
    use crate::{
        client::config::Config,
        io::{
            identity::{ClientIdentity, IdentityFiles},
            transport::Limits,
        },
        values::{
            endpoint::METADATA_ADDRESS,
            error::{Error, ErrorKind},
        },
    };

    /// The name and the address that certificates are made for.
    const HOSTS: [&str; 2] = ["metadata.google.internal", METADATA_ADDRESS];

    /// When client certificates are used (`GCE_METADATA_MTLS_MODE`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Mode {
        None,
        Default,
        Strict,
    }

    impl Mode {
        pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
            match text.map(str::to_ascii_lowercase).as_deref() {
                None | Some("none") => Ok(Self::None),
                Some("default") => Ok(Self::Default),
                Some("strict") => Ok(Self::Strict),
                Some(other) => Err(Error::new(
                    ErrorKind::Config,
                    format!("GCE_METADATA_MTLS_MODE is {other:?}, which means nothing"),
                )
                .with_hint("set GCE_METADATA_MTLS_MODE to none, default or strict, or unset it")),
            }
        }
    }

    /// The mode of one client, and its files.
    pub(crate) struct MutualTls {
        mode: Mode,
        files: IdentityFiles,
    }

    impl MutualTls {
        pub(crate) fn new(mode: Mode, directory: Option<PathBuf>) -> Self {
            Self {
                mode,
                files: IdentityFiles::new(directory),
            }
        }

        pub(crate) fn directories(&self) -> &[PathBuf] {
            self.files.directories()
        }

        /// What the request to `uri` is to be sent with, if with anything.
        pub(super) fn identity(&self, uri: &Uri) -> Result<Option<(ClientIdentity, Mode)>, Unsent> {
            if self.mode == Mode::None {
                return Ok(None);
            }
            let ours = uri.host().is_some_and(|host| HOSTS.contains(&host));
            if !ours {
                return match self.mode {
                    Mode::Strict => Err(Unsent::Refused(elsewhere())),
                    _ => Ok(None),
                };
            }
            let loaded = self.files.load().map_err(|error| {
                Unsent::Refused(Error::new(ErrorKind::Tls, error.message()).with_hint(HINT))
            })?;
            match loaded {
                Some(identity) => Ok(Some((identity, self.mode))),
                None if self.mode == Mode::Strict => Err(Unsent::Refused(
                    Error::new(
                        ErrorKind::Tls,
                        "there are no certificates for the metadata server, and \
                         GCE_METADATA_MTLS_MODE is strict",
                    )
                    .with_hint(HINT),
                )),
                None => Ok(None),
            }
        }
    }

    const HINT: &str = "HTTPS to the metadata server needs a Shielded VM whose guest agent writes \
                        /run/google-mds-mtls";

    /// The metadata server is somewhere that no certificate is made for.
    fn elsewhere() -> Error {
        Error::new(
            ErrorKind::Tls,
            "GCE_METADATA_MTLS_MODE is strict, but the metadata server is not at its usual name \
             or address",
        )
        .with_hint("unset GCE_METADATA_HOST, or set GCE_METADATA_MTLS_MODE to default")
    }

    impl fmt::Debug for MutualTls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("MutualTls")
                .field("mode", &self.mode)
                .finish_non_exhaustive()
        }
    }

    /// Sends over HTTPS and, where that may be and is of use, without it.
    pub(super) fn send(
        config: &Config,
        request: &Request<Vec<u8>>,
        limits: &Limits,
        left: Duration,
        identity: ClientIdentity,
        mode: Mode,
    ) -> Sent {
        let sent = config.clock.now();
        let answer = config.transport.send(secured(request, identity), limits);
        let took = config.clock.now().boot.saturating_sub(sent.boot);
        let good = |status: StatusCode| !(status.is_client_error() || status.is_server_error());
        let enough = answer.as_ref().is_ok_and(|answer| good(answer.status()));
        let once = |response| Sent {
            response,
            allowed: limits.attempt,
        };
        if mode == Mode::Strict {
            return once(answer.map_err(Unsent::Secured));
        }
        let left = left.saturating_sub(took);
        if enough || left.is_zero() {
            return once(answer.map_err(Unsent::Broken));
        }
        // What is there without a certificate?
        let second = limits.within(left);
        let response = config.transport.send(request.clone(), &second);
        Sent {
            response: response.map_err(Unsent::Broken),
            allowed: limits.attempt.saturating_add(second.attempt),
        }
    }

    /// The same request, over HTTPS, and with a certificate.
    fn secured(request: &Request<Vec<u8>>, identity: ClientIdentity) -> Request<Vec<u8>> {
        let mut secured = request.clone();
        let mut parts = secured.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        if let Ok(uri) = Uri::from_parts(parts) {
            *secured.uri_mut() = uri;
        }
        secured.extensions_mut().insert(identity);
        secured
    }

    #[cfg(all(test, not(gce_auth_loom)))]
    mod tests {
        use std::{fs, process, sync::Arc};

        use http::Response;

        use super::*;
        use crate::{
            client::config::MetadataClient,
            io::{
                clock::Clock,
                env::Environment,
                fake::{HandClock, Reply, ScriptedTransport},
                transport::{Transport, TransportError, TransportErrorKind},
            },
        };

        #[test]
        fn modes_are_read_without_regard_to_case() {
            assert_eq!(Mode::parse(None).unwrap(), Mode::None);
            assert_eq!(Mode::parse(Some("Default")).unwrap(), Mode::Default);
            assert_eq!(Mode::parse(Some("STRICT")).unwrap(), Mode::Strict);
            for text in ["", "on"] {
                let error = Mode::parse(Some(text)).unwrap_err();
                assert!(
                    error.to_string().contains("GCE_METADATA_MTLS_MODE"),
                    "{text}"
                );
            }
        }

        /// A directory with certificates.
        fn certificates(name: &str) -> PathBuf {
            let name = format!("gce-auth-mtls-{name}-{}", process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            let certificate = include_str!("../../tests/data/agent.pem");
            let key = include_str!("../../tests/data/agent.key");
            fs::write(directory.join("root.crt"), certificate).unwrap();
            fs::write(directory.join("client.key"), format!("{certificate}{key}")).unwrap();
            directory
        }

        fn environment(mode: &str) -> Environment {
            Environment {
                mtls_mode: Some(mode.to_owned()),
                metadata_host: Some("metadata.google.internal".to_owned()),
                ..Environment::default()
            }
        }

        /// Answers, and fails over HTTPS as often as it is told.
        fn world(mode: &str, replies: Vec<Reply>) -> (MetadataClient, Arc<ScriptedTransport>) {
            let transport = Arc::new(ScriptedTransport::new(replies));
            let client = MetadataClient::builder()
                .transport(Arc::clone(&transport) as _)
                .clock(Arc::new(HandClock::at(1)))
                .mtls_dir(certificates("scripted"))
                .build_in(&environment(mode));
            (client, transport)
        }

        /// Hangs as long as it may.
        #[derive(Debug)]
        struct Hangs {
            clock: Arc<HandClock>,
            script: ScriptedTransport,
        }

        impl Transport for Hangs {
            fn send(
                &self,
                request: Request<Vec<u8>>,
                limits: &Limits,
            ) -> Result<Response<Vec<u8>>, TransportError> {
                self.clock.advance(limits.attempt);
                self.script.send(request, limits)
            }
        }

        #[test]
        fn two_that_hang_are_not_taken_for_one_that_froze() {
            let directory = certificates("hangs");
            let clock = Arc::new(HandClock::at(1).jitters([0.5]));
            let transport = Arc::new(Hangs {
                clock: Arc::clone(&clock),
                script: ScriptedTransport::new([Reply::Broken(TransportErrorKind::Timeout)]),
            });
            let client = MetadataClient::builder()
                .transport(Arc::clone(&transport) as _)
                .clock(Arc::clone(&clock) as _)
                .mtls_dir(directory)
                .build_in(&environment("default"));
            let began = clock.now().boot;
            let error = client.blocking_get("instance/name").unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
            assert_eq!(clock.now().boot - began, Duration::from_secs(10));
            assert_eq!(schemes(&transport.script).len(), 4);
        }

        fn schemes(transport: &ScriptedTransport) -> Vec<String> {
            let requests = transport.requests();
            let scheme = |request: &Request<Vec<u8>>| {
                let with = request.extensions().get::<ClientIdentity>().is_some();
                assert_eq!(with, request.uri().scheme_str() == Some("https"));
                request.uri().scheme_str().unwrap().to_owned()
            };
            requests.iter().map(scheme).collect()
        }

        #[test]
        fn strict_means_https_or_nothing_and_default_falls_back() {
            let (client, transport) = world("strict", vec![Reply::status(404)]);
            assert!(client.blocking_get("instance/name").is_err());
            assert_eq!(schemes(&transport), ["https"]);
            let untrusted = Reply::Broken(TransportErrorKind::Tls);
            let (client, transport) = world("strict", vec![untrusted.clone(), Reply::text("vm")]);
            assert_eq!(client.blocking_get("instance/name").unwrap(), "vm");
            assert_eq!(schemes(&transport), ["https", "https"]);
            for failure in [untrusted, Reply::status(503), Reply::status(404)] {
                let (client, transport) = world("default", vec![failure, Reply::text("vm")]);
                assert_eq!(client.blocking_get("instance/name").unwrap(), "vm");
                assert_eq!(schemes(&transport), ["https", "http"]);
            }
            let (client, transport) = world("none", vec![Reply::text("vm")]);
            assert!(client.blocking_get("instance/name").is_ok());
            assert_eq!(schemes(&transport), ["http"]);
            let error = world("on", vec![]).0.endpoint().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }

        #[test]
        fn strict_asks_nobody_without_certificates() {
            let nowhere = Some(PathBuf::from("/nonexistent"));
            let uri = |host: &str| format!("http://{host}/x").parse::<Uri>().unwrap();
            let strict = MutualTls::new(Mode::Strict, nowhere.clone());
            for host in ["metadata.google.internal", "169.254.169.254", "127.0.0.1:1"] {
                assert!(strict.identity(&uri(host)).is_err(), "{host}");
            }
            let default = MutualTls::new(Mode::Default, nowhere);
            assert!(default.identity(&uri("169.254.169.254")).unwrap().is_none());
        }
    }
}
