//! Application Default Credentials as a metadata server: one account, its project, and nothing
//! else.

use std::{sync::Arc, time::Duration};

use gce_auth::{
    Credentials, DefaultOptions, Error, MetadataClient, blocking_default_credentials,
    transport::{HttpTransport, Limits, Transport as _},
};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::failure::Failure;

/// Says whose an access token is.
const TOKENINFO: &str = "https://oauth2.googleapis.com/tokeninfo";

/// The scopes that users' logins have, and others can ask for, so that the token tells its account.
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
];

/// Application Default Credentials that were found.
#[derive(Debug)]
pub(crate) struct AdcSource {
    credentials: Credentials,
    project: Option<String>,
    /// Where they were found.
    pub(crate) found: String,
}

impl AdcSource {
    /// Looks for them, and asks for no token. Blocks.
    pub(crate) fn find(client: &MetadataClient) -> Result<Self, Error> {
        let options = DefaultOptions::new()
            .client(client.clone())
            .default_scopes(SCOPES);
        let found = blocking_default_credentials(options)?;
        Ok(Self {
            // Key files take no default scopes.
            credentials: found.credentials.with_scopes_if_required(SCOPES),
            project: found.project_id,
            found: found.source.to_string(),
        })
    }

    /// Returns credentials with these scopes, else with their own.
    pub(crate) fn access(&self, scopes: Option<&[String]>) -> Credentials {
        match scopes {
            Some(scopes) => self.credentials.with_scopes(scopes),
            None => self.credentials.clone(),
        }
    }

    /// Returns the document that such a metadata server has, in the form of `?recursive=true`.
    pub(crate) fn document(&self, email: Option<&str>) -> Value {
        let mut account = json!({"aliases": ["default"], "scopes": SCOPES});
        if let Some(email) = email {
            account["email"] = email.into();
        }
        let mut accounts = json!({"default": account});
        if let Some(email) = email {
            accounts[email] = accounts["default"].clone();
        }
        let mut document = json!({"instance": {"serviceAccounts": accounts}, "project": {}});
        if let Some(project) = &self.project {
            document["project"]["projectId"] = project.as_str().into();
        }
        document
    }

    /// Finds the email address of the account: the credentials know it, or the tokeninfo endpoint
    /// is asked. `None` if the account has none. Blocks.
    pub(crate) fn email(&self) -> Result<Option<Arc<str>>, Failure> {
        let known = self.credentials.info().principal;
        if known.contains('@') {
            return Ok(Some(known.into()));
        }
        let token = self.credentials.blocking_token();
        let token = token.map_err(|error| Failure::of(&error))?;
        let request = Request::post(TOKENINFO)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body([b"access_token=", token.secret().as_bytes()].concat())
            .map_err(|_| Failure::internal())?;
        // The defaults are for a server next door.
        let mut limits = Limits::new();
        limits.connect = Duration::from_secs(5);
        limits.first_byte = Duration::from_secs(15);
        limits.attempt = Duration::from_secs(15);
        let answer = HttpTransport::default()
            .send(request, &limits)
            .map_err(|error| {
                Failure::unavailable(&format!("the source failed: {TOKENINFO}: {error}"))
            })?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let why = format!("the source failed: {TOKENINFO}: it answered {status}");
            return Err(Failure::unavailable(&why));
        }
        let claims = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        Ok(claims["email"].as_str().map(Arc::from))
    }
}
