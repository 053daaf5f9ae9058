//! `gce-auth emulate event`: events of the machine that an emulator which runs is.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use super::control_request;
use crate::{
    exit::{Exit, Failure},
    options::ClientArgs,
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth emulate event preempt                               TRUE now, and the end in 30 s
  gce-auth emulate event preempt --in 5m --client 172.17.0.3   one node of a cluster
  gce-auth emulate event maintenance action=TERMINATE notice=2m
  gce-auth emulate event maintenance gpu=true announced=1h
  gce-auth emulate event shutdown grace=60s --at 2030-01-01T00:00:00Z
  gce-auth emulate event exchange-account email=other@my-project.iam.gserviceaccount.com
  gce-auth emulate event set-attributes env=dev old-key        env is set, old-key is removed
  gce-auth emulate event attach-disk --in 10s --repeat 3
  gce-auth emulate event list
  gce-auth emulate event cancel 3

Events and their parameters:
  preempt             notice=30s
  maintenance         action=MIGRATE|TERMINATE gpu=false announced=0s notice=60s duration=60s
                      within=90s window=4h type=SCHEDULED|UNSCHEDULED can-reschedule=false
  live-migration      notice=60s jump=1s
  host-error          restart=60s automatic-restart=true
  shutdown            grace=10m within=90s target-state=STOPPED|SUSPENDED|DELETED
  detach-account      account=default
  exchange-account    email=.. scopes=..,..
  attach-disk         device-name=.. interface=SCSI type=PERSISTENT-BALANCED
  attach-interface    ip=.. network=..
  set-attributes      KEY=VALUE.. or KEY to remove; project/KEY for the project's

Finds the emulator as all commands find the metadata server: at --endpoint, else at
GCE_METADATA_HOST, as in a program that `gce-auth exec` runs.";

/// The events, each with its parameters.
const PARAMETERS: [(&str, &[&str]); 10] = [
    ("preempt", &["notice"]),
    (
        "maintenance",
        &[
            "action",
            "gpu",
            "announced",
            "notice",
            "duration",
            "within",
            "window",
            "type",
            "can-reschedule",
        ],
    ),
    ("live-migration", &["notice", "jump"]),
    ("host-error", &["restart", "automatic-restart"]),
    ("shutdown", &["grace", "within", "target-state"]),
    ("detach-account", &["account"]),
    ("exchange-account", &["email", "scopes"]),
    ("attach-disk", &["device-name", "interface", "type"]),
    ("attach-interface", &["ip", "network"]),
    ("set-attributes", &[]),
];

/// Has something happen to the machine of an emulator that runs, and prints the event's number.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true,
          subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// What happens
    #[arg(required = true, value_name = "NAME",
          value_parser = PossibleValuesParser::new(PARAMETERS.map(|(name, _)| name)))]
    name: Option<String>,
    /// Its parameters
    #[arg(value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Play it after this time, like 30s, 5m or 1h; with --repeat, also between one and the next
    #[arg(long = "in", value_name = "TIME", value_parser = time, conflicts_with = "at")]
    after: Option<Duration>,
    /// Play it at this time of the emulator's clock, as in RFC 3339
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Play it so many times
    #[arg(long, value_name = "NUMBER")]
    repeat: Option<u32>,
    /// Play it only for clients of this address or network, or in whose User-Agent or
    /// x-goog-api-client header this stands
    #[arg(long, value_name = "PATTERN")]
    client: Option<String>,
    #[command(flatten)]
    server: ClientArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prints all events as JSON: their steps, and how far they have come
    List {
        #[command(flatten)]
        server: ClientArgs,
    },
    /// Cancels an event, and takes back what it did
    Cancel {
        /// The number of the event, or `all`
        #[arg(value_name = "NUMBER", value_parser = number_or_all)]
        id: String,
        #[command(flatten)]
        server: ClientArgs,
    },
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        const PATH: &str = "machine-events";
        match &self.command {
            Some(Command::List { server }) => {
                let all = control_request::ask(server, "GET", PATH, None)?;
                return out.json(&all["machineEvents"]);
            }
            Some(Command::Cancel { id, server }) => {
                let path = match id.as_str() {
                    "all" => PATH.to_owned(),
                    id => format!("{PATH}/{id}"),
                };
                return control_request::ask(server, "DELETE", &path, None).map(drop);
            }
            None => {}
        }
        let name = self.name.as_deref().unwrap_or_default();
        let event = event(name, &self.parameters).map_err(|why| Failure::new(Exit::Usage, why))?;
        let mut body = json!({ "event": event });
        if let Some(time) = self.after {
            body["inSeconds"] = time.as_secs().into();
        }
        for (key, value) in [("at", &self.at), ("client", &self.client)] {
            if let Some(value) = value {
                body[key] = value.as_str().into();
            }
        }
        if let Some(repeat) = self.repeat {
            body["repeat"] = repeat.into();
        }
        let answer = control_request::ask(&self.server, "POST", PATH, Some(&body))?;
        out.value(&answer["id"].to_string())
    }
}

/// An event as control requests have it.
fn event(name: &str, parameters: &[String]) -> Result<Value, String> {
    let mut event = Map::new();
    event.insert("kind".into(), name.into());
    if name == "set-attributes" {
        set_attributes(&mut event, parameters)?;
        return Ok(event.into());
    }
    let mut known = PARAMETERS.iter().filter(|(event, _)| *event == name);
    let known = known.next().map_or(&[][..], |(_, keys)| *keys);
    for parameter in parameters {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !known.contains(&key) {
            let all = known.join(", ");
            return Err(format!(
                "{name} has no parameter `{key}`: its parameters are {all}"
            ));
        }
        if value.is_empty() {
            return Err(format!("give `{key}` a value, like {key}=.."));
        }
        let (key, value) = match key {
            "notice" | "jump" | "grace" | "within" | "announced" | "duration" | "window"
            | "restart" => (format!("{key}Seconds"), time(value)?.as_secs().into()),
            "gpu" | "can-reschedule" | "automatic-restart" => {
                let value: bool = value
                    .parse()
                    .map_err(|_| format!("{key} is true or false"))?;
                (camel(key), value.into())
            }
            "scopes" => (key.to_owned(), value.split(',').collect::<Vec<_>>().into()),
            _ => (camel(key), value.into()),
        };
        event.insert(key, value);
    }
    Ok(event.into())
}

fn set_attributes(event: &mut Map<String, Value>, parameters: &[String]) -> Result<(), String> {
    const PROJECT: &str = "project/";
    let project = parameters
        .iter()
        .filter(|parameter| parameter.starts_with(PROJECT))
        .count();
    if project != 0 && project != parameters.len() {
        return Err(
            "one event sets attributes of the machine or of the project, not of both".into(),
        );
    }
    let mut attributes = Map::new();
    for parameter in parameters {
        let parameter = parameter.strip_prefix(PROJECT).unwrap_or(parameter);
        let (key, value) = match parameter.split_once('=') {
            Some((key, value)) => (key, value.into()),
            None => (parameter, Value::Null),
        };
        attributes.insert(key.to_owned(), value);
    }
    event.insert("attributes".into(), attributes.into());
    event.insert("project".into(), (project != 0).into());
    Ok(())
}

/// `can-reschedule` becomes `canReschedule`.
fn camel(key: &str) -> String {
    let mut parts = key.split('-');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// Reads a time in whole seconds: `30`, `30s`, `5m`, `1h` or `2d`.
fn time(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is no time: write whole seconds like 30s, or 5m, 1h, 2d");
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    let seconds = number.checked_mul(unit).ok_or_else(refused)?;
    Ok(Duration::from_secs(seconds))
}

fn number_or_all(text: &str) -> Result<String, String> {
    let is_number = text.parse::<u64>().is_ok();
    (is_number || text == "all")
        .then(|| text.to_owned())
        .ok_or_else(|| "give the number of an event, or all".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, parameters: &[&str]) -> Result<Value, String> {
        let parameters: Vec<String> = parameters.iter().map(|text| (*text).into()).collect();
        event(name, &parameters)
    }

    #[test]
    fn parameters_become_those_of_control_requests() {
        assert_eq!(
            read(
                "maintenance",
                &["action=TERMINATE", "notice=2m", "can-reschedule=true"]
            ),
            Ok(json!({
                "kind": "maintenance", "action": "TERMINATE", "noticeSeconds": 120,
                "canReschedule": true,
            }))
        );
        assert_eq!(
            read("exchange-account", &["email=a@b", "scopes=x,y"]),
            Ok(json!({"kind": "exchange-account", "email": "a@b", "scopes": ["x", "y"]}))
        );
        assert_eq!(
            read("set-attributes", &["a=1=2", "b"]),
            Ok(json!({
                "kind": "set-attributes", "attributes": {"a": "1=2", "b": null}, "project": false,
            }))
        );
        let project = read("set-attributes", &["project/a=1"]).unwrap();
        assert_eq!(
            (&project["project"], &project["attributes"]["a"]),
            (&json!(true), &json!("1"))
        );
        for parameters in [["notice"], ["notice=soon"], ["gpu=1"], ["jump=1s"], ["x"]] {
            assert!(read("maintenance", &parameters).is_err(), "{parameters:?}");
        }
        assert!(read("set-attributes", &["project/a=1", "b=2"]).is_err());
    }

    #[test]
    fn every_event_is_known_with_its_parameters() {
        for (name, keys) in PARAMETERS {
            assert!(EXAMPLES.contains(&format!("\n  {name} ")), "{name}");
            for key in keys {
                assert!(EXAMPLES.contains(&format!("{key}=")), "{key}");
            }
            let why = match read(name, &["x=1"]) {
                Err(why) => why,
                Ok(event) => {
                    assert_eq!(name, "set-attributes", "{event}");
                    continue;
                }
            };
            assert!(keys.iter().all(|key| why.contains(key)), "{why}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("30", 30),
            ("30s", 30),
            ("5m", 300),
            ("1h", 3600),
            ("2d", 172_800),
        ] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "s",
            "-1s",
            "0.5s",
            "1w",
            "99999999999999999999h",
            "18446744073709551615d",
            "\u{e9}",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
