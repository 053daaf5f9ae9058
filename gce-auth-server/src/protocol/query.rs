//! The query string: the only place where the metadata server decodes percent signs.

use std::{collections::HashSet, fmt, time::Duration};

use crate::protocol::{pages, reply::Reply};

/// The decoded parameters of a query, or of a form.
#[derive(Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// Names only: values may be secret.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Query {
    /// Decodes the text behind a question mark, or a form.
    pub fn parse(raw: &str) -> Self {
        Self(
            raw.split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// Returns the first parameter of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first parameter of this name, unless it is empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns the first name that stands more than once.
    pub fn repeated(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        names.find(|name| !seen.insert(*name))
    }

    /// Returns whether the first parameter of this name says yes.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_true)
    }
}

/// The format of a value, and whether the answer waits for a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether everything below is wanted.
    pub recursive: bool,
    /// The form that is wanted.
    pub alt: Option<Alt>,
    /// Whether to wait for a change, and for how long.
    pub wait: Option<Wait>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
/// A form of an answer.
pub enum Alt {
    /// `alt=json`
    Json,
    /// `alt=text`
    Text,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
/// A wait for a change.
pub struct Wait {
    /// The state that the client knows.
    pub last_etag: Option<String>,
    /// How long the client is ready to wait; `None`: no limit.
    pub timeout: Option<Duration>,
}

impl Reading {
    /// Reads the parameters that every value and directory understands; unknown ones are ignored.
    pub fn parse(query: &Query) -> Result<Self, Reply> {
        let alt = match query.non_empty("alt") {
            None => None,
            Some("json") => Some(Alt::Json),
            Some("text") => Some(Alt::Text),
            Some(_) => return Err(pages::bad_request("alt must be json or text")),
        };
        let wait = if query.flag("wait_for_change") {
            let timeout = match query.non_empty("timeout_sec") {
                None => None,
                Some(seconds) => Some(Duration::from_secs(seconds.parse().map_err(|_| {
                    pages::bad_request("timeout_sec must be a whole number of seconds")
                })?)),
            };
            Some(Wait {
                last_etag: query.get("last_etag").map(Into::into),
                timeout,
            })
        } else {
            None
        };
        Ok(Self {
            recursive: query.flag("recursive"),
            alt,
            wait,
        })
    }
}

/// Returns the spellings of yes that the server takes. A slash behind it, as ohai sends it, is
/// ignored.
pub fn is_true(value: &str) -> bool {
    let value = value.strip_suffix('/').unwrap_or(value);
    ["true", "1", "yes", "y", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Decodes percent signs and plus signs; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (other, _) => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_are_kept() {
        let query = Query::parse("scopes=https%3A%2F%2Fa%2Cb&x=a+b&y=%zz%4&z");
        assert_eq!(query.get("scopes"), Some("https://a,b"));
        assert_eq!(query.get("x"), Some("a b"));
        assert_eq!(query.get("y"), Some("%zz%4"));
        assert_eq!(query.get("z"), Some(""));
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn a_name_that_stands_twice_is_found_by_what_it_means() {
        let repeated = |query: &str| Query::parse(query).repeated().map(str::to_owned);
        assert_eq!(repeated("a=1&b=2&%61=3"), Some("a".to_owned()));
        assert_eq!(repeated("a&b&A"), None);
    }

    #[test]
    fn booleans_are_taken_in_the_cases_clients_send() {
        for yes in ["true", "True", "TRUE", "1"] {
            assert!(Query::parse(&format!("recursive={yes}")).flag("recursive"));
        }
        assert!(!Query::parse("recursive=false").flag("recursive"));
        assert!(!Query::parse("recursive=").flag("recursive"));
    }

    #[test]
    fn a_timeout_that_is_no_number_is_refused() {
        let query = Query::parse("wait_for_change=true&timeout_sec=soon");
        assert_eq!(Reading::parse(&query).unwrap_err().status, 400);
        let query = Query::parse("timeout_sec=soon");
        assert!(Reading::parse(&query).is_ok());
    }

    #[test]
    fn waiting_takes_the_etag_and_the_timeout() {
        let query = Query::parse("wait_for_change=True&last_etag=0&timeout_sec=60");
        let wait = Reading::parse(&query).unwrap().wait.unwrap();
        assert_eq!(wait.last_etag.as_deref(), Some("0"));
        assert_eq!(wait.timeout, Some(Duration::from_secs(60)));
    }
}
