//! What the file of credentials says, as google-auth's properties show it.

use std::time::SystemTime;

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
        // Python's class of key files has no such property.
        "token_uri" if document["type"] == "service_account" => return Err(unknown()),
        "token_uri" | "token_url" => json!(file.token_uri()),
        "refresh_token" | "rapt_token" | "token_info_url" | "revoke_url" => document[name].clone(),
        "can_refresh" => FOR_A_REFRESH
            .iter()
            .all(|name| document[name].is_string())
            .into(),
        "to_json" if document["type"] == "authorized_user" => {
            let mut shown = with_token(document, credentials);
            if let Some(members) = shown.as_object_mut() {
                // Python leaves these out, and writes an account that is not known.
                members.remove("type");
                members.remove("quota_project_id");
                let account = members.entry("account");
                account.or_insert_with(|| "".into());
            }
            shown
        }
        "info" | "to_json" => with_token(document, credentials),
        _ => return Err(unknown()),
    })
}

/// Python shows the token of a user, too.
fn with_token(mut document: Value, credentials: &Credentials) -> Value {
    let is_user = document["type"] == "authorized_user"
        || document["type"] == "external_account_authorized_user";
    if let Some(token) = credentials.held_token().filter(|_| is_user) {
        document["token"] = token.secret().into();
        if let Some(expiry) = token.expires_at() {
            document["expiry"] = utc(expiry).into();
        }
    }
    document
}

/// A time as Python writes it, in UTC: microseconds only where there are any.
fn utc(moment: SystemTime) -> String {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let fraction = match micros {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    // Days since 0000-03-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let days = seconds / 86400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (
        of_year - (153 * shifted + 2) / 5 + 1,
        (shifted + 2) % 12 + 1,
    );
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_868_799_000, "2000-02-29T23:59:59Z"),
            (1_700_000_000_000, "2023-11-14T22:13:20Z"),
            (1_700_000_000_500, "2023-11-14T22:13:20.500000Z"),
            (1_709_251_200_001, "2024-03-01T00:00:00.001000Z"),
        ] {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(utc(moment), text);
        }
    }
}
