//! The steps of the demo.

use gce_auth::{Credentials, IdTokenClaims, IdTokenCredentials, MetadataClient};

use crate::{
    clock,
    cmd::demo::{
        page::{Found, Page},
        proof::{AUDIENCE, Services},
    },
    exit::Failure,
    text,
};

/// Runs all steps.
pub(crate) fn run(
    page: &mut Page<'_>,
    client: &MetadataClient,
    how: &str,
    services: &Services<'_>,
) -> Result<(), Failure> {
    let credentials = Credentials::builder().client(client.clone()).build()?;
    page.step("metadata server", || {
        client.blocking_get("instance/")?;
        let found = format!("found at {}: {how}", client.endpoint()?);
        Ok((Found::new(found), ()))
    })?;
    page.step("project", || project(client))?;
    page.step("service account", || account(&credentials))?;
    page.step("access token", || access_token(&credentials))?;
    page.step("request headers", || headers(&credentials))?;
    if let Some(token) = page.step("ID token", || id_token(client))? {
        page.step("its signature", || services.verify(&token))?;
    }
    page.step("signed blob", || services.sign(&credentials))?;
    Ok(())
}

type Step<T> = Result<(Found, T), Failure>;

fn project(client: &MetadataClient) -> Step<()> {
    let (id, number) = (
        client.blocking_project_id()?,
        client.blocking_numeric_project_id()?,
    );
    Ok((Found::new(format!("{id} (number {number})")), ()))
}

fn account(credentials: &Credentials) -> Step<()> {
    let account = credentials.blocking_account()?;
    let found = Found::new(account.email()).and("  scopes", account.scopes().join(" "));
    Ok((found, ()))
}

fn access_token(credentials: &Credentials) -> Step<()> {
    let token = credentials.blocking_token()?;
    let shown = text::redacted(token.secret());
    let holds = clock::validity(token.expires_at());
    Ok((Found::new(format!("{shown}, {holds}")), ()))
}

fn headers(credentials: &Credentials) -> Step<()> {
    let project = credentials.client().blocking_project_id()?;
    let billed = credentials.with_quota_project(project.as_str())?;
    let mut found = Found::new("what a request to a Google API carries");
    for (name, value) in billed.blocking_headers()?.iter() {
        let value = value.to_str().unwrap_or_default();
        let value = value.strip_prefix("Bearer ").map_or_else(
            || value.to_owned(),
            |token| format!("Bearer {}", text::redacted(token)),
        );
        found = found.and("", format!("{name}: {value}"));
    }
    Ok((found, ()))
}

fn id_token(client: &MetadataClient) -> Step<String> {
    let token = IdTokenCredentials::builder(AUDIENCE)
        .client(client.clone())
        .build()?
        .blocking_token()?;
    let claims = token.claims();
    let mut found = Found::new(format!(
        "{}, {}",
        text::redacted(token.secret()),
        clock::validity(token.expires_at())
    ))
    .and("  for", claims.audience().unwrap_or_default())
    .and("  by", claims.issuer().unwrap_or_default())
    .and("  says", who(&claims));
    if let Some(place) = machine(&claims) {
        found = found.and("  on", place);
    }
    Ok((found, token.secret().to_owned()))
}

fn who(claims: &IdTokenClaims) -> String {
    let subject = claims.subject().unwrap_or_default();
    claims.email().map_or_else(
        || format!("I am {subject}"),
        |email| format!("I am {email} ({subject})"),
    )
}

fn machine(claims: &IdTokenClaims) -> Option<String> {
    let machine = claims.compute_engine()?;
    Some(format!(
        "{} in {} of {}",
        machine.instance_name()?,
        machine.zone()?,
        machine.project_id()?
    ))
}
