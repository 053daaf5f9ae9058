//! The project of the account.

use http::{Method, Request, Uri};

use crate::{
    client::grants,
    io::threads::{LaneKey, WorkKind},
    tokens::{credentials::Credentials, info::CredentialsKind},
    values::{error::Error, universe::DEFAULT_UNIVERSE},
};

impl Credentials {
    /// Returns the project of the account: the one that a key file names, that
    /// of an external account as the resource manager knows it, or the metadata
    /// server's. `None` if there is none.
    ///
    /// # Errors
    /// Whatever keeps the metadata server from answering, or the external
    /// account from having a token.
    pub async fn project_id(&self) -> Result<Option<String>, Error> {
        let credentials = self.clone();
        let work = move |_: &_| credentials.blocking_project_id();
        let (client, kind) = (self.client(), WorkKind::Other);
        if self.kind() == CredentialsKind::ComputeEngine {
            return client.background(kind, work).await;
        }
        let universe = self.0.known_universe();
        let universe = universe.as_deref().unwrap_or(DEFAULT_UNIVERSE);
        let manager = format!("https://cloudresourcemanager.{universe}");
        let manager = LaneKey::new(manager, &client.0.transport);
        let lane = manager.after(self.0.inner.source.lane());
        let budget = client.0.retry.total();
        client.background_in(&lane, kind, budget, work).await
    }

    /// [`project_id`](Self::project_id), waiting on this thread.
    ///
    /// # Errors
    /// As for [`project_id`](Self::project_id).
    pub fn blocking_project_id(&self) -> Result<Option<String>, Error> {
        let source = &self.0.inner.source;
        if let Some(named) = source.project_id() {
            return Ok(Some(named.to_owned()));
        }
        if self.kind() == CredentialsKind::ComputeEngine {
            return self.client().blocking_project_id().map(Some);
        }
        if let Some(known) = self.0.inner.project.get() {
            return Ok(Some(known.clone()));
        }
        let scopes = source.scopes().or_else(|| source.default_scopes());
        let scoped = scopes.is_some_and(|scopes| !scopes.is_empty());
        let Some(number) = source.project_number().filter(|_| scoped) else {
            return Ok(None);
        };
        let found = self.ask_resource_manager(number)?;
        Ok(found.map(|found| self.0.inner.project.get_or_init(|| found).clone()))
    }

    /// The id of the project with this number; `None` where the resource
    /// manager does not say.
    fn ask_resource_manager(&self, number: &str) -> Result<Option<String>, Error> {
        let universe = self.blocking_universe_domain()?;
        let url = format!("https://cloudresourcemanager.{universe}/v1/projects/{number}");
        let Ok(uri) = url.parse::<Uri>() else {
            return Ok(None);
        };
        let config = &self.client().0;
        let make = || {
            let mut request = Request::new(Vec::new());
            self.blocking_before_request(&Method::GET, &uri, request.headers_mut())?;
            *request.uri_mut() = uri.clone();
            Ok(request)
        };
        match grants::project(config, make) {
            // The token is what was worth failing for.
            Err(error)
                if error
                    .request()
                    .is_some_and(|it| it.contains("cloudresourcemanager.")) =>
            {
                Ok(None)
            }
            found => found,
        }
    }
}
