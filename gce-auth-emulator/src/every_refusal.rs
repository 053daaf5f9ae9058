//! Every refusal that the code can give has a cause, and a nearest thing that would have worked.
//! The refusals are read from the code: a new one without a row of its own fails here.

use std::{fs, path::Path, time::SystemTime};

use gce_auth_server::protocol::{Method, Reply, hosts::AllowedHosts, pages};
use serde_json::Value;

use crate::{
    cloud::errors,
    explain::{Facts, explain},
    policy::settings::Settings,
    profiles::{self, Profile},
    recorded_request::{Explanation, RecordedAnswer, RecordedRequest},
};

/// Where the emulator refuses requests, apart from control requests.
const FILES: [&str; 17] = [
    "src/access.rs",
    "src/credential.rs",
    "src/guest_attributes.rs",
    "src/oslogin.rs",
    "src/cloud/aws.rs",
    "src/cloud/call.rs",
    "src/cloud/endpoint.rs",
    "src/cloud/iam.rs",
    "src/cloud/oauth.rs",
    "src/cloud/oidc.rs",
    "src/cloud/project.rs",
    "src/cloud/self_signed.rs",
    "src/cloud/sts.rs",
    "src/cloud/subject.rs",
    "src/cloud/tokeninfo.rs",
    "src/policy/boundary.rs",
    "src/policy/users.rs",
];
/// Where its server does.
const FILES_OF_SERVER: [&str; 5] = [
    "../gce-auth-server/src/protocol/guard.rs",
    "../gce-auth-server/src/protocol/query.rs",
    "../gce-auth-server/src/protocol/render.rs",
    "../gce-auth-server/src/protocol/route.rs",
    "../gce-auth-server/src/protocol/pages.rs",
];

/// A file without its tests and its comments.
fn code(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The texts in each call of this function, with `x` for what they format.
fn calls(code: &str, function: &str) -> Vec<Vec<String>> {
    calls_without(code, function, "\0")
}

/// As [`calls`], of those in which this does not stand.
fn calls_without(code: &str, function: &str, part: &str) -> Vec<Vec<String>> {
    let call = format!("{function}(");
    let begins = |at: usize| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
            && !code[..at].ends_with("fn ")
    };
    code.match_indices(&call)
        .filter(|(at, _)| begins(*at))
        .map(|(at, _)| texts(&code[at + call.len()..]))
        .filter(|(_, code)| !code.contains(part))
        .map(|(texts, _)| texts)
        .collect()
}

/// The texts up to the parenthesis that closes, and all up to there.
fn texts(code: &str) -> (Vec<String>, &str) {
    let (mut depth, mut found) = (1, Vec::<String>::new());
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            // A letter in quotes may be one of these.
            '\'' if letters.clone().nth(1) == Some('\'') => drop(letters.nth(1)),
            '"' => {
                let mut text = String::new();
                while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                    match letter {
                        '\\' if letters.peek() == Some(&'\n') => {
                            while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
                        }
                        '\\' => text.extend(letters.next()),
                        '{' if letters.next_if_eq(&'{').is_some() => text.push('{'),
                        '{' => {
                            text.push('x');
                            while letters.next().is_some_and(|letter| letter != '}') {}
                        }
                        other => text.push(other),
                    }
                }
                // What joins others is no text of its own.
                if !text.starts_with([' ', ',']) {
                    found.push(text);
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let rest = letters.map(char::len_utf8).sum::<usize>();
    (found, &code[..code.len() - rest])
}

/// The refusals of one file: each an answer.
fn refusals(file: &str) -> Vec<Reply> {
    let code = code(file);
    let mut found = Vec::new();
    let mut each = |function: &str, reply: &dyn Fn(&str) -> Reply| {
        for texts in calls(&code, function) {
            found.extend(
                texts
                    .iter()
                    .filter(|text| !text.is_empty())
                    .map(|text| reply(text)),
            );
        }
    };
    each("bad_request", &pages::bad_request);
    each("forbidden", &pages::forbidden);
    each("errors::invalid", &errors::invalid);
    each("errors::not_found", &errors::not_found);
    each("errors::invalid_request", &errors::invalid_request);
    each("errors::invalid_grant", &errors::invalid_grant);
    each("errors::invalid_client", &errors::invalid_client);
    each("errors::missing", &errors::missing);
    each("errors::permission_denied", &errors::permission_denied);
    if file.contains("/cloud/") || file.contains("boundary") {
        // Texts on the way to one of these.
        let shape: &dyn Fn(&str) -> Reply = match file {
            "src/policy/boundary.rs" => &errors::invalid_request,
            _ => &errors::invalid_grant,
        };
        for function in ["refused", "Err", "ok_or", "mismatch"] {
            // Calls that make a refusal themselves are read above.
            for texts in calls_without(&code, function, "errors::") {
                let sentences = texts.iter().filter(|text| text.contains(' '));
                found.extend(sentences.map(|text| shape(text)));
            }
        }
    }
    for texts in calls(&code, "errors::oauth") {
        if let [error, description] = texts.as_slice() {
            found.push(errors::oauth(400, error, description));
        }
    }
    found
}

/// Those whose text is none of the call's.
fn others() -> Vec<Reply> {
    let path = "/computeMetadata/v1/x";
    vec![
        pages::forwarded(),
        pages::host_refused("x.example.com"),
        pages::browser_refused(),
        pages::flavor_missing(),
        pages::gke_flavor_missing(),
        pages::legacy("/computeMetadata/v1beta1/instance/id"),
        pages::not_found(path),
        pages::guest_attributes_off(),
        pages::unconfigured(),
        pages::method_not_allowed("BREW", path, "GET"),
        pages::too_large(),
        pages::iam_refused(403, "access token", "iam.serviceAccounts.getAccessToken"),
        pages::iam_refused(404, "ID token", "iam.serviceAccounts.getOpenIdToken"),
        pages::not_annotated(),
        pages::add_slash("http://metadata", path, ""),
        errors::no_method(),
        errors::unauthenticated(true),
        errors::unauthenticated(false),
        errors::insufficient_scopes("iamcredentials.googleapis.com", "x"),
        errors::reauthentication("rapt_required"),
    ]
}

/// The explanation of an answer to a request that was fit for it.
fn explanation(reply: &Reply) -> Option<Explanation> {
    let body = String::from_utf8(reply.body.to_vec()).unwrap();
    let path = match serde_json::from_str::<Value>(&body) {
        Ok(body) if body["error"].is_object() => "/v1/projects/-/serviceAccounts/x:signJwt",
        Ok(_) => "/v1/token",
        Err(_) if body.contains("Legacy") => "/computeMetadata/v1beta1/instance/id",
        Err(_) => "/computeMetadata/v1/instance/service-accounts/default/x",
    };
    let headers = [("host", "x.example.com"), ("x-forwarded-for", "192.0.2.1")];
    let request = RecordedRequest {
        method: Method::Get.as_str().into(),
        path: path.into(),
        query: String::new(),
        headers: headers
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        status: Some(reply.status),
        answer: Some(RecordedAnswer {
            body_length: body.len(),
            body: Some(body),
            ..RecordedAnswer::default()
        }),
        body_length: 0,
        body: None,
        body_base64: None,
        id: 1,
        time: SystemTime::UNIX_EPOCH,
        peer: None,
        process: None,
        duration: None,
        fault: None,
        explanation: None,
        hint: None,
        fault_id: None,
        web_tokens: "[]".into(),
    };
    let document = profiles::document(Profile::Gce, &profiles::Facts::new(None, None, Vec::new()));
    let facts = Facts {
        document: &document,
        hosts: &AllowedHosts::default(),
        settings: &Settings::default(),
    };
    explain(&request, &facts)
}

#[test]
fn every_refusal_has_a_cause_and_something_that_works() {
    let read: Vec<Reply> = FILES
        .iter()
        .chain(&FILES_OF_SERVER)
        .flat_map(|file| refusals(file))
        .collect();
    assert!(read.len() > 100, "only {} refusals were read", read.len());
    let mut unexplained = Vec::new();
    for reply in read.iter().chain(&others()) {
        assert!((300..500).contains(&reply.status), "{}", reply.status);
        let found = explanation(reply);
        let whole = found.is_some_and(|it| !it.why.is_empty() && it.instead.is_some());
        if !whole {
            unexplained.push(String::from_utf8_lossy(&reply.body).into_owned());
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

/// Each function that makes a refusal is called above, and none is made without one.
#[test]
fn no_refusal_is_made_otherwise() {
    let this = include_str!("every_refusal.rs");
    for file in [
        "../gce-auth-server/src/protocol/pages.rs",
        "src/cloud/errors.rs",
    ] {
        for line in code(file).lines() {
            let name = line
                .split_once("fn ")
                .map(|(_, rest)| rest.split('(').next().unwrap());
            let Some(name) = name.filter(|_| line.contains("-> Reply")) else {
                continue;
            };
            // Failures of the server, and of its users' making.
            let other = [
                "internal",
                "backend_failed",
                "bad_gateway",
                "status",
                "page",
                "google",
            ];
            let other =
                other.contains(&name) || ["unsigned", "no_randomness", "denied"].contains(&name);
            assert!(
                other || this.contains(&format!("::{name}")),
                "{file}: {name}"
            );
        }
    }
    let mut all = FILES.to_vec();
    all.extend([
        "src/dispatch.rs",
        "src/read.rs",
        "src/token_source.rs",
        "src/cloud/dispatch.rs",
    ]);
    for file in all {
        let code = code(file);
        for made in ["Reply::new", "Reply::cloud"] {
            for (at, _) in code.match_indices(made) {
                let rest = code[at + made.len()..].trim_start_matches(['(', '\n', ' ']);
                assert!(
                    !rest.starts_with('4'),
                    "{file}: {}",
                    &rest[..rest.len().min(60)]
                );
            }
        }
    }
}

/// The refusals of control requests are not explained: they say themselves what is wrong.
#[test]
fn refused_control_requests_say_why() {
    const MADE: &str = "Reply::control(";
    let mut refusals = 0;
    for file in ["src/access.rs", "src/control/mod.rs"] {
        let code = code(file);
        for (at, _) in code.match_indices(MADE) {
            let (texts, call) = texts(&code[at + MADE.len()..]);
            if call.trim_start().starts_with("200") {
                continue;
            }
            refusals += 1;
            assert!(texts.iter().any(|text| text == "error"), "{file}: {call}");
        }
    }
    assert!(refusals > 3, "only {refusals} refusals were read");
}
