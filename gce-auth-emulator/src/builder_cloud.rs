//! Settings of the Google APIs beside the metadata server.

use std::path::PathBuf;

use crate::{
    builder::EmulatorBuilder,
    policy::{providers::Provider, settings::Impersonation, users::User},
    text_source::TextSource,
};

impl EmulatorBuilder {
    /// Sets whether the APIs refuse what Google refuses and the emulator lets pass otherwise.
    /// Default: false, which means:
    ///
    /// - each email `NAME@..gserviceaccount.com` is a service account that exists; strict: those
    ///   attached to the machine and [those configured](Self::service_account);
    /// - each pool exists and trusts the emulator's own issuer; strict: [those
    ///   configured](Self::provider);
    /// - a token exchange without a scope gives `cloud-platform`, and any text is a scope; strict:
    ///   both are refused;
    /// - an assertion may be for any address that ends in `/token`; strict: for Google's, or the
    ///   emulator's own;
    /// - one key signs all; strict: each account has its own, so that an assertion which another
    ///   account signed is refused;
    /// - `signJwt` signs any claims, those of another account too, as Google's does; strict: an
    ///   `exp` that is past or more than 12 hours ahead is refused;
    /// - delegates may be bare emails; strict: `projects/-/serviceAccounts/EMAIL`;
    /// - tokens of `generateAccessToken` live up to 12 hours; strict: 1 hour, without [an
    ///   extension](Self::lifetime_extension);
    /// - `introspect` needs no client, `/tokeninfo` knows federated tokens, the Resource Manager
    ///   knows each project number, and an unknown client with an unknown refresh token is
    ///   `invalid_grant`; strict: as Google.
    ///
    /// Expired and revoked tokens, wrong audiences of subject tokens, missing scopes, boundaries
    /// and configured grants are enforced either way.
    pub fn strict(mut self, strict: bool) -> Self {
        self.cloud.strict = Some(strict);
        self
    }

    /// Adds settings in JSON, as `PUT /emulator/v1/cloud` takes them. They are read when the
    /// emulator starts. [`strict`](Self::strict),
    /// [`organization_number`](Self::organization_number), and a [`provider`](Self::provider) or
    /// [`user`](Self::user) of the same name or refresh token have priority over them.
    ///
    /// ```
    /// use gce_auth_emulator::Emulator;
    ///
    /// let emulator = Emulator::builder()
    ///     .cloud(r#"{
    ///         "strict": true,
    ///         "accounts": ["robot@my-project.iam.gserviceaccount.com"],
    ///         "impersonation": [{"member": "*", "target": "robot@my-project.iam.gserviceaccount.com"}]
    ///     }"#)
    ///     .start()?;
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    pub fn cloud(mut self, json: impl Into<String>) -> Self {
        self.cloud_sources.push(TextSource::Text(json.into()));
        self
    }

    /// Adds settings as [`cloud`](Self::cloud) does, from a file.
    pub fn cloud_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cloud_sources.push(TextSource::File(path.into()));
        self
    }

    /// Adds a user whose refresh token gives access tokens, in place of the built-in
    /// `developer@example.com`.
    pub fn user(mut self, user: User) -> Self {
        self.cloud.users.push(user);
        self
    }

    /// Adds a provider of a workload or workforce identity pool.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.cloud.providers.push(provider);
        self
    }

    /// Adds a service account that exists without being attached to the machine, to be
    /// impersonated.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.cloud.accounts.push(email.into());
        self
    }

    /// Lets one principal create tokens and signatures for a service account, and no other that
    /// isn't let too. Without any such grant all may.
    ///
    /// `member` is a member of an IAM policy (`serviceAccount:EMAIL`, `user:EMAIL`,
    /// `principal://..`, `principalSet://..`), an email, or `*`; `target` is a service account's
    /// email, or `*`.
    pub fn impersonation(mut self, member: impl Into<String>, target: impl Into<String>) -> Self {
        self.cloud.impersonation.push(Impersonation {
            member: member.into(),
            target: target.into(),
        });
        self
    }

    /// Lets access tokens of this service account live up to 12 hours in [strict](Self::strict)
    /// mode.
    pub fn lifetime_extension(mut self, email: impl Into<String>) -> Self {
        self.cloud.lifetime_extension.push(email.into());
        self
    }

    /// Sets the number of the organization, for `generateIdToken` with
    /// `organizationNumberIncluded`. By default there is none, and the claim is `null`.
    pub fn organization_number(mut self, number: u64) -> Self {
        self.cloud.organization_number = Some(number);
        self
    }
}
