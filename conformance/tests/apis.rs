//! Every path, parameter and error of the Google APIs beside the metadata server, asked by a
//! library that knows it. [APIS.md](../APIS.md) is the table, which this test writes and checks.

mod foreign;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use gce_auth_conformance::interop::{self, machine};
use gce_auth_emulator::{AdcKind, Emulator, RecordedRequest, User};
use serde_json::Value;

const TARGET: &str = "target@interop-project.iam.gserviceaccount.com";
const DELEGATE: &str = "delegate@interop-project.iam.gserviceaccount.com";
/// What the emulator says of its APIs.
const DESCRIPTION: &str = include_str!("../../gce-auth-emulator/src/control/cloud_openapi.json");
const TOKEN_INFO: &str = "tokeninfo";

/// What no library sends, with the reason: the end of a path, a parameter or status of its methods.
const UNSENT: [(&str, &str, &str, &str); 9] = [
    (
        "GET",
        TOKEN_INFO,
        "id_token",
        "sent by hand; google-api-python-client sends it with POST",
    ),
    (
        "GET",
        TOKEN_INFO,
        "resource",
        "the emulator's own, for fake storage servers",
    ),
    (
        "GET",
        TOKEN_INFO,
        "permission",
        "the emulator's own, for fake storage servers",
    ),
    (
        "GET",
        TOKEN_INFO,
        "list_prefix",
        "the emulator's own, for fake storage servers",
    ),
    (
        "POST",
        TOKEN_INFO,
        "resource",
        "the emulator's own, for fake storage servers",
    ),
    (
        "POST",
        TOKEN_INFO,
        "permission",
        "the emulator's own, for fake storage servers",
    ),
    (
        "POST",
        TOKEN_INFO,
        "list_prefix",
        "the emulator's own, for fake storage servers",
    ),
    (
        "POST",
        TOKEN_INFO,
        "access_token",
        "in the header where google-auth-library for Node sends it",
    ),
    (
        "POST",
        TOKEN_INFO,
        "id_token",
        "to v2 alone, where google-api-python-client sends it",
    ),
];

/// Errors that no request brings about.
const INTERNAL: [&str; 2] = ["INTERNAL", "internal_failure"];

/// One method of a path, and what was seen of it.
struct Operation {
    method: String,
    path: String,
    parameters: Vec<String>,
    statuses: Vec<String>,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    libraries: BTreeSet<&'static str>,
    parameters: BTreeSet<String>,
    statuses: BTreeSet<String>,
}

#[test]
fn each_path_parameter_and_error_is_asked_by_a_library_that_knows_it() {
    let clients = [
        interop::python(foreign::target(), "apis.py"),
        interop::node(foreign::target(), "apis.js"),
    ];
    let clients: Vec<_> = clients
        .into_iter()
        .map_while(interop::ready_or_skip)
        .collect();
    if clients.len() < 2 {
        return;
    }
    let emulator = emulator();
    let folder = files(&emulator);
    let mut versions = Vec::new();
    for client in &clients {
        let seen = foreign::run(
            client,
            &emulator,
            &[
                ("EMULATOR_URL", emulator.url()),
                ("ADC_FOLDER", folder.clone()),
                ("EMAIL", machine::EMAIL.to_owned()),
                ("TARGET", TARGET.to_owned()),
                ("DELEGATE", DELEGATE.to_owned()),
                ("NUMBER", machine::NUMBER.to_string()),
                ("REAUTH", "1//eve".to_owned()),
            ],
        );
        let version = |it: &Value| {
            Some(format!(
                "{} {}",
                it["name"].as_str()?,
                it["version"].as_str()?
            ))
        };
        versions.extend(seen.all("library").filter_map(version));
    }
    let description: Value = serde_json::from_str(DESCRIPTION).expect("it is JSON");
    let mut operations = operations(&description);
    let mut errors = BTreeMap::new();
    for request in emulator.requests() {
        note(&mut operations, &mut errors, &request);
    }
    let missing: Vec<String> = operations.iter().flat_map(missing).collect();
    assert!(missing.is_empty(), "no library asked for {missing:#?}");
    let unsent: Vec<String> = declared_errors(&description)
        .into_iter()
        .filter(|error| !errors.contains_key(error) && !INTERNAL.contains(&error.as_str()))
        .collect();
    assert!(unsent.is_empty(), "no library was given {unsent:?}");
    interop::settle_page("APIS.md", &page(&versions, &operations, &errors));
}

/// The emulator of all that can be asked for, in strict mode.
fn emulator() -> Emulator {
    let pool = format!(
        "iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/emulator",
        machine::NUMBER
    );
    let user = |email: &str, token: &str| User::new(email, "client", "secret", token);
    foreign::emulator()
        .set("universe/universe-domain", "googleapis.com")
        .strict(true)
        .user(user("ada@example.com", "1//ada"))
        .user(user("gone@example.com", "1//gone"))
        .user(user("eve@example.com", "1//eve").reauthentication("proof"))
        .user(User::new(
            "bob@example.com",
            "another",
            "secret",
            "1//other",
        ))
        .service_account(TARGET)
        .service_account(DELEGATE)
        .impersonation(format!("principalSet://{pool}/*"), DELEGATE)
        .impersonation(DELEGATE, TARGET)
        .impersonation(machine::EMAIL, "*")
        .start()
        .expect("an emulator starts")
}

/// A file of each kind; returns their folder.
fn files(emulator: &Emulator) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apis");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    for kind in AdcKind::ALL {
        let text = emulator.adc(kind).expect("there is an account");
        fs::write(folder.join(format!("{kind}.json")), text).expect("the folder was made");
    }
    folder.to_string_lossy().into_owned()
}

fn operations(description: &Value) -> Vec<Operation> {
    let paths = description["paths"].as_object().expect("there are paths");
    let mut all = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            let named = operation["parameters"].as_array().into_iter().flatten();
            let mut parameters: Vec<String> = named
                .filter(|parameter| parameter["in"] == "query")
                .filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned()))
                .collect();
            let bodies = operation["requestBody"]["content"].as_object();
            for body in bodies.into_iter().flat_map(|bodies| bodies.values()) {
                let properties = body["schema"]["properties"].as_object();
                parameters.extend(properties.into_iter().flat_map(|map| map.keys().cloned()));
            }
            let responses = operation["responses"].as_object().expect("it has answers");
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters,
                statuses: responses.keys().cloned().collect(),
                seen: Seen::default(),
            });
        }
    }
    assert!(all.len() > 30, "only {} operations were read", all.len());
    all
}

/// The errors that the description names, of both shapes.
fn declared_errors(description: &Value) -> Vec<String> {
    let schemas = &description["components"]["schemas"];
    let oauth = &schemas["OAuthError"]["properties"];
    let api = &schemas["ApiError"]["properties"]["error"]["properties"]["status"];
    let lists = [&oauth["error"], &oauth["error_subtype"], api];
    let names = lists
        .into_iter()
        .flat_map(|list| list["enum"].as_array().expect("it is a list"));
    names
        .map(|name| name.as_str().expect("it is a text").to_owned())
        .collect()
}

/// Whether a path is of this form: `{name}` stands for a part without a slash or a colon.
fn fits(form: &str, path: &str) -> bool {
    let Some((before, rest)) = form.split_once('{') else {
        return form == path;
    };
    let (_, after) = rest.split_once('}').expect("the brace is closed");
    path.strip_prefix(before).is_some_and(|rest| {
        let end = rest.find(['/', ':']).unwrap_or(rest.len());
        end > 0 && fits(after, &rest[end..])
    })
}

/// Takes a request to its operation, and the error that it got.
fn note(
    operations: &mut [Operation],
    errors: &mut BTreeMap<String, BTreeSet<&'static str>>,
    request: &RecordedRequest,
) {
    let Some(library) = library(request) else {
        return;
    };
    let path = request.path.replace("%40", "@");
    let Some(operation) = operations
        .iter_mut()
        .find(|it| it.method == request.method && fits(&it.path, &path))
    else {
        return;
    };
    let body = request.body.as_deref().unwrap_or_default();
    let json = serde_json::from_str::<Value>(body).ok();
    let form = if json.is_some() { "" } else { body };
    let pairs = request.query.split('&').chain(form.split('&'));
    let sent = pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
    operation.seen.parameters.extend(sent);
    let members = json.as_ref().and_then(Value::as_object);
    let members = members.into_iter().flat_map(|members| members.keys());
    for name in members {
        // Google's transcoding takes both spellings.
        operation
            .seen
            .parameters
            .extend([name.clone(), snake_case(name)]);
    }
    operation.seen.libraries.insert(library);
    operation
        .seen
        .statuses
        .extend(request.status.map(|status| status.to_string()));
    let answer = request
        .answer
        .as_ref()
        .and_then(|answer| answer.body.as_deref());
    let answer: Value = serde_json::from_str(answer.unwrap_or_default()).unwrap_or_default();
    let names = [
        &answer["error"],
        &answer["error_subtype"],
        &answer["error"]["status"],
    ];
    for name in names.into_iter().filter_map(Value::as_str) {
        errors.entry(name.to_owned()).or_default().insert(library);
    }
}

/// The library that sent a request, by what it says of itself.
fn library(request: &RecordedRequest) -> Option<&'static str> {
    let agent = request.header("user-agent").unwrap_or_default();
    let api = request.header("x-goog-api-client").unwrap_or_default();
    Some(match () {
        () if api.contains("gdcl/") => "google-api-python-client",
        () if agent.contains("google-api-nodejs-client") => "google-auth-library",
        () if agent.starts_with("requests_oauth2client") => "requests_oauth2client",
        () if agent.contains("httplib2") || agent.contains("oauth2client") => "oauth2client",
        () if agent.starts_with("Python-urllib") => "pyjwt",
        () if api.contains("auth/") || agent.starts_with("python-requests") => "google-auth",
        () => return None,
    })
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, character| {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
        text
    })
}

/// Why no library sends this, if there is a reason.
fn reason(operation: &Operation, part: &str) -> Option<&'static str> {
    let here = |(method, path, name, _): &&(&str, &str, &str, &str)| {
        operation.method == *method && operation.path.ends_with(path) && part == *name
    };
    UNSENT.iter().find(here).map(|(.., why)| *why)
}

fn missing(operation: &Operation) -> Vec<String> {
    let Operation {
        method, path, seen, ..
    } = operation;
    let mut missing = Vec::new();
    for (all, seen) in [
        (&operation.parameters, &seen.parameters),
        (&operation.statuses, &seen.statuses),
    ] {
        let unseen = all.iter().filter(|part| !seen.contains(*part));
        let unseen = unseen.filter(|part| reason(operation, part).is_none());
        missing.extend(unseen.map(|part| format!("{method} {path}: {part}")));
    }
    missing
}

fn page(
    versions: &[String],
    operations: &[Operation],
    errors: &BTreeMap<String, BTreeSet<&'static str>>,
) -> String {
    let mut page = format!(
        "# Google's APIs beside the metadata server\n\n\
         Which library of others asked for each path, with which parameters, and which answers it \
         got, in strict mode: {}. Written by the test that runs them, which fails when an operation, \
         a parameter or an error of the OpenAPI description is asked by none:\n\n\
         ```sh\nGCE_AUTH_CLIENTS=write cargo test -p gce-auth-conformance --test apis\n```\n\n\
         403 of a path without accounts is the guard's: the request came through a proxy.\n\n\
         | path | asked by | parameters | answers |\n| --- | --- | --- | --- |\n",
        versions.join(", ")
    );
    let list = |parts: &[&str]| {
        if parts.is_empty() {
            "–".to_owned()
        } else {
            parts.join(", ")
        }
    };
    for operation in operations {
        let Operation {
            method, path, seen, ..
        } = operation;
        let libraries: Vec<&str> = seen.libraries.iter().copied().collect();
        let sent = |part: &&str| seen.parameters.contains(*part) || seen.statuses.contains(*part);
        let parameters: Vec<&str> = operation
            .parameters
            .iter()
            .map(String::as_str)
            .filter(sent)
            .collect();
        let statuses: Vec<&str> = operation
            .statuses
            .iter()
            .map(String::as_str)
            .filter(sent)
            .collect();
        let _ = writeln!(
            page,
            "| `{method} {path}` | {} | {} | {} |",
            list(&libraries),
            list(&parameters),
            list(&statuses)
        );
    }
    page.push_str("\n| error | given to |\n| --- | --- |\n");
    for (error, libraries) in errors {
        let libraries: Vec<&str> = libraries.iter().copied().collect();
        let _ = writeln!(page, "| `{error}` | {} |", libraries.join(", "));
    }
    page.push_str("\nNo library sends:\n\n");
    for operation in operations {
        for part in operation.parameters.iter().chain(&operation.statuses) {
            let sent =
                operation.seen.parameters.contains(part) || operation.seen.statuses.contains(part);
            if let Some(why) = reason(operation, part).filter(|_| !sent) {
                let _ = writeln!(
                    page,
                    "- `{} {}`, `{part}`: {why}",
                    operation.method, operation.path
                );
            }
        }
    }
    page
}
