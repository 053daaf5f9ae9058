//! Rules as text: in the TOML of plans and in the JSON of control requests, with the same keys.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::Instant,
    faults::{
        fault::Fault,
        rules::{FaultRule, Rules, When},
    },
};

/// A rule as it is written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleConfig {
    path: String,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    method: Option<String>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    client: Option<String>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    times: Option<u64>,
    #[serde(alias = "for-seconds")]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    for_seconds: Option<u64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    allowed: Option<u64>,
    #[serde(alias = "per-seconds")]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    per_seconds: Option<u64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    probability: Option<f64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
    seed: Option<u64>,
    fault: FaultConfig,
}

impl RuleConfig {
    /// The rule; `seed` counts if it has none of its own.
    pub(crate) fn rule(self, seed: u64) -> Result<FaultRule, String> {
        if self.probability.is_none() && self.seed.is_some() {
            return Err("seed goes with probability".into());
        }
        let mut rule = FaultRule::new(self.fault.fault()?).path(self.path);
        if let Some(method) = self.method {
            rule = rule.method(method);
        }
        if let Some(client) = self.client {
            rule = rule.client(client);
        }
        Ok(
            match (
                self.times,
                self.for_seconds,
                self.allowed,
                self.per_seconds,
                self.probability,
            ) {
                (None, None, None, None, None) => rule,
                (Some(0), None, None, None, None) | (None, Some(0), None, None, None) => {
                    return Err("a fault for no request, or for no time, would be none".into());
                }
                (Some(times), None, None, None, None) => rule.times(saturated(times)),
                (None, Some(seconds), None, None, None) => {
                    rule.lasting(Duration::from_secs(seconds))
                }
                (None, None, Some(allowed), Some(seconds), None) => {
                    rule.beyond(saturated(allowed), Duration::from_secs(seconds))
                }
                (None, None, None, None, Some(probability)) => {
                    if !(0.0..=1.0).contains(&probability) {
                        return Err("probability must be between 0 and 1".into());
                    }
                    rule.chance(probability, self.seed.unwrap_or(seed))
                }
                _ => {
                    return Err("give one of: a number of times, a time in seconds, \
                                what is allowed per seconds, a probability"
                        .into());
                }
            },
        )
    }

    pub(crate) fn show(rule: &FaultRule) -> Self {
        let (path, client, when, fault) = rule.parts();
        let mut form = Self {
            path: path.into(),
            method: rule.only_method().map(Into::into),
            client: client.map(Into::into),
            times: None,
            for_seconds: None,
            allowed: None,
            per_seconds: None,
            probability: None,
            seed: None,
            fault: FaultConfig::show(fault),
        };
        match when {
            When::Always | When::Times(usize::MAX) => {}
            When::Times(times) => form.times = Some(times as u64),
            When::For(time) => form.for_seconds = Some(time.as_secs()),
            When::Beyond { allowed, per } => {
                form.allowed = Some(allowed as u64);
                form.per_seconds = Some(per.as_secs());
            }
            When::Chance { probability, seed } => {
                form.probability = Some(probability);
                form.seed = Some(seed);
            }
        }
        form
    }
}

/// The rules that are not over, each with its number and how often it hit.
pub(crate) fn show_all(rules: &Rules, now: Instant) -> Value {
    let all: Vec<Value> = rules
        .all(now)
        .map(|active| {
            let mut shown = json!(RuleConfig::show(&active.rule));
            shown["id"] = active.id.into();
            shown["hits"] = active.hits.into();
            shown
        })
        .collect();
    json!({ "faults": all })
}

/// A fault as it is written.
#[derive(Deserialize, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum FaultConfig {
    Status {
        code: u16,
        #[serde(alias = "retry-after")]
        #[serde(default, deserialize_with = "given", skip_serializing_if = "absent")]
        retry_after: Option<u64>,
    },
    // With braces, as only so serde looks for keys that mean nothing.
    Close {},
    Reset {},
    Hang {},
    Delay {
        milliseconds: u64,
    },
    MissingFlavor {},
    WrongFlavor {
        flavor: String,
    },
    Slow {
        bytes: u64,
        milliseconds: u64,
    },
    Truncate {
        bytes: u64,
    },
    Body {
        #[serde(alias = "content-type")]
        content_type: String,
        text: String,
    },
}

impl FaultConfig {
    fn fault(self) -> Result<Fault, String> {
        Ok(match self {
            Self::Status { code, retry_after } => {
                let code = status(code)?;
                Fault::Status { code, retry_after }
            }
            Self::Close {} => Fault::Close,
            Self::Reset {} => Fault::Reset,
            Self::Hang {} => Fault::Hang,
            Self::Delay { milliseconds } => Fault::Delay(Duration::from_millis(milliseconds)),
            Self::MissingFlavor {} => Fault::MissingFlavor,
            Self::WrongFlavor { flavor } => Fault::WrongFlavor(flavor),
            Self::Slow {
                bytes,
                milliseconds,
            } => Fault::Slow {
                bytes: saturated(bytes),
                pause: Duration::from_millis(milliseconds),
            },
            Self::Truncate { bytes } => Fault::Truncate(saturated(bytes)),
            Self::Body { content_type, text } => Fault::Body {
                content_type,
                bytes: text.into_bytes(),
            },
        })
    }

    fn show(fault: &Fault) -> Self {
        let millis = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match fault {
            Fault::Status { code, retry_after } => Self::Status {
                code: *code,
                retry_after: *retry_after,
            },
            Fault::Close => Self::Close {},
            Fault::Reset => Self::Reset {},
            Fault::Hang => Self::Hang {},
            Fault::Delay(delay) => Self::Delay {
                milliseconds: millis(delay),
            },
            Fault::MissingFlavor => Self::MissingFlavor {},
            Fault::WrongFlavor(flavor) => Self::WrongFlavor {
                flavor: flavor.clone(),
            },
            Fault::Slow { bytes, pause } => Self::Slow {
                bytes: *bytes as u64,
                milliseconds: millis(pause),
            },
            Fault::Truncate(bytes) => Self::Truncate {
                bytes: *bytes as u64,
            },
            Fault::Body {
                content_type,
                bytes,
            } => Self::Body {
                content_type: content_type.clone(),
                text: String::from_utf8_lossy(bytes).into_owned(),
            },
        }
    }
}

/// A status that an answer can have.
pub(crate) fn status(code: u16) -> Result<u16, String> {
    if (200..1000).contains(&code) {
        Ok(code)
    } else {
        Err("code must be between 200 and 999".into())
    }
}

/// What is there has to be of its type: `null` is not another way to leave it out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// [`Option::is_none`] in a name that leaves an attribute on one line.
fn absent<T>(value: &Option<T>) -> bool {
    value.is_none()
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_as_they_are_written() {
        for text in [
            r#"{"path":"/","fault":{"kind":"status","code":503,"retryAfter":1}}"#,
            r#"{"path":"/","method":"POST","client":"x","times":3,"fault":{"kind":"close"}}"#,
            r#"{"path":"/","forSeconds":3,"fault":{"kind":"wrong-flavor","flavor":"x"}}"#,
            r#"{"path":"/","allowed":3,"perSeconds":60,"fault":{"kind":"slow","bytes":1,"milliseconds":2}}"#,
            r#"{"path":"/","probability":0.5,"seed":7,"fault":{"kind":"body","contentType":"a/b","text":"{"}}"#,
        ] {
            let form: RuleConfig = serde_json::from_str(text).unwrap();
            let rule = form.rule(0).unwrap();
            let shown = serde_json::to_string(&RuleConfig::show(&rule)).unwrap();
            assert_eq!(shown, text);
        }
    }
}
