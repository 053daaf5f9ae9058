//! Workloads on AWS: keys of a machine or of the environment, a signed request, and a federated
//! token that the emulator gives for it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gce_auth::{Credentials, Error, ErrorKind, testing::set_variable};
use gce_auth_emulator::{AdcKind, AwsKey, Emulator, Provider};
use serde_json::Value;

use crate::{
    ec2::{Ec2, Machine, Role},
    files::Files,
};

pub(crate) const PROVIDER: &str =
    "projects/123456/locations/global/workloadIdentityPools/aws/providers/aws";
const ACCOUNT: &str = "123456789012";
pub(crate) const ROLE_ARN: &str = "arn:aws:sts::123456789012:assumed-role/ci/i-0123";
const USER_ARN: &str = "arn:aws:iam::123456789012:user/ada";
pub(crate) const ROLE: Role = Role {
    id: "ASIAROLE",
    secret: "secret/of+the role",
    token: "session/of+the=role",
};
const VARIABLES: [&str; 5] = [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// The variables of AWS: one test sets them at a time.
pub(crate) struct Variables(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>);

static LOCK: RwLock<()> = RwLock::new(());

/// Keeps all of the variables unset; many tests may do so at once.
pub(crate) fn no_variables() -> RwLockReadGuard<'static, ()> {
    LOCK.read().unwrap_or_else(PoisonError::into_inner)
}

impl Variables {
    pub(crate) fn set(values: &[(&str, &str)]) -> Self {
        let held = Self(LOCK.write().unwrap_or_else(PoisonError::into_inner));
        for name in VARIABLES {
            let value = values.iter().find(|(of, _)| *of == name);
            set_variable(name, value.map(|(_, value)| *value));
        }
        held
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        for name in VARIABLES {
            set_variable(name, None);
        }
    }
}

/// An emulator whose pool trusts the account, where AWS knows three keys.
pub(crate) fn files() -> Files {
    let role = AwsKey::new(ROLE.id, ROLE.secret, ROLE_ARN).session_token(ROLE.token);
    let provider = Provider::aws(PROVIDER, ACCOUNT)
        .access_key(role)
        .access_key(AwsKey::new("AKIAUSER", "secret", USER_ARN))
        .access_key(AwsKey::new(
            "AKIAOTHER",
            "secret",
            "arn:aws:iam::999999999999:user/eve",
        ));
    Files::new(Emulator::builder().provider(provider).start().unwrap())
}

/// The file of `gcloud iam workload-identity-pools create-cred-config --aws`.
pub(crate) fn document(files: &Files, source: &Value) -> Value {
    let adc = files.emulator.adc(AdcKind::ExternalAccount).unwrap();
    let mut document: Value = serde_json::from_str(&adc).unwrap();
    document["audience"] = format!("//iam.googleapis.com/{PROVIDER}").into();
    document["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request".into();
    document["credential_source"] = source.clone();
    document
}

fn load(files: &Files, source: &Value) -> Credentials {
    let document = document(files, source).to_string();
    files
        .options()
        .shared(false)
        .load_json(&document)
        .unwrap()
        .credentials
}

pub(crate) fn machine(sessions: bool) -> Machine {
    Machine {
        sessions,
        zone: "us-east-2b",
        role: Some(ROLE),
    }
}

/// Asserts that the token of `credentials` is of this identity of AWS.
pub(crate) fn is_of(files: &Files, credentials: &Credentials, arn: &str) {
    let token = credentials.blocking_token().unwrap();
    let said = files.token_info(token.secret());
    let pool = PROVIDER.split("/providers/").next().unwrap();
    let principal = format!("principal://iam.googleapis.com/{pool}/subject/{arn}");
    assert_eq!(said["principal"], principal);
}

/// The error of credentials that Google refuses in AWS's words.
fn refused(credentials: &Credentials, code: &str) -> Error {
    let error = credentials.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains(code), "{error}");
    error
}

#[test]
fn a_machine_s_role_is_who_it_is_with_and_without_sessions() {
    let files = files();
    let _none = Variables::set(&[]);
    for sessions in [false, true] {
        let ec2 = Ec2::start(machine(sessions));
        is_of(&files, &load(&files, &ec2.source(sessions)), ROLE_ARN);
        let keys = "GET /latest/meta-data/iam/security-credentials";
        let (region, session) = (
            "GET /latest/meta-data/placement/availability-zone",
            "PUT /latest/api/token",
        );
        let of_role = format!("{keys}/ci");
        let all = if sessions {
            vec![session, region, session, keys, &of_role]
        } else {
            vec![region, keys, &of_role]
        };
        assert_eq!(ec2.asked(), all);
    }
}

#[test]
fn variables_come_before_the_machine() {
    let files = files();
    let ec2 = Ec2::start(machine(false));
    let user = [
        ("AWS_ACCESS_KEY_ID", "AKIAUSER"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    {
        let _keys = Variables::set(&user);
        is_of(&files, &load(&files, &ec2.source(false)), USER_ARN);
        assert_eq!(ec2.asked().len(), 1, "the region is the machine's");
    }
    for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let _all = Variables::set(&[user[0], user[1], (region, "eu-west-1")]);
        is_of(&files, &load(&files, &ec2.source(false)), USER_ARN);
    }
    {
        let _role = Variables::set(&[
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", ROLE.id),
            ("AWS_SECRET_ACCESS_KEY", ROLE.secret),
            ("AWS_SESSION_TOKEN", ROLE.token),
        ]);
        is_of(&files, &load(&files, &ec2.source(false)), ROLE_ARN);
    }
    assert_eq!(ec2.asked().len(), 1, "nobody asks the machine again");
    let _region = Variables::set(&[("AWS_REGION", "eu-west-1")]);
    is_of(&files, &load(&files, &ec2.source(false)), ROLE_ARN);
    let last = ec2.asked().pop();
    assert_eq!(
        last.as_deref(),
        Some("GET /latest/meta-data/iam/security-credentials/ci")
    );
}

#[test]
fn what_aws_would_refuse_is_refused() {
    let files = files();
    let source = Ec2::start(machine(false)).source(false);
    let with = |id: &'static str, secret: &'static str, more: &[(&str, &str)]| {
        let mut all = vec![
            ("AWS_REGION", "us-east-2"),
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        all.extend_from_slice(more);
        Variables::set(&all)
    };
    let token = |token: &'static str| [("AWS_SESSION_TOKEN", token)];
    {
        let _wrong_secret = with("AKIAUSER", "other", &[]);
        refused(&load(&files, &source), "SignatureDoesNotMatch");
    }
    {
        let _no_such_key = with("AKIANONE", "secret", &[]);
        refused(&load(&files, &source), "InvalidClientTokenId");
    }
    for session in [&[][..], &token("other"), &token("")] {
        let _no_session = with(ROLE.id, ROLE.secret, session);
        refused(&load(&files, &source), "InvalidClientTokenId");
    }
    {
        let _of_a_user = with("AKIAUSER", "secret", &token("x"));
        refused(&load(&files, &source), "InvalidClientTokenId");
    }
    {
        let _another_account = with("AKIAOTHER", "secret", &[]);
        refused(&load(&files, &source), "999999999999 does not match");
    }
    let _good = with("AKIAUSER", "secret", &[]);
    is_of(&files, &load(&files, &source), USER_ARN);
    // Another provider than the request was signed for, and one of another kind.
    let mut elsewhere = document(&files, &source);
    elsewhere["audience"] = format!("//iam.googleapis.com/{PROVIDER}2").into();
    let options = files.options().shared(false);
    let elsewhere = options.load_json(&elsewhere.to_string()).unwrap();
    refused(&elsewhere.credentials, "subject_token_type");
}

#[test]
fn a_machine_that_cannot_sign_is_told() {
    let files = files();
    let fails = |machine: Machine, change: &dyn Fn(&mut Value)| {
        let ec2 = Ec2::start(machine.clone());
        let mut source = ec2.source(machine.sessions);
        change(&mut source);
        load(&files, &source).blocking_token().unwrap_err()
    };
    let _none = Variables::set(&[]);
    for (member, variable) in [("region_url", "AWS_REGION"), ("url", "AWS_ACCESS_KEY_ID")] {
        let error = fails(machine(false), &|source| {
            source.as_object_mut().unwrap().remove(member);
        });
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = error.to_string();
        assert!(text.contains(variable) && text.contains(member), "{text}");
    }
    let without_role = Machine {
        role: None,
        ..machine(true)
    };
    let error = fails(without_role, &|_| {});
    assert!(error.to_string().contains("404"), "{error}");
    // A server that wants sessions, and a file from before them.
    let error = fails(machine(true), &|source| {
        source
            .as_object_mut()
            .unwrap()
            .remove("imdsv2_session_token_url");
    });
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(
        files.emulator.request_count("/v1/token"),
        0,
        "nothing was exchanged"
    );
    for text in [ROLE.secret, ROLE.token] {
        assert!(!error.to_string().contains(text));
    }
}
