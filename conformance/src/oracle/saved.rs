//! What the file of credentials says, as google-auth's properties show it.

use gce_auth::Credentials;
use serde_json::{Value, json};

use super::answer::Failure;

/// The members without which google-auth cannot refresh the credentials of a workforce user.
const FOR_A_REFRESH: [&str; 4] = ["refresh_token", "token_url", "client_id", "client_secret"];

pub(super) fn property(credentials: &Credentials, name: &str) -> Result<Value, Failure> {
    let unknown = || Failure::unknown(name);
    let file = credentials.file().ok_or_else(unknown)?;
    let json = file.to_json();
    let document: Value = serde_json::from_str(json.secret()).map_err(|_| unknown())?;
    Ok(match name {
        "project_id" => json!(file.project_id()),
        "project_number" => json!(file.project_number()),
        "is_user" => json!(file.is_user()),
        "is_workforce_pool" => json!(file.is_workforce_pool()),
        "account" => file.account().unwrap_or_default().into(),
        "client_id" => json!(file.client_id()),
        "audience" => json!(file.audience()),
        "token_uri" | "token_url" => json!(file.token_uri()),
        "refresh_token" | "rapt_token" | "token_info_url" | "revoke_url" => document[name].clone(),
        "can_refresh" => FOR_A_REFRESH
            .iter()
            .all(|name| document[name].is_string())
            .into(),
        "info" | "to_json" => document,
        _ => return Err(unknown()),
    })
}
