//! Who may ask: requests that passed through a proxy are refused, and everything below `/` needs the header that a browser or a
//! tricked server would not send.

use super::{Reply, Request, pages};

/// Lets a request for the metadata server in, or says why not.
pub(crate) fn check(request: &Request) -> Result<(), Reply> {
    if request.header("x-forwarded-for").is_some() {
        return Err(pages::forwarded());
    }
    if request.path == "/" || has_flavor(request) {
        return Ok(());
    }
    Err(pages::flavor_missing())
}

fn has_flavor(request: &Request) -> bool {
    request.header("metadata-flavor") == Some("Google")
        || request
            .header("x-google-metadata-request")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            secure: false,
            method: Method::Get,
            path: path.into(),
            query: String::new(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
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
    fn a_forwarded_request_is_refused_even_at_the_root() {
        let headers = [("metadata-flavor", "Google"), ("x-forwarded-for", "")];
        assert_eq!(check(&request("/", &headers)).unwrap_err().status, 403);
    }
}
