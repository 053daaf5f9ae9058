//! Events as sequences: which document, which end, and after how long.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Instant;
use crate::document::patch::Patch;
use crate::events::machine_event::{MachineEvent, Maintenance, MaintenanceAction};
use crate::events::step::{MachineStep, Step};
use crate::identity::accounts::Account;

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
