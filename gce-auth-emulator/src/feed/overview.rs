//! The emulator's state in short.

use std::collections::BTreeMap;

use gce_auth_server::protocol::query::Query;
use serde_json::{Value, json};

use crate::state::State;

/// So many places with waiting requests are shown.
const PLACES: usize = 200;

/// Returns time, faults, who waits where, and the version of the document.
pub(crate) fn overview(state: &State) -> Value {
    json!({
        "now": state.clock.now().rfc3339(),
        "frozen": state.clock.is_frozen(),
        "machineEvents": state.machine_events_as_json()["machineEvents"],
        "waiting": state.document.waiting(),
        "waiters": waiters(state),
        "version": state.document.version(),
        "profile": state.profile.to_string(),
        "faults": state.faults_as_json()["faults"],
    })
}

/// How many requests wait for a change of each path.
fn waiters(state: &State) -> Value {
    let mut places: BTreeMap<String, u64> = BTreeMap::new();
    for entry in state.journal().pending() {
        let waits = entry.query().contains("wait_for_change")
            && Query::parse(entry.query()).flag("wait_for_change");
        if waits && (places.len() < PLACES || places.contains_key(entry.path())) {
            *places.entry(entry.path().to_owned()).or_default() += 1;
        }
    }
    let shown = |(path, count)| json!({"path": path, "count": count});
    places.into_iter().map(shown).collect()
}
