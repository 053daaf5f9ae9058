//! The Resource Manager's project, which Google's libraries ask for by the number in the name of a
//! pool.

use gce_auth_server::protocol::{Method, Reply};
use serde_json::json;

use crate::{
    cloud::{call::CloudCall, errors, iam},
    state::State,
};

/// Answers `GET /v1/projects/NAME`. Unless strict, each number is that of the emulator's project.
pub(crate) async fn answer(state: &State, name: &str, call: &CloudCall) -> Reply {
    if call.method != Method::Get {
        return errors::no_method();
    }
    if let Err(refusal) = iam::caller(state, call, "projects.get").await {
        return refusal;
    }
    let (id, number) = state.document.read(|document| {
        let project = &document["project"];
        let id = project["projectId"].as_str().unwrap_or_default().to_owned();
        (id, project["numericProjectId"].to_string())
    });
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let strict = state.cloud.settings().is_strict();
    if name != id && name != number && (strict || !is_number) {
        return errors::google(
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission",
        );
    }
    Reply::cloud(
        200,
        &json!({
            "projectNumber": if is_number { name } else { number.as_str() },
            "projectId": id,
            "name": id,
            "lifecycleState": "ACTIVE",
        }),
    )
}
