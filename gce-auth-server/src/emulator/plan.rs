//! Rules and plans as text: TOML for people, JSON for control requests, with the same keys.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::faults::Fault;
use super::rules::{FaultRule, When};

/// What shall go wrong, and how tokens age.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<FaultRule>,
    /// For how long connections are refused after the start.
    pub(crate) refuse: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) renewal: Option<Duration>,
}

impl Plan {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let form: PlanForm =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let mut rules = Vec::with_capacity(form.faults.len() + 1);
        let mut refuse = None;
        if let Some(cold) = form.cold_start {
            let time = Duration::from_secs(cold.seconds);
            match cold.status {
                None => refuse = Some(time),
                Some(code) => rules.push(
                    FaultRule::new(
                        FaultForm::Status {
                            code,
                            retry_after: cold.retry_after,
                        }
                        .fault()?,
                    )
                    .lasting(time),
                ),
            }
        }
        let mut seed = form.seed;
        for (index, rule) in form.faults.into_iter().enumerate() {
            let number = index + 1;
            rules.push(
                rule.rule(seed)
                    .map_err(|why| format!("fault {number}: {why}"))?,
            );
            // Rules of one plan shall not fail together by chance.
            seed = seed.wrapping_add(1);
        }
        Ok(Self {
            rules,
            refuse,
            lifetime: form.tokens.lifetime.map(Duration::from_secs),
            renewal: form.tokens.renewal.map(Duration::from_secs),
        })
    }

    /// Both together; where only one can count, it is the later.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.rules.extend(later.rules);
        Self {
            rules: self.rules,
            refuse: later.refuse.or(self.refuse),
            lifetime: later.lifetime.or(self.lifetime),
            renewal: later.renewal.or(self.renewal),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PlanForm {
    #[serde(default)]
    seed: u64,
    cold_start: Option<ColdForm>,
    #[serde(default)]
    tokens: TokensForm,
    #[serde(default)]
    faults: Vec<RuleForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ColdForm {
    seconds: u64,
    status: Option<u16>,
    retry_after: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensForm {
    lifetime: Option<u64>,
    renewal: Option<u64>,
}

/// A rule as it is written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleForm {
    path: String,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    client: Option<String>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    times: Option<u64>,
    #[serde(
        alias = "for-seconds",
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    for_seconds: Option<u64>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    allowed: Option<u64>,
    #[serde(
        alias = "per-seconds",
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    per_seconds: Option<u64>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    probability: Option<f64>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    seed: Option<u64>,
    fault: FaultForm,
}

impl RuleForm {
    /// The rule; `seed` counts if it has none of its own.
    pub(crate) fn rule(self, seed: u64) -> Result<FaultRule, String> {
        if self.probability.is_none() && self.seed.is_some() {
            return Err("seed goes with probability".into());
        }
        let mut rule = FaultRule::new(self.fault.fault()?).path(self.path);
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
            client: client.map(Into::into),
            times: None,
            for_seconds: None,
            allowed: None,
            per_seconds: None,
            probability: None,
            seed: None,
            fault: FaultForm::show(fault),
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

/// A fault as it is written.
#[derive(Deserialize, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum FaultForm {
    Status {
        code: u16,
        #[serde(
            alias = "retry-after",
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
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

impl FaultForm {
    fn fault(self) -> Result<Fault, String> {
        Ok(match self {
            Self::Status { code, retry_after } => {
                if !(200..1000).contains(&code) {
                    return Err("code must be between 200 and 999".into());
                }
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

/// What is there has to be of its type: `null` is not another way to leave it out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        seed = 7

        [cold-start]
        seconds = 3

        [tokens]
        lifetime = 600
        renewal = 60

        [[faults]]
        path = "instance/service-accounts/"
        client = "gl-python"
        times = 2
        fault = { kind = "status", code = 503, retry-after = 1 }

        [[faults]]
        path = "/"
        probability = 0.5
        [faults.fault]
        kind = "truncate"
        bytes = 5
    "#;

    #[test]
    fn a_plan_says_what_goes_wrong() {
        let plan = Plan::parse(PLAN).unwrap();
        assert_eq!(plan.refuse, Some(Duration::from_secs(3)));
        assert_eq!(plan.lifetime, Some(Duration::from_secs(600)));
        assert_eq!(plan.renewal, Some(Duration::from_secs(60)));
        let busy = Fault::Status {
            code: 503,
            retry_after: Some(1),
        };
        assert_eq!(
            plan.rules,
            [
                FaultRule::new(busy)
                    .path("instance/service-accounts/")
                    .client("gl-python")
                    .times(2),
                FaultRule::new(Fault::Truncate(5)).chance(0.5, 8),
            ]
        );
        let served = Plan::parse("cold-start = { seconds = 3, status = 503 }").unwrap();
        assert_eq!((served.refuse, served.rules.len()), (None, 1));
        assert!(Plan::parse("").unwrap().rules.is_empty());
    }

    #[test]
    fn what_a_plan_cannot_mean_is_refused_with_its_place() {
        for (text, part) in [
            ("sede = 1", "sede"),
            ("[[faults]]\npath = \"/\"", "fault"),
            (
                "[[faults]]\npath = \"/\"\nfault = { kind = \"dance\" }",
                "dance",
            ),
            (
                "[[faults]]\npath = \"/\"\nfault = { kind = \"hang\", bytes = 1 }",
                "bytes",
            ),
            (
                "[[faults]]\npath = \"/\"\nseed = 1\nfault = { kind = \"hang\" }",
                "fault 1: seed",
            ),
            (
                "[[faults]]\npath = \"/\"\ntimes = 1\nfor-seconds = 1\nfault = { kind = \"hang\" }",
                "one of",
            ),
            ("cold-start = { seconds = 1, status = 7 }", "between 200"),
            ("seed =", "line 1"),
        ] {
            let why = Plan::parse(text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn rules_are_shown_as_they_are_written() {
        for text in [
            r#"{"path":"/","fault":{"kind":"status","code":503,"retryAfter":1}}"#,
            r#"{"path":"/","client":"x","times":3,"fault":{"kind":"close"}}"#,
            r#"{"path":"/","forSeconds":3,"fault":{"kind":"wrong-flavor","flavor":"x"}}"#,
            r#"{"path":"/","allowed":3,"perSeconds":60,"fault":{"kind":"slow","bytes":1,"milliseconds":2}}"#,
            r#"{"path":"/","probability":0.5,"seed":7,"fault":{"kind":"body","contentType":"a/b","text":"{"}}"#,
        ] {
            let form: RuleForm = serde_json::from_str(text).unwrap();
            let rule = form.rule(0).unwrap();
            let shown = serde_json::to_string(&RuleForm::show(&rule)).unwrap();
            assert_eq!(shown, text);
        }
    }
}
