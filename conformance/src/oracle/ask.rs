//! Steps that ask the metadata server, and nothing else.

use std::time::Duration;

use gce_auth::{Credentials, Detection, MetadataClient};
use http::{HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};

use super::{
    answer::{Failure, Outcome, Raised as _, Raiser},
    scopes,
    world::{World, google_auth},
};

pub(super) fn run(world: &World, op: &str, step: &Value) -> Outcome {
    let args = &step["args"];
    let client = world.client().raised_by(Raiser::Request)?;
    match op {
        "metadata_get" => get(world, &client, step),
        "service_account_info" => account_info(&client, account(args)),
        "service_account_token" => token(world, &client, args),
        "ping" => {
            let attempts = args["retry_count"]
                .as_i64()
                .map(|count| count.try_into().unwrap_or(0));
            let pinged = client.blocking_ping(attempts);
            pinged.map(Value::from).raised_by(Raiser::Request)
        }
        "is_on_gce" => {
            let found = client.blocking_on_gce(Detection::GoogleAuth);
            found
                .map(|found| found.is_on_gce().into())
                .raised_by(Raiser::Request)
        }
        "detect_gce_residency" => Ok((client.detect_dmi() == Some(true)).into()),
        "project_id" => client
            .blocking_project_id()
            .map(Value::from)
            .raised_by(Raiser::Request),
        "universe_domain" => client
            .blocking_universe_domain()
            .map(Value::from)
            .raised_by(Raiser::Request),
        other => Err(Failure::unknown(other)),
    }
}

fn account(args: &Value) -> &str {
    args["service_account"].as_str().unwrap_or("default")
}

fn account_info(client: &MetadataClient, account: &str) -> Outcome {
    let path = format!("instance/service-accounts/{account}/");
    let value = client
        .request(path)
        .recursive(true)
        .blocking_send()
        .raised_by(Raiser::Request)?;
    serde_json::from_str(value.text()).map_err(|_| Failure::unusable("not JSON"))
}

fn token(world: &World, client: &MetadataClient, args: &Value) -> Outcome {
    let mut builder = Credentials::builder()
        .client(client.clone())
        .service_account(account(args))
        .shared(false);
    if let Some(scopes) = scopes::read(&args["scopes"]) {
        builder = builder.scopes(scopes);
    }
    let token = builder
        .build()
        .and_then(|credentials| credentials.blocking_token())
        .raised_by(Raiser::Request)?;
    let left = world.until(token.expires_at());
    Ok(json!({"token": token.secret(), "expiry_in_s": left}))
}

/// `_metadata.get`, whose arguments Python takes in forms that the library does not.
fn get(world: &World, client: &MetadataClient, step: &Value) -> Outcome {
    let args = &step["args"];
    let client = match args["root"].as_str() {
        None => client.clone(),
        Some(root) => rooted(world, root)?,
    };
    let path = step["path"].as_str().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = client.request(path);
    for (name, value) in parameters(query, &args["params"]) {
        request = request.query(name, value);
    }
    if args["recursive"] == true {
        request = request.recursive(true);
    }
    let count = args["retry_count"].as_i64().unwrap_or(5);
    let count = u32::try_from(count).unwrap_or(0);
    request = request.retry(google_auth()).attempts(count);
    if let Some(seconds) = args["timeout"].as_f64() {
        request = request.timeout(Duration::from_secs_f64(seconds));
    }
    if let Some(method) = args["method"].as_str() {
        let method = Method::from_bytes(method.to_uppercase().as_bytes());
        request = request.method(method.map_err(|_| Failure::unusable("not a method"))?);
    }
    if let Some(body) = args["body"].as_str() {
        request = request.body(body);
    }
    for (name, value) in args["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::try_from(name.as_str());
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Failure::unusable("not a header"));
        };
        request = request.header(name, value);
    }
    let value = if args["return_none_for_not_found"] == true {
        request
            .blocking_send_optional()
            .raised_by(Raiser::Request)?
    } else {
        Some(request.blocking_send().raised_by(Raiser::Request)?)
    };
    Ok(match value {
        None => Value::Null,
        Some(value) if value.is_json() => serde_json::from_str(value.text()).unwrap_or_default(),
        Some(value) => value.into_text().into(),
    })
}

/// A client of the server that a root names, where it is a root of the metadata tree.
fn rooted(world: &World, root: &str) -> Result<MetadataClient, Failure> {
    let refused = || Failure::unusable("the library asks nothing outside of computeMetadata/v1/");
    let uri: Uri = root.parse().map_err(|_| refused())?;
    match uri.authority() {
        Some(authority) if uri.path() == "/computeMetadata/v1/" => world
            .client_of(authority.as_str())
            .raised_by(Raiser::Request),
        _ => Err(refused()),
    }
}

/// The parameters of a path, then those given apart, which replace them: as Python's
/// `update_query`.
fn parameters(query: &str, given: &Value) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let given = given.as_object();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let replaced = given.is_some_and(|given| given.contains_key(name));
        if !value.is_empty() && !replaced {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    for (name, value) in given.into_iter().flatten() {
        match value {
            Value::Array(list) => found.extend(list.iter().map(|one| (name.clone(), text(one)))),
            one => found.push((name.clone(), text(one))),
        }
    }
    found
}
