//! Workload and workforce identity federation: tokens of other providers for
//! Google's (AIP-4117; RFC 8693).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use zeroize::Zeroizing;

use crate::{
    values::{
        error::Error,
        secret::SecretText,
        token::{Bearer, Now},
    },
    wire::{
        credentials_file::{
            credential_source::SubjectSource,
            external_account::{Client, ExternalAccount},
            external_user::Renewal,
        },
        oauth::{self, form, metrics},
        request::X_GOOG_API_CLIENT,
        response,
        sts::{ACCESS_TOKEN, GRANT, accept},
    },
};

/// Asks for an access token for the token of another provider.
pub(crate) fn exchange(
    account: &ExternalAccount,
    token_url: &str,
    subject_token: &SecretText,
    scopes: &[String],
) -> Result<Request<Vec<u8>>, Error> {
    let scope = scopes.join(" ");
    let options = match (&account.workforce_pool_user_project, account.client()) {
        (Some(project), None) => Some(serde_json::json!({ "userProject": project }).to_string()),
        _ => None,
    };
    let mut pairs = vec![GRANT, ("audience", &account.audience)];
    if !scope.is_empty() {
        pairs.push(("scope", &scope));
    }
    pairs.push(("requested_token_type", ACCESS_TOKEN));
    pairs.push(("subject_token", subject_token.reveal()));
    let kind = account.subject_token_type.as_deref();
    if let Some(kind) = kind.filter(|kind| !kind.is_empty()) {
        pairs.push(("subject_token_type", kind));
    }
    if let Some(options) = &options {
        pairs.push(("options", options));
    }
    let mut request = oauth::post(token_url, &form(&pairs))?;
    let headers = request.headers_mut();
    headers.insert(X_GOOG_API_CLIENT, federation_metrics(account));
    if let Some(client) = account.client() {
        headers.insert(AUTHORIZATION, basic(client)?);
    }
    Ok(request)
}

/// What kind of federation it is, for Google's statistics (AIP-4117).
fn federation_metrics(account: &ExternalAccount) -> HeaderValue {
    let source = match account.source {
        SubjectSource::File { .. } => "file",
        SubjectSource::Url { .. } => "url",
        SubjectSource::Executable(_) => "executable",
        SubjectSource::Aws(_) => "aws",
        SubjectSource::Supplied => "programmatic",
    };
    let lifetime = account.lifetime.is_some();
    let base = metrics!(" google-byoid-sdk");
    let text = format!(
        "{} sa-impersonation/{} config-lifetime/{lifetime} source/{source}",
        base.to_str().unwrap_or_default(),
        account.impersonation.is_some(),
    );
    HeaderValue::try_from(text).unwrap_or(base)
}

/// Asks for an access token of a workforce user. `refresh_token` is the newest
/// one.
pub(crate) fn refresh(
    renewal: Renewal<'_>,
    token_url: &str,
    refresh_token: &SecretText,
) -> Result<Request<Vec<u8>>, Error> {
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.reveal()),
    ];
    let mut request = oauth::post(token_url, &form(&pairs))?;
    let client = Client {
        id: renewal.client_id,
        secret: renewal.client_secret.reveal(),
    };
    request.headers_mut().insert(AUTHORIZATION, basic(client)?);
    Ok(request)
}

/// `Authorization: Basic` (RFC 7617).
fn basic(client: Client<'_>) -> Result<HeaderValue, Error> {
    let plain = Zeroizing::new([client.id, ":", client.secret].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(plain.as_bytes()));
    let text = Zeroizing::new(["Basic ", &encoded].concat());
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        response::unusable("the client of the credentials file cannot stand in a header")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a workforce user's refresh brings: a token, and perhaps another
/// refresh token.
pub(crate) fn refreshed(
    response: Response<Vec<u8>>,
    sent: Now,
) -> Result<(Result<Bearer, Error>, Option<SecretText>), Error> {
    let mut fields = accept(response)?;
    let next = oauth::next_refresh_token(&mut fields);
    let token = response::access_token(&mut fields, sent);
    Ok(match next {
        // It must not be lost with an unusable token: the one that was sent is spent.
        Some(_) => (token, next),
        None => (Ok(token?), None),
    })
}

#[cfg(test)]
mod tests;
