//! Events as sequences: which document, which end, and after how long.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    clock::Instant,
    document::patch::Patch,
    events::{
        machine_event::{MachineEvent, Maintenance, MaintenanceAction},
        step::{MachineStep, Step},
    },
    identity::accounts::Account,
};

const MAINTENANCE_EVENT: [&str; 2] = ["instance", "maintenanceEvent"];
const UPCOMING: [&str; 2] = ["instance", "upcomingMaintenance"];
const PREEMPTED: [&str; 2] = ["instance", "preempted"];
const SHUTDOWN: [&str; 2] = ["instance", "shutdownDetails"];

const MIGRATE: &str = "MIGRATE_ON_HOST_MAINTENANCE";
const TERMINATE: &str = "TERMINATE_ON_HOST_MAINTENANCE";

impl MachineEvent {
    /// Returns what happens, in the order of time, if it begins then.
    pub(crate) fn steps(&self, begins: Instant) -> Vec<Step> {
        let now = Step::at(Duration::ZERO);
        match self {
            Self::Preempt { notice } => vec![
                now.patch(Patch::set(&PREEMPTED, "TRUE"))
                    .machine(MachineStep::Stopping { within: *notice }),
                Step::at(*notice).machine(MachineStep::Ended),
            ],
            Self::Maintenance(maintenance) => maintenance.steps(begins),
            Self::LiveMigration { notice, jump } => {
                let token = begins.plus(*notice).millis().to_string();
                vec![
                    now.patch(Patch::set(&MAINTENANCE_EVENT, MIGRATE)),
                    Step::at(*notice)
                        .patch(Patch::set(
                            &["instance", "virtualClock", "driftToken"],
                            token,
                        ))
                        .machine(MachineStep::ClockJumped { by: *jump }),
                    Step::at(notice.saturating_add(*jump))
                        .patch(Patch::restore(&MAINTENANCE_EVENT)),
                ]
            }
            Self::HostError { restart } => {
                let mut steps = vec![now.machine(MachineStep::Ended)];
                steps.extend(restart.map(|time| Step::at(time).machine(MachineStep::Restarted)));
                steps
            }
            Self::Shutdown {
                grace,
                within,
                target,
            } => shutdown(begins, (*grace, *within), target),
            Self::DetachAccount { account } => {
                vec![now.patch(Patch::DetachAccount(account.clone()))]
            }
            Self::ExchangeAccount { account } => {
                let accounts = Account::document(std::slice::from_ref(account));
                vec![now.patch(Patch::set(&["instance", "serviceAccounts"], accounts))]
            }
            Self::AttachDisk {
                name,
                interface,
                kind,
            } => vec![now.patch(Patch::AttachDisk {
                name: name.clone(),
                interface: interface.clone(),
                kind: kind.clone(),
            })],
            Self::AttachInterface { ip, network } => vec![now.patch(Patch::AttachInterface {
                ip: ip.clone(),
                network: network.clone(),
            })],
            Self::SetAttributes {
                attributes,
                project,
            } => {
                let owner = if *project { "project" } else { "instance" };
                let patch = |(key, value): (&String, &Option<String>)| {
                    let place = vec![owner.into(), "attributes".into(), key.clone()];
                    match value {
                        Some(value) => Patch::Set(place, value.as_str().into()),
                        None => Patch::Remove(place),
                    }
                };
                vec![attributes.iter().map(patch).fold(now, Step::patch)]
            }
        }
    }
}

impl Maintenance {
    fn steps(&self, begins: Instant) -> Vec<Step> {
        let noticed = self.announced;
        let starts = noticed.saturating_add(self.notice);
        let upcoming =
            |status: &str| Patch::set(&UPCOMING, self.upcoming(begins.plus(starts), status));
        let event = match self.action {
            MaintenanceAction::Migrate => MIGRATE,
            MaintenanceAction::Terminate => TERMINATE,
        };
        let event = Patch::set(&MAINTENANCE_EVENT, event);
        let announced = Step::at(Duration::ZERO).patch(upcoming("PENDING"));
        let mut steps = if noticed.is_zero() {
            vec![announced.patch(event)]
        } else {
            vec![announced, Step::at(noticed).patch(event)]
        };
        let started = Step::at(starts).patch(upcoming("ONGOING"));
        let ends = starts.saturating_add(self.duration);
        let over = |after| {
            let step = Step::at(after).patch(Patch::restore(&MAINTENANCE_EVENT));
            step.patch(Patch::restore(&UPCOMING))
        };
        match self.action {
            MaintenanceAction::Migrate => steps.extend([started, over(ends)]),
            MaintenanceAction::Terminate => {
                let within = self.within;
                let ended = starts.saturating_add(within);
                steps.extend([
                    started.machine(MachineStep::Stopping { within }),
                    Step::at(ended).machine(MachineStep::Ended),
                    over(ended.saturating_add(self.duration)).machine(MachineStep::Restarted),
                ]);
            }
        }
        steps
    }

    fn upcoming(&self, starts: Instant, status: &str) -> Value {
        let latest = if self.can_reschedule {
            starts.plus(self.window)
        } else {
            starts
        };
        json!({
            "canReschedule": if self.can_reschedule { "TRUE" } else { "FALSE" },
            "latestWindowStartTime": latest.rfc3339(),
            "maintenanceStatus": status,
            "type": if self.scheduled { "SCHEDULED" } else { "UNSCHEDULED" },
            "windowEndTime": starts.plus(self.window).rfc3339(),
            "windowStartTime": starts.rfc3339(),
        })
    }
}

fn shutdown(begins: Instant, (grace, within): (Duration, Duration), target: &str) -> Vec<Step> {
    let details = |state: &str, since: Instant| {
        let details = json!({
            "maxDuration": grace.as_secs().to_string(),
            "requestTimestamp": since.rfc3339(),
            "stopState": state,
            "targetState": target,
        });
        Patch::set(&SHUTDOWN, details)
    };
    let stopping = begins.plus(grace);
    vec![
        Step::at(Duration::ZERO).patch(details("PENDING_STOP", begins)),
        Step::at(grace)
            .patch(details("STOPPING", stopping))
            .machine(MachineStep::Stopping { within }),
        Step::at(grace.saturating_add(within)).machine(MachineStep::Ended),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{
        document::change::Change,
        profiles::{self, Facts, Profile},
    };

    fn time() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            (0_u64..1 << 40).prop_map(Duration::from_millis),
        ]
    }

    fn maintenance() -> impl Strategy<Value = Maintenance> {
        let times = (time(), time(), time(), time(), time());
        (times, any::<[bool; 3]>()).prop_map(|(times, flags)| {
            let [migrates, scheduled, can_reschedule] = flags;
            Maintenance {
                action: if migrates {
                    MaintenanceAction::Migrate
                } else {
                    MaintenanceAction::Terminate
                },
                announced: times.0,
                notice: times.1,
                duration: times.2,
                within: times.3,
                window: times.4,
                scheduled,
                can_reschedule,
            }
        })
    }

    fn event() -> impl Strategy<Value = MachineEvent> {
        let text = "[a-zA-Z0-9@._-]{0,8}";
        let maybe = || proptest::option::of(text);
        prop_oneof![
            time().prop_map(|notice| MachineEvent::Preempt { notice }),
            maintenance().prop_map(MachineEvent::Maintenance),
            (time(), time())
                .prop_map(|(notice, jump)| MachineEvent::LiveMigration { notice, jump }),
            proptest::option::of(time()).prop_map(|restart| MachineEvent::HostError { restart }),
            (time(), time(), text).prop_map(|(grace, within, target)| MachineEvent::Shutdown {
                grace,
                within,
                target
            }),
            text.prop_map(|account| MachineEvent::DetachAccount { account }),
            text.prop_map(|email| MachineEvent::exchange_account(Account::new(email))),
            (maybe(), text, text).prop_map(|(name, interface, kind)| MachineEvent::AttachDisk {
                name,
                interface,
                kind
            }),
            (maybe(), maybe())
                .prop_map(|(ip, network)| MachineEvent::AttachInterface { ip, network }),
            (
                proptest::collection::btree_map(text, maybe(), 0..4),
                any::<bool>()
            )
                .prop_map(|(attributes, project)| MachineEvent::SetAttributes {
                    attributes,
                    project
                }),
        ]
    }

    fn machine(profile: Profile) -> Value {
        profiles::document(profile, &Facts::new(None, None, Vec::new()))
    }

    proptest! {
        /// Steps come in the order of time; the first one at once.
        #[test]
        fn steps_are_in_order(event in event(), begins in 0_i64..1 << 40) {
            let steps = event.steps(Instant::from_seconds(begins));
            prop_assert_eq!(steps[0].after, Duration::ZERO);
            prop_assert!(steps.is_sorted_by_key(|step| step.after));
            prop_assert_eq!(&steps, &event.steps(Instant::from_seconds(begins)));
        }

        /// A machine that ends was told to shut down before, or its host failed; one that starts
        /// again ended before.
        #[test]
        fn machines_end_as_they_do(event in event()) {
            let mut last = None;
            for step in event.steps(Instant::from_seconds(0)) {
                match (&step.machine, &last) {
                    (Some(MachineStep::Ended), Some(MachineStep::Stopping { .. }))
                    | (Some(MachineStep::Restarted), Some(MachineStep::Ended))
                    | (Some(MachineStep::Stopping { .. } | MachineStep::ClockJumped { .. }), None) => {}
                    (Some(MachineStep::Ended), None) => {
                        let fails = matches!(event, MachineEvent::HostError { .. });
                        prop_assert!(fails, "{:?}", event);
                    }
                    (None, _) => continue,
                    other => prop_assert!(false, "{:?}", other),
                }
                last = step.machine;
            }
            let ends = matches!(last, Some(MachineStep::Ended | MachineStep::Restarted));
            let is_end = matches!(
                event,
                MachineEvent::Preempt { .. } | MachineEvent::HostError { .. } | MachineEvent::Shutdown { .. }
            ) || matches!(&event, MachineEvent::Maintenance(maintenance)
                if maintenance.action == MaintenanceAction::Terminate);
            prop_assert_eq!(ends, is_end);
        }

        /// What an event did can be taken back at any step, and maintenance takes itself back.
        #[test]
        fn documents_come_back(event in event(), steps in 0_usize..6, profile in 0_usize..6) {
            let profiles = [
                Profile::Gce, Profile::GceWithoutAccount, Profile::Shielded, Profile::Gke,
                Profile::CloudRun, Profile::AppEngine,
            ];
            let before = machine(profiles[profile]);
            let (mut document, mut changes) = (before.clone(), Vec::new());
            let sequence = event.steps(Instant::from_seconds(0));
            for step in sequence.iter().take(steps) {
                Change::make(&mut document, &step.patches, (&mut changes, 1), &mut |_| false);
            }
            if steps >= sequence.len() && matches!(event, MachineEvent::Maintenance(_)) {
                prop_assert_eq!(&document, &before);
            }
            Change::take_back(&mut document, &changes, &mut |_| false);
            // Containers that were made on the way may stay.
            let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty)
                || value.as_array().is_some_and(Vec::is_empty);
            for (part, value) in before.as_object().unwrap() {
                for (key, now) in document[part].as_object().unwrap() {
                    let was = value.get(key).unwrap_or(&Value::Null);
                    prop_assert!(now == was || (was.is_null() && empty(now)), "{} {}", key, now);
                }
            }
        }

        /// Windows begin with the maintenance.
        #[test]
        fn windows_are_those_of_the_maintenance(maintenance in maintenance()) {
            let begins = Instant::from_seconds(1_700_000_000);
            let steps = maintenance.steps(begins);
            let starts = maintenance.announced.saturating_add(maintenance.notice);
            let upcoming = maintenance.upcoming(begins.plus(starts), "PENDING");
            let start = begins.plus(starts).rfc3339();
            prop_assert_eq!(upcoming["windowStartTime"].as_str(), Some(start.as_str()));
            let first = Patch::set(&UPCOMING, upcoming);
            prop_assert_eq!(&steps[0].patches[0], &first);
        }
    }
}
