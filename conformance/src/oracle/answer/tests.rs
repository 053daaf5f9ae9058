//! The table of errors in the library's documentation, row by row: real errors, and what the driver
//! makes of them.

use std::sync::Arc;

use gce_auth::{
    Credentials, MetadataClient, MetadataClientBuilder, RetryPolicy, Signer,
    testing::{Reply, ScriptedTransport},
    transport::TransportErrorKind,
};

use super::*;

const TABLE: &str = include_str!("../../../../gce-auth/src/docs/errors.md");

/// The rows: kind, whether a later call may succeed, and the classes of a refresh, of a request and
/// of a signature.
fn rows() -> Vec<[String; 5]> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells = line.strip_prefix('|').expect("a row").split('|');
        let mut cells = cells.map(|cell| cell.trim().trim_matches('`').to_owned());
        std::array::from_fn(|_| cells.next().expect("five cells"))
    })
    .collect()
}

/// What the oracle calls a class.
fn word(class: &str) -> &str {
    match class {
        "RefreshError" => "refresh_error",
        "TransportError" => "transport_error",
        "ValueError" => "value_error",
        "InvalidOperation" => "invalid_operation",
        other => panic!("the table names {other}"),
    }
}

fn client(reply: Reply) -> MetadataClientBuilder {
    MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .retry(RetryPolicy::new().attempts(1))
        .transport(Arc::new(ScriptedTransport::new([reply])))
}

/// A server at the usual address, which this machine plainly has none at.
fn elsewhere() -> MetadataClientBuilder {
    let refused = ScriptedTransport::new([Reply::Broken(TransportErrorKind::Connect)]);
    let not_google = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    MetadataClient::builder()
        .dmi_product_name_file(not_google)
        .transport(Arc::new(refused))
}

/// The error of a signature by an API that gives this reply, with a token in hand.
fn unsigned(reply: Reply) -> Error {
    let transport = ScriptedTransport::new([Reply::token("t", 3600), reply]);
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .retry(RetryPolicy::new().attempts(1))
        .transport(Arc::new(transport));
    let client = client.build().expect("a client");
    let credentials = Credentials::builder().client(client).shared(false);
    let signer = Signer::builder()
        .credentials(credentials.build().expect("credentials"))
        .service_account("signer@p.iam.gserviceaccount.com")
        .iam_endpoint("http://127.0.0.1:1")
        .retry(RetryPolicy::new().attempts(1));
    let signer = signer.build().expect("a signer");
    signer
        .blocking_sign_bytes(b"bytes")
        .expect_err("no signature")
}

/// The error of a signature, where the world is such that it is of `kind`.
fn signature_error(kind: &str) -> Option<Error> {
    match kind {
        "Unavailable" => Some(unsigned(Reply::status(503))),
        "Timeout" => Some(unsigned(Reply::Broken(TransportErrorKind::Timeout))),
        "InvalidResponse" => Some(unsigned(Reply::text("{}"))),
        "Tls" => Some(unsigned(Reply::Broken(TransportErrorKind::Tls))),
        "Refused" => Some(unsigned(Reply::status(400))),
        "Config" => Signer::builder().iam_endpoint("iam").build().err(),
        _ => None,
    }
}

/// The errors of a token and of a value, where the world is such that they are of `kind`.
fn errors(kind: &str) -> (Option<Error>, Option<Error>) {
    let builder = match kind {
        "NotOnGce" => elsewhere(),
        "Unavailable" => client(Reply::status(503)),
        "Timeout" => client(Reply::Broken(TransportErrorKind::Timeout)),
        "NotFound" => client(Reply::status(404)),
        "Forbidden" => client(Reply::status(403)),
        "RateLimited" => client(Reply::status(429)),
        "NotMetadataServer" => client(Reply::Raw(200, Vec::new(), "{}".to_owned())),
        "InvalidResponse" => client(Reply::status(400)),
        "Expired" => client(Reply::token("t", 0)),
        "Tls" => client(Reply::Broken(TransportErrorKind::Tls)),
        "Refused" => return (None, None),
        "Config" => {
            let built = MetadataClient::builder().endpoint("a b").build();
            let error = built.expect_err("no endpoint");
            let value = MetadataClient::builder().endpoint("127.0.0.1:1").build();
            let asked = value.expect("an endpoint").blocking_get("http://elsewhere");
            return (Some(error), asked.err());
        }
        "InvalidOperation" => {
            let none = Credentials::anonymous().blocking_token();
            return (none.err(), None);
        }
        other => panic!("the table has a row for {other}"),
    };
    let client = builder.build().expect("a client");
    let credentials = Credentials::builder().client(client.clone()).shared(false);
    let credentials = credentials.build().expect("credentials");
    let token = credentials.blocking_token().err();
    let value = client.blocking_get("instance/name").err();
    (token, value.filter(|_| kind != "Expired"))
}

#[test]
fn the_documented_classes_are_the_drivers() {
    let rows = rows();
    assert!(rows.len() >= 13, "{rows:?}");
    for [kind, later, refresh, request, signature] in rows {
        let (token, value) = errors(&kind);
        let raised = [
            (token, Raiser::Refresh, refresh),
            (value, Raiser::Request, request),
            (signature_error(&kind), Raiser::Sign, signature),
        ];
        for (error, raiser, class) in raised {
            let Some(error) = error else {
                assert_eq!(class, "", "{kind}");
                continue;
            };
            assert_eq!(error.kind().name(), kind, "{error}");
            assert_eq!(error.is_retryable(), later == "yes", "{kind}");
            assert_eq!(Failure::of(&error, raiser).kind, word(&class), "{kind}");
        }
    }
}
