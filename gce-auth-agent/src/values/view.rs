//! What a caller sees of a directory: the values that its rule shows, in the form of a metadata
//! server.

use gce_auth_server::protocol::{
    query::Reading,
    render,
    reply::Reply,
    route::Target,
    tree::{Node, steps},
};
use serde_json::{Map, Value};

use super::found::tagged;

/// What a rule shows: a value or a directory, by its path.
pub(crate) trait Shows {
    fn value(&self, path: &str) -> bool;
    fn directory(&self, path: &str) -> bool;
}

/// Answers for a directory at `path`, whose document is `document`.
pub(crate) fn reply(
    document: &Value,
    (path, etag): (&str, Option<&str>),
    target: &Target,
    reading: &Reading,
    shows: &impl Shows,
) -> Reply {
    let whole = Node::part(document, steps(path));
    if !whole.is_directory() {
        // A value was asked for with a slash.
        return target.not_found();
    }
    let shown = pruned(&whole, path, shows).unwrap_or_else(|| Value::Object(Map::new()));
    let node = Node::part(&shown, steps(path));
    match render::form(&node, target, reading) {
        Ok(form) => {
            let (kind, body) = render::body(&node, form);
            tagged(Reply::new(200, kind, body), etag)
        }
        Err(refused) => refused,
    }
}

/// What is shown of a node; `None` if nothing is.
fn pruned(node: &Node<'_>, path: &str, shows: &impl Shows) -> Option<Value> {
    if !node.is_directory() {
        return shows.value(path).then(|| node.value.clone());
    }
    if !shows.directory(path) {
        return None;
    }
    let below = node.children().into_iter().map(|(name, child)| {
        let path = if path.is_empty() {
            name
        } else {
            format!("{path}/{name}")
        };
        (child.key().to_owned(), pruned(&child, &path, shows))
    });
    if node.value.is_array() {
        // An index stays an element's own, so what isn't shown is shown empty.
        let all: Vec<_> = below.map(|(_, value)| value).collect();
        let any = all.is_empty() || all.iter().any(Option::is_some);
        let empty = || Value::Object(Map::new());
        return any.then(|| all.into_iter().map(|it| it.unwrap_or_else(empty)).collect());
    }
    let shown: Map<_, _> = below
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    let was_empty = node.value.as_object().is_some_and(Map::is_empty);
    (was_empty || !shown.is_empty()).then_some(Value::Object(shown))
}

/// Puts the accounts that a caller sees in the place of the machine's, where `path` holds them.
pub(crate) fn exchange_accounts(document: &mut Value, path: &str, accounts: &Value) {
    if let Some(place) = accounts_of(document, path) {
        place.clone_from(accounts);
    }
}

/// Puts the scopes that a caller may ask for in the place of those that the machine's accounts
/// have.
pub(crate) fn exchange_scopes(document: &mut Value, path: &str, scopes: &[String]) {
    let at: Vec<_> = steps(path).collect();
    if let ["instance", "service-accounts", _] = at[..] {
        set_scopes(document, scopes);
        return;
    }
    let accounts = accounts_of(document, path).and_then(Value::as_object_mut);
    for account in accounts.into_iter().flat_map(Map::values_mut) {
        set_scopes(account, scopes);
    }
}

fn set_scopes(account: &mut Value, scopes: &[String]) {
    if let Some(own) = account.get_mut("scopes") {
        *own = scopes.into();
    }
}

/// The accounts in a document, where `path` holds them.
fn accounts_of<'a>(document: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let at: Vec<_> = steps(path).collect();
    match at[..] {
        [] => document.pointer_mut("/instance/serviceAccounts"),
        ["instance"] => document.pointer_mut("/serviceAccounts"),
        ["instance", "service-accounts"] => Some(document),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gce_auth_server::protocol::{
        Request,
        query::{Alt, Query},
    };
    use serde_json::json;

    use super::*;

    struct Only(&'static [&'static str]);

    impl Shows for Only {
        fn value(&self, path: &str) -> bool {
            self.0.contains(&path)
        }

        fn directory(&self, path: &str) -> bool {
            let below = |value: &&str| path.is_empty() || value.starts_with(&format!("{path}/"));
            self.0.iter().any(below)
        }
    }

    fn document() -> Value {
        json!({
            "instance": {
                "attributes": {"kube-env": "SECRET", "app-color": "blue", "camelCase": "x"},
                "disks": [{"deviceName": "a", "index": 0}, {"deviceName": "b", "index": 1}],
                "id": 5_737_554_347_302_044_216_u64,
                "machineType": "e2",
                "tags": ["one"],
            },
            "project": {"projectId": "p"},
        })
    }

    fn answer(path: &str, query: &str, shows: &[&'static str]) -> (u16, String) {
        let whole = document();
        let part = Node::find(&whole, steps(path)).unwrap().value.clone();
        let sent = format!(
            "/computeMetadata/v1/{}",
            crate::values::found::slashed(path)
        );
        let target = Target::new(Request {
            path: sent,
            query: query.to_owned(),
            ..Request::default()
        });
        let reading = Reading::parse(&Query::parse(query)).unwrap();
        let only: &'static [&'static str] = Box::leak(shows.to_vec().into_boxed_slice());
        let reply = reply(&part, (path, None), &target, &reading, &Only(only));
        let body = String::from_utf8(reply.body.to_vec()).unwrap();
        (reply.status, body)
    }

    #[test]
    fn what_is_not_shown_is_in_no_form() {
        let shows = [
            "instance/attributes/app-color",
            "instance/disks/1/device-name",
            "instance/id",
            "project/project-id",
        ];
        let json = answer("", "recursive=true", &shows);
        let seen: Value = serde_json::from_str(&json.1).unwrap();
        assert_eq!(
            seen,
            json!({
                "instance": {
                    "attributes": {"app-color": "blue"},
                    "disks": [{}, {"deviceName": "b"}],
                    "id": 5_737_554_347_302_044_216_u64,
                },
                "project": {"projectId": "p"},
            })
        );
        for (path, query, body) in [
            ("", "", "instance/\nproject/\n"),
            ("instance/attributes", "", "app-color\n"),
            (
                "instance/attributes",
                "recursive=true&alt=text",
                "app-color blue\n",
            ),
            ("instance", "", "attributes/\ndisks/\nid\n"),
        ] {
            assert_eq!(
                answer(path, query, &shows),
                (200, body.to_owned()),
                "{path}"
            );
        }
    }

    /// A rule may name values by a pattern that fits below a directory which it does not show.
    struct NoAttributes;

    impl Shows for NoAttributes {
        fn value(&self, _: &str) -> bool {
            true
        }

        fn directory(&self, path: &str) -> bool {
            path != "attributes"
        }
    }

    #[test]
    fn what_is_empty_is_shown_as_it_is_and_what_is_hidden_is_not() {
        let document = json!({
            "attributes": {"secret": "x"},
            "disks": [],
            "licenses": {},
            "tags": ["one"],
        });
        let whole = Node::part(&document, steps(""));
        let all = json!({"disks": [], "licenses": {}, "tags": ["one"]});
        assert_eq!(pruned(&whole, "", &NoAttributes), Some(all));
        // Of a list whose elements are hidden nothing is told, and not how long it is.
        let nested = json!({"disks": [{"mode": "a"}, {"mode": "b"}], "id": 7});
        let whole = Node::part(&nested, steps(""));
        let only = Only(&["id", "disks/1/index"]);
        assert_eq!(pruned(&whole, "", &only), Some(json!({"id": 7})));
        assert_eq!(pruned(&whole, "", &Only(&["zone"])), None);
    }

    #[test]
    fn a_value_with_a_slash_is_not_there() {
        assert_eq!(
            answer("instance/machine-type", "", &["instance/machine-type"]).0,
            404
        );
        assert_eq!(
            answer("instance/tags", "recursive=true", &["instance/tags"]).0,
            404
        );
        let reading = Reading::parse(&Query::parse("alt=json")).unwrap();
        assert_eq!(reading.alt, Some(Alt::Json));
        assert_eq!(answer("instance", "alt=json", &["instance/id"]).0, 400);
    }

    #[test]
    fn scopes_are_exchanged_wherever_they_stand() {
        let scopes = ["read".to_owned()];
        let with = |path: &str, mut document: Value| {
            exchange_scopes(&mut document, path, &scopes);
            document
        };
        let each = |scope: &str| {
            let account = json!({"aliases": ["default"], "scopes": [scope]});
            let accounts = json!({"default": account, "a@b": account});
            let instance = json!({"serviceAccounts": accounts});
            let root = json!({"instance": instance});
            [
                ("", root),
                ("instance", instance),
                ("instance/service-accounts", accounts),
                ("instance/service-accounts/default", account),
            ]
        };
        for ((path, all), (_, read)) in each("all").into_iter().zip(each("read")) {
            assert_eq!(with(path, all), read, "{path}");
        }
        let elsewhere = json!({"scopes": ["all"]});
        assert_eq!(with("project", elsewhere.clone()), elsewhere);
    }

    #[test]
    fn accounts_are_exchanged_wherever_they_stand() {
        let accounts = json!({"default": {"email": "narrow"}});
        let with = |path: &str, mut document: Value| {
            exchange_accounts(&mut document, path, &accounts);
            document
        };
        let own = json!({"x": {"email": "machine"}});
        assert_eq!(with("instance/service-accounts", own.clone()), accounts);
        let instance = json!({"serviceAccounts": own, "id": 1});
        let exchanged = json!({"serviceAccounts": accounts, "id": 1});
        assert_eq!(with("instance", instance.clone()), exchanged);
        let root = json!({"instance": instance});
        assert_eq!(with("", root), json!({"instance": exchanged}));
        assert_eq!(with("project", own.clone()), own);
    }
}
