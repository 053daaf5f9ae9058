//! The form of the configuration file. What its values mean is the readers' to say.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, Error, Visitor},
};
use toml::Spanned;

type Text = Option<Spanned<String>>;
type List<T> = Option<Vec<Spanned<T>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) source: Text,
    pub(super) upstream: Text,
    pub(super) default: Text,
    #[serde(default)]
    pub(super) listen: Vec<Spanned<Listen>>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<Rule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Listen {
    pub(super) name: Text,
    pub(super) tcp: Text,
    pub(super) unix: Text,
    pub(super) mode: Text,
    pub(super) group: Option<Spanned<Id>>,
    pub(super) allow_from: List<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Rule {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) caller: Caller,
    #[serde(default)]
    pub(super) allow: Allow,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Caller {
    pub(super) uid: List<Id>,
    pub(super) gid: List<Id>,
    pub(super) exe: List<String>,
    pub(super) cgroup: List<String>,
    pub(super) container: List<String>,
    pub(super) pod: List<String>,
    pub(super) from: List<String>,
    pub(super) listener: List<String>,
    pub(super) child_of: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Allow {
    pub(super) accounts: List<String>,
    pub(super) r#as: Text,
    pub(super) scopes: List<String>,
    pub(super) audiences: List<String>,
    pub(super) max_lifetime: Text,
    pub(super) metadata: List<String>,
    pub(super) rate: Text,
    pub(super) boundary: Text,
    #[serde(default)]
    pub(super) deny: bool,
}

/// A user or a group.
#[derive(Debug)]
pub(super) enum Id {
    Number(u32),
    Name(String),
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 4294967295, or a name in quotes")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
                u32::try_from(number)
                    .map(Id::Number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Id, E> {
                Ok(Id::Name(name.to_owned()))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
