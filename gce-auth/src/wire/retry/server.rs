//! What differs from server to server: which failures are repeated, and how
//! often google-auth repeats them.

use std::time::Duration;

use crate::{
    values::error::{Error, ErrorKind},
    wire::retry::policy::RetryPolicy,
};

/// A server that the library sends requests to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Metadata,
    /// IAM Credentials, `signBlob` and `signJwt`.
    #[cfg(feature = "iam")]
    Signing,
    /// An OAuth 2.0 token endpoint.
    #[cfg(feature = "iam")]
    TokenEndpoint,
    /// What google-auth asks once: STS, IAM's `generateAccessToken` and
    /// `generateIdToken`, and what knows a subject token.
    #[cfg(feature = "iam")]
    Exchange,
    /// IAM Credentials, `allowedLocations`.
    #[cfg(feature = "iam")]
    Boundary,
    /// Where the keys of an issuer are published.
    #[cfg(feature = "verify")]
    Keys,
}

impl Server {
    /// The attempts of google-auth.
    const fn recorded_attempts(self) -> u32 {
        match self {
            Self::Metadata => 5,
            #[cfg(feature = "iam")]
            Self::Signing | Self::TokenEndpoint => 3,
            #[cfg(feature = "iam")]
            Self::Exchange => 1,
            #[cfg(feature = "iam")]
            Self::Boundary => 6,
            #[cfg(feature = "verify")]
            Self::Keys => 1,
        }
    }

    /// Time for all attempts of google-auth, and the waits between them.
    const fn recorded_budget(self) -> Duration {
        Duration::from_secs(match self {
            Self::Metadata => 32,
            #[cfg(feature = "iam")]
            Self::Signing | Self::TokenEndpoint | Self::Exchange => 60,
            #[cfg(feature = "iam")]
            Self::Boundary => 130,
            #[cfg(feature = "verify")]
            Self::Keys => 120,
        })
    }
}

impl RetryPolicy {
    /// The numbers of this policy for one server.
    pub(super) fn at(&self, server: Server) -> Self {
        let mut policy = self.clone();
        #[cfg(feature = "iam")]
        if server == Server::Boundary {
            // Nobody waits for a boundary: google-auth's numbers under every policy.
            policy.first_wait = Duration::from_secs(1);
            policy.factor = 2.0;
            policy.longest_wait = policy.longest_wait.max(Duration::from_secs(16));
            policy.attempts = Some(self.most_attempts().min(server.recorded_attempts()));
        }
        if self.google_auth {
            let recorded = server.recorded_attempts();
            policy.attempts = Some(match (server, self.attempts) {
                (_, None) => recorded,
                (Server::Metadata, Some(attempts)) => attempts,
                #[cfg(any(feature = "iam", feature = "verify"))]
                (_, Some(attempts)) => attempts.min(recorded),
            });
        }
        policy
    }

    /// The same, with time for at least one attempt as long as this.
    pub(crate) fn with_room_for(mut self, attempt: Duration) -> Self {
        if attempt > self.total() {
            self.budget = Some(attempt);
        }
        self
    }

    /// Time for an operation that asks the metadata server.
    pub(crate) fn total(&self) -> Duration {
        self.total_of(&[Server::Metadata])
    }

    /// Time for an operation that asks these servers, one after another.
    pub(crate) fn total_of(&self, servers: &[Server]) -> Duration {
        match self.budget {
            Some(budget) => budget,
            None if self.google_auth => servers.iter().map(|it| it.recorded_budget()).sum(),
            None => Self::DEFAULT_BUDGET,
        }
    }

    pub(crate) fn is_google_auth(&self) -> bool {
        self.google_auth
    }

    /// Whether a request that failed so is repeated.
    pub(super) fn repeats(&self, server: Server, error: &Error) -> bool {
        let passes = matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited
        );
        // Outside the metadata server, google-auth takes no answer as final.
        let recorded = match server {
            Server::Metadata => true,
            // `google.auth.iam.IAM_RETRY_CODES`.
            #[cfg(feature = "iam")]
            Server::Signing => matches!(error.status(), Some(500 | 502 | 503 | 504)),
            // A refusal below 500 passes here because its body says that it does.
            #[cfg(feature = "iam")]
            Server::TokenEndpoint | Server::Exchange | Server::Boundary => {
                matches!(error.status(), Some(400..=500 | 502 | 503 | 504))
            }
            #[cfg(feature = "verify")]
            Server::Keys => false,
        };
        passes && (!self.google_auth || recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(policy: &RetryPolicy, server: Server) -> u32 {
        policy.at(server).most_attempts()
    }

    #[test]
    fn google_auth_keeps_the_numbers_of_each_server() {
        let recorded = RetryPolicy::google_auth();
        assert_eq!(attempts(&recorded, Server::Metadata), 5);
        let nine = RetryPolicy::google_auth().attempts(9);
        assert_eq!(attempts(&nine, Server::Metadata), 9);
        #[cfg(feature = "iam")]
        {
            let fewer = recorded.clone().attempts(2);
            for (server, number) in [
                (Server::Signing, 3),
                (Server::TokenEndpoint, 3),
                (Server::Boundary, 6),
            ] {
                assert_eq!(attempts(&recorded, server), number, "{server:?}");
                assert_eq!(attempts(&fewer, server), 2, "{server:?}");
            }
            let all = [Server::Metadata, Server::Signing, Server::TokenEndpoint];
            assert_eq!(recorded.total_of(&all), Duration::from_secs(152));
            assert_eq!(RetryPolicy::new().total_of(&all), Duration::from_secs(10));
            let said = recorded.budget(Duration::from_secs(7));
            assert_eq!(said.total_of(&all), Duration::from_secs(7));
        }
    }

    #[test]
    fn a_broken_connection_is_final_for_google_auth_outside_the_metadata_server() {
        let broken = Error::new(ErrorKind::Unavailable, "reset");
        let busy = |status| Error::new(ErrorKind::RateLimited, "slow down").with_status(status);
        let (ours, theirs) = (RetryPolicy::new(), RetryPolicy::google_auth());
        assert!(ours.repeats(Server::Metadata, &broken));
        assert!(theirs.repeats(Server::Metadata, &broken));
        assert!(!ours.repeats(Server::Metadata, &Error::new(ErrorKind::Expired, "old")));
        #[cfg(feature = "iam")]
        for server in [Server::Signing, Server::TokenEndpoint, Server::Boundary] {
            assert!(ours.repeats(server, &broken), "{server:?}");
            assert!(!theirs.repeats(server, &broken), "{server:?}");
            assert!(ours.repeats(server, &busy(429)), "{server:?}");
            let signing = server == Server::Signing;
            assert_eq!(theirs.repeats(server, &busy(429)), !signing, "{server:?}");
            assert!(theirs.repeats(server, &busy(503)), "{server:?}");
            assert!(!theirs.repeats(server, &busy(505)), "{server:?}");
        }
        #[cfg(feature = "verify")]
        assert!(!theirs.repeats(Server::Keys, &busy(503)) && ours.repeats(Server::Keys, &broken));
        let _ = busy;
    }
}
