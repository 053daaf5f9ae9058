//! What stands in an ID token.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{clock::Instant, identity::accounts::Identity};

/// How long an ID token is good for.
const LIFETIME: Duration = Duration::from_secs(3600);

/// How much an identity token tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) email: bool,
    /// The facts of the machine.
    pub(crate) machine: bool,
    /// The licenses of its images; only with the machine's facts.
    pub(crate) licenses: bool,
}

/// The claims of a token for this audience.
pub(crate) fn claims(
    document: &Value,
    account: &Identity,
    audience: &str,
    detail: Detail,
    now: Instant,
) -> Value {
    let id = account.unique_id();
    let mut claims = json!({
        "aud": audience,
        "azp": id,
        "exp": now.plus(LIFETIME).seconds(),
        "iat": now.seconds(),
        "iss": "https://accounts.google.com",
        "sub": id,
    });
    if detail.email {
        claims["email"] = account.email.as_str().into();
        claims["email_verified"] = true.into();
    }
    if detail.machine {
        claims["google"] = json!({"compute_engine": machine(document, detail.licenses)});
    }
    claims
}

/// The machine as the token tells of it: ids as strings, numbers as numbers, the zone without its
/// project.
fn machine(document: &Value, licenses: bool) -> Value {
    let instance = &document["instance"];
    let project = &document["project"];
    let zone = instance["zone"].as_str().unwrap_or_default();
    let mut facts = Map::new();
    facts.insert("instance_creation_timestamp".into(), 1_767_225_600.into());
    facts.insert(
        "instance_id".into(),
        match &instance["id"] {
            Value::String(id) => id.clone().into(),
            other => other.to_string().into(),
        },
    );
    facts.insert("instance_name".into(), instance["name"].clone());
    facts.insert("project_id".into(), project["projectId"].clone());
    facts.insert("project_number".into(), project["numericProjectId"].clone());
    facts.insert(
        "zone".into(),
        zone.rsplit('/').next().unwrap_or_default().into(),
    );
    if licenses {
        let ids: Vec<Value> = instance["licenses"]
            .as_array()
            .map(|licenses| {
                licenses
                    .iter()
                    .map(|license| license["id"].clone())
                    .collect()
            })
            .unwrap_or_default();
        facts.insert("license_id".into(), ids.into());
    }
    Value::Object(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles::{Facts, Profile, document};

    #[test]
    fn a_full_token_tells_of_the_machine() {
        let document = document(Profile::Gce, &Facts::new(None, None, Vec::new()));
        let account = Identity::find(&document, "default").unwrap();
        let detail = Detail {
            email: true,
            machine: true,
            licenses: true,
        };
        let claims = claims(&document, &account, "a", detail, Instant::from_seconds(7));
        let machine = &claims["google"]["compute_engine"];
        assert_eq!(machine["instance_id"], "5737554347302044216");
        assert_eq!(machine["zone"], "us-central1-a");
        assert_eq!(machine["project_number"], 204_954_049_439_u64);
        assert_eq!(machine["license_id"], json!(["2147286739765738111"]));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(7), &json!(3607)));
        assert_eq!(claims["azp"], claims["sub"]);
    }
}
