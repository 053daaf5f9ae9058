//! Settings that keep an SDK from the metadata server: credentials that come before it, and
//! proxies. Pure: variables come as a function.

/// Variables with credentials that come before the metadata server, what each holds, and which
/// program uses it.
pub(crate) const CREDENTIALS: [(&str, Holds, &str); 6] = [
    ("GOOGLE_APPLICATION_CREDENTIALS", Holds::File, "SDKs use"),
    (
        "google_application_credentials",
        Holds::File,
        "Node's SDKs use",
    ),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", Holds::Token, "Terraform uses"),
    ("CLOUDSDK_AUTH_ACCESS_TOKEN", Holds::Token, "gcloud uses"),
    (
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        Holds::File,
        "gcloud uses",
    ),
    (
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
        Holds::File,
        "gcloud uses",
    ),
];

/// What a variable holds; a token is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    File,
    Token,
}

/// Returns the hosts to reach without a proxy, from the first variable that is not empty, as curl
/// does.
pub(crate) fn proxy_exceptions(var: impl Fn(&str) -> Option<String>) -> Option<String> {
    ["no_proxy", "NO_PROXY"]
        .into_iter()
        .find_map(|name| var(name).filter(|value| !value.is_empty()))
}

/// Returns the host of `host`, `host:port` or `[v6]:port`.
pub(crate) fn host(endpoint: &str) -> &str {
    if let Some(rest) = endpoint.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    endpoint.split(':').next().unwrap_or(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_stand_before_ports() {
        assert_eq!(host("a:1"), "a");
        assert_eq!(host("[::1]:80"), "::1");
        assert_eq!(host("169.254.169.254"), "169.254.169.254");
    }
}
