//! On Google Cloud or not, and why.

use std::{fmt, time::Duration};

use crate::{
    client::{
        config::MetadataClient,
        evidence::{self, Evidence, Verdict},
        metadata::ping,
    },
    io::{env::Environment, threads::WorkKind},
    values::{
        endpoint::Endpoint,
        error::{Error, ErrorKind},
    },
};

/// Time for the one ping of [`Detection::Fast`], which takes less than 1 s.
const FAST: Duration = Duration::from_millis(800);

/// Whether this program runs on Google Cloud, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residency {
    on_gce: bool,
    why: String,
}

impl Residency {
    /// Returns whether there is a metadata server for this program.
    #[must_use]
    pub fn is_on_gce(&self) -> bool {
        self.on_gce
    }

    /// Returns the evidence, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Residency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.on_gce { "on" } else { "not on" };
        write!(f, "{what} Google Cloud: {}", self.why)
    }
}

/// How [`MetadataClient::on_gce`] finds out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detection {
    /// Reads the environment, then the firmware, then sends one ping to the
    /// address. Takes less than 1 s, also where packets are dropped. Looks up no
    /// name unless the endpoint is one.
    #[default]
    Fast,
    /// Does as google-auth: `NO_GCE_CHECK`, then a ping with
    /// `GCE_METADATA_DETECT_RETRIES` attempts (default: 3) of
    /// `GCE_METADATA_TIMEOUT` (default: 3 s) each, then the firmware.
    GoogleAuth,
}

impl MetadataClient {
    /// Returns whether this program runs on Google Cloud, and why that is known.
    ///
    /// A negative answer is never remembered. Reads `NO_GCE_CHECK`,
    /// `METADATA_SERVER_DETECTION`, `GCE_METADATA_IP`,
    /// `GCE_METADATA_DETECT_RETRIES` and the variables of serverless platforms
    /// at the call.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) where one of these makes no sense.
    pub async fn on_gce(&self, detection: Detection) -> Result<Residency, Error> {
        self.background(WorkKind::Other, move |client| {
            client.blocking_on_gce(detection)
        })
        .await
    }

    /// [`on_gce`](Self::on_gce), waiting on this thread.
    ///
    /// # Errors
    /// As for [`on_gce`](Self::on_gce).
    pub fn blocking_on_gce(&self, detection: Detection) -> Result<Residency, Error> {
        let environment = Environment::read();
        match detection {
            Detection::Fast => self.detect(&environment),
            Detection::GoogleAuth => self.detect_like_google_auth(&environment),
        }
    }

    /// Returns what the firmware says: `Some(true)` where its product name begins with
    /// `Google`, `None` where it says nothing. No network.
    #[must_use]
    pub fn detect_dmi(&self) -> Option<bool> {
        match evidence::machine(&self.0.dmi_file).verdict {
            Verdict::Yes => Some(true),
            Verdict::No => Some(false),
            Verdict::Unknown => None,
        }
    }

    fn detect(&self, environment: &Environment) -> Result<Residency, Error> {
        let config = &*self.0;
        let bios_only = match environment.detection.as_deref() {
            None | Some("assume-present" | "none" | "ping-only") => false,
            Some("bios-only") => true,
            Some(other) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("METADATA_SERVER_DETECTION is {other:?}, which means nothing"),
                )
                .with_hint("use assume-present, none, bios-only or ping-only"));
            }
        };
        let ping_only = environment.detection.as_deref() == Some("ping-only");
        let evidence = if ping_only {
            Evidence::new(Verdict::Unknown, "only a ping was to be made")
        } else {
            evidence::said(environment).unwrap_or_else(|| evidence::machine(&config.dmi_file))
        };
        if evidence.verdict == Verdict::Yes || bios_only {
            return Ok(Residency {
                on_gce: evidence.verdict == Verdict::Yes,
                why: evidence.why,
            });
        }
        // A setting that denies it must be believed; firmware may be
        // wrong where a metadata server stands in for Google's.
        let silenced = environment.no_gce_check.as_deref() == Some("true")
            || environment.detection.as_deref() == Some("none");
        if silenced {
            return Ok(Residency {
                on_gce: false,
                why: evidence.why,
            });
        }
        let endpoint = self.ping_endpoint(environment)?;
        Ok(match self.ping_once(&endpoint, FAST) {
            Ok(()) => Residency {
                on_gce: true,
                why: format!("a metadata server answered at {endpoint}"),
            },
            Err(error) => Residency {
                on_gce: false,
                why: format!("{}, and no metadata server answered: {error}", evidence.why),
            },
        })
    }

    fn detect_like_google_auth(&self, environment: &Environment) -> Result<Residency, Error> {
        let config = &*self.0;
        if environment.no_gce_check.as_deref() == Some("true") {
            return Ok(Residency {
                on_gce: false,
                why: "NO_GCE_CHECK is true".to_owned(),
            });
        }
        if self.ping_like_google_auth(environment, None)? {
            return Ok(Residency {
                on_gce: true,
                why: "a metadata server answered".to_owned(),
            });
        }
        let firmware = evidence::machine(&config.dmi_file);
        Ok(Residency {
            on_gce: firmware.verdict == Verdict::Yes,
            why: firmware.why,
        })
    }

    /// The endpoint of the code, else `GCE_METADATA_IP`, else the configured
    /// one, else the address.
    fn ping_endpoint(&self, environment: &Environment) -> Result<Endpoint, Error> {
        match &environment.metadata_ip {
            Some(text) if !self.0.in_code => ping::named_by_ip(text),
            _ => self.0.endpoint().cloned(),
        }
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
