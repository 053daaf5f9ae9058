//! What holds of every policy, caller and request.

use proptest::{collection::vec, option, prelude::*};

use super::{Decision, Fit, Limits, Policy, Request, Topic, config_tests::parse};
use crate::caller::{Caller, Fact, Process};

const MAIN: &str = "main@p.iam.gserviceaccount.com";

/// A list of some of these texts, as a TOML value.
fn some(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::subsequence(of, 0..=of.len()).prop_map(|all| format!("[{}]", all.join(", ")))
}

fn key(name: &'static str, of: &'static [&'static str]) -> impl Strategy<Value = String> {
    option::weighted(0.4, some(of))
        .prop_map(move |list| list.map_or_else(String::new, |list| format!("{name} = {list}\n")))
}

/// The text of a rule without its name.
fn rule(deny: bool) -> impl Strategy<Value = String> {
    let caller = (
        key("uid", &["1", "2", "0"]),
        key("gid", &["1", "2"]),
        key("exe", &["\"/bin/a\"", "\"/bin/*\"", "\"/**\""]),
        key("cgroup", &["\"/a\"", "\"/a/**\"", "\"/b\""]),
        key("from", &["\"127.0.0.0/8\"", "\"10.0.0.0/8\""]),
        key("listener", &["\"x\"", "\"\""]),
    );
    let allow = (
        key(
            "accounts",
            &[
                "\"default\"",
                "\"main@p.iam.gserviceaccount.com\"",
                "\"b@c.d\"",
            ],
        ),
        key("scopes", &["\"s1\"", "\"s2\"", "\"s3\""]),
        key("audiences", &["\"https://a\"", "\"https://*\""]),
        key(
            "metadata",
            &[
                "\"instance/zone\"",
                "\"instance/**\"",
                "\"**/ssh-keys\"",
                "\"*/*\"",
            ],
        ),
    );
    (caller, allow).prop_map(move |((a, b, c, d, e, f), (g, h, i, j))| {
        format!("[rule.caller]\n{a}{b}{c}{d}{e}{f}[rule.allow]\n{g}{h}{i}{j}deny = {deny}\n")
    })
}

fn policy(default: &str, rules: &[String]) -> Policy {
    let rules = rules.iter().map(|rule| format!("[[rule]]\n{rule}"));
    let text = format!("default = {default:?}\n{}", rules.collect::<String>());
    parse(&text).unwrap().policy
}

fn rules() -> impl Strategy<Value = Vec<String>> {
    vec(prop_oneof![4 => rule(false), 1 => rule(true)], 0..4)
}

fn default() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("deny"), Just("own-user"), Just("allow")]
}

fn fact<T: Clone + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Fact<T>> {
    let known =
        of.prop_flat_map(|it| prop_oneof![Just(Fact::Known(it.clone())), Just(Fact::Claimed(it))]);
    option::weighted(0.8, known).prop_map(|it| it.unwrap_or(Fact::Unreadable))
}

fn process() -> impl Strategy<Value = Process> {
    let exe = prop_oneof![Just("/bin/a"), Just("/bin/b"), Just("/c")];
    let cgroup = prop_oneof![Just("/a"), Just("/a/b"), Just("/b")];
    (
        fact(0..3_u32),
        fact(exe.prop_map(Into::into)),
        fact(cgroup.prop_map(|path| vec![path.to_owned()])),
        any::<bool>(),
    )
        .prop_map(|(gid, exe, cgroups, descends)| Process {
            pid: 7,
            gid,
            exe,
            cgroups,
            container: None,
            pod: None,
            named_by_user: false,
            descends,
        })
}

fn caller() -> impl Strategy<Value = Caller> {
    let address = prop_oneof![
        Just(None),
        Just(Some([127, 0, 0, 1])),
        Just(Some([10, 0, 0, 1]))
    ];
    let listener = prop_oneof![Just(""), Just("x")];
    (
        address,
        listener,
        option::weighted(0.8, 0..4_u32),
        vec(process(), 0..3),
    )
        .prop_map(|(address, listener, uid, processes)| {
            let local = address != Some([10, 0, 0, 1]);
            let uid = uid.filter(|_| local);
            Caller {
                listener: listener.into(),
                address: address.map(Into::into),
                local,
                processes: if uid.is_some() { processes } else { Vec::new() },
                uid,
                ..Caller::default()
            }
        })
}

fn request() -> impl Strategy<Value = Request> {
    let account = "instance/service-accounts";
    let target = prop_oneof![
        Just("/".to_owned()),
        "(default|b@c[.]d|main@p[.]iam[.]gserviceaccount[.]com)/token(\\?scopes=s[1-4](,s[1-4])?)?"
            .prop_map(move |rest| format!("/computeMetadata/v1/{account}/{rest}")),
        "default/identity\\?audience=https://[ab](/c)?"
            .prop_map(move |rest| format!("/computeMetadata/v1/{account}/{rest}")),
        "(instance|project)/(zone|attributes/(a|ssh-keys|kube-env)|service-accounts/b@c[.]d/email|attributes/)"
            .prop_map(|rest| format!("/computeMetadata/v1/{rest}")),
    ];
    target.prop_map(|target| Request::parse(&target).unwrap())
}

fn decide(policy: &Policy, caller: &Caller, request: &Request) -> Decision {
    policy.decide(policy.fit(caller), request, Some(MAIN))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn without_a_rule_there_is_no_access(rules in rules(), caller in caller(), request in request()) {
        let policy = policy("deny", &rules);
        if !matches!(policy.fit(&caller), Fit::Rule(_)) {
            prop_assert!(matches!(decide(&policy, &caller, &request), Decision::Refused(_)));
        }
    }

    #[test]
    fn a_denial_more_never_allows(
        default in default(), rules in rules(), denial in rule(true), at in 0..4_usize,
        caller in caller(), request in request(),
    ) {
        let without = decide(&policy(default, &rules), &caller, &request);
        let mut with = rules.clone();
        with.insert(at.min(rules.len()), denial);
        let with = decide(&policy(default, &with), &caller, &request);
        if let Decision::Served(_) = with {
            prop_assert_eq!(with, without);
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides(
        default in default(), rules in rules(), more in rules(), caller in caller(), request in request(),
    ) {
        let short = policy(default, &rules);
        let long: Vec<_> = rules.iter().chain(&more).cloned().collect();
        let long = policy(default, &long);
        if let Fit::Rule(index) = short.fit(&caller) {
            prop_assert_eq!(long.fit(&caller), Fit::Rule(index));
            prop_assert_eq!(decide(&long, &caller, &request), decide(&short, &caller, &request));
            // So do none of those before it.
            let alone = policy(default, &rules[index..=index]);
            prop_assert_eq!(alone.fit(&caller), Fit::Rule(0));
        }
    }

    #[test]
    fn the_unknown_are_served_by_default_alone(rules in rules(), mut caller in caller(), request in request()) {
        caller.uid = None;
        caller.processes.clear();
        caller.local = true;
        for default in ["deny", "own-user"] {
            let decision = decide(&policy(default, &rules), &caller, &request);
            prop_assert!(matches!(decision, Decision::Refused(_)), "{decision:?}");
        }
    }

    #[test]
    fn a_rule_that_allows_fits_several_processes_if_it_fits_each(
        rule in rule(false), caller in caller(), processes in vec(process(), 1..4),
    ) {
        let policy = policy("deny", &[rule]);
        let fits = |processes: &[Process]| {
            policy.fit(&Caller { processes: processes.to_vec(), ..caller.clone() }) == Fit::Rule(0)
        };
        let each = processes.iter().all(|process| fits(std::slice::from_ref(process)));
        prop_assert_eq!(fits(&processes), each);
    }

    #[test]
    fn limits_only_take_away(
        default in default(), rules in rules(), caller in caller(), request in request(),
        scopes in option::of(proptest::sample::subsequence(vec!["s1".to_owned(), "s2".to_owned(), "s3".to_owned()], 0..=3)),
    ) {
        let policy = policy(default, &rules);
        let limits = Limits { scopes: scopes.clone(), ..Limits::default() };
        let limited = policy.clone().limited(&limits).unwrap();
        if let Decision::Served(grant) = decide(&limited, &caller, &request) {
            let free = decide(&policy, &caller, &request);
            prop_assert!(matches!(free, Decision::Served(_)), "{free:?}");
            if let (Some(limit), Some(given)) = (scopes, grant.scopes) {
                // With none there is no token; accounts are shown with none.
                let is_token = matches!(request.topic, Topic::Token { .. });
                prop_assert!(!is_token || !given.is_empty());
                prop_assert!(given.iter().all(|it| limit.contains(it)));
            }
        }
    }

    #[test]
    fn only_descendants_are_served_under_exec(default in prop_oneof![Just("deny"), Just("own-user")], caller in caller(), request in request()) {
        let policy = policy(default, &[]).for_program(1).unwrap();
        if let Decision::Served(_) = decide(&policy, &caller, &request) {
            prop_assert!(caller.descends() && default != "deny");
        }
    }

    #[test]
    fn any_text_is_read_or_refused_in_a_line(text in "(?s).{0,120}") {
        if let Err(why) = parse(&text) {
            prop_assert!(why.starts_with("/etc/agent/agent.toml:") && !why.contains('\n'), "{why}");
        }
    }
}
