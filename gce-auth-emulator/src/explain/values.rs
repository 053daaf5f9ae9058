//! Requests of the metadata server that reach their place and are refused there.

use gce_auth_server::protocol::route::PREFIX;

use super::facts::{Facts, listed};
use crate::recorded_request::{Explanation, RecordedRequest};

/// A part of the answer's text, the cause, and what would have worked.
type Row = (&'static str, &'static str, &'static str);

const ROWS: [Row; 22] = [
    (
        "alt is not supported for a directory",
        "a listing of names has no other form",
        "add recursive=true, or ask for a value",
    ),
    (
        "wait_for_change is not supported for a directory",
        "a listing of names is not waited for",
        "add recursive=true",
    ),
    (
        "non-empty audience parameter required",
        "an ID token is for one audience, and the query names none",
        "add ?audience=URL, such as ?audience=https://example.com",
    ),
    (
        "format must be standard or full",
        "format is neither standard nor full",
        "leave it out, or ask for format=full",
    ),
    (
        "alt must be json or text",
        "alt is neither json nor text",
        "ask for alt=json or alt=text",
    ),
    (
        "timeout_sec must be a whole number",
        "timeout_sec is not a whole number of seconds",
        "ask for timeout_sec=60",
    ),
    (
        "wait_for_change is not supported here",
        "a token is made when it is asked for: there is no change to wait for",
        "leave wait_for_change out, or wait for the account's directory with recursive=true",
    ),
    (
        "enforce_scopes must be true",
        "enforce_scopes is given, and not true",
        "leave it out, or ask for enforce_scopes=true with scopes=SCOPE,SCOPE",
    ),
    (
        "enforce_scopes requires non-empty scopes",
        "enforce_scopes is given without scopes",
        "add scopes=SCOPE,SCOPE",
    ),
    (
        "certificate_chain",
        "POST is for tokens bound to certificates, and the body has none",
        "send {\"certificate_chain\": \"-----BEGIN CERTIFICATE-----...\"}, or use GET",
    ),
    (
        "the value must be UTF-8",
        "the value of a guest attribute is text, and the body is not UTF-8",
        "encode it, such as in Base64",
    ),
    (
        "invalid guest attribute",
        "the namespace or the key of the guest attribute is empty or already a directory",
        "PUT to instance/guest-attributes/NAMESPACE/KEY",
    ),
    (
        "email and policy are required",
        "oslogin/authorize needs who and what",
        "add ?email=NAME&policy=login, or policy=adminLogin",
    ),
    (
        "policy must be login or adminLogin",
        "policy is neither login nor adminLogin",
        "ask for policy=login or policy=adminLogin",
    ),
    (
        "pagesize must be",
        "pagesize is not a whole number",
        "leave it out, or ask for pagesize=500",
    ),
    (
        "pagetoken must be",
        "pagetoken is not one of this server's",
        "leave it out for the first page, then send nextPageToken of the answer before",
    ),
    (
        "Guest attributes endpoint access is disabled",
        "the machine does not allow guest attributes",
        "set instance/attributes/enable-guest-attributes to TRUE",
    ),
    (
        "Workload certificates are not configured",
        "the machine has no workload certificates",
        "set instance/workload-certificates and its siblings in the document",
    ),
    (
        "The request was too large",
        "the body is larger than this path takes: 1 MiB, guest attributes 256 KiB in all",
        "send less, or delete guest attributes first",
    ),
    (
        "is not tied to a Google service account",
        "the Kubernetes service account stands for itself: it has access tokens and no ID tokens",
        "annotate it with iam.gke.io/gcp-service-account; here: start the emulator with --account EMAIL",
    ),
    (
        "the service account does not exist",
        "the pod's service account names a Google service account that does not exist",
        "create it; here: leave Account::missing out",
    ),
    (
        "must be a whole number",
        "pagesize or pagetoken is no whole number",
        "send digits, such as pagesize=100, and the nextPageToken of the page before",
    ),
];

/// The cause of a refusal whose answer has this text.
pub(super) fn explain(
    request: &RecordedRequest,
    text: &str,
    facts: &Facts<'_>,
) -> Option<Explanation> {
    if text.contains("are not a subset of the scopes of the instance") {
        let name = request.path.strip_prefix(PREFIX)?;
        let name = name.split('/').nth(2).unwrap_or("default");
        let scopes = facts.document["instance"]["serviceAccounts"][name]["scopes"].as_array();
        let scopes: Vec<&str> = scopes
            .into_iter()
            .flatten()
            .filter_map(|it| it.as_str())
            .collect();
        return Some(Explanation::new(
            "enforce_scopes asks for a scope that the machine does not have",
            format!("the account has {}", listed(&scopes)),
        ));
    }
    if text.contains("Unable to generate") && text.contains("Permission '") {
        return Some(Explanation::new(
            "IAM lets the pod not act as the service account",
            "grant roles/iam.workloadIdentityUser on it; here: leave Account::denied out",
        ));
    }
    ROWS.iter()
        .find(|(part, _, _)| text.contains(part))
        .map(|(_, why, instead)| Explanation::new(*why, *instead))
}
