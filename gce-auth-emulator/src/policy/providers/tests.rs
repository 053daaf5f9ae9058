use super::*;

const NAME: &str = "projects/1/locations/global/workloadIdentityPools/p/providers/q";

#[test]
fn a_disabled_provider_is_enabled_again() {
    let off = || Provider::oidc(NAME, "https://issuer").disabled(true);
    assert!(off().compile().unwrap().is_disabled());
    assert!(!off().disabled(false).compile().unwrap().is_disabled());
}

#[test]
fn a_credential_becomes_an_identity() {
    let provider = Provider::oidc(NAME, "https://issuer")
        .map("google.subject", "'gh:' + assertion.sub")
        .map("google.groups", "assertion.groups")
        .map("attribute.owner", "assertion.owner")
        .map("attribute.absent", "assertion.absent")
        .condition("attribute.owner == 'me' && google.subject.startsWith('gh:')")
        .compile()
        .unwrap();
    let claims = json!({"sub": "x", "groups": ["g"], "owner": "me"});
    let identity = provider.identity(&claims).unwrap();
    assert_eq!(identity.subject, "gh:x");
    assert_eq!(identity.groups, ["g"]);
    assert_eq!(identity.attributes, [("owner".into(), "me".into())]);
    assert_eq!(
        identity.pool,
        "projects/1/locations/global/workloadIdentityPools/p"
    );
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        provider.identity(&claims)
    };
    assert_eq!(with("owner", json!("you")), Err(MappingError::Condition));
    assert_eq!(
        with("sub", json!("x".repeat(200))),
        Err(MappingError::SubjectTooLong)
    );
    assert_eq!(
        with("sub", json!(1)),
        Err(MappingError::Unmapped(SUBJECT.into()))
    );
    assert_eq!(
        with("groups", json!([1])),
        Err(MappingError::Unmapped("google.groups".into()))
    );
}

#[test]
fn an_identity_of_aws_has_its_role_as_an_attribute() {
    const ROLE: &str = "arn:aws:sts::123456789012:assumed-role/ci";
    let provider = Provider::aws(NAME, "123456789012").compile().unwrap();
    for (arn, role) in [
        (format!("{ROLE}/i-1"), ROLE),
        ("arn:aws:iam::1:user/ada".into(), "arn:aws:iam::1:user/ada"),
    ] {
        let identity = provider.identity(&json!({ "arn": arn })).unwrap();
        assert_eq!(identity.subject, arn);
        assert_eq!(identity.attributes, [("aws_role".into(), role.into())]);
    }
    let key = AwsKey::new("id", "secret", "arn:aws:iam::123:user/ada");
    let wrong = Provider::aws(NAME, "123456789012").access_key(key);
    assert!(wrong.compile().unwrap_err().contains("no ARN"));
    let neither = Provider::oidc(NAME, "").compile().unwrap_err();
    assert!(
        neither.contains("one of `issuerUri` and `aws`"),
        "{neither}"
    );
}

#[test]
fn audiences_are_the_provider_s_or_those_that_were_set() {
    let provider = Provider::oidc(NAME, "i").compile().unwrap();
    assert!(provider.is_audience(&format!("//iam.googleapis.com/{NAME}")));
    assert!(provider.is_audience(&format!("https://iam.googleapis.com/{NAME}")));
    assert!(!provider.is_audience(NAME) && !provider.is_audience(""));
    let set = Provider::oidc(NAME, "i").audience("a").compile().unwrap();
    assert!(set.is_audience("a") && !set.is_audience(&format!("//iam.googleapis.com/{NAME}")));
}

#[test]
fn what_is_no_provider_is_refused() {
    for name in [
        "",
        "x",
        "projects/1/locations/global/workloadIdentityPools//providers/q",
        "//iam.googleapis.com/x",
    ] {
        assert!(Provider::oidc(name, "i").compile().is_err(), "{name}");
    }
    assert!(
        Provider::oidc("locations/global/workforcePools/p/providers/q", "i")
            .compile()
            .is_ok()
    );
    for provider in [
        Provider::oidc(NAME, "i").jwks("[]"),
        Provider::oidc(NAME, "i").condition("=="),
        Provider::oidc(NAME, "i").map("subject", "assertion.sub"),
        Provider::oidc(NAME, "i").map("attribute.x", ""),
    ] {
        assert!(provider.compile().is_err());
    }
}
