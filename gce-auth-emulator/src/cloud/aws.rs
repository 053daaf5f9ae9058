//! Subject tokens of AWS: a request for `GetCallerIdentity`, signed with Signature Version 4. The
//! emulator verifies it as the Security Token Service of AWS does, which it never asks.

mod proof;
mod signed;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use gce_auth_server::protocol::Reply;
use serde_json::{Value, json};

use self::{proof::Proof, signed::Signed};
use crate::{
    clock::Instant,
    cloud::errors,
    policy::aws::{AwsAccount, AwsKey},
};

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

#[cfg(test)]
mod tests {
    use super::{proof::ALGORITHM, signed::region, *};

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
