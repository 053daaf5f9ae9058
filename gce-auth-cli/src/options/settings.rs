//! The settings of an emulator from variables and from a file, and as a file.

use std::{ffi::OsString, fs, path::Path};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use crate::exit::{Exit, Failure};

const PREFIX: &str = "GCE_AUTH_EMULATOR_";
/// Options that are no settings, by their ids: what they do is done once.
const DEEDS: [&str; 4] = ["config", "print_config", "env", "help"];

/// Gives each setting a variable: `GCE_AUTH_EMULATOR_ALLOW_FROM` for `--allow-from`.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let id = arg.get_id().as_str();
        if DEEDS[1..].contains(&id) {
            return arg;
        }
        let name = format!("{PREFIX}{}", id.to_ascii_uppercase());
        arg.env(name).hide_env_values(true)
    })
}

/// Returns arguments with the settings of the file that they, or a variable, name, unless the same
/// settings come from arguments or variables. Other commands' arguments stay as they are.
pub(super) fn expand(
    command: &Command,
    mut arguments: Vec<OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<OsString>, Failure> {
    let Some(own) = own(&arguments) else {
        return Ok(arguments);
    };
    let given =
        named(own).or_else(|| variable(&format!("{PREFIX}CONFIG")).filter(|file| !file.is_empty()));
    let Some(file) = given else {
        return Ok(arguments);
    };
    let refused = |why: &str| Failure::new(Exit::Usage, format!("{file}: {why}"));
    let text = fs::read_to_string(Path::new(&file)).map_err(|error| refused(&error.to_string()))?;
    let table: Table = toml::from_str(&text).map_err(|error| refused(error.message()))?;
    let known = command.clone().ignore_errors(true);
    let matches = known.get_matches_from([OsString::from("emulate")].iter().chain(own));
    let mut more = Vec::new();
    for (key, value) in table {
        let id = key.replace('-', "_");
        let arg = command
            .get_arguments()
            .find(|arg| {
                arg.get_id().as_str() == id && !DEEDS.contains(&id.as_str()) && !key.contains('_')
            })
            .ok_or_else(|| refused(&format!("`{key}` is no setting")))?;
        if is_given(&matches, &id) {
            continue;
        }
        let words = words(arg, &key, &value);
        let words =
            words.ok_or_else(|| refused(&format!("`{key}` has a value of another type")))?;
        more.extend(words.into_iter().map(OsString::from));
    }
    arguments.extend(more);
    Ok(arguments)
}

/// Returns the settings as a file for `--config`.
pub(super) fn effective(command: &Command, arguments: &[OsString]) -> Result<String, Failure> {
    let own = own(arguments).unwrap_or_default();
    let matches = command
        .clone()
        .get_matches_from([OsString::from("emulate")].iter().chain(own));
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

/// The arguments behind `emulate`, if that is the command, and none of its own follows.
fn own(arguments: &[OsString]) -> Option<&[OsString]> {
    let words = arguments.get(1..)?;
    let is_option = |word: &OsString| word.to_str().is_some_and(|word| word.starts_with('-'));
    let at = words.iter().position(|word| !is_option(word))?;
    let own = words.get(at + 1..)?;
    let is_own = words.get(at)? == "emulate" && own.first().is_none_or(|word| word != "event");
    is_own.then_some(own)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::emulate::Args;

    fn command() -> Command {
        <Args as clap::Args>::augment_args(Command::new("emulate"))
    }

    fn arguments(words: &[&str]) -> Vec<OsString> {
        ["gce-auth", "-v", "emulate"]
            .iter()
            .chain(words)
            .map(OsString::from)
            .collect()
    }

    fn settings(words: &[&str]) -> String {
        let expanded = expand(&command(), arguments(words), |_| None).unwrap();
        effective(&command(), &expanded).unwrap()
    }

    #[test]
    fn what_is_printed_says_the_same_when_it_is_given_back() {
        let file =
            std::env::temp_dir().join(format!("gce-auth-config-{}.toml", std::process::id()));
        let path = file.to_str().unwrap();
        for words in [
            &[][..],
            &[
                "--port",
                "8080",
                "--strict",
                "--project=my-project",
                "--allow-from=10.0.0.0/8,fd00::/8",
            ],
            &[
                "--set",
                "instance/attributes/a=\"1\"\\",
                "--set=instance/attributes/b=2",
                "--account=a@b",
            ],
            &[
                "--event",
                "event = { kind = \"preempt\" }",
                "--fault",
                "path = \"/\", fault = { kind = \"hang\" }",
            ],
            &[
                "--cold-start",
                "0.5",
                "--token-lifetime=600",
                "--write-adc=.",
                "--adc-kind=service_account",
            ],
            &[
                "--project=007",
                "--address=::1",
                "--token-command",
                "echo 'a b'",
            ],
        ] {
            let printed = settings(words);
            fs::write(&file, &printed).unwrap();
            assert_eq!(settings(&["--config", path]), printed, "{words:?}");
            assert_eq!(settings(&[&format!("--config={path}")]), printed);
        }
        fs::write(
            &file,
            "port = 1\nproject = \"file\"\nset = [\"instance/id=1\"]",
        )
        .unwrap();
        let mixed = settings(&["--config", path, "--port", "2"]);
        assert!(
            mixed.contains("port = 2\n") && mixed.contains("project = \"file\"\n"),
            "{mixed}"
        );
        let named = |name: &str| (name == "GCE_AUTH_EMULATOR_CONFIG").then(|| path.to_owned());
        let expanded = expand(&command(), arguments(&[]), named).unwrap();
        assert!(
            expanded.contains(&OsString::from("--port=1")),
            "{expanded:?}"
        );
        for (text, part) in [
            ("ports = 1", "`ports` is no setting"),
            ("config = \"x\"", "no setting"),
            ("allow_from = \"x\"", "no setting"),
            ("strict = 1", "another type"),
            ("port = [1]", "another type"),
            ("port =", "emulat"),
        ] {
            fs::write(&file, text).unwrap();
            let why = expand(&command(), arguments(&["--config", path]), |_| None);
            let why = why.unwrap_err().to_string();
            assert!(
                why.contains(path) && (why.contains(part) || text == "port ="),
                "{why}"
            );
        }
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn other_commands_are_left_alone() {
        let named = |_: &str| Some("/nonexistent".to_owned());
        for words in [
            &["gce-auth", "token"][..],
            &["gce-auth", "emulate", "event", "list"],
            &["gce-auth"],
            &[],
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(expand(&command(), words.clone(), named).unwrap(), words);
        }
        assert!(expand(&command(), arguments(&[]), named).is_err());
    }

    #[test]
    fn each_setting_has_a_variable() {
        let mut count = 0;
        for arg in command().get_arguments() {
            let id = arg.get_id().as_str();
            let has = arg.get_env().is_some();
            assert_eq!(has, !DEEDS[1..].contains(&id), "{id}");
            count += usize::from(has);
        }
        assert!(count > 30, "{count}");
    }
}
