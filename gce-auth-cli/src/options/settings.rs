//! The settings of an emulator from variables and from a file, and as a file: for `emulate` and for
//! `exec`.

use std::{ffi::OsString, fs, ops::Range, path::Path};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use crate::exit::{Exit, Failure};

const PREFIX: &str = "GCE_AUTH_EMULATOR_";
/// Options that are no settings, by their ids: what they do is done once.
pub(crate) const DEEDS: [&str; 4] = ["config", "print_config", "env", "help"];

/// Gives each setting of `emulate` a variable: `GCE_AUTH_EMULATOR_ALLOW_FROM` for `--allow-from`.
pub(crate) fn with_variables(command: Command) -> Command {
    command.mut_args(|arg| match DEEDS[1..].contains(&arg.get_id().as_str()) {
        true => arg,
        false => with_variable(arg),
    })
}

/// Gives these arguments their variables.
pub(crate) fn with_variables_of(command: Command, settings: &[String]) -> Command {
    command.mut_args(|arg| match settings.iter().any(|id| arg.get_id() == id) {
        true => with_variable(arg),
        false => arg,
    })
}

/// Takes all variables from the arguments again.
pub(crate) fn without_variables(command: Command) -> Command {
    command.mut_args(|arg| arg.env(None::<&str>))
}

fn with_variable(arg: Arg) -> Arg {
    let name = format!("{PREFIX}{}", arg.get_id().as_str().to_ascii_uppercase());
    arg.env(name).hide_env_values(true)
}

/// A command that runs an emulator.
pub(crate) struct Runs<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: &'a Command,
    /// The command whose settings the file has, if it is another one: those that this command does
    /// not have are left out.
    pub(crate) file: Option<&'a Command>,
}

impl Runs<'_> {
    /// Returns arguments with the settings of the file that they, or a variable, name, unless the
    /// same settings come from arguments or variables. Other commands' arguments stay as they are.
    pub(crate) fn expand(
        &self,
        mut arguments: Vec<OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<OsString>, Failure> {
        let Some(own) = own(self.name, &arguments) else {
            return Ok(arguments);
        };
        let words = &arguments[own.clone()];
        let given = match self.file {
            None => named(words),
            // Its own `--config` is another file.
            Some(_) => None,
        };
        let variable = || variable(&format!("{PREFIX}CONFIG")).filter(|file| !file.is_empty());
        let Some(file) = given.or_else(variable) else {
            return Ok(arguments);
        };
        let more = self.settings_of(&file, words)?;
        arguments.splice(own.end..own.end, more);
        Ok(arguments)
    }

    fn settings_of(&self, file: &str, own: &[OsString]) -> Result<Vec<OsString>, Failure> {
        let refused = |why: &str| Failure::new(Exit::Usage, format!("{file}: {why}"));
        let text =
            fs::read_to_string(Path::new(file)).map_err(|error| refused(&error.to_string()))?;
        let table: Table = toml::from_str(&text).map_err(|error| refused(error.message()))?;
        let known = self.command.clone().ignore_errors(true);
        let matches = known.get_matches_from([OsString::from(self.name)].iter().chain(own));
        let mut more = Vec::new();
        for (key, value) in table {
            let id = key.replace('-', "_");
            let find = |command: &Command| {
                let mut arguments = command.get_arguments();
                arguments.find(|arg| arg.get_id() == &id).cloned()
            };
            let arg = find(self.file.unwrap_or(self.command))
                .filter(|_| !DEEDS.contains(&id.as_str()) && !key.contains('_'))
                .ok_or_else(|| refused(&format!("`{key}` is no setting")))?;
            let words = words(&arg, &key, &value)
                .ok_or_else(|| refused(&format!("`{key}` has a value of another type")))?;
            let has = find(self.command).is_some_and(|arg| arg.get_env().is_some());
            if has && !is_given(&matches, &id) {
                more.extend(words.into_iter().map(OsString::from));
            }
        }
        Ok(more)
    }
}

/// Returns the settings as a file for `--config`.
pub(crate) fn effective(command: &Command, arguments: &[OsString]) -> Result<String, Failure> {
    let name = command.get_name();
    let own = own(name, arguments).map_or(&[][..], |own| &arguments[own]);
    let matches = command
        .clone()
        .get_matches_from([OsString::from(name)].iter().chain(own));
    let mut text = String::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let Some(source) = matches.value_source(id).filter(|_| !DEEDS.contains(&id)) else {
            continue;
        };
        // An option that needs another one has no meaning without it.
        if source == ValueSource::DefaultValue && (id == "adc_kind" || is_flag(arg)) {
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        let values = values.map(|value| value.to_str().map(one));
        let values: Option<Vec<Value>> = values.collect();
        let Some(values) = values else {
            let why = format!(
                "--{} is no UTF-8, which a file has to be",
                id.replace('_', "-")
            );
            return Err(Failure::new(Exit::Usage, why));
        };
        let value = match arg.get_action() {
            ArgAction::Append => Value::Array(values),
            ArgAction::SetTrue if !matches.get_flag(id) => continue,
            ArgAction::SetTrue => Value::Boolean(true),
            // An option that needs no value, and has none.
            _ => values.into_iter().next().unwrap_or(Value::Boolean(true)),
        };
        text.push_str(&format!("{} = {value}\n", id.replace('_', "-")));
    }
    Ok(text)
}

/// Where the arguments of this command stand, if it is called, and no command of its own follows:
/// before `--`.
pub(crate) fn own(name: &str, arguments: &[OsString]) -> Option<Range<usize>> {
    let is_option = |word: &OsString| word.to_str().is_some_and(|word| word.starts_with('-'));
    let words = arguments.get(1..)?;
    let at = words.iter().position(|word| !is_option(word))? + 1;
    let begin = at + 1;
    let own = arguments.get(begin..)?;
    let end = own.iter().position(|word| word == "--");
    let is_own = arguments[at] == name && own.first().is_none_or(|word| word != "event");
    is_own.then_some(begin..end.map_or(arguments.len(), |end| begin + end))
}

/// The file that `--config` names.
fn named(own: &[OsString]) -> Option<String> {
    let word = |at: usize| own.get(at).and_then(|word| word.to_str());
    (0..own.len()).find_map(|at| match word(at)? {
        "--config" => word(at + 1).map(Into::into),
        joined => joined.strip_prefix("--config=").map(Into::into),
    })
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches!(
        matches.value_source(id),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

fn is_flag(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn needs_no_value(arg: &Arg) -> bool {
    arg.get_num_args()
        .is_some_and(|number| number.min_values() == 0)
}

/// The words of the command line that say the same; `None` if the value is of another type.
fn words(arg: &Arg, key: &str, value: &Value) -> Option<Vec<String>> {
    let word = |value: &Value| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => return None,
        };
        Some(format!("--{key}={value}"))
    };
    match value {
        Value::Boolean(on) if is_flag(arg) || needs_no_value(arg) => {
            Some(on.then(|| format!("--{key}")).into_iter().collect())
        }
        _ if is_flag(arg) => None,
        Value::Array(values) if matches!(arg.get_action(), ArgAction::Append) => {
            values.iter().map(word).collect()
        }
        value => word(value).map(|word| vec![word]),
    }
}

/// A value in a file: a number where it is written as one.
fn one(value: &str) -> Value {
    let number = value.parse::<i64>().ok();
    match number.filter(|number| number.to_string() == value) {
        Some(number) => number.into(),
        None => value.into(),
    }
}
