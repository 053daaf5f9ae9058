//! A token with each kind of credentials file.

use std::{env, fs, path::Path};

use google_cloud_auth::credentials::{
    CacheableResource, Credentials, external_account, impersonated, service_account,
    service_account::AccessSpecifier, user_account,
};
use serde_json::{Value, json};

use crate::{AUTH, Result, redacted, say, tokeninfo};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Gets a token with each file of `ADC_KINDS`.
pub(crate) async fn tokens(folder: &str) -> Result<()> {
    for kind in env::var("ADC_KINDS")?.split(' ') {
        let text = fs::read_to_string(Path::new(folder).join(format!("{kind}.json")))?;
        let made = load(kind, serde_json::from_str(&text)?)?;
        let CacheableResource::New { data: headers, .. } = made.headers(Default::default()).await?
        else {
            return Err("no headers".into());
        };
        let token = headers["authorization"]
            .to_str()?
            .trim_start_matches("Bearer ")
            .to_owned();
        // For a service account the library signs a token itself, which no server hands out.
        let info = match jsonwebtoken::dangerous::insecure_decode::<Value>(&token) {
            Ok(signed) => json!({"email": signed.claims["iss"], "scope": signed.claims["scope"]}),
            Err(_) => tokeninfo(&token).await?,
        };
        say(AUTH, kind, json!({"token": redacted(&token), "info": info}));
    }
    Ok(())
}

fn load(kind: &str, file: Value) -> Result<Credentials> {
    Ok(match kind {
        "authorized_user" => user_account::Builder::new(file)
            .with_scopes([SCOPE])
            .build()?,
        "service_account" => service_account::Builder::new(file)
            .with_access_specifier(AccessSpecifier::from_scopes([SCOPE]))
            .build()?,
        "impersonated" => impersonated::Builder::new(file)
            .with_scopes([SCOPE])
            .build()?,
        "external_account" => external_account::Builder::new(file)
            .with_scopes([SCOPE])
            .build()?,
        other => return Err(format!("{other}: not known").into()),
    })
}
