//! `oslogin/`: who may log in, for the modules of the guest environment that NSS, PAM and the SSH
//! server ask.
//!
//! The document has them below `oslogin`, out of sight: `users` are login profiles in the form of
//! the Cloud OS Login API, each with its `policies` if it may not do both, `login` and
//! `adminLogin`; `groups` are POSIX groups with `name`, `gid` and `members`.

use gce_auth_server::protocol::{
    Reply, pages,
    query::Query,
    route::{Login, Target},
};
use serde_json::{Map, Value, json};

/// How many are on a page unless the client says.
const PAGE: usize = 500;

/// The page token after the last page, as the clients know it.
const LAST: &str = "0";

pub(crate) fn answer(document: &Value, what: Login, query: &Query, target: &Target) -> Reply {
    let all = |key: &str| {
        let listed = document["oslogin"][key].as_array();
        listed.map(Vec::as_slice).unwrap_or_default()
    };
    let (users, groups) = (all("users"), all("groups"));
    let answer = match what {
        Login::Authorize => authorize(users, query),
        Login::Users => find_users(users, groups, query),
        Login::Groups => find_groups(groups, query),
    };
    match answer {
        Ok(Some(body)) => Reply::new(200, "application/json", body.to_string()),
        Ok(None) => target.not_found(),
        Err(reply) => reply,
    }
}

fn authorize(users: &[Value], query: &Query) -> Result<Option<Value>, Reply> {
    let (Some(email), Some(policy)) = (query.non_empty("email"), query.non_empty("policy")) else {
        return Err(pages::bad_request("email and policy are required"));
    };
    if !["login", "adminLogin"].contains(&policy) {
        return Err(pages::bad_request("policy must be login or adminLogin"));
    }
    let may = |user: &Value| match user["policies"].as_array() {
        Some(policies) => policies.iter().any(|may| may == policy),
        None => true,
    };
    let success = users.iter().any(|user| user["name"] == email && may(user));
    Ok(Some(json!({ "success": success })))
}

fn find_users(users: &[Value], groups: &[Value], query: &Query) -> Result<Option<Value>, Reply> {
    if let Some(name) = query.non_empty("groupname") {
        let Some(group) = groups.iter().find(|group| group["name"] == name) else {
            return Ok(None);
        };
        let members = group["members"].as_array().cloned().unwrap_or_default();
        return paged("usernames", members, query).map(Some);
    }
    let wanted = |user: &&Value| {
        accounts(user).iter().any(|account| {
            let fits = |parameter: &str, key: &str| {
                query
                    .get(parameter)
                    .is_none_or(|text| is(&account[key], text))
            };
            fits("username", "username") && fits("uid", "uid")
        })
    };
    let shown: Vec<Value> = users.iter().filter(wanted).map(profile).collect();
    let by = ["username", "uid"];
    if by.iter().any(|name| query.get(name).is_some()) {
        return one_or_page("loginProfiles", shown, &by, query);
    }
    let end = shown.len();
    let mut answer = paged("loginProfiles", shown, query)?;
    // Clients do not look at the profiles of the page with the last token, so that there are none
    // on it.
    let empty = answer["loginProfiles"].as_array().is_none_or(Vec::is_empty);
    if answer["nextPageToken"] == LAST && !empty {
        answer["nextPageToken"] = end.to_string().into();
    }
    Ok(Some(answer))
}

fn find_groups(groups: &[Value], query: &Query) -> Result<Option<Value>, Reply> {
    let wanted = |group: &&Value| {
        let fits = |parameter: &str, key: &str| {
            query
                .get(parameter)
                .is_none_or(|text| is(&group[key], text))
        };
        let member = |name: &str| {
            let members = group["members"].as_array();
            members.is_some_and(|members| members.iter().any(|member| member == name))
        };
        fits("groupname", "name") && fits("gid", "gid") && query.get("username").is_none_or(member)
    };
    let show = |group: &Value| json!({"gid": group["gid"], "name": group["name"]});
    let shown: Vec<Value> = groups.iter().filter(wanted).map(show).collect();
    one_or_page("posixGroups", shown, &["groupname", "gid"], query)
}

/// What was found. It is not there if it was asked for by one of these parameters and is none.
fn one_or_page(
    key: &str,
    found: Vec<Value>,
    by: &[&str],
    query: &Query,
) -> Result<Option<Value>, Reply> {
    if found.is_empty() && by.iter().any(|name| query.get(name).is_some()) {
        return Ok(None);
    }
    paged(key, found, query).map(Some)
}

/// The page that a client asks for: the first, or the one that a token of the page before leads to.
fn paged(key: &str, all: Vec<Value>, query: &Query) -> Result<Value, Reply> {
    let number = |name: &str, default: usize| match query.non_empty(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| pages::bad_request(&format!("{name} must be a whole number"))),
    };
    let size = number("pagesize", PAGE)?.max(1);
    let begin = number("pagetoken", 0)?;
    let end = begin.saturating_add(size);
    let next = if end < all.len() {
        end.to_string()
    } else {
        LAST.into()
    };
    let page: Vec<Value> = all.into_iter().skip(begin).take(size).collect();
    let mut answer = Map::new();
    answer.insert(key.into(), page.into());
    answer.insert("nextPageToken".into(), next.into());
    Ok(answer.into())
}

fn accounts(user: &Value) -> &[Value] {
    let accounts = user["posixAccounts"].as_array();
    accounts.map(Vec::as_slice).unwrap_or_default()
}

/// A profile as the client may see it.
fn profile(user: &Value) -> Value {
    let mut shown = user.clone();
    if let Some(map) = shown.as_object_mut() {
        map.remove("policies");
    }
    shown
}

/// Whether a value reads so; numbers come with quotes and without.
fn is(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Number(own) => own.to_string() == text,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use gce_auth_server::protocol::Request;

    use super::*;

    fn ask(what: Login, query: &str) -> (u16, Value) {
        let user = |name: &str, uid: u32| {
            json!({
                "name": format!("{name}@example.com"),
                "posixAccounts": [{"username": name, "uid": uid.to_string(), "gid": uid}],
            })
        };
        let mut guest = user("gus", 1003);
        guest["policies"] = json!(["login"]);
        let document = json!({"oslogin": {
            "users": [user("ann", 1001), user("bob", 1002), guest],
            "groups": [{"name": "ops", "gid": "2001", "members": ["ann", "bob"]}],
        }});
        let reply = answer(
            &document,
            what,
            &Query::parse(query),
            &Target::new(Request::default()),
        );
        let body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        (reply.status, body)
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        for query in ["username=bob", "uid=1002", "username=bob&uid=1002"] {
            let (status, body) = ask(Login::Users, query);
            assert_eq!(
                (status, &body["nextPageToken"]),
                (200, &json!("0")),
                "{query}"
            );
            assert_eq!(body["loginProfiles"].as_array().unwrap().len(), 1);
            assert_eq!(body["loginProfiles"][0]["name"], "bob@example.com");
        }
        for query in [
            "username=eve",
            "uid=1",
            "username=bob&uid=1001",
            "groupname=none",
        ] {
            assert_eq!(ask(Login::Users, query).0, 404, "{query}");
        }
        let (_, guest) = ask(Login::Users, "username=gus");
        assert!(guest["loginProfiles"][0].get("policies").is_none());
    }

    #[test]
    fn all_are_listed_page_by_page() {
        let (_, first) = ask(Login::Users, "pagesize=2");
        assert_eq!(first["loginProfiles"].as_array().unwrap().len(), 2);
        assert_eq!(first["nextPageToken"], "2");
        let (_, last) = ask(Login::Users, "pagesize=2&pagetoken=2");
        assert_eq!(last["loginProfiles"].as_array().unwrap().len(), 1);
        assert_eq!(last["nextPageToken"], "3");
        let (_, end) = ask(Login::Users, "pagesize=2&pagetoken=3");
        assert_eq!(
            (&end["loginProfiles"], &end["nextPageToken"]),
            (&json!([]), &json!("0"))
        );
        assert_eq!(ask(Login::Users, "pagesize=x").0, 400);
    }

    #[test]
    fn groups_know_their_members() {
        let group = json!({"posixGroups": [{"name": "ops", "gid": "2001"}], "nextPageToken": "0"});
        for query in ["", "groupname=ops", "gid=2001", "username=ann"] {
            assert_eq!(ask(Login::Groups, query), (200, group.clone()), "{query}");
        }
        let (_, none) = ask(Login::Groups, "username=gus");
        assert_eq!(none["posixGroups"], json!([]));
        assert_eq!(ask(Login::Groups, "gid=1").0, 404);
        let (_, members) = ask(Login::Users, "groupname=ops");
        assert_eq!(members["usernames"], json!(["ann", "bob"]));
    }

    #[test]
    fn not_everybody_may_everything() {
        let may = |query: &str| ask(Login::Authorize, query).1["success"].clone();
        assert_eq!(may("email=ann%40example.com&policy=adminLogin"), true);
        assert_eq!(may("email=gus@example.com&policy=login"), true);
        assert_eq!(may("email=gus@example.com&policy=adminLogin"), false);
        assert_eq!(may("email=eve@example.com&policy=login"), false);
        for query in ["", "email=a@b", "email=a@b&policy=other"] {
            assert_eq!(ask(Login::Authorize, query).0, 400, "{query}");
        }
    }
}
