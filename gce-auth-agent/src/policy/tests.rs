use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Decision, Fit, Grant, Limits, Policy, Request,
    config_tests::{BOUNDARY, parse},
};
use crate::caller::{Caller, Fact, Process};

const MAIN: &str = "main@p.iam.gserviceaccount.com";
const PREFIX: &str = "/computeMetadata/v1/";
const TOKEN: &str = "instance/service-accounts/default/token";

fn policy(allow: &str) -> Policy {
    let text = format!("[[rule]]\nname = \"r\"\n[rule.caller]\nuid = [1]\n[rule.allow]\n{allow}");
    parse(&text).unwrap().policy
}

fn user(uid: u32) -> Caller {
    Caller {
        local: true,
        uid: Some(uid),
        ..Caller::default()
    }
}

fn decide(policy: &Policy, target: &str) -> Decision {
    let request = Request::parse(&format!("{PREFIX}{target}")).unwrap();
    policy.decide(policy.fit(&user(1)), &request, Some(MAIN))
}

fn granted(policy: &Policy, target: &str) -> Grant {
    match decide(policy, target) {
        Decision::Served(grant) => grant,
        Decision::Refused(why) => panic!("{target}: {why}"),
    }
}

fn refused(policy: &Policy, target: &str) -> String {
    match decide(policy, target) {
        Decision::Served(_) => panic!("{target} is served"),
        Decision::Refused(why) => why,
    }
}

#[test]
fn default_and_its_address_are_one_account() {
    let of = |account: &str| format!("instance/service-accounts/{account}/token");
    for allowed in ["default", MAIN] {
        let policy = policy(&format!("accounts = [{allowed:?}]"));
        for account in ["default", MAIN] {
            assert_eq!(granted(&policy, &of(account)).account, None);
        }
        assert!(refused(&policy, &of("b@c.d")).contains("b@c.d"));
        assert!(policy.compares_accounts(Fit::Rule(0)));
        // While the address is not known, they are two.
        let other = if allowed == MAIN { "default" } else { MAIN };
        let request = Request::parse(&format!("{PREFIX}{}", of(other))).unwrap();
        let unknown = policy.decide(Fit::Rule(0), &request, None);
        assert!(matches!(unknown, Decision::Refused(_)));
    }
    let none = policy("accounts = []");
    assert!(refused(&none, TOKEN).contains("default"));
    assert!(!none.shows_directory(Fit::Rule(0), "instance/service-accounts", None));
}

#[test]
fn the_account_that_is_given_stands_for_those_allowed() {
    let policy = policy("accounts = [\"b@c.d\"]\nas = \"n@p.x\"\nmax-lifetime = \"15m\"");
    let grant = granted(&policy, "instance/service-accounts/n@p.x/token");
    assert_eq!(grant.account.as_deref(), Some("b@c.d"));
    assert_eq!(grant.act_as.as_deref(), Some("n@p.x"));
    assert_eq!(grant.max_lifetime, Some(Duration::from_secs(900)));
    assert_eq!(
        granted(&policy, "instance/service-accounts/b@c.d/token").account,
        None
    );
    assert!(refused(&policy, TOKEN).contains("default"));
}

#[test]
fn scopes_are_given_as_asked_or_refused() {
    let policy = policy("scopes = [\"s2\", \"s1\"]");
    let scopes = |query: &str| granted(&policy, &format!("{TOKEN}{query}")).scopes.unwrap();
    assert_eq!(scopes(""), ["s1", "s2"]);
    assert_eq!(scopes("?scopes="), ["s1", "s2"]);
    assert_eq!(scopes("?scopes=s2"), ["s2"]);
    assert_eq!(scopes("?scopes=s2,s1"), ["s1", "s2"]);
    for query in ["?scopes=s1,s3", "?scopes=S1", "?scopes=s"] {
        assert!(refused(&policy, &format!("{TOKEN}{query}")).contains("the scope"));
    }
    let limits = |scopes: &[&str]| Limits {
        scopes: Some(scopes.iter().map(|&it| it.to_owned()).collect()),
        ..Limits::default()
    };
    let limited = policy.clone().limited(&limits(&["s2", "s3"]));
    assert_eq!(granted(&limited, TOKEN).scopes.unwrap(), ["s2"]);
    let nothing = policy.limited(&limits(&["s3"]));
    assert_eq!(refused(&nothing, TOKEN), "no access token is allowed");
}

#[test]
fn a_boundary_is_read_and_given() {
    let grant = granted(&policy("boundary = \"boundary.json\""), TOKEN);
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parsed(&grant.boundary.unwrap()), parsed(BOUNDARY));
}

#[test]
fn what_is_concealed_must_be_named() {
    let keys = policy("metadata = [\"instance/attributes/ssh-keys\", \"instance/*\"]");
    granted(&keys, "instance/attributes/ssh-keys");
    granted(&keys, "instance/zone");
    granted(&keys, "instance/attributes/");
    refused(&keys, "instance/attributes/kube-env");
    refused(&keys, "project/attributes/ssh-keys");
    refused(&keys, "instance/attributes/other");
    refused(&keys, "instance/network-interfaces/");
    for all in ["", "metadata = [\"**\"]"] {
        let all = policy(all);
        granted(&all, "instance/attributes/other");
        granted(&all, "?recursive=true");
        granted(&all, "instance/service-accounts/default/?recursive=true");
        refused(&all, "instance/attributes/kube-env");
        refused(&all, "instance/credentials/");
        refused(&all, "instance/service-accounts/default/token/");
        assert!(!all.shows_value(
            Fit::Rule(0),
            "instance/service-accounts/default/token",
            None
        ));
    }
    let nothing = policy("metadata = []\naccounts = []");
    refused(&nothing, "");
    refused(&nothing, "instance/");
}

#[test]
fn the_way_to_a_directory_is_shown_to_who_sees_something_of_it() {
    let zone = policy("metadata = [\"instance/zone\", \"instance/disks/0/mode\"]");
    for way in ["instance", "instance/disks"] {
        granted(&zone, way);
    }
    for path in [
        "project",
        "instance/name",
        "instance/attributes",
        "instance/disks/0",
    ] {
        refused(&zone, path);
    }
    let nothing = policy("metadata = []\naccounts = []");
    refused(&nothing, "instance");
    // A pattern that may fit anywhere makes no value a directory.
    refused(&policy("metadata = [\"**/mode\"]"), "instance/name");
}

#[test]
fn accounts_are_shown_with_the_scopes_of_the_rule() {
    let narrow = policy("scopes = [\"s2\", \"s1\"]");
    let shown = granted(&narrow, "instance/service-accounts/default/?recursive=true").scopes;
    assert_eq!(shown.unwrap(), ["s1", "s2"]);
    let all = granted(&policy(""), "instance/service-accounts/default/scopes");
    assert_eq!(all.scopes, None);
}

#[test]
fn nothing_below_a_token_is_a_value() {
    let all = policy("");
    for leaf in ["token/", "token/x", "identity/x/"] {
        refused(&all, &format!("instance/service-accounts/default/{leaf}"));
    }
}

#[test]
fn what_a_caller_sends_comes_back_without_markup() {
    let policy = policy("audiences = []");
    let identity = "instance/service-accounts/default/identity?audience=";
    let why = refused(&policy, &format!("{identity}%3Cscript%3E%22%C3%BC"));
    assert_eq!(why, "the audience \"script\u{fc}\" is not allowed");
}

#[test]
fn a_rule_fits_all_processes_that_hold_the_socket() {
    let text = "[[rule]]\n[rule.caller]\nexe = [\"/bin/a\"]\n[rule.allow]\ndeny = DENY\n";
    let process = |exe: &str| Process {
        pid: 1,
        gid: Fact::Known(1),
        exe: match exe {
            "" => Fact::Unreadable,
            exe => Fact::Known(exe.into()),
        },
        cgroups: Fact::Known(Vec::new()),
        container: None,
        pod: None,
        named_by_user: false,
        descends: false,
    };
    let fits = |deny: &str, exes: &[&str]| {
        let policy = parse(&text.replace("DENY", deny)).unwrap().policy;
        let processes = exes.iter().map(|exe| process(exe)).collect();
        policy.fit(&Caller {
            processes,
            ..user(7)
        }) == Fit::Rule(0)
    };
    for (exes, allows, denies) in [
        (&["/bin/a"][..], true, true),
        (&["/bin/a", "/bin/a"], true, true),
        (&["/bin/a", "/bin/b"], false, true),
        (&["/bin/b"], false, false),
        (&[""], false, true),
        (&["/bin/b", ""], false, true),
        (&[], false, true),
    ] {
        assert_eq!(fits("false", exes), allows, "{exes:?}");
        assert_eq!(fits("true", exes), denies, "{exes:?}");
    }
}

#[test]
fn what_a_user_could_choose_counts_for_rules_that_name_the_user() {
    let own = Process {
        pid: 1,
        gid: Fact::Known(1),
        exe: Fact::Claimed("/bin/a".into()),
        cgroups: Fact::Known(vec!["/user.slice/x".to_owned()]),
        container: Some("3f2a".to_owned()),
        pod: Some("1234".to_owned()),
        named_by_user: true,
        descends: false,
    };
    let fits = |test: &str, deny: bool| {
        let text = format!("[[rule]]\n[rule.caller]\n{test}\n[rule.allow]\ndeny = {deny}\n");
        let caller = Caller {
            processes: vec![own.clone()],
            ..user(7)
        };
        parse(&text).unwrap().policy.fit(&caller) == Fit::Rule(0)
    };
    for (test, other) in [
        ("exe = [\"/bin/a\"]", "exe = [\"/bin/b\"]"),
        ("container = [\"3f*\"]", "container = [\"4*\"]"),
        ("pod = [\"1234\"]", "pod = [\"5\"]"),
    ] {
        assert!(!fits(test, false) && fits(test, true), "{test}");
        let named = format!("uid = [7]\n{test}");
        assert!(fits(&named, false) && fits(&named, true), "{named}");
        assert!(!fits(other, false) && !fits(other, true), "{other}");
        let of_another = format!("uid = [8]\n{test}");
        assert!(!fits(&of_another, false) && !fits(&of_another, true));
    }
}

#[test]
fn an_executable_whose_name_is_no_text_does_not_escape_a_rule() {
    use std::os::unix::ffi::OsStringExt as _;
    let exe = std::ffi::OsString::from_vec(b"/tmp/\xff".to_vec());
    let text = "[[rule]]\n[rule.caller]\nexe = [\"/tmp/**\"]\n[rule.allow]\ndeny = true\n";
    let caller = Caller {
        processes: vec![Process {
            pid: 1,
            gid: Fact::Known(1),
            exe: Fact::Known(exe.into()),
            cgroups: Fact::Known(Vec::new()),
            container: None,
            pod: None,
            named_by_user: false,
            descends: false,
        }],
        ..user(7)
    };
    assert_eq!(parse(text).unwrap().policy.fit(&caller), Fit::Rule(0));
}

#[test]
fn a_rule_that_denies_fits_a_process_that_may_hold_the_socket() {
    let process = |exe: Fact<PathBuf>, cgroup: &str| Process {
        pid: 1,
        gid: Fact::Known(1),
        exe,
        cgroups: Fact::Known(vec![cgroup.to_owned()]),
        container: None,
        pod: None,
        named_by_user: false,
        descends: false,
    };
    let fits = |test: &str, deny: bool| {
        let text = format!("[[rule]]\n[rule.caller]\n{test}\n[rule.allow]\ndeny = {deny}\n");
        let caller = Caller {
            processes: vec![process(Fact::Known("/bin/b".into()), "/b")],
            hidden: vec![process(Fact::Unreadable, "/a")],
            ..user(7)
        };
        parse(&text).unwrap().policy.fit(&caller) == Fit::Rule(0)
    };
    for (test, allows, denies) in [
        ("exe = [\"/bin/a\"]", false, true),
        ("exe = [\"/bin/b\"]", true, true),
        ("cgroup = [\"/a\"]", false, true),
        ("cgroup = [\"/b\"]", true, true),
        ("cgroup = [\"/c\"]", false, false),
        ("uid = [8]\ncgroup = [\"/a\"]", false, false),
    ] {
        assert_eq!(fits(test, false), allows, "{test}");
        assert_eq!(fits(test, true), denies, "{test}");
    }
}

#[test]
fn a_caller_elsewhere_has_an_address_and_no_user() {
    let text = "[[rule]]\nname = \"root\"\n[rule.caller]\nuid = [0]\n[[rule]]\nname = \"net\"\n\
                [rule.caller]\nfrom = [\"10.0.0.0/8\"]\nlistener = [\"pods\"]\n";
    let policy = parse(text).unwrap().policy;
    let caller = |address: [u8; 4], listener: &str| Caller {
        listener: Arc::from(listener),
        address: Some(address.into()),
        ..Caller::default()
    };
    assert_eq!(policy.fit(&caller([10, 0, 0, 1], "pods")), Fit::Rule(1));
    assert_eq!(policy.fit(&caller([10, 0, 0, 1], "")), Fit::Refused);
    assert_eq!(policy.fit(&caller([11, 0, 0, 1], "pods")), Fit::Refused);
}

#[test]
fn own_user_is_the_agent_s_and_root() {
    let policy = Policy::own_user(1000);
    let served = |caller: &Caller| policy.fit(caller) == Fit::Served;
    assert!(served(&user(1000)) && served(&user(0)) && !served(&user(1001)));
    let unknown = Caller {
        local: true,
        ..Caller::default()
    };
    assert!(!served(&unknown));
    assert_eq!(&*policy.rule_name(Fit::Served), "none");
}

#[test]
fn rules_for_children_come_first_under_exec() {
    let text =
        "[[rule]]\nname = \"all\"\n[[rule]]\nname = \"kid\"\n[rule.caller]\nchild-of = \"exec\"\n";
    let policy = parse(text).unwrap().policy.for_program(7).unwrap();
    let names: Vec<_> = policy.rule_names();
    assert_eq!(
        names.iter().map(|it| &**it).collect::<Vec<_>>(),
        ["kid", "all"]
    );
    assert_eq!(policy.lookup().parent, Some(7));
    let open = parse("default = \"allow\"").unwrap().policy;
    assert!(open.for_program(7).unwrap_err().contains("allow"));
}
