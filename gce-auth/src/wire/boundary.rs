//! Regional access boundaries: the request of the IAM API, and its answer.

use http::{HeaderValue, Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use serde_json::Value;

use crate::{
    values::error::{Error, ErrorKind},
    wire::api::Refusal,
};

/// Hosts whose requests stay in their region by themselves.
const REGIONAL: [&str; 4] = [
    ".rep.googleapis.com",
    ".rep.sandbox.googleapis.com",
    ".rep.mtls.googleapis.com",
    ".rep.mtls.sandbox.googleapis.com",
];

/// Whether a request to `uri` stays in its region whatever a boundary says.
pub(crate) fn is_regional(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    uri.scheme().is_some() && REGIONAL.iter().any(|suffix| host.ends_with(suffix))
}

/// Whether `email` is the address of a service account: others have no
/// boundary.
pub(crate) fn is_service_account(email: &str) -> bool {
    let Some((name, domain)) = email.split_once('@') else {
        return false;
    };
    let domain = domain.to_ascii_lowercase();
    let of_google = domain.strip_suffix(".gserviceaccount.com");
    !name.is_empty() && of_google.is_some_and(|of| !of.is_empty() && !of.contains('@'))
}

/// Whose boundary is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The service account's, if the credentials are of one.
    Account,
    /// That of the pool with this resource name.
    #[cfg(feature = "adc")]
    Pool(String),
}

/// The pool that an audience is of: of workloads, else of a workforce.
#[cfg(feature = "adc")]
pub(crate) fn pool(audience: &str) -> Option<Holder> {
    let parts: Vec<&str> = audience.split('/').collect();
    let workload = parts.windows(6).find_map(|parts| match *parts {
        [
            "projects",
            project,
            "locations",
            "global",
            "workloadIdentityPools",
            pool,
        ] => Some([project, pool]),
        _ => None,
    });
    let Some(names) = workload else {
        return workforce(audience);
    };
    names.iter().all(is_name).then(|| {
        let [project, pool] = names;
        let name = format!("projects/{project}/locations/global/workloadIdentityPools/{pool}");
        Holder::Pool(name)
    })
}

/// The workforce pool that an audience is of.
#[cfg(feature = "adc")]
pub(crate) fn workforce(audience: &str) -> Option<Holder> {
    let parts: Vec<&str> = audience.split('/').collect();
    let pool = parts.windows(4).find_map(|parts| match *parts {
        ["locations", _, "workforcePools", pool] => Some(pool),
        _ => None,
    });
    let pool = pool.filter(is_name)?;
    Some(Holder::Pool(format!(
        "locations/global/workforcePools/{pool}"
    )))
}

#[cfg(feature = "adc")]
fn is_name(name: &&str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.bytes().all(plain)
}

/// The resource name of a service account.
pub(crate) fn account(email: &str) -> String {
    format!("projects/-/serviceAccounts/{email}")
}

/// Where the tokens of the resource with this name may be used.
pub(crate) fn lookup(
    host: &str,
    name: &str,
    authorization: HeaderValue,
) -> Result<Request<Vec<u8>>, Error> {
    let uri = format!("https://{host}/v1/{name}/allowedLocations");
    Request::get(uri)
        .header(AUTHORIZATION, authorization)
        .body(Vec::new())
        .map_err(|_| {
            Error::new(
                ErrorKind::InvalidResponse,
                format!("{name:?} cannot stand in a URL"),
            )
        })
}

/// The boundary in an answer, encoded; `None` where the account has none. Reads
/// it as google-auth does (`google.oauth2._client`).
pub(crate) fn found(response: &Response<Vec<u8>>) -> Result<Option<HeaderValue>, Refusal> {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let refusal = |kind, what| Refusal::of(response, Error::new(kind, what));
    if response.status() == StatusCode::OK {
        let unusable = || refusal(ErrorKind::InvalidResponse, "the answer holds no boundary");
        return match body.get("encodedLocations") {
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => match HeaderValue::from_str(text) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(unusable()),
            },
            _ => Err(unusable()),
        };
    }
    let kind = match response.status().as_u16() {
        429 => ErrorKind::RateLimited,
        408 | 500 | 502 | 503 | 504 => ErrorKind::Unavailable,
        _ if says_transient(&body) => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    };
    Err(refusal(kind, "IAM told no boundary"))
}

/// Whether a body says that the failure may pass (RFC 6749, 4.1.2.1).
pub(crate) fn says_transient(body: &Value) -> bool {
    const WORDS: [&str; 3] = [
        "internal_failure",
        "server_error",
        "temporarily_unavailable",
    ];
    let said = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    };
    match (said("error"), said("error_description")) {
        (Some(error), Some(description)) => WORDS.contains(&error) || WORDS.contains(&description),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    #[test]
    fn regional_hosts_and_service_accounts_are_told() {
        for (uri, regional) in [
            ("https://storage.us-east1.rep.googleapis.com/", true),
            ("https://STORAGE.US-EAST1.REP.MTLS.GOOGLEAPIS.COM/x", true),
            ("https://rep.googleapis.com/", false),
            ("a.rep.googleapis.com", false),
            ("https://storage.googleapis.com/", false),
            ("/", false),
        ] {
            assert_eq!(is_regional(&uri.parse().unwrap()), regional, "{uri}");
        }
        for (email, account) in [
            ("a@p.iam.gserviceaccount.com", true),
            ("Robot@X.IAM.GSERVICEACCOUNT.COM", true),
            ("@p.iam.gserviceaccount.com", false),
            ("a@.gserviceaccount.com", false),
            ("a@gserviceaccount.com", false),
            ("a@b@p.gserviceaccount.com", false),
            ("user@example.com", false),
            ("pool.svc.id.goog", false),
            ("", false),
        ] {
            assert_eq!(is_service_account(email), account, "{email}");
        }
    }

    #[test]
    fn answers_are_read() {
        let value = |text| Ok(Some(HeaderValue::from_static(text)));
        for (status, body, says) in [
            (200, r#"{"encodedLocations":"0xA30"}"#, value("0xA30")),
            (200, r#"{"encodedLocations":null}"#, Ok(None)),
            (
                200,
                r#"{"encodedLocations":7}"#,
                Err(ErrorKind::InvalidResponse),
            ),
            (
                200,
                r#"{"encodedLocations":"a\nb"}"#,
                Err(ErrorKind::InvalidResponse),
            ),
            (200, r#"{"locations":[]}"#, Err(ErrorKind::InvalidResponse)),
            (200, "[]", Err(ErrorKind::InvalidResponse)),
            (502, "", Err(ErrorKind::Unavailable)),
            (501, "", Err(ErrorKind::Refused)),
            (429, "{}", Err(ErrorKind::RateLimited)),
            (
                400,
                r#"{"error":"server_error"}"#,
                Err(ErrorKind::Unavailable),
            ),
            (400, r#"{"error":{"status":"X"}}"#, Err(ErrorKind::Refused)),
            (404, "no", Err(ErrorKind::Refused)),
        ] {
            let found = found(&answer(status, body)).map_err(|refusal| refusal.error.kind());
            assert_eq!(found, says, "{status} {body}");
        }
    }

    #[test]
    fn a_lookup_is_a_request_of_the_iam_api() {
        let token = HeaderValue::from_static("Bearer t");
        let request = lookup("iam.example", &account("a@b"), token.clone()).unwrap();
        assert_eq!(
            request.uri(),
            "https://iam.example/v1/projects/-/serviceAccounts/a@b/allowedLocations"
        );
        assert!(lookup("iam.example", &account("a b"), token).is_err());
    }

    #[cfg(feature = "adc")]
    #[test]
    fn the_boundary_of_an_external_account_is_its_pools() {
        for (audience, name) in [
            (
                "//iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/p-1/providers/x",
                Some("projects/12/locations/global/workloadIdentityPools/p-1"),
            ),
            (
                "//iam.googleapis.com/locations/eu/workforcePools/staff/providers/x",
                Some("locations/global/workforcePools/staff"),
            ),
            (
                "//iam.googleapis.com/projects/../locations/global/workloadIdentityPools/p",
                None,
            ),
            (
                "//iam.googleapis.com/locations/global/workforcePools/a?b",
                None,
            ),
            (
                "//iam.googleapis.com/locations/global/workforcePools/",
                None,
            ),
            ("https://sts.example", None),
            ("", None),
        ] {
            let of_people = name.filter(|_| audience.contains("workforcePools"));
            let holder = |name: &str| Holder::Pool(name.to_owned());
            assert_eq!(pool(audience), name.map(holder), "{audience}");
            assert_eq!(workforce(audience), of_people.map(holder), "{audience}");
        }
    }
}
