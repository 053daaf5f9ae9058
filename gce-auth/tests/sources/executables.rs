//! Executables that give subject tokens: what they are told, and how their
//! answers and their output files are read.

#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "programs run in real time")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_executor::block_on;
use gce_auth::{
    Credentials, DefaultOptions, Error, ErrorKind, MetadataClient, RetryPolicy,
    testing::{Reply, ScriptedTransport, set_variable},
};
use serde_json::{Value, json};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A folder with an executable, and what the token exchange was asked.
struct Program {
    folder: PathBuf,
    transport: Arc<ScriptedTransport>,
    exact: bool,
}

impl Program {
    /// `script` is a shell's; `$OUT` is the output file.
    fn new(name: &str, script: &str) -> Self {
        set_variable("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", Some("1"));
        let name = format!("gce-auth-executables-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let script = format!("#!/bin/sh\nOUT={}/out\n{script}\n", folder.display());
        let path = folder.join("program");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let replies = [(); 8].map(|()| Reply::token("exchanged", 3600));
        Self {
            folder,
            transport: Arc::new(ScriptedTransport::new(replies)),
            exact: false,
        }
    }

    fn printing(name: &str, answer: &Value) -> Self {
        Self::new(name, &format!("printf '%s' '{answer}'"))
    }

    fn document(&self) -> Value {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/a",
            "subject_token_type": JWT, "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"executable": {
                "command": self.folder.join("program"),
                "output_file": self.folder.join("out"),
            }},
        })
    }

    fn write(&self, answer: &str) {
        let path = self.folder.join("out");
        fs::write(&path, answer).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn credentials(&self, document: &Value) -> Credentials {
        let client = MetadataClient::builder()
            .endpoint("metadata")
            .transport(Arc::clone(&self.transport) as _)
            .exact_freshness(self.exact);
        let options = DefaultOptions::new()
            .client(client.build().unwrap())
            .shared(false);
        options
            .load_json(&document.to_string())
            .unwrap()
            .credentials
    }

    /// The subject token that the exchange got.
    fn subject(&self, document: &Value) -> Result<String, Error> {
        self.credentials(document).blocking_token()?;
        let requests = self.transport.requests();
        let exchange = requests.iter().rfind(|it| it.uri().path() == "/v1/token");
        let body = String::from_utf8(exchange.unwrap().body().clone()).unwrap();
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        let mut tokens = pairs.filter(|(name, _)| *name == "subject_token");
        Ok(tokens.next().unwrap().1.to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn answer(token: &str) -> Value {
    json!({"version": 1, "success": true, "token_type": JWT, "id_token": token})
}

/// One that may be used again.
fn lasting(token: &str) -> Value {
    let mut answer = answer(token);
    answer["expiration_time"] = 4_000_000_000_u64.into();
    answer
}

#[test]
fn an_output_file_that_is_no_answer_is_passed_over() {
    for (number, old) in [
        "{",
        "",
        &answer("without-an-end").to_string(),
        r#"{"version":2}"#,
        r#"{"version":1,"success":false,"code":null,"message":[]}"#,
    ]
    .iter()
    .enumerate()
    {
        let program = Program::printing(&format!("old-{number}"), &answer("printed"));
        program.write(old);
        let subject = program.subject(&program.document());
        assert_eq!(subject.unwrap(), "printed", "{old}");
    }
    let program = Program::printing("folder", &answer("printed"));
    fs::create_dir(program.folder.join("out")).unwrap();
    assert_eq!(program.subject(&program.document()).unwrap(), "printed");
}

#[test]
fn an_output_file_that_is_another_document_is_an_error() {
    for (number, old) in [
        "[]",
        "5",
        "null",
        r#""version""#,
        "{}",
        r#"{"version":"1"}"#,
    ]
    .iter()
    .enumerate()
    {
        let program = Program::printing(&format!("other-{number}"), &answer("printed"));
        program.write(old);
        let error = program.subject(&program.document()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{old}: {error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn an_output_file_stands_in_for_an_answer_that_says_nothing() {
    let written = lasting("written");
    for (number, printed) in ["", "{}", "null", "[]", "0", "false"].iter().enumerate() {
        let script = format!("printf '%s' '{written}' > $OUT; chmod 600 $OUT; printf '{printed}'");
        let program = Program::new(&format!("silent-{number}"), &script);
        let subject = program.subject(&program.document());
        assert_eq!(subject.unwrap(), "written", "{printed}");
    }
    let program = Program::new("blank", &format!("printf '%s' '{written}' > $OUT; echo"));
    assert!(
        program.subject(&program.document()).is_err(),
        "a line is no JSON"
    );
}

#[test]
fn an_executable_is_told_what_aip_4117_says() {
    let script = format!(
        "printf '{{\"version\":1,\"success\":true,\"token_type\":\"{JWT}\",\"id_token\":\"%s\"}}' \
         \"$GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL.$GOOGLE_EXTERNAL_ACCOUNT_ID.\
         $GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE.$GOOGLE_EXTERNAL_ACCOUNT_REVOKE\"; echo warning >&2"
    );
    let mut program = Program::new("told", &script);
    let mut document = program.document();
    assert_eq!(program.subject(&document).unwrap(), "..0.0");
    document["service_account_impersonation_url"] =
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/t:generateAccessToken"
            .into();
    // IAM answers without a token of its own form.
    let _ = program.subject(&document);
    let requests = program.transport.requests();
    let body = String::from_utf8(requests[1].body().clone()).unwrap();
    assert!(body.contains("subject_token=t.t.0.0"), "{body}");
    // google-auth reads standard error, too: this is no JSON.
    program.exact = true;
    let error = program.subject(&program.document()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{error}");
}

#[test]
fn an_executable_needs_to_know_the_type_of_its_token() {
    let program = Program::printing("typeless", &answer("printed"));
    let mut document = program.document();
    document
        .as_object_mut()
        .unwrap()
        .remove("subject_token_type");
    let error = program.subject(&document).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("`subject_token_type`"),
        "{error}"
    );
    assert!(program.transport.requests().is_empty());
    // An empty one is none in the exchange.
    document["subject_token_type"] = "".into();
    assert_eq!(program.subject(&document).unwrap(), "printed");
    let body = program.transport.requests()[0].body().clone();
    assert!(
        !String::from_utf8(body)
            .unwrap()
            .contains("subject_token_type")
    );
}

#[test]
fn executables_that_hang_delay_no_other_for_the_same_provider() {
    // It answers when nothing waits for it any more, or the folder is gone.
    let hangs = Program::new(
        "hangs",
        "touch \"$OUT-begun-$$\"; while [ -e \"$OUT-wait\" ]; do sleep 1; done",
    );
    let answers = Program::printing("answers", &answer("printed"));
    let wait = hangs.folder.join("out-wait");
    fs::write(&wait, "").unwrap();
    let load = |program: &Program, budget| {
        let client = MetadataClient::builder()
            .endpoint("metadata")
            .transport(Arc::clone(&answers.transport) as _)
            .retry(RetryPolicy::new().budget(budget))
            .build();
        let options = DefaultOptions::new().client(client.unwrap()).shared(false);
        let command = format!("/bin/sh {}", program.folder.join("program").display());
        let mut document = program.document();
        document["credential_source"] =
            json!({"executable": {"command": command, "timeout_millis": 120_000}});
        options
            .load_json(&document.to_string())
            .unwrap()
            .credentials
    };
    thread::scope(|scope| {
        // More than the threads that one server has.
        for _ in 0..40 {
            let credentials = load(&hangs, Duration::from_secs(120));
            scope.spawn(move || block_on(credentials.token()).map(drop));
        }
        let begun = || {
            let files = fs::read_dir(&hangs.folder).unwrap();
            let names = files.map(|file| file.unwrap().file_name());
            names
                .filter(|name| name.to_string_lossy().starts_with("out-begun-"))
                .count()
        };
        let start = Instant::now();
        while begun() < 32 {
            assert!(start.elapsed() < Duration::from_secs(100), "{}", begun());
            thread::sleep(Duration::from_millis(20));
        }
        let token = block_on(load(&answers, Duration::from_secs(30)).token());
        let waited = wait.exists();
        fs::remove_file(&wait).unwrap();
        assert_eq!(token.unwrap().secret(), "exchanged");
        assert!(waited, "they hung all the while");
    });
}

#[test]
fn an_executable_that_hangs_takes_no_longer_than_the_operation_may() {
    let hangs = Program::new(
        "late",
        "touch \"$OUT-wait\"; while [ -e \"$OUT-wait\" ]; do sleep 1; done",
    );
    let client = MetadataClient::builder()
        .endpoint("metadata")
        .transport(Arc::clone(&hangs.transport) as _)
        .retry(RetryPolicy::new().budget(Duration::from_secs(3)))
        .build();
    let options = DefaultOptions::new().client(client.unwrap()).shared(false);
    let mut document = hangs.document();
    document["credential_source"]["executable"]["timeout_millis"] = 120_000.into();
    let found = options.load_json(&document.to_string()).unwrap();
    let other = found.credentials.impersonate("a@p.iam.gserviceaccount.com");
    let other = other.build().unwrap();
    let start = Instant::now();
    let error = other.blocking_sign_bytes(b"text").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?} of 120 s");
    assert!(hangs.transport.requests().is_empty());
}
