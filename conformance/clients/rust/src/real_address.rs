//! Libraries that know the metadata server only by its own name and address.

use serde_json::json;
use yup_oauth2::{
    ApplicationDefaultCredentialsAuthenticator, ApplicationDefaultCredentialsFlowOpts,
    authenticator::ApplicationDefaultCredentialsTypes,
};

use crate::{Result, redacted, say, tokeninfo, version};

const GCP_AUTH: &str = "gcp_auth";
const YUP_OAUTH2: &str = "yup-oauth2";
const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/cloud-platform"];

/// Gets a token with each library, by its defaults.
pub(crate) async fn tokens() -> Result<()> {
    for name in [GCP_AUTH, YUP_OAUTH2] {
        println!(
            "{}",
            json!({"step": "library", "name": name, "version": version(name)})
        );
    }
    let provider = gcp_auth::provider().await?;
    let token = provider.token(&SCOPES).await?;
    say(
        GCP_AUTH,
        "access_token",
        json!({"token": redacted(token.as_str())}),
    );
    say(
        GCP_AUTH,
        "access_token_info",
        tokeninfo(token.as_str()).await?,
    );
    say(
        GCP_AUTH,
        "project",
        json!({"id": &*provider.project_id().await?}),
    );

    let options = ApplicationDefaultCredentialsFlowOpts::default();
    let made = ApplicationDefaultCredentialsAuthenticator::builder(options).await;
    let ApplicationDefaultCredentialsTypes::InstanceMetadata(builder) = made else {
        return Err("yup-oauth2 found a key file".into());
    };
    let token = builder.build().await?.token(&SCOPES).await?;
    let token = token.token().ok_or("no token")?;
    say(
        YUP_OAUTH2,
        "access_token",
        json!({"token": redacted(token)}),
    );
    say(YUP_OAUTH2, "access_token_info", tokeninfo(token).await?);
    Ok(())
}
