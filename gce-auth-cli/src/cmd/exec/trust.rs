//! The emulator's root certificate, beside those that programs trust anyway.

use std::fs;

/// Where systems keep the certificates that all programs trust, in one file: Debian, Fedora, SUSE,
/// Alpine and OpenSSL.
pub(super) const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variables that name the certificates to trust: of OpenSSL and Go, curl, requests, httplib2,
/// gcloud, gRPC, Git, AWS's SDKs and Cargo. Those of Node and Deno name more of them.
pub(super) const NAMES: [&str; 11] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    NODE,
    DENO,
];

const NODE: &str = "NODE_EXTRA_CA_CERTS";
const DENO: &str = "DENO_CERT";

/// Returns the certificates that programs trust now: those of `SSL_CERT_FILE` or of the system, and
/// those that Node trusts besides.
pub(super) fn trusted(variable: impl Fn(&str) -> Option<String>) -> String {
    let read = |file: &str| fs::read_to_string(file).ok();
    let own = variable(NAMES[0]).and_then(|file| read(&file));
    let mut all = own
        .or_else(|| BUNDLES.into_iter().find_map(read))
        .unwrap_or_default();
    for more in [NODE, DENO].into_iter().filter_map(&variable) {
        all += "\n";
        all += &read(&more).unwrap_or_default();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporary::TemporaryDirectory;

    #[test]
    fn what_was_trusted_before_stays() {
        let directory = TemporaryDirectory::new().unwrap();
        let file = |name: &str, text: &str| {
            let file = directory.path().join(name);
            fs::write(&file, text).unwrap();
            file.to_string_lossy().into_owned()
        };
        let (own, more) = (file("own.pem", "OWN"), file("more.pem", "MORE"));
        let all = trusted(|name| match name {
            "SSL_CERT_FILE" => Some(own.clone()),
            "NODE_EXTRA_CA_CERTS" => Some(more.clone()),
            _ => None,
        });
        assert_eq!(all, "OWN\nMORE");
        let system = trusted(|name| (name == "DENO_CERT").then(|| more.clone()));
        assert!(system.ends_with("\nMORE"));
    }
}
