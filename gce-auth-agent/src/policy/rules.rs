//! From the rules of a file to rules.

use std::{path::Path, sync::Arc, time::Duration};

use gce_auth::CredentialAccessBoundary;
use toml::Spanned;

use super::{
    NO_RULE, Rate,
    config::ConfigError,
    file,
    glob::Glob,
    parse_lifetime,
    position::Source,
    rule::{Allow, CallerTest, Rule},
    system::System,
};

/// Reads a file's values, and says what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) system: &'a dyn System,
}

type Text = Spanned<String>;
type Texts = Option<Vec<Text>>;

impl Reader<'_> {
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        text: Option<&Text>,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = text else {
            return Ok(None);
        };
        let found = choices.iter().find(|(name, _)| name == text.get_ref());
        found.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let names: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            let names = names.join(" or ");
            self.wrong(
                text,
                &format!("`{key}` is {:?}; write {names}", text.get_ref()),
            )
        })
    }

    pub(super) fn rules(&self, rules: Vec<Spanned<file::Rule>>) -> Result<Vec<Rule>, ConfigError> {
        let mut read: Vec<Rule> = Vec::new();
        for (number, rule) in (1..).zip(rules) {
            let at = rule.span().start;
            let rule = rule.into_inner();
            let named_at = rule.name.as_ref().map_or(at, |name| name.span().start);
            let name = match &rule.name {
                Some(name) => name.get_ref().clone(),
                None => format!("rule-{number}"),
            };
            if name.is_empty() || name == NO_RULE || name.chars().any(char::is_control) {
                let why = format!(
                    "`name` of a rule is {name:?}; write one of printable letters, not {NO_RULE:?}"
                );
                return Err(self.source.error(named_at, &why));
            }
            if read.iter().any(|other| *other.name == *name) {
                let why = format!("two rules are named {name:?}; give each its own name");
                return Err(self.source.error(named_at, &why));
            }
            read.push(Rule {
                name: name.into(),
                caller: self.caller(&rule.caller)?,
                deny: rule.allow.deny,
                rate: rule
                    .allow
                    .rate
                    .as_ref()
                    .map(|it| self.rate(it))
                    .transpose()?,
                allow: self.allow(&rule.allow)?,
            });
        }
        Ok(read)
    }

    fn caller(&self, caller: &file::Caller) -> Result<CallerTest, ConfigError> {
        let rooted = |text: &str| {
            text.starts_with('/')
                .then_some(())
                .ok_or("begin it with a slash")
        };
        let some = |text: &str| (!text.is_empty()).then_some(()).ok_or("it is empty");
        let child = caller.child_of.as_ref();
        Ok(CallerTest {
            uid: list(caller.uid.as_ref(), |it| self.id(it, "uid"))?,
            gid: list(caller.gid.as_ref(), |it| self.id(it, "gid"))?,
            exe: self.globs("exe", &caller.exe, rooted)?,
            cgroup: self.globs("cgroup", &caller.cgroup, rooted)?,
            container: self.globs("container", &caller.container, some)?,
            pod: self.globs("pod", &caller.pod, some)?,
            from: list(caller.from.as_ref(), |it| self.network(it, "from"))?,
            listener: list(caller.listener.as_ref(), |it| Ok(it.get_ref().clone()))?,
            child: self.choice("child-of", child, &[("exec", ())])?.is_some(),
        })
    }

    fn allow(&self, allow: &file::Allow) -> Result<Allow, ConfigError> {
        let account = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_graphic() && !b"/?#%*".contains(&byte);
            (!text.is_empty() && text.bytes().all(fits))
                .then_some(())
                .ok_or("write \"default\" or the e-mail address of a service account")
        };
        let scope = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte);
            (!text.is_empty() && text.bytes().all(fits))
                .then_some(())
                .ok_or("write one scope, without spaces and commas")
        };
        let place = |text: &str| {
            let odd = |step: &str| matches!(step, "" | "." | "..");
            (!text.split('/').any(odd))
                .then_some(())
                .ok_or("write a path like \"instance/zone\", without a slash at its ends")
        };
        let some = |text: &str| (!text.is_empty()).then_some(()).ok_or("it is empty");
        let audiences = self.texts("audiences", &allow.audiences, some)?;
        let lifetime = allow.max_lifetime.as_ref();
        if let (Some(lifetime), None) = (lifetime, &allow.r#as) {
            let why = "`max-lifetime` needs `as`: only tokens of an impersonated account can be \
                       made shorter";
            return Err(self.wrong(lifetime, why));
        }
        Ok(Allow {
            accounts: self.texts("accounts", &allow.accounts, account)?,
            act_as: allow.r#as.as_ref().map(|it| self.act_as(it)).transpose()?,
            scopes: self.texts("scopes", &allow.scopes, scope)?.map(sorted),
            audiences: audiences.map(|all| all.iter().map(|it| Glob::audience(it)).collect()),
            max_lifetime: lifetime.map(|it| self.lifetime(it)).transpose()?,
            metadata: self.globs("metadata", &allow.metadata, place)?,
            boundary: allow
                .boundary
                .as_ref()
                .map(|it| self.boundary(it))
                .transpose()?,
        })
    }

    fn act_as(&self, text: &Text) -> Result<Arc<str>, ConfigError> {
        if !is_email(text.get_ref()) {
            let why = format!(
                "`as` is {:?}; write the e-mail address of a service account",
                text.get_ref()
            );
            return Err(self.wrong(text, &why));
        }
        Ok(text.get_ref().as_str().into())
    }

    fn lifetime(&self, text: &Text) -> Result<Duration, ConfigError> {
        parse_lifetime(text.get_ref())
            .map_err(|why| self.wrong(text, &format!("`max-lifetime` {:?}: {why}", text.get_ref())))
    }

    fn rate(&self, text: &Text) -> Result<Rate, ConfigError> {
        Rate::parse(text.get_ref())
            .map_err(|why| self.wrong(text, &format!("`rate` {:?}: {why}", text.get_ref())))
    }

    /// Reads the file of a boundary, whose path may be relative to the configuration file's folder.
    fn boundary(&self, text: &Text) -> Result<Arc<str>, ConfigError> {
        let folder = self.source.file.parent().unwrap_or_else(|| Path::new(""));
        let path = folder.join(text.get_ref());
        let why = match self.system.file(&path) {
            Ok(json) => match CredentialAccessBoundary::from_json(&json) {
                Ok(boundary) => return Ok(boundary.to_json().into()),
                Err(error) => error.to_string(),
            },
            Err(error) => format!("cannot read it: {error}"),
        };
        Err(self.wrong(text, &format!("`boundary` {}: {why}", path.display())))
    }

    fn globs(
        &self,
        key: &str,
        texts: &Texts,
        check: impl Fn(&str) -> Result<(), &'static str>,
    ) -> Result<Option<Vec<Glob>>, ConfigError> {
        let texts = self.texts(key, texts, check)?;
        Ok(texts.map(|all| all.iter().map(|text| Glob::path(text)).collect()))
    }

    fn texts(
        &self,
        key: &str,
        texts: &Texts,
        check: impl Fn(&str) -> Result<(), &'static str>,
    ) -> Result<Option<Vec<String>>, ConfigError> {
        list(texts.as_ref(), |text| match check(text.get_ref()) {
            Ok(()) => Ok(text.get_ref().clone()),
            Err(why) => Err(self.wrong(text, &format!("`{key}` {:?}: {why}", text.get_ref()))),
        })
    }

    fn wrong(&self, text: &Text, why: &str) -> ConfigError {
        self.source.error(text.span().start, why)
    }
}

/// Returns whether a text has the form of an address, which may stand in a path.
pub(super) fn is_email(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+@:".contains(&byte);
    text.bytes().all(fits)
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

fn sorted(mut scopes: Vec<String>) -> Vec<String> {
    scopes.sort();
    scopes.dedup();
    scopes
}

fn list<T, U>(
    list: Option<&Vec<T>>,
    read: impl FnMut(&T) -> Result<U, ConfigError>,
) -> Result<Option<Vec<U>>, ConfigError> {
    list.map(|list| list.iter().map(read).collect()).transpose()
}
