//! Credentials files of Google's SDKs: JSON in, typed settings out (Google,
//! "How Application Default Credentials works", and AIP-4110 to AIP-4117).

pub(crate) mod authorized_user;
pub(crate) mod credential_source;
pub(crate) mod external_account;
pub(crate) mod external_user;
mod fields;
pub(crate) mod impersonated;
pub(crate) mod service_account;
#[cfg(test)]
mod tests;
pub(crate) mod written;

use serde_json::Value;

use crate::{
    values::error::{Error, ErrorKind},
    wire::credentials_file::{
        authorized_user::AuthorizedUser,
        credential_source::SubjectSource,
        external_account::ExternalAccount,
        external_user::ExternalUser,
        fields::{Fields, Wiped},
        impersonated::Impersonated,
        service_account::ServiceAccountKey,
        written::Written,
    },
};

/// Every type that is read.
const TYPES: &str = "authorized_user, service_account, impersonated_service_account, \
     external_account or external_account_authorized_user";

/// What a credentials file says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Document {
    /// A user, by a refresh token.
    AuthorizedUser(AuthorizedUser),
    /// A private key.
    ServiceAccount(ServiceAccountKey),
    /// An account that others act as.
    Impersonated(Impersonated),
    /// An identity of another provider.
    ExternalAccount(ExternalAccount),
    /// A user of another provider, by a refresh token.
    ExternalUser(ExternalUser),
}

/// Reads the file that errors call `place`.
pub(crate) fn read(place: &str, bytes: &[u8]) -> Result<Document, Error> {
    let refuse = |what: &str| {
        Error::new(ErrorKind::Config, format!("{place}: {what}")).with_hint(
            "name a credentials file that gcloud or the Google Cloud console has written",
        )
    };
    let parsed = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => Wiped(value),
        Err(_) if bytes.starts_with(b"\xef\xbb\xbf") => {
            return Err(refuse("a byte order mark stands before the JSON"));
        }
        // What serde_json says quotes nothing of the file.
        Err(error) => return Err(refuse(&format!("not JSON: {error}"))),
    };
    let Value::Object(map) = &parsed.0 else {
        return Err(refuse("the JSON is not an object"));
    };
    let fields = Fields::new(&parsed.0, place);
    match map.get("type") {
        Some(Value::String(kind)) => match kind.as_str() {
            "authorized_user" => authorized_user::read(fields).map(Document::AuthorizedUser),
            "service_account" => service_account::read(fields).map(Document::ServiceAccount),
            "impersonated_service_account" => {
                impersonated::read(fields).map(Document::Impersonated)
            }
            "external_account" => external_account::read(fields).map(Document::ExternalAccount),
            "external_account_authorized_user" => {
                external_user::read(fields).map(Document::ExternalUser)
            }
            "gdch_service_account" => Err(refuse(
                "the type gdch_service_account is not supported by this library",
            )),
            _ => Err(refuse(&format!("the member `type` is not {TYPES}"))),
        },
        Some(_) => Err(refuse("the member `type` is not a text")),
        None if ["installed", "web"]
            .iter()
            .any(|kind| map.contains_key(*kind)) =>
        {
            Err(Error::new(
                ErrorKind::Config,
                format!("{place}: an OAuth client, which is no identity"),
            )
            .with_hint("give it to `gcloud auth application-default login --client-id-file`"))
        }
        None => Err(refuse("the member `type` is missing")),
    }
}

/// Reads what a builder of an `authorized_user` wrote, as a file that errors call
/// `place`.
pub(crate) fn authorized_user(place: &str, file: &Written) -> Result<AuthorizedUser, Error> {
    authorized_user::read(Fields::new(file.value(), place))
}

/// The same of a `service_account`.
pub(crate) fn service_account(place: &str, file: &Written) -> Result<ServiceAccountKey, Error> {
    service_account::read(Fields::new(file.value(), place))
}

/// The same of an `external_account`, whose subject token the program may
/// supply.
pub(crate) fn external_account(
    place: &str,
    file: &Written,
    is_supplied: bool,
) -> Result<ExternalAccount, Error> {
    let fields = Fields::new(file.value(), place);
    if is_supplied {
        return external_account::read_with(fields, |_, _| Ok(SubjectSource::Supplied));
    }
    external_account::read(fields)
}

/// The same of an `external_account_authorized_user`.
pub(crate) fn external_user(place: &str, file: &Written) -> Result<ExternalUser, Error> {
    external_user::read(Fields::new(file.value(), place))
}
