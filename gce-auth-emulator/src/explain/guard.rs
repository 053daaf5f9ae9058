//! Requests that the guard refuses, before the path means anything.

use gce_auth_server::protocol::route::PREFIX;

use super::facts::Facts;
use crate::recorded_request::{Explanation, RecordedRequest};

/// The cause of a 403 or 400 of the guard, whose answer has this text.
pub(super) fn explain(
    request: &RecordedRequest,
    text: &str,
    facts: &Facts<'_>,
) -> Option<Explanation> {
    if text.contains("there must be one Host header") {
        return Some(Explanation::new(
            "the request has more than one Host header",
            "send one (RFC 9112, section 3.2)",
        ));
    }
    if request.status != Some(403) {
        return None;
    }
    if request.header("x-forwarded-for").is_some() && text.contains("X-Forwarded-For") {
        return Some(Explanation::new(
            "it went through a proxy: it has an X-Forwarded-For header",
            "go around the proxy, such as with NO_PROXY=metadata.google.internal,169.254.169.254",
        ));
    }
    let host = request.header("host").unwrap_or_default();
    if text.contains("no name of this server") && !facts.hosts.admit(host) {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        return Some(Explanation::new(
            format!("its Host, {name}, is no name of this server"),
            format!(
                "ask for metadata.google.internal or an address, or start the emulator with --allow-host {name}"
            ),
        ));
    }
    if text.contains("Requests of web pages") {
        return Some(Explanation::new(
            "a web page sent it: it has an Origin or Sec-Fetch-Site header",
            "ask from a program, not from a browser",
        ));
    }
    if text.contains("hands out real tokens") {
        return Some(Explanation::new(
            "another user of this machine asked, and the emulator hands out real tokens",
            "ask as the user that runs the emulator, or allow the user with EmulatorBuilder::allow_uid",
        ));
    }
    if text.contains("Legacy metadata endpoint") {
        let old = ["/computeMetadata/v1beta1", "/0.1/meta-data", "/0.1"];
        let rest = old.iter().find_map(|old| request.path.strip_prefix(old));
        let rest = rest.unwrap_or_default().trim_start_matches('/');
        return Some(Explanation::new(
            "this version of the metadata API was shut down",
            format!("ask for {PREFIX}{rest} with Metadata-Flavor: Google"),
        ));
    }
    if text.contains("Missing required header") {
        return Some(flavor(request));
    }
    None
}

fn flavor(request: &RecordedRequest) -> Explanation {
    match request.header("metadata-flavor") {
        None => Explanation::new(
            "missing Metadata-Flavor: Google",
            "add the header, as in curl -H 'Metadata-Flavor: Google'",
        ),
        Some(other) => Explanation::new(
            format!("Metadata-Flavor is {other}, and has to be Google, exactly so"),
            "send Metadata-Flavor: Google",
        ),
    }
}
