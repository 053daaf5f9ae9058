//! Plans: in TOML, the faults and machine events from the start on, and how tokens age.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    events::{EventSchedule, event_config::ScheduleConfig},
    faults::{
        fault::Fault,
        fault_config::{self, RuleConfig},
        rules::FaultRule,
    },
    toml_text,
};

/// The faults, what happens to the machine, and how tokens age.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<FaultRule>,
    /// What happens to the machine.
    pub(crate) events: Vec<EventSchedule>,
    /// For how long connections are refused after the start.
    pub(crate) refuse: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) renewal: Option<Duration>,
}

impl Plan {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let form: PlanConfig = toml_text::parse(text)?;
        let mut rules = Vec::with_capacity(form.faults.len() + 1);
        let mut refuse = None;
        if let Some(cold) = form.cold_start {
            let time = Duration::from_secs(cold.seconds);
            match cold.status {
                None => refuse = Some(time),
                Some(code) => {
                    let fault = Fault::Status {
                        code: fault_config::status(code)?,
                        retry_after: cold.retry_after,
                    };
                    rules.push(FaultRule::new(fault).lasting(time));
                }
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
        let mut events = Vec::with_capacity(form.events.len());
        for (index, event) in form.events.into_iter().enumerate() {
            let number = index + 1;
            let schedule = event.schedule();
            events.push(schedule.map_err(|why| format!("event {number}: {why}"))?);
        }
        Ok(Self {
            rules,
            events,
            refuse,
            lifetime: form.tokens.lifetime.map(Duration::from_secs),
            renewal: form.tokens.renewal.map(Duration::from_secs),
        })
    }

    /// Both together; where only one can count, it is the later.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.rules.extend(later.rules);
        self.events.extend(later.events);
        Self {
            rules: self.rules,
            events: self.events,
            refuse: later.refuse.or(self.refuse),
            lifetime: later.lifetime.or(self.lifetime),
            renewal: later.renewal.or(self.renewal),
        }
    }

    /// Both together; where only one can count, it is `over`, whose faults are tried first.
    pub(crate) fn under(mut self, mut over: Self) -> Self {
        over.rules.append(&mut self.rules);
        over.events.append(&mut self.events);
        self.and(over)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PlanConfig {
    #[serde(default)]
    seed: u64,
    cold_start: Option<ColdStartConfig>,
    #[serde(default)]
    tokens: TokensConfig,
    #[serde(default)]
    faults: Vec<RuleConfig>,
    #[serde(default)]
    events: Vec<ScheduleConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ColdStartConfig {
    seconds: u64,
    status: Option<u16>,
    retry_after: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensConfig {
    lifetime: Option<u64>,
    renewal: Option<u64>,
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
}
