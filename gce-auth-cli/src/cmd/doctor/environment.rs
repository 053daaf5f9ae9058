//! What environment variables tell SDKs. Pure: variables come as a function.

use crate::{
    cmd::doctor::report::Finding,
    sdk_environment::{host, proxy_exceptions},
};

/// The variables about the metadata server, and who reads each.
const KNOWN: [(&str, &str); 24] = [
    ("GCE_METADATA_HOST", "every SDK, for requests"),
    ("GCE_METADATA_ROOT", "Python and gcloud, for requests"),
    ("GCE_METADATA_IP", "Python, to detect; Node, for everything"),
    ("GCE_METADATA_TIMEOUT", "Python"),
    ("GCE_METADATA_DETECT_RETRIES", "Python"),
    (
        "GCE_METADATA_MTLS_MODE",
        "Python and gce-auth: HTTPS to the server",
    ),
    ("DETECT_GCP_RETRIES", "Node"),
    ("NO_GCE_CHECK", "Python and Java"),
    ("METADATA_SERVER_DETECTION", "Node"),
    (
        "GOOGLE_CLOUD_PROJECT",
        "Python, Java and Node, before the server's project",
    ),
    (
        "GCLOUD_PROJECT",
        "Python, Java and Node, before the server's project",
    ),
    ("GOOGLE_CLOUD_QUOTA_PROJECT", "every SDK"),
    ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "the SDKs' API clients"),
    (
        "GOOGLE_API_CERTIFICATE_CONFIG",
        "Python, Go, Java and Node: the certificate of this workload",
    ),
    ("GOOGLE_API_USE_CLIENT_CERTIFICATE", "Python, Go and Java"),
    (
        "GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN",
        "Python, Java: whether tokens are bound to a certificate",
    ),
    (
        "GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES",
        "Python, Java: the old name of GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN",
    ),
    ("CLOUDSDK_CONFIG", "every SDK, for gcloud's credentials"),
    ("K_SERVICE", "Node: this is Cloud Run"),
    ("CLOUD_RUN_JOB", "Node: this is Cloud Run"),
    ("FUNCTION_NAME", "Node: this is a Cloud Run function"),
    ("FUNCTION_TARGET", "gce-auth: this is a Cloud Run function"),
    ("GAE_SERVICE", "some SDKs: this is App Engine"),
    ("GAE_INSTANCE", "gce-auth: this is App Engine"),
];

/// Returns a step for each variable that is set, or one step if none is.
pub(crate) fn variables(var: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, Finding)> {
    // An address may hold a password.
    let var = |name: &str| var(name).map(|value| without_password(&value));
    let mut steps: Vec<_> = KNOWN
        .into_iter()
        .filter_map(|(name, reader)| {
            let value = var(name)?;
            let shown = format!("{name}={value} (read by {reader})");
            Some(("environment", judged(name, &value, shown, var)))
        })
        .collect();
    if steps.is_empty() {
        let none = "no variable is set that SDKs read";
        steps.push(("environment", Finding::good(none)));
    }
    steps
}

fn judged(name: &str, value: &str, shown: String, var: impl Fn(&str) -> Option<String>) -> Finding {
    match name {
        "GCE_METADATA_HOST" if value.is_empty() => Finding::warning(
            shown,
            "it is empty; unset it, or set it to host or host:port",
        ),
        "GCE_METADATA_HOST" if value.contains("://") => Finding::warning(
            shown,
            "only Node accepts a scheme here; write host or host:port",
        ),
        "GCE_METADATA_HOST" if var("GCE_METADATA_IP").is_none() => Finding::warning(
            shown,
            format!("Python detects at GCE_METADATA_IP, which is not set; set it to {value}, too"),
        ),
        "GCE_METADATA_ROOT" | "GCE_METADATA_IP" => match var("GCE_METADATA_HOST") {
            Some(host) if host != value => Finding::warning(
                shown,
                format!("GCE_METADATA_HOST is {host}: SDKs will ask different servers"),
            ),
            _ => Finding::good(shown),
        },
        "NO_GCE_CHECK" if value.eq_ignore_ascii_case("true") => Finding::warning(
            shown,
            "Python and Java take this machine for one outside of Google Cloud; unset it",
        ),
        "METADATA_SERVER_DETECTION" => match value {
            "assume-present" | "bios-only" | "ping-only" => Finding::good(shown),
            "none" => Finding::warning(
                shown,
                "Node takes this machine for one outside of Google Cloud; unset it",
            ),
            _ => Finding::warning(
                shown,
                "Node refuses it; write assume-present, none, bios-only or ping-only",
            ),
        },
        "GCE_METADATA_MTLS_MODE" => match value {
            "none" | "default" | "strict" => Finding::good(shown),
            _ => Finding::warning(shown, "clients refuse it; write none, default or strict"),
        },
        _ => Finding::good(shown),
    }
}

/// Checks whether a proxy would see requests to the metadata server.
pub(crate) fn proxies(var: impl Fn(&str) -> Option<String>, endpoint: &str) -> Finding {
    let set = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .into_iter()
        .find_map(|name| Some((name, var(name).filter(|value| !value.is_empty())?)));
    let Some((name, value)) = set else {
        return Finding::good("none");
    };
    let shown = format!("{name}={}", without_password(&value));
    let host = host(endpoint);
    let except = proxy_exceptions(var).unwrap_or_default();
    let excepted = except.split(',').map(str::trim).any(|item| {
        let item = item.trim_start_matches('.');
        item == "*" || item == host || (!item.is_empty() && host.ends_with(&format!(".{item}")))
    });
    if excepted {
        return Finding::good(format!("{shown}, but not for {host}"));
    }
    Finding::warning(
        shown,
        format!(
            "this command does not use it, but curl and Python send requests for tokens through it; \
             add {host} to NO_PROXY"
        ),
    )
}

/// Redacts the password of a URL.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        None => url.to_owned(),
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let separator = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{separator}[redacted]@{host}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        let set = set.to_vec();
        move |name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn nothing_set_is_good() {
        let steps = variables(with(&[]));
        assert!(steps.len() == 1 && steps[0].1.is_good());
        assert!(proxies(with(&[]), "169.254.169.254").is_good());
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let set = [("GCE_METADATA_HOST", "http://user:secret@a")];
        let (_, found) = &variables(with(&set))[0];
        assert!(found.text().contains("@a") && !found.text().contains("secret"));
    }

    #[test]
    fn what_misleads_an_sdk_is_a_warning() {
        for set in [
            &[("GCE_METADATA_HOST", "a:1")][..],
            &[("GCE_METADATA_HOST", "")],
            &[("GCE_METADATA_HOST", "http://a"), ("GCE_METADATA_IP", "a")],
            &[("GCE_METADATA_HOST", "a"), ("GCE_METADATA_IP", "b")],
            &[("NO_GCE_CHECK", "True")],
            &[("METADATA_SERVER_DETECTION", "maybe")],
        ] {
            let steps = variables(with(set));
            assert!(steps.iter().any(|(_, step)| !step.is_good()), "{set:?}");
        }
        let good = [("GCE_METADATA_HOST", "a:1"), ("GCE_METADATA_IP", "a:1")];
        assert!(
            variables(with(&good))
                .iter()
                .all(|(_, step)| step.is_good())
        );
    }

    #[test]
    fn a_proxy_that_sees_tokens_is_a_warning_without_its_password() {
        let proxy = ("HTTP_PROXY", "http://user:secret@proxy:3128");
        let found = proxies(with(&[proxy]), "169.254.169.254:80");
        assert!(!found.is_good() && !found.text().contains("secret"));
        for except in ["169.254.169.254", "a, 169.254.169.254", "*"] {
            assert!(proxies(with(&[proxy, ("NO_PROXY", except)]), "169.254.169.254").is_good());
        }
        let internal = [proxy, ("no_proxy", ".internal")];
        assert!(proxies(with(&internal), "metadata.google.internal").is_good());
    }
}
