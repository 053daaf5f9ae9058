//! Floor 2: the protocol, pure. Bytes in, values out; time is an argument.

#[cfg(any(feature = "iam", feature = "verify"))]
pub(crate) mod api;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod assertion;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod aws;
#[cfg(feature = "iam")]
pub(crate) mod boundary;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod credentials_file;
pub(crate) mod date;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod executable;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod federation;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod gcloud_config;
#[cfg(feature = "iam")]
pub(crate) mod grant;
pub(crate) mod http1;
#[cfg(feature = "iam")]
pub(crate) mod iam;
#[cfg(feature = "iam")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod iam_tokens;
pub(crate) mod instance;
#[cfg(feature = "verify")]
pub(crate) mod jwks;
#[cfg(feature = "iam")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod oauth;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod private_key;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
#[cfg(feature = "iam")]
pub(crate) mod signed_url;
#[cfg(feature = "iam")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod sts;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod subject_token;
#[cfg(feature = "adc")]
#[allow(dead_code, reason = "the sources that ask come next")]
pub(crate) mod trusted_hosts;
