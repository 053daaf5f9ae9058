//! Tokens that were tampered with, given to this library's verifier and to Google's own side by
//! side. `VERIFIERS.md` is what came of it: written by a run, and held against each one.

mod foreign;
#[path = "../../gce-auth/tests/forge/mod.rs"]
mod forge;
mod published;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Duration};

use forge::{AUDIENCE, Forge};
use gce_auth::{
    ErrorKind, IdTokenVerifier, IdTokenVerifierBuilder,
    time::{Clock as _, SystemClock},
};
use gce_auth_conformance::interop::{self, Client, Transcript};
use published::Published;
use serde_json::{Value, json};

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(120);
/// By how much wrong times are wrong: longer than a program takes, so that its clock changes
/// nothing.
const APART: u64 = 150;
const OURS: &str = "gce-auth";
const FOREIGN: [&str; 3] = [
    "google-auth",
    "google-auth with a JWK set",
    "google-auth-library",
];

/// A token, and what was done to it.
struct Case {
    area: &'static str,
    name: &'static str,
    token: String,
}

/// Those that are right, and those that were tampered with, of this moment.
fn cases() -> Vec<Case> {
    let now = SystemClock::new().now().wall.as_secs();
    let right = [("RS256", Forge::rsa_at(now)), ("ES256", Forge::ec_at(now))];
    let right = right.map(|(name, token)| Case {
        area: "nothing",
        name,
        token: token.token(),
    });
    let tampered = forge::table::tampered(now, APART).into_iter();
    right
        .into_iter()
        .chain(tampered.map(|it| Case {
            area: it.area,
            name: it.name,
            token: it.token,
        }))
        .collect()
}

/// Who accepted what: by verifier and by token.
type Verdicts = BTreeMap<(String, String), bool>;

/// This library's verdicts, with keys in both forms, which must agree.
fn ours(keys: &Published, verdicts: &mut Verdicts) {
    let built = |builder: IdTokenVerifierBuilder| builder.audience(AUDIENCE).build();
    let verifiers = [
        built(IdTokenVerifier::builder().jwks_url(keys.jwks_url())),
        built(IdTokenVerifier::builder().certs_url(keys.certs_url())),
    ]
    .map(|verifier| verifier.expect("nothing of it is senseless"));
    for case in cases() {
        let accepted =
            verifiers
                .each_ref()
                .map(|verifier| match verifier.blocking_verify(&case.token) {
                    Ok(_) => true,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Rejected, "{}: {error}", case.name);
                        false
                    }
                });
        assert_eq!(accepted[0], accepted[1], "{}", case.name);
        verdicts.insert((OURS.to_owned(), case.name.to_owned()), accepted[0]);
    }
}

/// The verdicts of a program, which is given the tokens of the moment.
fn theirs(client: &Client, keys: &Published, verdicts: &mut Verdicts) -> Transcript {
    let tokens: Vec<Value> = cases()
        .iter()
        .map(|case| json!({"name": case.name, "token": case.token}))
        .collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tampered.json");
    fs::write(&file, Value::from(tokens).to_string()).expect("the target folder can be written");
    let environment = [
        ("AUDIENCE", AUDIENCE.to_owned()),
        ("CERTS_URL", keys.certs_url()),
        ("JWKS_URL", keys.jwks_url()),
        ("TOKENS", file.to_string_lossy().into_owned()),
    ];
    let seen = client
        .run(environment, LIMIT)
        .unwrap_or_else(|failure| panic!("{failure}"));
    for step in seen.all("verified") {
        let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        let accepted = step["accepted"].as_bool().expect("a verdict is yes or no");
        verdicts.insert((text("verifier"), text("name")), accepted);
    }
    seen
}

fn version(seen: &Transcript, library: &str) -> String {
    let found = seen.all("library").find(|it| it["name"] == library);
    let version = found.and_then(|it| it["version"].as_str());
    version.expect("a program says what it is").to_owned()
}

fn page(versions: &[String], verdicts: &Verdicts) -> String {
    let cases = cases();
    let tampered = || cases.iter().filter(|case| case.area != "nothing");
    let columns = || [OURS].into_iter().chain(FOREIGN);
    let accepts =
        |verifier: &str, case: &Case| verdicts[&(verifier.to_owned(), case.name.to_owned())];
    let mut page = format!(
        "# Verifiers\n\n\
         Tokens that were tampered with, given to four verifiers with the same keys, audience and time: \
         {}, and this library's. Each is given as its documentation says, with its defaults. Written by the \
         test that runs them side by side, which fails when a run says something else than this page:\n\n\
         ```sh\nGCE_AUTH_CLIENTS=write cargo test -p gce-auth-conformance --test verifiers\n```\n\n\
         Times are wrong by {APART} s. google-auth-library allows clocks to be 300 s apart, \
         google-auth looks at neither `nbf`, `typ` nor `crit`, and PyJWT, to which google-auth leaves JWK sets, at \
         no issuer.\n\n",
        versions.join(", ")
    );
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    page.push_str(&line(
        ["tampered with", "token"]
            .into_iter()
            .chain(columns())
            .map(str::to_owned)
            .collect(),
    ));
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for case in &cases {
        let verdict = |verifier| {
            let accepted = accepts(verifier, case);
            let word = if accepted { "accepted" } else { "refused" };
            if accepted == (case.area == "nothing") {
                word.to_owned()
            } else {
                format!("**{word}**")
            }
        };
        let mut cells = vec![case.area.to_owned(), case.name.to_owned()];
        cells.extend(columns().map(verdict));
        page.push_str(&line(cells));
    }
    let _ = write!(
        page,
        "\nOf {} tampered tokens, accepted:\n\n",
        tampered().count()
    );
    for verifier in columns() {
        let accepted = tampered().filter(|case| accepts(verifier, case)).count();
        let _ = writeln!(page, "- {verifier}: {accepted}");
    }
    page
}

#[test]
fn no_tampered_token_is_accepted_here_whatever_others_do() {
    let clients = [
        interop::python(foreign::target(), "verify.py"),
        interop::node(foreign::target(), "verify.js"),
    ]
    .map(interop::ready_or_skip);
    let keys = Published::start();
    let mut verdicts = Verdicts::new();
    ours(&keys, &mut verdicts);
    let mut wrong = Vec::new();
    for case in cases() {
        let accepted = verdicts[&(OURS.to_owned(), case.name.to_owned())];
        if accepted != (case.area == "nothing") {
            wrong.push(case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(verdicts.len() > 80);

    let [Some(python), Some(node)] = clients else {
        return;
    };
    let python = theirs(&python, &keys, &mut verdicts);
    let node = theirs(&node, &keys, &mut verdicts);
    let versions = [
        format!("google-auth {} for Python", version(&python, "google-auth")),
        format!("PyJWT {}", version(&python, "pyjwt")),
        format!(
            "google-auth-library {} for Node",
            version(&node, "google-auth-library")
        ),
    ];
    for verifier in FOREIGN {
        for name in ["RS256", "ES256"] {
            let key = (verifier.to_owned(), name.to_owned());
            assert_eq!(
                verdicts.get(&key),
                Some(&true),
                "{verifier}: {name}\n{python:#?}"
            );
        }
    }
    assert_eq!(verdicts.len(), cases().len() * (1 + FOREIGN.len()));
    let page = page(&versions, &verdicts);
    println!("{page}");
    interop::settle_page("VERIFIERS.md", &page);
}
