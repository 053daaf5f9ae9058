//! Which program asked, as its headers say: `User-Agent` and `x-goog-api-client`.

use serde_json::{Value, json};

/// What a client says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientLibrary {
    language: Option<String>,
    language_version: Option<String>,
    library: Option<String>,
    library_version: Option<String>,
    /// What it asks for, and for which kind of credential.
    asks: Option<&'static str>,
    credential: Option<String>,
}

/// Languages as `x-goog-api-client` writes them behind `gl-`.
const LANGUAGES: [(&str, &str); 10] = [
    ("cpp", "C++"),
    ("dart", "Dart"),
    ("dotnet", ".NET"),
    ("go", "Go"),
    ("java", "Java"),
    ("node", "Node.js"),
    ("php", "PHP"),
    ("python", "Python"),
    ("ruby", "Ruby"),
    ("rust", "Rust"),
];

/// Libraries whose language is known from the name that they send in `User-Agent`.
const AGENTS: [(&str, &str); 13] = [
    ("Go-http-client", "Go"),
    ("Google-HTTP-Java-Client", "Java"),
    ("Java", "Java"),
    ("Python-urllib", "Python"),
    ("aiohttp", "Python"),
    ("gaxios", "Node.js"),
    ("gce-auth", "Rust"),
    ("gcloud-golang", "Go"),
    ("google-api-nodejs-client", "Node.js"),
    ("python-httpx", "Python"),
    ("python-requests", "Python"),
    ("reqwest", "Rust"),
    ("ureq", "Rust"),
];

impl ClientLibrary {
    /// Reads the values of the two headers.
    pub(crate) fn read(agent: Option<&str>, api_client: Option<&str>) -> Self {
        let mut found = Self::default();
        for word in api_client.unwrap_or_default().split_whitespace() {
            let Some((name, value)) = word.split_once('/') else {
                continue;
            };
            match name {
                "auth" => found.set_library("google-auth", value),
                "auth-request-type" => found.asks = asks(value),
                "cred-type" => found.credential = Some(value.into()),
                "gccl" if found.library.is_none() => found.set_library("google-cloud", value),
                _ => {
                    if let Some(language) = name.strip_prefix("gl-") {
                        let known = LANGUAGES.iter().find(|(short, _)| *short == language);
                        found.language = Some(known.map_or(language, |(_, name)| name).into());
                        found.language_version = Some(value.into());
                    }
                }
            }
        }
        let product = agent.unwrap_or_default().split_whitespace().next();
        if let Some((name, version)) = product.map(|it| it.split_once('/').unwrap_or((it, ""))) {
            if found.library.is_none() {
                found.set_library(name, version);
            }
            let known = AGENTS.iter().find(|(agent, _)| *agent == name);
            if let (None, Some((_, language))) = (&found.language, known) {
                found.language = Some((*language).into());
                let is_language_s = ["Java", "Python-urllib"].contains(&name);
                found.language_version = is_language_s.then(|| version.into());
            }
        }
        found
    }

    fn set_library(&mut self, name: &str, version: &str) {
        self.library = Some(name.into());
        self.library_version = (!version.is_empty()).then(|| version.into());
    }

    /// `Python 3.12.3, google-auth 2.63.0`.
    pub(crate) fn name(&self) -> String {
        let both = [
            (&self.language, &self.language_version),
            (&self.library, &self.library_version),
        ];
        let words: Vec<String> = both
            .into_iter()
            .filter_map(|(name, version)| {
                let name = name.as_ref()?;
                Some(match version {
                    Some(version) => format!("{name} {version}"),
                    None => name.clone(),
                })
            })
            .collect();
        if words.is_empty() {
            return "unknown client".into();
        }
        words.join(", ")
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name(),
            "language": self.language,
            "languageVersion": self.language_version,
            "library": self.library,
            "libraryVersion": self.library_version,
            "asks": self.asks,
            "credential": self.credential,
        })
    }
}

/// What `auth-request-type` stands for.
fn asks(short: &str) -> Option<&'static str> {
    match short {
        "at" => Some("access token"),
        "it" => Some("ID token"),
        "mds" => Some("is there a metadata server"),
        "re-start" | "re-cont" => Some("reauthentication"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_known_by_their_headers() {
        let api = "gl-python/3.12.3 auth/2.63.0 auth-request-type/at cred-type/mds";
        let google = ClientLibrary::read(Some("python-requests/2.32.3"), Some(api));
        assert_eq!(google.name(), "Python 3.12.3, google-auth 2.63.0");
        let shown = google.to_json();
        assert_eq!(shown["asks"], "access token");
        assert_eq!(shown["credential"], "mds");
        for (agent, name) in [
            ("curl/8.5.0", "curl 8.5.0"),
            ("Go-http-client/1.1", "Go, Go-http-client 1.1"),
            ("Python-urllib/3.12", "Python 3.12, Python-urllib 3.12"),
            ("gcloud-golang/0.1", "Go, gcloud-golang 0.1"),
            (
                "Google-HTTP-Java-Client/1.44 (gzip)",
                "Java, Google-HTTP-Java-Client 1.44",
            ),
            ("strange", "strange"),
            ("", "unknown client"),
        ] {
            assert_eq!(ClientLibrary::read(Some(agent), None).name(), name);
        }
        let node = ClientLibrary::read(
            Some("google-api-nodejs-client/9.15.0"),
            Some("gl-node/22.1.0"),
        );
        assert_eq!(
            node.name(),
            "Node.js 22.1.0, google-api-nodejs-client 9.15.0"
        );
        assert_eq!(
            ClientLibrary::read(None, Some("gl-zig/1 x")).name(),
            "zig 1"
        );
    }
}
