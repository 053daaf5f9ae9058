#![doc = include_str!("lib.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test says with it what it expects")
)]

// First, so that the page of `Credentials` begins with what is needed most.
mod tokens;

mod adc;
mod client;
pub mod docs;
#[cfg(feature = "_fuzz")]
#[doc(hidden)]
pub mod fuzzing;
mod google_auth;
mod io;
mod metadata;
#[cfg(feature = "tower")]
mod middleware;
mod provide;
mod refresh;
#[cfg(feature = "iam")]
mod signer;
mod task;
mod values;
#[cfg(feature = "verify")]
mod verifier;
mod wire;
#[cfg(all(test, not(gce_auth_loom)))]
mod world;

#[cfg(feature = "adc")]
pub use crate::adc::builders::{
    authorized_user::AuthorizedUserBuilder,
    external_account::ExternalAccountBuilder,
    external_user::ExternalAccountAuthorizedUserBuilder,
    service_account::ServiceAccountKeyBuilder,
    subject_token::{AwsKeys, SubjectToken},
};
#[cfg(feature = "tower")]
pub use crate::middleware::{AuthLayer, AuthService, BoxError};
#[cfg(feature = "iam")]
pub use crate::signer::{Signature, SignedJwt, SignedUrl, Signer, SignerBuilder, StorageUrl};
#[cfg(feature = "adc")]
pub use crate::tokens::file::{CredentialsFile, CredentialsJson};
#[cfg(feature = "iam")]
pub use crate::tokens::source::jwt_signer::{JwtAlgorithm, JwtSigner};
#[cfg(feature = "verify")]
pub use crate::verifier::{IdTokenVerifier, IdTokenVerifierBuilder, VerifiedClaims};
pub use crate::{
    adc::{
        DefaultCredentials, DefaultOptions, DefaultSource, blocking_default_credentials,
        blocking_fetch_id_token, blocking_fetch_id_token_credentials, default_credentials,
        fetch_id_token, fetch_id_token_credentials,
    },
    client::{
        builder::MetadataClientBuilder,
        config::MetadataClient,
        residency::{Detection, Residency},
    },
    metadata::{
        change::MetadataChange,
        request::{MetadataRequest, MetadataValue},
        watch::Watch,
    },
    provide::{HeadersFuture, ProvideHeaders},
    refresh::RefreshMode,
    tokens::{
        builder::CredentialsBuilder,
        credentials::Credentials,
        id_token::{ComputeEngineClaims, IdToken, IdTokenClaims},
        id_token_builder::IdTokenCredentialsBuilder,
        id_token_credentials::IdTokenCredentials,
        info::{CertificateBinding, CredentialsInfo, CredentialsKind},
        source::metadata_identity::BindIdToken,
        status::{Status, TokenState},
    },
    values::{
        error::{Error, ErrorKind},
        headers::{Headers, HeadersIntoIter, HeadersTag},
        token::AccessToken,
    },
    wire::{
        account::AccountInfo,
        instance::{Disk, NetworkInterface, Scheduling, UpcomingMaintenance},
        request::IdTokenFormat,
        retry::RetryPolicy,
    },
};
#[cfg(feature = "iam")]
pub use crate::{
    tokens::impersonate::ImpersonateBuilder,
    values::access_boundary::{AccessBoundaryRule, CredentialAccessBoundary},
};

/// Carrying requests: bring your own HTTP stack, or bound the one that is here.
pub mod transport {
    #[cfg(feature = "tls")]
    pub use crate::io::identity::ClientIdentity;
    pub use crate::io::{
        http::HttpTransport,
        interrupt::{Armed, Interrupt},
        transport::{Limits, Transport, TransportError, TransportErrorKind},
    };
}

/// The parts of an [`AuthLayer`] that have names of their own.
#[cfg(feature = "tower")]
pub mod layer {
    pub use crate::middleware::{
        copy::{BodyCopy, CloneBody, CopyWith, NoCopy},
        future::AuthFuture,
        protocol::{Grpc, GrpcBody, Http, Protocol, Sent},
    };
}

/// The clock that tokens are measured with.
pub mod time {
    pub use crate::io::clock::{Clock, Now, SystemClock};
}

/// Runs blocking work in the background.
pub mod executor {
    pub use crate::io::threads::{Executor, Work, WorkKind};
}

/// For tests of programs that use this crate: a world turned by hand.
///
/// Here are the parts that are not methods; see also
/// [`Credentials::fixed`] and [`Credentials::anonymous`].
#[cfg(any(test, feature = "test-util"))]
pub mod testing {
    pub use crate::io::{
        env::set_variable,
        fake::{HandClock, HandQueue, Reply, ScriptedTransport},
    };
}

/// Internal: the simulation of a whole process. May change or go at any time.
#[cfg(feature = "_simulation")]
#[doc(hidden)]
pub mod simulation {
    pub use crate::task::baton::{Baton, install};
}
