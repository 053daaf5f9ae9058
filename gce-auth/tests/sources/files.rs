//! Credentials files of every kind, which lead to one emulator.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth::{
    Credentials, CredentialsKind, DefaultOptions, IdTokenCredentials, MetadataClient,
    testing::set_variable,
    time::{Clock as _, SystemClock},
    transport::{HttpTransport, Limits, Transport as _},
};
use gce_auth_emulator::{AdcKind, Emulator};
use http::Request;
use serde_json::{Value, json};

pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The account of an emulator that was told nothing else.
pub(crate) const EMAIL: &str = "emulator@emulator-project.iam.gserviceaccount.com";

/// A credentials file.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) kind: CredentialsKind,
    pub(crate) document: Value,
    /// What the token endpoint says of its tokens: a member, and its value.
    pub(crate) named_by: &'static str,
    pub(crate) identity: Value,
    pub(crate) has_id_tokens: bool,
}

/// An emulator, and a directory for files that lead to it.
pub(crate) struct Files {
    pub(crate) emulator: Emulator,
    directory: PathBuf,
}

impl Files {
    pub(crate) fn new(emulator: Emulator) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        set_variable("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", Some("1"));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gce-auth-sources-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self {
            emulator,
            directory,
        }
    }

    pub(crate) fn options(&self) -> DefaultOptions {
        let address = self.emulator.addr().to_string();
        let client = MetadataClient::builder().endpoint(&address).build();
        DefaultOptions::new()
            .client(client.unwrap())
            .scopes([SCOPE])
            .trust_host(address)
    }

    pub(crate) fn load(&self, file: &File) -> Credentials {
        let loaded = self.options().load_json(&file.document.to_string());
        loaded
            .unwrap_or_else(|error| panic!("{}: {error}", file.name))
            .credentials
    }

    pub(crate) fn adc(&self, kind: AdcKind) -> Value {
        serde_json::from_str(&self.emulator.adc(kind).unwrap()).unwrap()
    }

    pub(crate) fn user(&self) -> File {
        let document = self.adc(AdcKind::AuthorizedUser);
        File {
            name: "authorized_user",
            kind: CredentialsKind::AuthorizedUser,
            named_by: "email",
            identity: document["account"].clone(),
            has_id_tokens: false,
            document,
        }
    }

    pub(crate) fn key(&self) -> File {
        File {
            name: "service_account",
            kind: CredentialsKind::ServiceAccount,
            document: self.adc(AdcKind::ServiceAccount),
            named_by: "email",
            identity: EMAIL.into(),
            has_id_tokens: true,
        }
    }

    fn impersonated(&self, name: &'static str, source: &File) -> File {
        let mut document = self.adc(AdcKind::Impersonated);
        document["source_credentials"] = source.document.clone();
        File {
            name,
            kind: CredentialsKind::ImpersonatedServiceAccount,
            document,
            named_by: "email",
            identity: EMAIL.into(),
            has_id_tokens: true,
        }
    }

    fn external(&self, name: &'static str, source: Option<Value>) -> File {
        let mut document = self.adc(AdcKind::ExternalAccount);
        if let Some(source) = source {
            document["credential_source"] = source;
        }
        let subject = claims(&self.subject())["sub"].clone();
        let audience = document["audience"].as_str().unwrap();
        let pool = audience.split("/providers/").next().unwrap();
        let subject = subject.as_str().unwrap();
        File {
            name,
            kind: CredentialsKind::ExternalAccount,
            named_by: "principal",
            identity: format!("principal:{pool}/subject/{subject}").into(),
            has_id_tokens: false,
            document,
        }
    }

    /// A subject token: an ID token of the emulator's machine.
    fn subject(&self) -> String {
        let document = self.adc(AdcKind::ExternalAccount);
        self.subject_for(document["audience"].as_str().unwrap())
    }

    /// An ID token of the emulator's machine for `audience`.
    pub(crate) fn subject_for(&self, audience: &str) -> String {
        let identity = IdTokenCredentials::builder(audience)
            .endpoint(self.emulator.addr().to_string())
            .build();
        let token = identity.unwrap().blocking_token().unwrap();
        token.secret().to_owned()
    }

    /// The path of a file in a directory of this test.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn of_file(&self) -> File {
        let path = self.directory.join("subject.json");
        fs::write(&path, json!({"token": self.subject()}).to_string()).unwrap();
        let format = json!({"type": "json", "subject_token_field_name": "token"});
        self.external("a file", Some(json!({"file": path, "format": format})))
    }

    pub(crate) fn executable(&self) -> File {
        let (output, runs) = (self.directory.join("output"), self.directory.join("runs"));
        let answer = self.directory.join("answer.json");
        let until = wall().as_secs() + 3000;
        let said = json!({"version": 1, "success": true, "id_token": self.subject(),
                          "token_type": "urn:ietf:params:oauth:token-type:id_token",
                          "expiration_time": until});
        fs::write(&answer, said.to_string()).unwrap();
        let script = self.directory.join("run.sh");
        let text = format!(
            "printf x >>'{}'\numask 077\ncat '{}' | tee \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\"\n",
            runs.display(),
            answer.display()
        );
        fs::write(&script, text).unwrap();
        let command = format!("/bin/sh {}", script.display());
        let program = json!({"command": command, "timeout_millis": 10_000, "output_file": output});
        self.external("an executable", Some(json!({ "executable": program })))
    }

    /// How often the executable was run.
    pub(crate) fn runs(&self) -> usize {
        fs::read(self.directory.join("runs")).unwrap().len()
    }

    fn acting(&self, mut file: File) -> File {
        let url = format!(
            "{}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken",
            self.emulator.url()
        );
        file.document["service_account_impersonation_url"] = url.into();
        file.document["service_account_impersonation"] = json!({"token_lifetime_seconds": 1200});
        File {
            name: "an external account that acts as another",
            named_by: "email",
            identity: EMAIL.into(),
            has_id_tokens: true,
            ..file
        }
    }

    fn workforce(&self) -> File {
        let mut file = self.user();
        let url = format!("{}/v1/oauthtoken", self.emulator.url());
        let member = |name: &str| file.document[name].clone();
        file.document = json!({
            "type": "external_account_authorized_user",
            "audience": "//iam.googleapis.com/locations/global/workforcePools/staff/providers/okta",
            "client_id": member("client_id"), "client_secret": member("client_secret"),
            "refresh_token": member("refresh_token"), "token_url": url,
        });
        File {
            name: "external_account_authorized_user",
            kind: CredentialsKind::ExternalAccountAuthorizedUser,
            ..file
        }
    }

    /// Every kind of file that the emulator has servers for.
    pub(crate) fn all(&self) -> Vec<File> {
        let mut all = vec![
            self.user(),
            self.key(),
            self.workforce(),
            self.impersonated("a user that acts as an account", &self.user()),
            self.impersonated("a key that acts as an account", &self.key()),
            self.impersonated(
                "a workforce user that acts as an account",
                &self.workforce(),
            ),
            self.external("a server", None),
            self.of_file(),
            self.executable(),
            self.acting(self.external("", None)),
        ];
        self.emulator.clear_requests();
        all.sort_by_key(|file| file.name);
        all
    }

    /// What the emulator says of an access token.
    pub(crate) fn token_info(&self, token: &str) -> Value {
        let url = format!("{}/tokeninfo?access_token={token}", self.emulator.url());
        let request = Request::get(url).body(Vec::new()).unwrap();
        let answer = HttpTransport::new().send(request, &Limits::new()).unwrap();
        serde_json::from_slice(answer.body()).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Time since the Unix epoch.
pub(crate) fn wall() -> Duration {
    SystemClock::new().now().wall
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(jwt: &str) -> Value {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap());
    serde_json::from_slice(&claims.unwrap()).unwrap()
}
