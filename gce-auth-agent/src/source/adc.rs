//! Application Default Credentials as a metadata server: one account, its project, and nothing
//! else.

use std::sync::Arc;

use gce_auth::{
    Credentials, DefaultOptions, Error, MetadataClient, blocking_default_credentials,
    transport::{HttpTransport, Limits, Transport as _},
};
use http::{Request, header::CONTENT_TYPE};
use serde_json::{Value, json};

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
    /// is asked. `None` if neither tells. Blocks.
    pub(crate) fn email(&self) -> Option<Arc<str>> {
        let known = self.credentials.info().principal;
        if known.contains('@') {
            return Some(known.into());
        }
        let token = self.credentials.blocking_token().ok()?;
        let request = Request::post(TOKENINFO)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body([b"access_token=", token.secret().as_bytes()].concat())
            .ok()?;
        let answer = HttpTransport::default()
            .send(request, &Limits::new())
            .ok()?;
        let claims: Value = serde_json::from_slice(answer.body()).ok()?;
        claims["email"].as_str().map(Arc::from)
    }
}
