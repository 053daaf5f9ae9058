//! The emulator's root certificate, beside those that programs trust anyway.

use std::{fs, path::Path};

/// Where systems keep the certificates that all programs trust, in one file: Debian, Fedora, SUSE,
/// Alpine and OpenSSL.
pub(super) const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variables that name the certificates to trust, and which program reads each: OpenSSL and Go,
/// curl, requests, httplib2, gcloud, gRPC, Git, AWS's and Cargo's.
const REPLACE: [&str; 9] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
];

/// The variables that name certificates to trust, too: Node's and Deno's.
const ADD: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// Returns the variables that lead programs to a file of certificates.
pub(super) fn variables(bundle: &Path) -> impl Iterator<Item = (&'static str, &Path)> {
    let names = REPLACE.into_iter().chain(ADD);
    names.map(move |name| (name, bundle))
}

/// Returns the certificates that programs trust now: those of `SSL_CERT_FILE` or of the system, and
/// those that Node trusts besides.
pub(super) fn trusted(variable: impl Fn(&str) -> Option<String>) -> String {
    let read = |file: &str| fs::read_to_string(file).ok();
    let own = variable(REPLACE[0]).and_then(|file| read(&file));
    let mut all = own
        .or_else(|| BUNDLES.into_iter().find_map(read))
        .unwrap_or_default();
    for more in ADD.iter().filter_map(|name| variable(name)) {
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
