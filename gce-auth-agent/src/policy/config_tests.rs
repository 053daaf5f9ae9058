use std::{io, path::Path};

use super::{
    config::{Config, ListenAt, SourceKind},
    system::{Machine, System},
};

/// One user, one group and one file.
#[derive(Debug)]
pub(super) struct Tiny;

pub(super) const BOUNDARY: &str = r#"{"accessBoundary":{"accessBoundaryRules":[{"availablePermissions":["inRole:roles/storage.objectViewer"],"availableResource":"//storage.googleapis.com/projects/_/buckets/b"}]}}"#;

impl System for Tiny {
    fn user(&self, name: &str) -> Option<u32> {
        (name == "www-data").then_some(33)
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "web").then_some(44)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/agent/boundary.json") => Ok(BOUNDARY.to_owned()),
            Some("/etc/agent/bad.json") => Ok("{}".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/agent/agent.toml"), 1000, &Tiny)
        .map_err(|error| error.to_string())
}

const RULE: &str = "[[rule]]\nname = \"r\"\n[rule.caller]\nuid = [1]\n[rule.allow]\n";

#[test]
fn the_example_of_the_guide_is_read() {
    let config = parse(
        r#"
source = "adc"
upstream = "169.254.169.254"
default = "deny"

[[listen]]
name = "pods"
tcp = "10.8.0.1:8174"
allow-from = ["10.8.0.0/14"]

[[listen]]
unix = "/run/gce-auth.sock"
mode = "0660"
group = "web"

[[rule]]
name = "web"
[rule.caller]
uid = [1000, "www-data"]
gid = ["web"]
exe = ["/usr/bin/web*"]
cgroup = ["/system.slice/web.service", "/kubepods/**/pod1234*/**"]
container = ["3f2a*"]
pod = ["1234-*"]
from = ["10.8.1.0/24"]
listener = ["pods"]
child-of = "exec"
[rule.allow]
accounts = ["default"]
as = "narrow@project.iam.gserviceaccount.com"
scopes = ["https://www.googleapis.com/auth/devstorage.read_only"]
audiences = ["https://*.run.app", "https://exact.example"]
max-lifetime = "15m"
metadata = ["instance/zone", "instance/attributes/app-*", "project/**"]
rate = "50/s"
boundary = "boundary.json"
deny = false

[[rule]]
"#,
    )
    .unwrap();
    assert_eq!(config.source, Some(SourceKind::Adc));
    for kind in [SourceKind::Metadata, SourceKind::Adc] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!(config.upstream.as_deref(), Some("169.254.169.254"));
    assert_eq!(config.listen[0].name, "pods");
    let unix = ListenAt::Unix {
        path: "/run/gce-auth.sock".into(),
        mode: Some(0o660),
        group: Some(44),
    };
    assert_eq!(config.listen[1].at, unix);
    let names = config.policy.rule_names();
    assert_eq!(
        names.iter().map(|it| &**it).collect::<Vec<_>>(),
        ["web", "rule-2"]
    );
    assert!(config.policy.lookup().processes);
    assert!(!parse("").unwrap().policy.lookup().processes);
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_remedy() {
    let rule = |rest: &str| format!("{RULE}{rest}\n");
    let caller = |rest: &str| format!("[[rule]]\n[rule.caller]\n{rest}\n");
    let listen = |rest: &str| format!("[[listen]]\n{rest}\n");
    for (text, at, parts) in [
        (
            "colour = 1".to_owned(),
            "1:1",
            &["`colour`", "`default`"][..],
        ),
        ("source = \"metadata".to_owned(), "1:", &["source"]),
        (
            "source = metadata".to_owned(),
            "1:10",
            &["source", "quoted"],
        ),
        (
            "source = \"adc\"\nsource = \"adc\"".to_owned(),
            "2:1",
            &["duplicate"],
        ),
        (
            "source = \"gcp\"".to_owned(),
            "1:10",
            &["`source`", "\"adc\""],
        ),
        ("default = \"none\"".to_owned(), "1:11", &["\"own-user\""]),
        ("default = 3".to_owned(), "1:11", &["default", "string"]),
        (
            "upstream = \"http://x/\"".to_owned(),
            "1:12",
            &["`upstream`", "HOST[:PORT]"],
        ),
        ("upstream = \"\"".to_owned(), "1:12", &["`upstream`"]),
        (
            "[rule]\nname = \"r\"".to_owned(),
            "1:1",
            &["rule", "list in brackets"],
        ),
        (
            listen("tcp = \"127.0.0.1:0\"\nport = 1"),
            "3:1",
            &["`port`"],
        ),
        (
            listen("tcp = \"127.0.0.1:99999\""),
            "2:7",
            &["`tcp`", "127.0.0.1:8174"],
        ),
        (listen("tcp = \"0.0.0.0:0\""), "2:7", &["allow-from"]),
        (
            listen("tcp = \"10.0.0.1:0\"\nallow-from = [\"10.0.0.0/33\"]"),
            "3:15",
            &["0 to 32"],
        ),
        (
            listen("tcp = \"127.0.0.1:0\"\nunix = \"/x\""),
            "3:8",
            &["not both"],
        ),
        (
            listen("tcp = \"127.0.0.1:0\"\nmode = \"0600\""),
            "3:8",
            &["`mode`"],
        ),
        (
            listen("unix = \"/x\"\nallow-from = [\"10.0.0.0/8\"]"),
            "3:15",
            &["`allow-from`"],
        ),
        (
            listen("unix = \"/x\"\nmode = \"0999\""),
            "3:8",
            &["0999", "\"0660\""],
        ),
        (listen("unix = \"/x\"\nmode = \"+660\""), "3:8", &["+660"]),
        (listen("unix = \"/x\"\nmode = \"1777\""), "3:8", &["1777"]),
        (
            listen("unix = \"/x\"\ngroup = \"nope\""),
            "3:9",
            &["no group \"nope\""],
        ),
        (listen("unix = \"\""), "2:8", &["`unix` is empty"]),
        (listen("name = \"x\""), "1:1", &["neither"]),
        (
            listen("name = \"x\"\nunix = \"/x\"\n[[listen]]\nname = \"x\"\nunix = \"/y\""),
            "4:1",
            &["two listeners"],
        ),
        (caller("uids = [1]"), "3:1", &["`uids`", "`uid`"]),
        (caller("uid = [-1]"), "3:", &["uid", "from 0"]),
        (caller("uid = [\"nope\"]"), "3:8", &["no user \"nope\""]),
        (caller("uid = 4"), "3:7", &["uid", "list in brackets"]),
        (caller("exe = [\"web\"]"), "3:8", &["`exe`", "slash"]),
        (
            caller("from = [\"pods\"]"),
            "3:9",
            &["`from`", "10.0.0.0/8"],
        ),
        (
            caller("child-of = \"bash\""),
            "3:12",
            &["`child-of`", "\"exec\""],
        ),
        (
            "[[rule]]\nname = \"none\"".to_owned(),
            "2:8",
            &["printable"],
        ),
        ("[[rule]]\nname = \"\"".to_owned(), "2:8", &["printable"]),
        (
            "[[rule]]\nname = \"a\\u0007\"".to_owned(),
            "2:8",
            &["printable"],
        ),
        (caller("container = [\"\"]"), "3:14", &["it is empty"]),
        (caller("pod = [\"\"]"), "3:8", &["it is empty"]),
        (format!("{RULE}{RULE}"), "7:8", &["two rules"]),
        (rule("audience = []"), "6:1", &["`audience`", "`audiences`"]),
        (
            rule("scopes = \"x\""),
            "6:10",
            &["scopes", "list in brackets"],
        ),
        (rule("scopes = [\"a b\"]"), "6:11", &["without spaces"]),
        (rule("scopes = [\"a,b\"]"), "6:11", &["without spaces"]),
        (rule("scopes = [\"\"]"), "6:11", &["without spaces"]),
        (rule("audiences = [\"\"]"), "6:14", &["it is empty"]),
        (rule("accounts = [\"\"]"), "6:13", &["`accounts`"]),
        (rule("accounts = [\"a b\"]"), "6:13", &["`accounts`"]),
        (rule("as = \"a/b@c.d\""), "6:6", &["e-mail"]),
        (rule("as = \"a@b\u{e9}.c\""), "6:6", &["e-mail"]),
        (rule("scopes = [\n  \"a\",\n  1,\n]"), "8:3", &["`scopes`"]),
        (
            rule("accounts = [\"a/b\"]"),
            "6:13",
            &["`accounts`", "\"default\""],
        ),
        (rule("as = \"me\""), "6:6", &["e-mail"]),
        (rule("as = \"@p.example\""), "6:6", &["e-mail"]),
        (rule("as = \"me@\""), "6:6", &["e-mail"]),
        (
            rule("metadata = [\"/instance/zone\"]"),
            "6:13",
            &["without a slash"],
        ),
        (rule("rate = \"fast\""), "6:8", &["`rate`", "/s or /m"]),
        (rule("max-lifetime = \"15m\""), "6:16", &["needs `as`"]),
        (
            rule("as = \"a@b.c\"\nmax-lifetime = \"soon\""),
            "7:16",
            &["`max-lifetime`", "15m"],
        ),
        (rule("deny = \"yes\""), "6:8", &["deny", "boolean"]),
        (
            rule("boundary = \"none.json\""),
            "6:12",
            &["/etc/agent/none.json", "cannot read"],
        ),
        (
            rule("boundary = \"bad.json\""),
            "6:12",
            &["accessBoundaryRules"],
        ),
        ("a.a.a = {".repeat(60), "1:1", &["nested too deeply"]),
    ] {
        let why = parse(&text).unwrap_err();
        let begins = format!("/etc/agent/agent.toml:{at}");
        assert!(why.starts_with(&begins), "{text}\n{why}\n{at}");
        assert!(parts.iter().all(|part| why.contains(part)), "{text}\n{why}");
        assert!(!why.contains('\n'), "{why}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let why = Config::read(Path::new("/nonexistent/agent.toml"), 0).unwrap_err();
    assert!(
        why.to_string()
            .starts_with("/nonexistent/agent.toml: cannot read")
    );
}

#[test]
fn the_machine_knows_its_users() {
    let machine = Machine;
    assert_eq!(machine.user("root"), Some(0));
    assert_eq!(machine.group("no-such-group"), None);
    let listed = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    for (file, find) in [
        ("/etc/passwd", Machine::user as fn(&Machine, &str) -> _),
        ("/etc/group", Machine::group),
    ] {
        for line in listed(file).lines().take(4) {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, id, ..] = fields[..] else {
                continue;
            };
            // On macOS files begin with comments, and ids may be negative.
            if let Ok(id) = id.parse() {
                assert_eq!(find(&machine, name), Some(id), "{file}: {name}");
            }
        }
    }
}
