//! Requests to AWS signed with Signature Version 4, which prove to Google who
//! a role of AWS is (AWS, "Signature Version 4"; AIP-4117). Pure: time and
//! hashes are arguments.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    values::{
        error::{Error, ErrorKind},
        secret::SecretText,
    },
    wire::date,
};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const SESSION_LIFETIME: HeaderName =
    HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

/// Bytes that stay as they are (RFC 3986, unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Bytes that are encoded in the name of a role, which is part of a URL.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The keys of a role.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: SecretText,
    pub(crate) session_token: Option<SecretText>,
}

/// SHA-256, and HMAC with it of a key and a message.
#[derive(Clone, Copy)]
pub(crate) struct Hashes {
    pub(crate) sha256: fn(&[u8]) -> Vec<u8>,
    pub(crate) hmac: fn(&[u8], &[u8]) -> Zeroizing<Vec<u8>>,
}

/// Asks the metadata server of EC2 for a session token, at `url`.
pub(crate) fn session(url: &str) -> Result<Request<Vec<u8>>, Error> {
    let mut request = ask(url, None)?;
    *request.method_mut() = Method::PUT;
    let lifetime = HeaderValue::from_static("300");
    request.headers_mut().insert(SESSION_LIFETIME, lifetime);
    Ok(request)
}

/// Asks the metadata server of EC2 for a value, at `url`.
pub(crate) fn ask(url: &str, session: Option<&SecretText>) -> Result<Request<Vec<u8>>, Error> {
    let refuse = |what: &str| Error::new(ErrorKind::Config, format!("{} {what}", shown(url)));
    let mut request = Request::get(url)
        .body(Vec::new())
        .map_err(|_| refuse("is not a URL"))?;
    if let Some(session) = session {
        let mut value = HeaderValue::from_str(session.reveal())
            .map_err(|_| refuse("was to be asked with a session token that is no header"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(SESSION_TOKEN, value);
    }
    Ok(request)
}

/// The keys in what the metadata server of EC2 answers.
pub(crate) fn keys(body: &[u8]) -> Result<Keys, Error> {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut take = |name: &str| match value.get_mut(name).map(Value::take) {
        Some(Value::String(text)) if !text.is_empty() => Some(Zeroizing::new(text)),
        _ => None,
    };
    match (take("AccessKeyId"), take("SecretAccessKey")) {
        (Some(id), Some(secret)) => Ok(Keys {
            id: id.to_string(),
            secret: SecretText::new(&secret),
            session_token: take("Token").map(|token| SecretText::new(&token)),
        }),
        _ => Err(Error::new(
            ErrorKind::InvalidResponse,
            "the metadata server of AWS answers without keys of a role",
        )
        .with_hint("attach a role to this instance")),
    }
}

/// Whether a text can be the name of a zone or of a role, or a session token.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where the keys of a role are, below the `url` that names it.
pub(crate) fn keys_url(url: &str, role: &str) -> String {
    format!("{url}/{}", utf8_percent_encode(role, IN_PATH))
}

/// The region of a zone, such as `us-east-2` of `us-east-2b`.
pub(crate) fn region_of(zone: &str) -> &str {
    let mut all = zone.chars();
    all.next_back();
    all.as_str()
}

/// The signed request to AWS, as a subject token: Google sends it, and learns
/// who signed it. `time` is that since the Unix epoch.
pub(crate) fn subject_token(
    verification_url: &str,
    region: &str,
    keys: &Keys,
    audience: &str,
    time: Duration,
    hashes: Hashes,
) -> Result<SecretText, Error> {
    let url = verification_url.replace("{region}", region);
    let uri = service(&url).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!("{} is not the https URL of a service of AWS", shown(&url)),
        )
        .with_hint("correct `regional_cred_verification_url` in the credentials file")
    })?;
    let host = &*uri.host().unwrap_or_default().to_ascii_lowercase();
    let date = date::basic_utc(time);
    let authorization = sign(&uri, host, region, keys, &date, hashes);
    let header = |key: &str, value: &str| json!({"key": key, "value": value});
    let mut headers = vec![
        header("Authorization", &authorization),
        header("host", host),
        header("x-amz-date", &date),
    ];
    if let Some(token) = &keys.session_token {
        headers.push(header("x-amz-security-token", token.reveal()));
    }
    headers.push(header("x-goog-cloud-target-resource", audience));
    let request = json!({"url": url, "method": "POST", "headers": headers});
    let text = Zeroizing::new(request.to_string());
    let quoted = Zeroizing::new(utf8_percent_encode(&text, UNRESERVED).to_string());
    Ok(SecretText::new(&quoted))
}

/// How errors show a URL, of which another server may have made a part.
fn shown(url: &str) -> String {
    const LONGEST: usize = 200;
    format!("{:?}", url.chars().take(LONGEST).collect::<String>())
}

/// The URL of a service of AWS, which has to be one with https.
pub(crate) fn service(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host().filter(|host| !host.is_empty());
    (uri.scheme_str() == Some("https") && host.is_some()).then_some(uri)
}

/// The authorization header of a `POST` without a body.
fn sign(uri: &Uri, host: &str, region: &str, keys: &Keys, date: &str, hashes: Hashes) -> String {
    let day = date.get(..8).unwrap_or(date);
    let service = host.split('.').next().unwrap_or_default();
    let service = service.strip_suffix("-fips").unwrap_or(service);
    let mut lines = vec![("host", host), ("x-amz-date", date)];
    if let Some(token) = &keys.session_token {
        lines.push(("x-amz-security-token", token.reveal()));
    }
    let names = lines.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let names = names.join(";");
    let mut canonical = Zeroizing::new(String::with_capacity(4096));
    let query = query(uri.query().unwrap_or_default());
    for part in ["POST\n", &normal_path(uri.path()), "\n", &query, "\n"] {
        canonical.push_str(part);
    }
    for (name, value) in &lines {
        for part in [name, ":", value, "\n"] {
            canonical.push_str(part);
        }
    }
    for part in ["\n", &names, "\n", &hex(&(hashes.sha256)(b""))] {
        canonical.push_str(part);
    }
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let hash = hex(&(hashes.sha256)(canonical.as_bytes()));
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{hash}");
    let mut key = Zeroizing::new(["AWS4", keys.secret.reveal()].concat().into_bytes());
    for part in [day, region, service, "aws4_request"] {
        key = (hashes.hmac)(&key, part.as_bytes());
    }
    let signature = hex(&(hashes.hmac)(&key, to_sign.as_bytes()));
    let id = &keys.id;
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

/// Names and values sorted, and encoded in one way. A value that is empty is
/// left out, as google-auth does.
fn query(query: &str) -> String {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let encode = |text: String| utf8_percent_encode(&text, UNRESERVED).to_string();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (encode(decode(name)), encode(decode(value))))
        .collect();
    pairs.sort();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// The path without `.`, `..` and empty segments.
fn normal_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::crypto;

    const HASHES: Hashes = Hashes {
        sha256: crypto::sha256,
        hmac: crypto::hmac_sha256,
    };
    const URL: &str =
        "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

    fn keys(session: Option<&str>) -> Keys {
        Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: SecretText::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session.map(SecretText::new),
        }
    }

    fn token(url: &str, session: Option<&str>) -> Value {
        let time = Duration::from_secs(1_440_938_160);
        let token = subject_token(url, "us-east-1", &keys(session), "//aud", time, HASHES);
        let token = token.unwrap();
        let text = percent_decode_str(token.reveal()).decode_utf8().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The key of the example in AWS's documentation, 30 August 2015.
    #[test]
    fn the_key_is_derived_as_in_the_documentation() {
        let mut key = Zeroizing::new(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec());
        for part in ["20150830", "us-east-1", "iam", "aws4_request"] {
            key = (HASHES.hmac)(&key, part.as_bytes());
        }
        assert_eq!(
            hex(&key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    #[test]
    fn the_request_is_whole_but_for_its_sending() {
        let request = token(URL, Some("session"));
        assert_eq!(request["method"], "POST");
        assert_eq!(
            request["url"],
            "https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
        );
        let headers = request["headers"].as_array().unwrap();
        let names: Vec<&str> = headers
            .iter()
            .map(|it| it["key"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "Authorization",
                "host",
                "x-amz-date",
                "x-amz-security-token",
                "x-goog-cloud-target-resource"
            ]
        );
        let authorization = headers[0]["value"].as_str().unwrap();
        let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, \
                     SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=";
        assert!(authorization.starts_with(start), "{authorization}");
        assert_eq!(headers[2]["value"], "20150830T123600Z");
    }

    #[test]
    fn other_requests_have_other_signatures() {
        let signature = |url: &str, session| {
            token(url, session)["headers"][0]["value"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let one = signature(URL, None);
        assert_eq!(one, signature(URL, None));
        assert_ne!(one, signature(URL, Some("s")));
        assert_ne!(
            one,
            signature("https://sts.{region}.amazonaws.com/x?Version=1", None)
        );
        assert!(signature("https://sts-fips.{region}.amazonaws.com", None).contains("/sts/"));
        assert!(signature("https://STS.{region}.amazonaws.com", None).contains("/sts/"));
    }

    #[test]
    fn only_https_is_signed_for() {
        for url in ["http://sts.{region}.amazonaws.com", "", "https://", "sts"] {
            let time = Duration::from_secs(1);
            let error = subject_token(url, "r", &keys(None), "a", time, HASHES).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        }
        let (time, long) = (Duration::from_secs(1), "x y".repeat(5000));
        let error = subject_token(URL, &long, &keys(None), "a", time, HASHES).unwrap_err();
        assert!(error.to_string().len() < 500, "one short line");
    }

    #[test]
    fn paths_and_queries_have_one_form() {
        assert_eq!(normal_path(""), "/");
        assert_eq!(normal_path("/a/./b//../c"), "/a/c");
        assert_eq!(query("b=2&a=1%202&a=&c"), "a=1%202&b=2");
    }

    #[test]
    fn what_the_metadata_server_of_ec2_says_is_read() {
        assert_eq!(region_of("us-east-2b"), "us-east-2");
        assert_eq!(region_of(""), "");
        assert_eq!(keys_url("http://x/y", "a/r 1\n"), "http://x/y/a/r%201%0A");
        let keys = super::keys(br#"{"AccessKeyId":"i","SecretAccessKey":"s","Token":""}"#).unwrap();
        assert_eq!((&*keys.id, keys.session_token.is_none()), ("i", true));
        assert!(!format!("{keys:?}").contains("\"s\""));
        for bad in ["", "{}", r#"{"AccessKeyId":"","SecretAccessKey":"s"}"#] {
            assert!(super::keys(bad.as_bytes()).is_err(), "{bad}");
        }
        let request = session("http://169.254.169.254/latest/api/token").unwrap();
        assert_eq!(request.method(), Method::PUT);
        let session = SecretText::new("x");
        let request = ask("http://169.254.169.254/", Some(&session)).unwrap();
        assert!(request.headers()[SESSION_TOKEN].is_sensitive());
    }
}
