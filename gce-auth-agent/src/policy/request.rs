//! What a request asks for. Odd spellings are refused, not repaired: what was decided about is what
//! the source is asked for.

use gce_auth_server::protocol::query::{Query, Reading};

/// Where version 1 of the tree begins.
pub const PREFIX: &str = "/computeMetadata/v1/";

/// What the agent says of a caller itself; no metadata server has it.
pub const CALLER: &str = "/gce-auth/caller";

/// The longest account, audience and list of scopes, in bytes. Tokens are kept by them.
const LONGEST_ACCOUNT: usize = 256;
const LONGEST_AUDIENCE: usize = 2 * 1024;
const LONGEST_SCOPES: usize = 4 * 1024;

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub topic: Topic,
    /// The form of a value or directory, and whether to wait for a change.
    pub reading: Reading,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `/`, `/computeMetadata/` or their spellings without a slash: names of versions, no values.
    /// Refused to callers with `deny = true`, and to those that `default` refuses.
    Home,
    /// [`CALLER`]: who the agent takes the caller for. Refused as `Home` is.
    Caller,
    /// `instance/service-accounts/ACCOUNT/token`
    Token {
        /// The account, as asked.
        account: String,
        /// The scopes, sorted, each once. `None` if the request names none.
        scopes: Option<Vec<String>>,
    },
    /// `instance/service-accounts/ACCOUNT/identity`
    Identity {
        /// The account, as asked.
        account: String,
        /// The audience, decoded. Not empty.
        audience: String,
        /// `format=full`
        full: bool,
        /// `licenses=TRUE`
        licenses: bool,
    },
    /// A value or a directory.
    Value {
        /// Below [`PREFIX`], without a slash at its end: `instance/zone`. Empty for the root.
        path: String,
        /// Whether it is asked for as a directory: with a slash at the end.
        slash: bool,
    },
}

/// A request that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer: 400, 403 or 404.
    pub status: u16,
    /// Why, in one line.
    pub why: String,
}

impl Refused {
    fn bad(why: impl Into<String>) -> Self {
        Self {
            status: 400,
            why: why.into(),
        }
    }
}

impl Request {
    /// Reads a target as in a request line: `PATH[?QUERY]`. What follows a `#` is no part of it.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn parse(target: &str) -> Result<Self, Refused> {
        let target = target.split('#').next().unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self::read(path, query)
    }

    /// Reads a path and a query as they were sent.
    ///
    /// # Errors
    ///
    /// [`Refused`] for a path with anything but plain segments, a parameter that stands twice, or
    /// parameters that make no sense.
    pub fn read(path: &str, query: &str) -> Result<Self, Refused> {
        check_path(path)?;
        let query = Query::parse(query);
        if let Some(name) = query.repeated() {
            let name = name.escape_debug();
            return Err(Refused::bad(format!("the parameter {name} stands twice")));
        }
        if is_home(path) {
            return Ok(Self {
                topic: Topic::Home,
                reading: Reading::default(),
            });
        }
        if path == CALLER {
            return Ok(Self {
                topic: Topic::Caller,
                reading: Reading::default(),
            });
        }
        let Some(place) = path.strip_prefix(PREFIX) else {
            return Err(Refused {
                status: 404,
                why: "there is nothing outside /computeMetadata/v1/".to_owned(),
            });
        };
        let steps: Vec<_> = place.split('/').collect();
        // JSON has such names, and a lenient source might take them for those of paths, which rules
        // are about.
        if steps.iter().take(2).any(|step| is_of_json(step)) {
            return Err(Refused {
                status: 404,
                why: "names of directories are in lower case, with dashes".to_owned(),
            });
        }
        let topic = match steps[..] {
            [
                "instance",
                "service-accounts",
                account,
                "token" | "identity",
            ] if account.len() > LONGEST_ACCOUNT => {
                return Err(Refused::bad("an account has at most 256 bytes"));
            }
            ["instance", "service-accounts", account, "token"] => Topic::Token {
                account: account.to_owned(),
                scopes: scopes(&query)?,
            },
            ["instance", "service-accounts", account, "identity"] => identity(account, &query)?,
            _ => value(place),
        };
        let reading = match topic {
            Topic::Value { .. } => Reading::parse(&query).map_err(|reply| {
                Refused::bad(String::from_utf8_lossy(&reply.body).trim().to_owned())
            })?,
            _ => Reading::default(),
        };
        Ok(Self { topic, reading })
    }

    /// Returns whether the answer has an account in it, or is of one.
    pub fn names_account(&self) -> bool {
        match &self.topic {
            Topic::Home | Topic::Caller => false,
            Topic::Token { .. } | Topic::Identity { .. } => true,
            Topic::Value { path, .. } => {
                let accounts = "instance/service-accounts";
                accounts.starts_with(path.as_str()) || path.starts_with(accounts)
            }
        }
    }
}

/// Returns whether a path is that of [`Topic::Home`].
pub(crate) fn is_home(path: &str) -> bool {
    let homes = [
        "/",
        "/computeMetadata",
        "/computeMetadata/",
        "/computeMetadata/v1",
    ];
    homes.contains(&path)
}

/// The metadata server decodes nothing in a path, so escapes have no meaning there.
fn check_path(path: &str) -> Result<(), Refused> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@:+,;=!$&'()*/".contains(&byte);
    if !path.starts_with('/') || !path.bytes().all(plain) {
        return Err(Refused::bad(
            "a path has letters, digits and -._~@:+,;=!$&'()* between its slashes, and no escapes",
        ));
    }
    let mut steps = path[1..].split('/').peekable();
    while let Some(step) = steps.next() {
        if step == "." || step == ".." || (step.is_empty() && steps.peek().is_some()) {
            return Err(Refused::bad(
                "a path has no empty segment, and none of dots",
            ));
        }
    }
    Ok(())
}

/// The first two names of a path are the server's own: none has a capital, and one an underscore.
fn is_of_json(step: &str) -> bool {
    let of_json = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    step.bytes().any(of_json) && step != "universe_domain"
}

fn value(place: &str) -> Topic {
    let (path, slash) = match place.strip_suffix('/') {
        Some(path) => (path, true),
        None => (place, place.is_empty()),
    };
    Topic::Value {
        path: path.to_owned(),
        slash,
    }
}

/// The scopes that a query names, or `None`. A scope has the letters of RFC 6749, section 3.3.
fn scopes(query: &Query) -> Result<Option<Vec<String>>, Refused> {
    let Some(list) = query.non_empty("scopes") else {
        return Ok(None);
    };
    if list.len() > LONGEST_SCOPES {
        return Err(Refused::bad("scopes have at most 4096 bytes in all"));
    }
    let mut scopes: Vec<String> = list.split(',').map(str::to_owned).collect();
    scopes.retain(|scope| !scope.is_empty());
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scopes.is_empty() || !scopes.iter().all(|scope| scope.bytes().all(fits)) {
        return Err(Refused::bad(
            "scopes are separated by commas, and have no spaces",
        ));
    }
    scopes.sort();
    scopes.dedup();
    Ok(Some(scopes))
}

fn identity(account: &str, query: &Query) -> Result<Topic, Refused> {
    let Some(audience) = query.non_empty("audience") else {
        return Err(Refused::bad("non-empty audience parameter required"));
    };
    if audience.len() > LONGEST_AUDIENCE {
        return Err(Refused::bad("an audience has at most 2048 bytes"));
    }
    if audience.chars().any(char::is_control) {
        return Err(Refused::bad("an audience has no control characters"));
    }
    let full = match query.non_empty("format") {
        None | Some("standard") => false,
        Some("full") => true,
        Some(_) => return Err(Refused::bad("format must be standard or full")),
    };
    Ok(Topic::Identity {
        account: account.to_owned(),
        audience: audience.to_owned(),
        full,
        licenses: full && query.flag("licenses"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(target: &str) -> Topic {
        Request::parse(target).unwrap().topic
    }

    fn status(target: &str) -> u16 {
        Request::parse(target).unwrap_err().status
    }

    fn place(path: &str, slash: bool) -> Topic {
        Topic::Value {
            path: path.to_owned(),
            slash,
        }
    }

    #[test]
    fn a_place_is_its_path() {
        assert_eq!(topic("/"), Topic::Home);
        assert_eq!(topic("/gce-auth/caller"), Topic::Caller);
        let at = |rest: &str| topic(&format!("{PREFIX}{rest}"));
        assert_eq!(at(""), place("", true));
        assert_eq!(at("?recursive=true"), place("", true));
        assert_eq!(at("instance/zone"), place("instance/zone", false));
        assert_eq!(at("instance/tags/"), place("instance/tags", true));
        let account = "instance/service-accounts/a@b.example";
        assert_eq!(at(account), place(account, false));
        let token = |scopes: Option<&[&str]>| Topic::Token {
            account: "default".to_owned(),
            scopes: scopes.map(|all| all.iter().map(|&scope| scope.to_owned()).collect()),
        };
        let at = |rest: &str| topic(&format!("{PREFIX}instance/service-accounts/default/{rest}"));
        assert_eq!(at("token"), token(None));
        assert_eq!(at("token?scopes="), token(None));
        assert_eq!(at("token?scopes=b%2Ca,b,"), token(Some(&["a", "b"])));
        assert_eq!(
            at("identity?audience=https%3A%2F%2Fx&licenses=TRUE"),
            Topic::Identity {
                account: "default".to_owned(),
                audience: "https://x".to_owned(),
                full: false,
                licenses: false,
            }
        );
        for (query, machine, numbers) in [
            ("format=full&licenses=TRUE", true, true),
            ("format=full&licenses=FALSE", true, false),
            ("format=full", true, false),
            ("format=standard&licenses=TRUE", false, false),
        ] {
            let Topic::Identity { full, licenses, .. } =
                at(&format!("identity?audience=a&{query}"))
            else {
                panic!("{query}");
            };
            assert_eq!((full, licenses), (machine, numbers), "{query}");
        }
        let universe = topic(&format!("{PREFIX}universe/universe_domain"));
        assert_eq!(universe, place("universe/universe_domain", false));
    }

    #[test]
    fn paths_above_and_below_accounts_show_them() {
        for (path, shown) in [
            ("", true),
            ("instance/", true),
            ("instance/service-accounts/default/email", true),
            ("instance/zone", false),
            ("project/", false),
        ] {
            let asked = Request::parse(&format!("{PREFIX}{path}?recursive=true")).unwrap();
            assert_eq!(asked.names_account(), shown, "{path}");
        }
    }

    /// A server reads no further in a request line, and a client sends none.
    #[test]
    fn a_fragment_is_no_part_of_a_target() {
        let zone = format!("{PREFIX}instance/zone");
        for rest in ["#x", "#?alt=json&alt=json", "?alt=text#?%"] {
            assert_eq!(topic(&format!("{zone}{rest}")), topic(&zone), "{rest}");
        }
        let key = format!("{PREFIX}instance/attributes/kube-env");
        assert_eq!(topic(&format!("{key}#x")), topic(&key));
    }

    #[test]
    fn odd_spellings_are_refused() {
        for rest in [
            "instance//zone",
            "instance/./zone",
            "instance/../project/x",
            "instance/%7Aone",
            "instance/zone%00",
            "instance\\zone",
            "instance/z\u{f6}ne",
            "/instance/zone",
            "instance/tags//",
            "instance/service-accounts/default/token?scopes=a&scopes=b",
            "instance/service-accounts/default/token?scopes=a&%73copes=b",
            "instance/service-accounts/default/token?scopes=a%20b",
            "instance/service-accounts/default/token?scopes=,",
            "instance/service-accounts/default/token?scopes=a%22b",
            "instance/service-accounts/default/token?scopes=a%5Cb",
            "instance/service-accounts/default/identity",
            "instance/service-accounts/default/identity?audience=",
            "instance/service-accounts/default/identity?audience=a%0Ab",
            "instance/service-accounts/default/identity?audience=a&format=odd",
            "instance/zone?wait_for_change=true&timeout_sec=soon",
        ] {
            assert_eq!(status(&format!("{PREFIX}{rest}")), 400, "{rest}");
        }
        for rest in [
            "instance/serviceAccounts/default/token",
            "instance/service_accounts/default/token",
            "Instance/attributes/kube-env",
            "instance/gceWorkloadCertificates/",
        ] {
            assert_eq!(status(&format!("{PREFIX}{rest}")), 404, "{rest}");
        }
        assert_eq!(status("instance/zone"), 400);
        assert_eq!(status("/healthz"), 404);
        assert_eq!(status("/gce-auth/caller/"), 404);
        assert_eq!(status("/0.1/meta-data/"), 404);
    }

    #[test]
    fn what_tokens_are_kept_by_is_not_long() {
        let understood = |account: usize, rest: &str, length: usize| {
            let (account, long) = ("a".repeat(account), "x".repeat(length));
            let target = format!("{PREFIX}instance/service-accounts/{account}/{rest}{long}");
            Request::parse(&target).map_err(|refused| refused.status)
        };
        for (account, rest, longest) in [
            (1, "token?scopes=", 4096),
            (1, "identity?audience=", 2048),
            (256, "token?scopes=", 9),
            (256, "identity?audience=", 9),
        ] {
            assert!(understood(account, rest, longest).is_ok(), "{rest}");
        }
        for (account, rest, length) in [
            (1, "token?scopes=", 4097),
            (1, "identity?audience=", 2049),
            (257, "token?scopes=", 9),
            (257, "identity?audience=", 9),
        ] {
            assert_eq!(understood(account, rest, length), Err(400), "{rest}");
        }
    }
}
