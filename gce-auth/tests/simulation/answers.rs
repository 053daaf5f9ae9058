//! What servers answer when they are well, and what breaks in their answers.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, Response};
use serde_json::{Value, json};

use crate::{
    dice::Dice,
    servers::{Health, IAM, KEYS, METADATA, Net, OAUTH, STS, SUBJECT, Truth},
    sources::{NARROW, NARROWED, ROLES},
};

/// How long the server of keys says that they are fresh.
const MAX_AGE: u64 = 400;

impl Net {
    pub(crate) fn answer(
        &self,
        request: &Request<Vec<u8>>,
        server: &'static str,
        path: &str,
        health: Health,
        asked: u64,
    ) -> Response<Vec<u8>> {
        let flavor = Response::builder().header("Metadata-Flavor", "Google");
        let json = |body: Value| {
            let response = Response::builder()
                .header("Metadata-Flavor", "Google")
                .header("Content-Type", "application/json")
                .header("Cache-Control", format!("max-age={MAX_AGE}"));
            response.body(body.to_string().into_bytes()).unwrap()
        };
        match health {
            Health::Status(status) => return flavor.status(status).body(Vec::new()).unwrap(),
            Health::Garbage => return flavor.body(b"{\"access_token\":".to_vec()).unwrap(),
            _ => {}
        }
        let at = request.uri().path();
        if is_slot(path) || path.contains(NARROWED) {
            let source = narrowed(request, path);
            let (token, left) = self.token(server, path, asked, source.as_deref());
            let seconds = left.as_secs();
            return match server {
                // Its source has expired.
                STS if source.is_some() && left.is_zero() => {
                    let body = json!({"error": "invalid_grant"}).to_string();
                    flavor.status(400).body(body.into_bytes()).unwrap()
                }
                STS if source.is_some() => {
                    let source = source.as_deref().unwrap_or_default();
                    let ends = |token: &str| self.truth(token).map(|truth| truth.expires);
                    // Where it ends with its source, some do not say, and some say too much.
                    let expires_in = match (ends(&token) == ends(source), asked % 2) {
                        (false, _) => Some(seconds),
                        (true, 0) => Some(seconds + 20),
                        (true, _) => None,
                    };
                    json(json!({"access_token": token, "expires_in": expires_in}))
                }
                IAM if is_identity(path) => json(json!({"token": token})),
                IAM => {
                    let expires = self.stage.true_wall() + left;
                    json(json!({"accessToken": token, "expireTime": utc(expires.as_secs())}))
                }
                OAUTH if is_identity(path) => json(json!({"id_token": token})),
                STS => json(json!({
                    "access_token": token, "expires_in": seconds, "token_type": "Bearer",
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                })),
                _ if is_identity(path) => flavor.body(token.into_bytes()).unwrap(),
                _ => json(json!({
                    "access_token": token, "expires_in": seconds, "token_type": "Bearer",
                })),
            };
        }
        match server {
            IAM => json(json!({"keyId": "k", "signedBlob": "c2lnbmF0dXJl"})),
            KEYS => {
                let n = BASE64_URL_SAFE_NO_PAD.encode([0xd5; 256]);
                let key = json!({"kty": "RSA", "kid": "k", "alg": "RS256", "n": n, "e": "AQAB"});
                json(json!({"keys": [key]}))
            }
            SUBJECT if at.starts_with(ROLES) && at != ROLES => {
                json(json!({"AccessKeyId": "a", "SecretAccessKey": "s"}))
            }
            SUBJECT => flavor.body(b"subject".to_vec()).unwrap(),
            _ if at.contains("service-accounts/") => match self.account(server, at) {
                None => flavor.status(404).body(Vec::new()).unwrap(),
                Some(account) if at.ends_with("/email") => {
                    flavor.body(account.into_bytes()).unwrap()
                }
                Some(account) => {
                    json(json!({"aliases": ["default"], "email": account, "scopes": ["s"]}))
                }
            },
            _ => flavor.body(b"project".to_vec()).unwrap(),
        }
    }

    /// The token of a path: the one that the server keeps, or a new one, which
    /// lives no longer than its `source`.
    fn token(
        &self,
        server: &'static str,
        path: &str,
        asked: u64,
        source: Option<&str>,
    ) -> (String, Duration) {
        let boot = self.stage.boot();
        let wall = self.stage.true_wall();
        let set = self.stage.set();
        let mut state = self.lock();
        let lifetime = state.servers[server].lifetime;
        let kept = state.servers[server].tokens.get(path).cloned();
        // The metadata server alone gives a token twice.
        let kept = kept.filter(|(_, expires)| {
            METADATA.contains(&server) && *expires > boot + Duration::from_secs(300)
        });
        let again = kept.is_some();
        let (token, expires) = kept.unwrap_or_else(|| {
            state.issued += 1;
            let name = state.issued;
            let token = if is_identity(path) {
                let claims = json!({
                    "aud": audience(path), "iat": wall.as_secs(),
                    "exp": (wall + lifetime).as_secs(), "jti": name,
                });
                let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
                format!("eyJhbGciOiJSUzI1NiJ9.{claims}.c2ln")
            } else {
                format!("token-{name}")
            };
            let source = source.and_then(|source| state.truths.get(source));
            let most = source.map_or(Duration::MAX, |source| source.expires);
            (token, most.min(boot + lifetime))
        });
        let kept = (token.clone(), expires);
        let tokens = &mut state.servers.get_mut(server).unwrap().tokens;
        tokens.insert(path.to_owned(), kept);
        let truth = state.truths.entry(token.clone()).or_insert(Truth {
            expires,
            asked,
            again,
            set,
        });
        truth.again |= again;
        truth.set = truth.set.min(set);
        truth.asked = truth.asked.max(asked);
        (token, expires.saturating_sub(boot))
    }

    /// Takes note that an answer has come; returns when its token expires, if there
    /// is one in it that was not rejected.
    pub(crate) fn given(&self, response: &Response<Vec<u8>>) -> Option<Duration> {
        let body = String::from_utf8_lossy(response.body()).into_owned();
        let mut state = self.lock();
        state.events += 1;
        let mut tokens = body.split('"').filter(|it| !state.rejected.contains(*it));
        let truth = tokens.find_map(|token| state.truths.get(token));
        truth.map(|truth| truth.expires)
    }
}

/// Whether a token that is kept is asked for at `path`.
pub(crate) fn is_slot(path: &str) -> bool {
    let metadata = path.contains("service-accounts") && path.ends_with("/token");
    metadata
        || is_identity(path)
        || path.ends_with(":generateAccessToken")
        || [OAUTH, STS].iter().any(|server| path.starts_with(server)) && !path.contains(NARROWED)
}

/// The token that a request wants a narrower one of.
pub(crate) fn narrowed(request: &Request<Vec<u8>>, path: &str) -> Option<String> {
    let body = String::from_utf8_lossy(request.body());
    let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let source = pairs.find(|(name, _)| *name == "subject_token");
    source
        .filter(|_| path.contains(NARROW))
        .map(|(_, token)| token.to_owned())
}

/// How long tokens live: about a minute, some minutes, or an hour.
pub(crate) fn lifetime(dice: &mut Dice, kind: u64) -> Duration {
    match kind {
        0 => Duration::from_secs(20 + dice.roll(60)),
        1 => Duration::from_secs(250 + dice.roll(400)),
        _ => Duration::from_secs(3600),
    }
}

fn is_identity(path: &str) -> bool {
    path.contains("?audience=") || path.ends_with(":generateIdToken")
}

fn audience(path: &str) -> &str {
    match path.split_once("audience=") {
        Some((_, name)) => name,
        // Each of the two accounts has tokens for one audience.
        None if path.contains("/t1@") => "audience-1",
        None => "audience-0",
    }
}

/// A moment as RFC 3339 has it (H. Hinnant, "days_from_civil").
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
