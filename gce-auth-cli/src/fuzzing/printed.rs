//! What a tool reads from a file or a variable: npm, pip and uv, Maven, Gradle.

use crate::{
    fuzzing::marked::{ACCESS, Marked, assert_refusal, is_marked, leads_to},
    helper::{
        gradle,
        hosts::{Hosts, REGISTRIES},
        index_url, maven, npmrc,
        token::Reply,
    },
};

/// Reads the arguments of the helpers that print, a line each.
///
/// # Panics
///
/// If another host gets a token, or an argument becomes more than its place in what is printed.
pub fn printed(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if is_marked(bytes) {
        return;
    }
    let lines: Vec<_> = text.split('\n').map(str::to_owned).collect();
    for tokens in Marked::both() {
        let hosts = Hosts::default();
        for (answer, judge) in [
            (
                npmrc::answer(&lines, &hosts, &tokens),
                npm as fn(&Reply, &[String]),
            ),
            (index_url::answer(text, &hosts, &tokens), url),
            (maven::answer(&lines, &tokens), settings),
            (gradle::answer(text, &tokens), properties),
        ] {
            match answer {
                Ok(reply) => judge(&reply, &lines),
                Err(failure) => assert_refusal(&failure),
            }
        }
    }
}

fn npm(reply: &Reply, registries: &[String]) {
    let mut lines = reply.text.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("; ")));
    let end = format!("/:_authToken={ACCESS}");
    let mut written = 0;
    for (line, registry) in lines.zip(registries) {
        let place = line
            .strip_prefix("//")
            .and_then(|line| line.strip_suffix(&end));
        let place = place.expect("a registry and its token");
        assert!(leads_to(REGISTRIES, place), "{place}");
        assert!(leads_to(REGISTRIES, registry), "{registry}");
        assert!(!place.contains(['=', ';', '$']), "{place}");
        written += 1;
    }
    assert_eq!(
        (written, reply.text.lines().count()),
        (registries.len(), written + 1)
    );
}

fn url(reply: &Reply, _: &[String]) {
    let rest = reply
        .text
        .strip_prefix(&format!("https://oauth2accesstoken:{ACCESS}@"));
    let rest = rest.and_then(|rest| rest.strip_suffix('\n'));
    let rest = rest.expect("a URL with user and token");
    assert!(leads_to(REGISTRIES, &format!("https://{rest}")), "{rest}");
}

fn settings(reply: &Reply, servers: &[String]) {
    for element in ["<server>", "</server>", "<id>", "<value>"] {
        assert_eq!(reply.text.matches(element).count(), servers.len());
    }
    let is_there = |id: &String| reply.text.contains(&format!("<id>{id}</id>\n"));
    assert!(servers.iter().all(is_there));
}

fn properties(reply: &Reply, names: &[String]) {
    let [name] = names else {
        panic!("a name has no line break");
    };
    let expected = format!(
        "export ORG_GRADLE_PROJECT_{name}Username=oauth2accesstoken\n\
         export ORG_GRADLE_PROJECT_{name}Password={ACCESS}\n\
         export ORG_GRADLE_PROJECT_{name}AuthHeaderName=Authorization\n\
         export ORG_GRADLE_PROJECT_{name}AuthHeaderValue='Bearer {ACCESS}'\n"
    );
    assert_eq!(*reply.text, expected);
}
