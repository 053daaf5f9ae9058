//! Which module knows the cause of an answer.

use serde_json::Value;

use super::{api, facts::Facts, guard, oauth, tree, values};
use crate::recorded_request::{Explanation, RecordedRequest};

/// Explains the answer to a request, if it was refused or led nowhere.
pub(crate) fn explain(request: &RecordedRequest, facts: &Facts<'_>) -> Option<Explanation> {
    let status = request.status?;
    if status != 301 && !(400..500).contains(&status) {
        return None;
    }
    if let (Some(fault), Some(id)) = (&request.fault, request.fault_id) {
        return Some(Explanation::new(
            format!("fault {id} hit it ({fault})"),
            format!("take the fault away: DELETE /emulator/v1/faults/{id}"),
        ));
    }
    let answer = request.answer.as_ref()?;
    let text = answer.body.as_deref().unwrap_or_default();
    if answer.relayed {
        return Some(Explanation::new(
            "the upstream answered so",
            "set the value here: it lies over the upstream's",
        ));
    }
    if status == 301 {
        return Some(tree::redirect(request));
    }
    if let Some(found) = guard::explain(request, text, facts) {
        return Some(found);
    }
    if let Ok(body) = serde_json::from_str::<Value>(text) {
        return if body["error"].is_object() {
            api::explain(request, &body["error"], facts)
        } else {
            oauth::explain(request, &body, facts)
        };
    }
    if status == 405 {
        return Some(tree::method(request));
    }
    let known = values::explain(request, text, facts);
    match status {
        404 => known.or_else(|| tree::missing(request, facts)),
        _ => known.or_else(|| Some(Explanation::only(first_line(text, status)))),
    }
}

/// Explains bytes that were no request.
pub(crate) fn unreadable(status: u16, why: &str) -> Explanation {
    let instead = if status == 431 {
        "send fewer or shorter headers: at most 100, and 64 KiB in all"
    } else {
        "speak HTTP/1.1; if the client speaks TLS, use the port of --https"
    };
    Explanation::new(format!("not HTTP: {why}"), instead)
}

fn first_line(text: &str, status: u16) -> String {
    let line = text.lines().next().unwrap_or_default();
    let plain = !line.is_empty() && !line.starts_with('<');
    if plain {
        line.to_owned()
    } else {
        format!("the answer is {status}")
    }
}
