//! Which rule is for a caller.

use std::{path::PathBuf, sync::Arc};

use super::{Fit, config_tests::parse, tests::user};
use crate::caller::{Caller, Fact, Process};

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
    let fits_one = |process: &Process, test: &str, deny: bool| {
        let text = format!("[[rule]]\n[rule.caller]\n{test}\n[rule.allow]\ndeny = {deny}\n");
        let caller = Caller {
            processes: vec![process.clone()],
            ..user(7)
        };
        parse(&text).unwrap().policy.fit(&caller) == Fit::Rule(0)
    };
    let fits = |test: &str, deny: bool| fits_one(&own, test, deny);
    let of_root = Process {
        exe: Fact::Known("/bin/a".into()),
        named_by_user: false,
        ..own.clone()
    };
    for (test, other) in [
        ("exe = [\"/bin/a\"]", "exe = [\"/bin/b\"]"),
        ("container = [\"3f*\"]", "container = [\"4*\"]"),
        ("pod = [\"1234\"]", "pod = [\"5\"]"),
    ] {
        assert!(!fits(test, false) && fits(test, true), "{test}");
        assert!(fits_one(&of_root, test, false), "{test}");
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
        let unread = Process {
            cgroups: Fact::Unreadable,
            ..process(Fact::Known("/bin/b".into()), "")
        };
        let caller = Caller {
            processes: vec![process(Fact::Known("/bin/b".into()), "/b")],
            hidden: vec![process(Fact::Unreadable, "/a"), unread],
            ..user(7)
        };
        parse(&text).unwrap().policy.fit(&caller) == Fit::Rule(0)
    };
    for (test, allows, denies) in [
        ("exe = [\"/bin/a\"]", false, true),
        ("exe = [\"/bin/b\"]", true, true),
        ("cgroup = [\"/a\"]", false, true),
        ("cgroup = [\"/b\"]", true, true),
        ("exe = [\"/bin/c\"]\ncgroup = [\"/c\"]", false, false),
        // In which container a process is can't be told without its cgroups.
        ("container = [\"3f2a\"]", false, true),
        ("pod = [\"1234\"]", false, true),
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
fn a_rule_that_denies_a_user_is_for_local_callers_whose_user_is_unknown() {
    let text =
        "default = \"allow\"\n[[rule]]\n[rule.caller]\nuid = [8]\n[rule.allow]\ndeny = true\n";
    let policy = parse(text).unwrap().policy;
    let unknown = |local: bool| Caller {
        local,
        ..Caller::default()
    };
    assert_eq!(policy.fit(&user(8)), Fit::Rule(0));
    assert_eq!(policy.fit(&user(7)), Fit::Served);
    assert_eq!(policy.fit(&unknown(true)), Fit::Rule(0));
    assert_eq!(policy.fit(&unknown(false)), Fit::Served);
}
