use std::{sync::Arc, time::Duration};

use super::{
    Decision, Fit, Grant, Limits, Policy, Request,
    config_tests::{BOUNDARY, parse},
};
use crate::caller::Caller;

const MAIN: &str = "main@p.iam.gserviceaccount.com";
const PREFIX: &str = "/computeMetadata/v1/";
const TOKEN: &str = "instance/service-accounts/default/token";
const IDENTITY: &str = "instance/service-accounts/default/identity?audience=";

fn policy(allow: &str) -> Policy {
    let text = format!("[[rule]]\nname = \"r\"\n[rule.caller]\nuid = [1]\n[rule.allow]\n{allow}");
    parse(&text).unwrap().policy
}

pub(super) fn user(uid: u32) -> Caller {
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
    let rule = Fit::Rule(0);
    let all = "instance/service-accounts";
    let none = policy("accounts = []");
    assert!(refused(&none, TOKEN).contains("default"));
    assert!(!none.shows_directory(rule, all, None) && !none.shows_value(rule, all, None));
    for some in [policy("accounts = [\"b@c.d\"]"), policy("")] {
        assert!(some.shows_directory(rule, all, None) && some.shows_value(rule, all, None));
    }
    assert!(!none.compares_accounts(rule) && !policy("").compares_accounts(rule));
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
    let limited = policy.clone().limited(&limits(&["s2", "s3"])).unwrap();
    assert_eq!(granted(&limited, TOKEN).scopes.unwrap(), ["s2"]);
    let nothing = policy.limited(&limits(&["s3"])).unwrap();
    assert_eq!(refused(&nothing, TOKEN), "no access token is allowed");
}

#[test]
fn a_boundary_for_all_is_dropped_beside_no_rule() {
    let mut policy = policy("");
    let own = |policy: &mut Policy, text: Option<&str>| {
        policy.rules[0].allow.boundary = text.map(Arc::from);
    };
    let limits = Limits {
        boundary: Some("all".into()),
        ..Limits::default()
    };
    for text in [None, Some("all")] {
        own(&mut policy, text);
        let limited = policy.clone().limited(&limits).unwrap();
        assert_eq!(granted(&limited, TOKEN).boundary.as_deref(), Some("all"));
    }
    own(&mut policy, Some("own"));
    let why = policy.clone().limited(&limits).unwrap_err();
    assert!(why.starts_with("the rule `r` and "), "{why}");
    let alone = policy.limited(&Limits::default()).unwrap();
    assert_eq!(granted(&alone, TOKEN).boundary.as_deref(), Some("own"));
}

#[test]
fn a_rate_holds_for_the_callers_of_its_rule() {
    let rate = policy("rate = \"50/s\"").rate(Fit::Rule(0)).unwrap();
    assert_eq!((rate.burst, rate.per), (50, Duration::from_secs(1)));
    assert!(policy("rate = \"50/s\"").rate(Fit::Served).is_none());
    assert!(policy("").rate(Fit::Rule(0)).is_none());
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
    let accounts_alone = policy("metadata = []");
    let values_alone = policy("metadata = [\"instance/zone\"]\naccounts = []");
    for above in ["", "instance/"] {
        refused(&nothing, above);
        granted(&accounts_alone, above);
        granted(&values_alone, above);
    }
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
    let why = refused(&policy, &format!("{IDENTITY}%3Cscript%3E%22%C3%BC"));
    assert_eq!(why, "the audience \"script\u{fc}\" is not allowed");
    let why = refused(&policy, &format!("{IDENTITY}{}", "a".repeat(300)));
    let cut = "a".repeat(200);
    assert_eq!(why, format!("the audience {cut:?} is not allowed"));
}

#[test]
fn an_audience_is_one_that_a_pattern_fits() {
    let patterns = policy("audiences = [\"https://*.run.app\", \"https://exact.example\"]");
    for allowed in ["https://a.run.app", "https://exact.example"] {
        granted(&patterns, &format!("{IDENTITY}{allowed}"));
    }
    for other in [
        "https://exact.example/",
        "https://exact.example.evil.example",
        "https://EXACT.example",
        "http://exact.example",
        "https://a.run.app.evil.example",
        "x",
    ] {
        let why = refused(&patterns, &format!("{IDENTITY}{other}"));
        assert_eq!(why, format!("the audience {other:?} is not allowed"));
    }
    granted(&policy(""), &format!("{IDENTITY}x"));
    // Audiences say nothing of access tokens.
    granted(&policy("audiences = []"), TOKEN);
}

#[test]
fn nothing_is_shown_of_an_account_that_is_not_allowed() {
    let one = policy("accounts = [\"b@c.d\"]");
    for leaf in ["email", "scopes", "aliases", "", "?recursive=true"] {
        let of = |account: &str| format!("instance/service-accounts/{account}/{leaf}");
        granted(&one, &of("b@c.d"));
        for other in ["default", MAIN, "b@c.d.e"] {
            refused(&one, &of(other));
        }
    }
    let rule = Fit::Rule(0);
    let email = |account: &str| format!("instance/service-accounts/{account}/email");
    assert!(one.shows_value(rule, &email("b@c.d"), Some(MAIN)));
    assert!(!one.shows_value(rule, &email("default"), Some(MAIN)));
    // The account that is given is none, where none is allowed.
    let none = policy("accounts = []\nas = \"n@p.x\"");
    for leaf in ["token", "email"] {
        refused(&none, &format!("instance/service-accounts/n@p.x/{leaf}"));
    }
    let value = granted(&policy(""), "instance/zone");
    assert_eq!((value.account, value.act_as), (None, None));
}

#[test]
fn a_refusal_says_what_would_have_served_the_caller() {
    let rule = "[[rule]]\n[rule.allow]\ndeny = true\n";
    let zone = Request::parse(&format!("{PREFIX}instance/zone")).unwrap();
    let program = parse("").unwrap().policy.for_program(7).unwrap();
    for (policy, expected) in [
        (parse(rule).unwrap().policy, "deny = true"),
        (program, "the program of `exec --agent`"),
        (Policy::own_user(1000), "the agent's own user and root"),
        (
            parse("default = \"deny\"").unwrap().policy,
            "without a rule are not",
        ),
    ] {
        let fit = policy.fit(&user(7));
        let decision = policy.decide(fit, &zone, None);
        let Decision::Refused(why) = decision else {
            panic!("{expected}: {decision:?}");
        };
        assert!(why.contains(expected), "{why}");
    }
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
