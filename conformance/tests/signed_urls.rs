//! Signed URLs, byte for byte: against the vectors that Google publishes for its own clients, and
//! against google-cloud-storage for Python.

mod foreign;
mod signing;

use std::{collections::BTreeMap, fs, time::Duration};

use gce_auth::StorageUrl;
use gce_auth_conformance::interop;
use gce_auth_emulator::{Account, Emulator};
use serde_json::{Value, json};

const UNIVERSE: &str = "googleapis.com";

/// An emulator whose IAM signs with a key that is known here.
fn emulator(folder: &str, key: Option<&str>, email: &str) -> (Emulator, String) {
    let folder = signing::keys_directory(folder);
    let file = folder.join("signing-key.pem");
    if let Some(key) = key {
        fs::write(&file, key).expect("the target folder can be written");
    }
    let emulator = Emulator::builder()
        .account(Account::new(email))
        .keys_directory(folder)
        .start()
        .expect("an emulator starts");
    (
        emulator,
        fs::read_to_string(file).expect("the key is there"),
    )
}

/// The members of an object of texts.
fn pairs(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    let members = object.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
}

/// What a vector wishes for, in this library's words.
fn wish(vector: &Value) -> StorageUrl {
    let text = |name: &str| vector[name].as_str();
    let bucket = text("bucket").unwrap_or_default();
    let mut wish = match text("object") {
        Some(object) => StorageUrl::object(bucket, object),
        None => StorageUrl::bucket(bucket),
    };
    let method = text("method").and_then(|method| method.parse().ok());
    wish = wish
        .method(method.expect("every vector has a method"))
        .lifetime(Duration::from_secs(
            vector["expiration"].as_u64().unwrap_or_default(),
        ));
    for (name, value) in pairs(&vector["headers"]) {
        wish = wish.header(name, value);
    }
    for (name, value) in pairs(&vector["queryParameters"]) {
        wish = wish.query(name, value);
    }
    let scheme = text("scheme").unwrap_or("https");
    let url = |host: &str| {
        if host.contains("://") {
            host.to_owned()
        } else {
            format!("{scheme}://{host}")
        }
    };
    // Where several are named, as a client knows several, this is the order.
    let named = ["hostname", "clientEndpoint", "emulatorHostname"];
    if let Some(host) = named.into_iter().find_map(text) {
        wish = wish.endpoint(url(host));
    }
    match text("urlStyle") {
        Some("VIRTUAL_HOSTED_STYLE") => wish.virtual_hosted(true),
        Some("BUCKET_BOUND_HOSTNAME") => {
            wish.bucket_bound(url(text("bucketBoundHostname").unwrap_or_default()))
        }
        _ => wish,
    }
}

/// All vectors of URLs. The POST policies in the same file are HTML forms, which the library does
/// not make.
#[test]
fn google_s_vectors_are_signed_as_google_signs_them() {
    let Some(vectors) = interop::ready_or_skip(interop::vectors()) else {
        return;
    };
    let (emulator, _) = emulator("vectors", Some(&vectors.private_key), &vectors.email);
    let urls = vectors.document["signingV4Tests"].as_array();
    let urls = urls.expect("the vectors are a list");
    let mut wrong = Vec::new();
    for vector in urls {
        let now = signing::seconds(vector["timestamp"].as_str().unwrap_or_default());
        let universe = vector["universeDomain"].as_str().unwrap_or(UNIVERSE);
        let signed = signing::signer(&emulator, now, universe).blocking_sign_url(&wish(vector));
        let expected = vector["expectedUrl"].as_str().unwrap_or_default();
        match signed {
            Ok(url) if url.secret() == expected => {}
            Ok(url) => wrong.push(format!(
                "{}:\n  {}\n  {expected}",
                vector["description"],
                url.secret()
            )),
            Err(error) => wrong.push(format!("{}: {error}", vector["description"])),
        }
    }
    println!(
        "{} of {} vectors are equal",
        urls.len() - wrong.len(),
        urls.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(urls.len(), 29);
}

/// Wishes, in the words of the vectors.
fn cases() -> Vec<Value> {
    let object = |more: Value| {
        let mut case = json!({
            "bucket": "bucket-1", "object": "a dir/ö+&~'()*!.txt", "method": "GET",
            "expiration": 600,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            case[name] = value.clone();
        }
        case
    };
    let mut cases: Vec<Value> = ["GET", "HEAD", "PUT", "DELETE", "POST"]
        .map(|method| object(json!({ "method": method })))
        .to_vec();
    cases.extend([1, 60, 604_800].map(|seconds| object(json!({ "expiration": seconds }))));
    cases.extend(
        [
            "a",
            "a b",
            "a//b/",
            "/a",
            "日本語",
            "100%",
            "a?b#c",
            "..",
            "a:b@c",
            "tab\tand\nline",
        ]
        .map(|name| object(json!({ "object": name }))),
    );
    cases.extend(
        [
            json!({"headers": {"Content-Type": "text/plain; charset=utf-8"}}),
            json!({"headers": {"x-goog-meta-b": "  1  2 ", "X-Goog-Meta-A": "c,d"}}),
            json!({"headers": {"x-goog-content-sha256": "ab".repeat(32)}, "method": "PUT"}),
            json!({"headers": {"x-goog-resumable": "start"}, "method": "POST"}),
            json!({"queryParameters": {"generation": "1234567890"}}),
            json!({"queryParameters": {
                "response-content-disposition": "attachment; filename=\"a b.txt\"",
                "response-content-type": "text/plain",
            }}),
            json!({"queryParameters": {"X-Goog-Meta-Foo": "bar", "prefix": "/x y", "a~b": "~"}}),
            json!({"queryParameters": {"é": "1", "Z": "2"}}),
            json!({"queryParameters": {"a": "1", "a-b": "2"}}),
            json!({"urlStyle": "VIRTUAL_HOSTED_STYLE"}),
            json!({"urlStyle": "BUCKET_BOUND_HOSTNAME", "bucketBoundHostname": "cdn.example.com"}),
            json!({"urlStyle": "BUCKET_BOUND_HOSTNAME", "bucketBoundHostname": "cdn.example.com",
                   "scheme": "http"}),
            json!({"clientEndpoint": "https://storage.private.example"}),
            json!({"clientEndpoint": "http://localhost:9023"}),
        ]
        .map(object),
    );
    let bucket = json!({"bucket": "bucket-1", "method": "GET", "expiration": 900});
    cases.push(bucket.clone());
    let mut listed = bucket;
    listed["queryParameters"] = json!({"prefix": "a/", "delimiter": "/"});
    cases.push(listed);
    cases
}

/// Whether google-cloud-storage signs a case in another way than Google's vectors want it. It signs
/// the port with the host, which the vectors leave out; and it sorts `name=value` where the
/// canonical request wants names sorted, which is not the same where one name begins with another.
fn is_known_to_differ(case: &Value) -> bool {
    let endpoint = case["clientEndpoint"].as_str().unwrap_or_default();
    endpoint.ends_with(":9023") || !case["queryParameters"]["a-b"].is_null()
}

#[test]
fn google_cloud_storage_signs_the_same() {
    let client = interop::python(foreign::target(), "signed_urls.py");
    let Some(client) = interop::ready_or_skip(client) else {
        return;
    };
    let email = "signer@interop-project.iam.gserviceaccount.com";
    let (emulator, key) = emulator("signed-urls", None, email);
    let cases = cases();
    let task = signing::keys_directory("signed-urls-task").join("cases.json");
    let text = json!({"cases": cases, "email": email, "private_key": key});
    fs::write(&task, text.to_string()).expect("the target folder can be written");
    let seen = client
        .run([("CASES", task)], Duration::from_secs(120))
        .unwrap_or_else(|failure| panic!("{failure}"));
    let urls: BTreeMap<u64, &str> = seen
        .all("signed_url")
        .filter_map(|step| Some((step["case"].as_u64()?, step["url"].as_str()?)))
        .collect();
    assert_eq!(urls.len(), cases.len());

    let (mut equal, mut wrong) = (0, Vec::new());
    for (case, (_, theirs)) in cases.iter().zip(&urls) {
        // Their clock is the machine's, and says in the URL what it was.
        let made = theirs.split("X-Goog-Date=").nth(1);
        let made = made.and_then(|rest| rest.split('&').next());
        let now = signing::seconds(made.expect("a signed URL says when"));
        let signer = signing::signer(&emulator, now, UNIVERSE);
        let ours = signer.blocking_sign_url(&wish(case));
        let ours = ours.unwrap_or_else(|error| panic!("{case}: {error}"));
        equal += usize::from(ours.secret() == *theirs);
        if (ours.secret() == *theirs) == is_known_to_differ(case) {
            wrong.push(format!(
                "{case}:\n  ours   {}\n  theirs {theirs}",
                ours.secret()
            ));
        }
    }
    println!("{equal} of {} URLs are equal", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.len() - equal, 2);
}
