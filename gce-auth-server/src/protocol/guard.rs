//! Who may ask: requests that passed through a proxy are refused, and everything below `/` needs the header that a browser or a
//! tricked server would not send.

use crate::protocol::pages;
use crate::protocol::reply::Reply;
use crate::protocol::request::Request;

/// Lets a request for the metadata server in, or says why not.
pub fn check(request: &Request) -> Result<(), Reply> {
    if request.header("x-forwarded-for").is_some() {
        return Err(pages::forwarded());
    }
    if request.path == "/" || is_legacy(&request.path) || has_flavor(request) {
        return Ok(());
    }
    Err(pages::flavor_missing())
}

/// Whether a path is one of the versions before v1, which asked for no header. What they answer is [`pages::legacy`].
pub fn is_legacy(path: &str) -> bool {
    ["/computeMetadata/v1beta1", "/0.1"].iter().any(|version| {
        path.strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn has_flavor(request: &Request) -> bool {
    request.header("metadata-flavor") == Some("Google")
        || request
            .header("x-google-metadata-request")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::request::Method;

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            secure: false,
            method: Method::Get,
            path: path.into(),
            query: String::new(),
            headers: headers.iter().copied().collect(),
            body: Vec::new(),
        }
    }

    #[test]
    fn the_root_is_free() {
        assert!(check(&request("/", &[])).is_ok());
    }

    #[test]
    fn everything_below_needs_the_flavor_exactly() {
        let path = "/computeMetadata/v1/";
        assert_eq!(check(&request(path, &[])).unwrap_err().status, 403);
        let wrong = [("metadata-flavor", "google")];
        assert_eq!(check(&request(path, &wrong)).unwrap_err().status, 403);
        assert!(check(&request(path, &[("metadata-flavor", "Google")])).is_ok());
        assert!(check(&request(path, &[("x-google-metadata-request", "True")])).is_ok());
    }

    #[test]
    fn the_versions_before_v1_are_told_so_without_the_flavor() {
        for path in [
            "/0.1/meta-data/attributes/",
            "/0.1",
            "/computeMetadata/v1beta1/x",
        ] {
            assert!(check(&request(path, &[])).is_ok(), "{path}");
            let forwarded = [("x-forwarded-for", "10.0.0.1")];
            assert!(check(&request(path, &forwarded)).is_err(), "{path}");
        }
        assert!(check(&request("/computeMetadata/v1beta12/x", &[])).is_err());
    }

    #[test]
    fn a_forwarded_request_is_refused_even_at_the_root() {
        let headers = [("metadata-flavor", "Google"), ("x-forwarded-for", "")];
        assert_eq!(check(&request("/", &headers)).unwrap_err().status, 403);
    }
}
