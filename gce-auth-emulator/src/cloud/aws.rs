//! Subject tokens of AWS: a request for `GetCallerIdentity`, signed with Signature Version 4. The
//! emulator verifies it as the Security Token Service of AWS does, which it never asks.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};

use crate::clock::Instant;
use crate::cloud::errors;
use crate::policy::aws::{AwsAccount, AwsKey};
use gce_auth_server::protocol::{Reply, query::Query};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// By how much the clock of the signer may be off.
const SKEW: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// Verifies a signed request for the provider `name`; returns who signed it, as `GetCallerIdentity`
/// tells it: `account`, `arn` and `userid`.
pub(crate) fn verify(
    name: &str,
    account: &AwsAccount,
    token: &str,
    now: Instant,
) -> Result<Value, Reply> {
    let request = Signed::parse(token)
        .ok_or_else(|| errors::invalid_grant("AWS request has invalid format."))?;
    let target = request
        .header("x-goog-cloud-target-resource")
        .unwrap_or_default();
    let target = target.strip_prefix("https:").unwrap_or(target);
    if target.strip_prefix("//iam.googleapis.com/") != Some(name) {
        return Err(errors::invalid_grant(
            "The value of the header x-goog-cloud-target-resource in the AWS request does not match \
             the audience.",
        ));
    }
    let key = caller(account, &request, now).map_err(|(kind, message)| {
        errors::invalid_grant(&format!(
            "Received invalid AWS response of type {kind} with error message: {message}"
        ))
    })?;
    let found = key.account().unwrap_or_default();
    if found != account.account_id {
        return Err(errors::invalid_grant(&format!(
            "The AWS account {found} does not match the expected one in config: {}.",
            account.account_id
        )));
    }
    Ok(json!({"account": found, "arn": key.arn, "userid": key.user()}))
}

/// The key that signed the request; or the code and the message of AWS's error.
fn caller<'a>(
    account: &'a AwsAccount,
    request: &Signed,
    now: Instant,
) -> Result<&'a AwsKey, (&'static str, String)> {
    let unknown = || {
        let message = "The security token included in the request is invalid.";
        Err(("InvalidClientTokenId", message.to_owned()))
    };
    let mismatch = |message: String| Err(("SignatureDoesNotMatch", message));
    let Some(proof) = Proof::parse(request) else {
        let message = "Authorization header requires 'Credential' parameter, 'Signature' parameter, \
                       'SignedHeaders' parameter and the header 'X-Amz-Date'.";
        return Err(("IncompleteSignature", message.to_owned()));
    };
    let Some(key) = account
        .access_keys
        .iter()
        .find(|key| key.access_key_id == proof.key_id)
    else {
        return unknown();
    };
    if request.header("x-amz-security-token") != key.session_token.as_deref() {
        return unknown();
    }
    if proof.region != request.region {
        return mismatch("Credential should be scoped to a valid region.".to_owned());
    }
    if proof.service != "sts" {
        return mismatch("Credential should be scoped to correct service: 'sts'.".to_owned());
    }
    if !proof.covers(request) {
        return mismatch("'Host' and all 'x-amz-' headers must be signed.".to_owned());
    }
    let (date, least, most) = (proof.date, basic(now.minus(SKEW)), basic(now.plus(SKEW)));
    if *date < *least {
        return mismatch(format!(
            "Signature expired: {date} is now earlier than {least}"
        ));
    }
    if *date > *most {
        return mismatch(format!(
            "Signature not yet current: {date} is still later than {most}"
        ));
    }
    let signature = proof.signature(request, &key.secret_access_key);
    if verify_slices_are_equal(signature.as_bytes(), proof.signature.as_bytes()).is_err() {
        let message = "The request signature we calculated does not match the signature you \
                       provided. Check your AWS Secret Access Key and signing method. Consult the \
                       service documentation for details.";
        return mismatch(message.to_owned());
    }
    Ok(key)
}

/// A time as `X-Amz-Date` has it: 20261128T160000Z.
fn basic(time: Instant) -> String {
    let text = time.rfc3339();
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{}Z", seconds.replace(['-', ':'], ""))
}

/// A request that was serialized to be sent by another.
struct Signed {
    region: String,
    query: String,
    /// Names are in lower case.
    headers: Vec<(String, String)>,
    body: String,
}

impl Signed {
    /// Parses a token: JSON, percent-encoded.
    fn parse(token: &str) -> Option<Self> {
        let json = if token.trim_start().starts_with('{') {
            token.to_owned()
        } else {
            let encoded = token.replace('+', "%2B").replace('&', "%26");
            Query::parse(&format!("token={encoded}"))
                .get("token")?
                .to_owned()
        };
        let request: Value = serde_json::from_str(&json).ok()?;
        if request["method"] != "POST" {
            return None;
        }
        let headers = request["headers"].as_array()?.iter().map(|header| {
            let text = |name: &str| header[name].as_str();
            Some((
                text("key")?.to_ascii_lowercase(),
                text("value")?.trim().to_owned(),
            ))
        });
        let headers: Vec<_> = headers.collect::<Option<_>>()?;
        let (host, query) = of_caller_identity(request["url"].as_str()?)?;
        let named = headers.iter().find(|(name, _)| name == "host");
        if named.is_none_or(|(_, value)| value != host) {
            return None;
        }
        Some(Self {
            region: region(host)?.to_owned(),
            query: query.to_owned(),
            headers,
            body: request["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Host and query of a URL that asks AWS who the caller is; `None` for every other.
fn of_caller_identity(url: &str) -> Option<(&str, &str)> {
    let (host, query) = url.strip_prefix("https://")?.split_once('?')?;
    let asked = Query::parse(query);
    let is_asked = asked.get("Action") == Some("GetCallerIdentity")
        && asked.get("Version") == Some("2011-06-15");
    is_asked.then_some((host.strip_suffix('/').unwrap_or(host), query))
}

/// The region of a host of the service: `sts.REGION.amazonaws.com`, where `sts.amazonaws.com` is in
/// us-east-1.
fn region(host: &str) -> Option<&str> {
    let rest = host
        .strip_suffix(".cn")
        .unwrap_or(host)
        .strip_suffix(".amazonaws.com");
    match rest?.split_once('.') {
        None if rest == Some("sts") => Some("us-east-1"),
        Some(("sts" | "sts-fips", region)) if !region.is_empty() && !region.contains('.') => {
            Some(region)
        }
        _ => None,
    }
}

/// What the header `Authorization` says.
struct Proof<'a> {
    key_id: &'a str,
    date: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    names: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Proof<'a> {
    fn parse(request: &'a Signed) -> Option<Self> {
        let header = request.header("authorization")?.strip_prefix(ALGORITHM)?;
        let part = |name: &str| {
            let mut parts = header.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = part("Credential")?.rsplitn(5, '/');
        let end = scope.next()?;
        let (service, region, day, key_id) =
            (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let date = request.header("x-amz-date")?;
        (end == "aws4_request" && date.starts_with(day) && day.len() == 8).then_some(())?;
        Some(Self {
            key_id,
            date,
            day,
            region,
            service,
            names: part("SignedHeaders")?.split(';').collect(),
            signature: part("Signature")?,
        })
    }

    /// Whether all headers are signed that must be.
    fn covers(&self, request: &Signed) -> bool {
        let mut needed = request.headers.iter().map(|(name, _)| name.as_str());
        needed.all(|name| {
            !(name == "host" || name.starts_with("x-amz-")) || self.names.contains(&name)
        })
    }

    /// The signature that the request has if `secret` made it, in hexadecimal digits.
    fn signature(&self, request: &Signed, secret: &str) -> String {
        let mut pairs: Vec<&str> = request.query.split('&').collect();
        pairs.sort_unstable();
        let mut canonical = format!("POST\n/\n{}\n", pairs.join("&"));
        for name in &self.names {
            let value = request.header(name).unwrap_or_default();
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        let names = self.names.join(";");
        canonical.push_str(&format!("\n{names}\n{}", hash(request.body.as_bytes())));
        let Self {
            date,
            day,
            region,
            service,
            ..
        } = self;
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let to_sign = format!(
            "{ALGORITHM}\n{date}\n{scope}\n{}",
            hash(canonical.as_bytes())
        );
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day, region, service, "aws4_request", &to_sign] {
            key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes())
                .as_ref()
                .to_vec();
        }
        hex(&key)
    }
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of 2020-08-11 06:55:22, not signed yet.
    fn token() -> Value {
        json!({
            "url": "https://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
            "method": "POST",
            "headers": [
                {"key": "Authorization", "value": ""},
                {"key": "host", "value": "sts.us-east-2.amazonaws.com"},
                {"key": "x-amz-date", "value": "20200811T065522Z"},
                {"key": "x-goog-cloud-target-resource", "value": "//iam.googleapis.com/n"},
            ],
        })
    }

    fn at(seconds: i64) -> Instant {
        Instant::from_seconds(1_597_128_922 + seconds)
    }

    fn account() -> AwsAccount {
        AwsAccount {
            account_id: "123456789012".into(),
            access_keys: vec![AwsKey::new(
                "AKIA",
                "secret",
                "arn:aws:iam::123456789012:user/ada",
            )],
        }
    }

    fn signed(token: &Value, secret: &str, scope: &str, names: &str) -> String {
        let mut token = token.clone();
        let credential = format!("Credential=AKIA/{scope}/aws4_request");
        let write = |signature: &str| {
            format!("{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}")
        };
        token["headers"][0]["value"] = write("").into();
        let request = Signed::parse(&token.to_string()).unwrap();
        let signature = Proof::parse(&request).unwrap().signature(&request, secret);
        token["headers"][0]["value"] = write(&signature).into();
        token.to_string()
    }

    const SCOPE: &str = "20200811/us-east-2/sts";
    const NAMES: &str = "host;x-amz-date";

    #[test]
    fn a_signature_is_what_another_implementation_computes() {
        let mut token = token();
        token["headers"][0]["value"] = format!(
            "{ALGORITHM} Credential=AKIA/{SCOPE}/aws4_request, SignedHeaders={NAMES}, Signature=x"
        )
        .into();
        let request = Signed::parse(&token.to_string()).unwrap();
        let proof = Proof::parse(&request).unwrap();
        // Computed with Python's hmac and hashlib.
        assert_eq!(
            proof.signature(&request, "secret"),
            "bff58112d4696faecff9c104c8b7b963141e8b3cc4ba46a0664938fe6d112e41"
        );
    }

    #[test]
    fn a_caller_is_who_signed() {
        let token = signed(&token(), "secret", SCOPE, NAMES);
        for seconds in [-900, 0, 900] {
            let caller = verify("n", &account(), &token, at(seconds)).unwrap();
            assert_eq!(caller["arn"], "arn:aws:iam::123456789012:user/ada");
            assert_eq!(
                (&caller["account"], &caller["userid"]),
                (&json!("123456789012"), &json!("AKIA"))
            );
        }
    }

    #[test]
    fn a_request_of_another_form_is_refused() {
        let change = |pointer: &str, value: Value| {
            let mut token = token();
            *token.pointer_mut(pointer).unwrap() = value;
            token.to_string()
        };
        let url = |url: &str| change("/url", url.into());
        for token in [
            String::new(),
            "{}".into(),
            "%7B".into(),
            change("/method", "GET".into()),
            change("/headers", json!({})),
            change("/headers/1/value", json!(1)),
            change("/headers/1/value", "sts.us-east-1.amazonaws.com".into()),
            url("http://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"),
            url("https://sts.us-east-2.amazonaws.com?Action=GetSessionToken&Version=2011-06-15"),
            url(
                "https://sts.us-east-2.amazonaws.com/x?Action=GetCallerIdentity&Version=2011-06-15",
            ),
            url("https://sts.us-east-2.example.com?Action=GetCallerIdentity&Version=2011-06-15"),
            url("https://sts.us-east-2.amazonaws.com"),
        ] {
            assert!(Signed::parse(&token).is_none(), "{token}");
        }
    }

    #[test]
    fn hosts_have_regions() {
        assert_eq!(region("sts.amazonaws.com"), Some("us-east-1"));
        assert_eq!(region("sts.eu-west-1.amazonaws.com"), Some("eu-west-1"));
        assert_eq!(
            region("sts-fips.us-east-1.amazonaws.com"),
            Some("us-east-1")
        );
        assert_eq!(
            region("sts.cn-north-1.amazonaws.com.cn"),
            Some("cn-north-1")
        );
        for host in [
            "",
            "amazonaws.com",
            "iam.amazonaws.com",
            "sts.a.b.amazonaws.com",
            "sts..amazonaws.com",
        ] {
            assert_eq!(region(host), None, "{host}");
        }
    }

    #[test]
    fn what_aws_refuses_is_refused_with_its_words() {
        let signed =
            |secret: &str, scope: &str, names: &str| signed(&token(), secret, scope, names);
        for (token, seconds, what) in [
            (
                signed("other", SCOPE, NAMES),
                0,
                "signature we calculated does not match",
            ),
            (
                signed("secret", "20200811/us-west-2/sts", NAMES),
                0,
                "valid region",
            ),
            (
                signed("secret", "20200811/us-east-2/iam", NAMES),
                0,
                "correct service",
            ),
            (signed("secret", SCOPE, "host"), 0, "must be signed"),
            (signed("secret", SCOPE, NAMES), 901, "Signature expired"),
            (
                signed("secret", SCOPE, NAMES),
                -901,
                "Signature not yet current",
            ),
        ] {
            let request = Signed::parse(&token).unwrap();
            let (kind, message) = caller(&account(), &request, at(seconds)).unwrap_err();
            assert_eq!(kind, "SignatureDoesNotMatch");
            assert!(message.contains(what), "{message}");
        }
        let mut other = account();
        other.access_keys[0].session_token = Some("session".into());
        let token = signed("secret", SCOPE, NAMES);
        let request = Signed::parse(&token).unwrap();
        for account in [
            AwsAccount {
                access_keys: vec![],
                ..account()
            },
            other,
        ] {
            let (kind, _) = caller(&account, &request, at(0)).unwrap_err();
            assert_eq!(kind, "InvalidClientTokenId");
        }
        let bare = Signed::parse(&self::token().to_string()).unwrap();
        assert_eq!(
            caller(&account(), &bare, at(0)).unwrap_err().0,
            "IncompleteSignature"
        );
    }
}
