//! Events as text: in the TOML of plans and in the JSON of control requests, with the same keys.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::{
    clock::Instant,
    events::{
        machine_event::{MachineEvent, Maintenance},
        schedule::{EventSchedule, When},
    },
    identity::accounts::Account,
};

/// The longest time, about ten years.
const LONGEST: u64 = 3660 * 86_400;

/// An event as it is written, with when it is played.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ScheduleConfig {
    event: EventConfig,
    #[serde(default, alias = "in-seconds", deserialize_with = "given")]
    in_seconds: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    at: Option<String>,
    #[serde(default, deserialize_with = "given")]
    repeat: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    client: Option<String>,
}

impl ScheduleConfig {
    pub(crate) fn schedule(self) -> Result<EventSchedule, String> {
        let mut schedule = EventSchedule::new(self.event.event()?);
        schedule.when = match (self.in_seconds, self.at) {
            (None, None) => When::After(Duration::ZERO),
            (Some(seconds), None) => When::After(duration(seconds)?),
            (None, Some(at)) => When::At(
                Instant::parse_rfc3339(&at)
                    .ok_or("at must be a time as in RFC 3339, like 2025-12-01T19:00:00Z")?,
            ),
            (Some(_), Some(_)) => return Err("give one of: inSeconds, at".into()),
        };
        if let Some(repeat) = self.repeat {
            schedule = schedule.repeat(repeat);
        }
        if let Some(client) = self.client {
            schedule = schedule.client(client);
        }
        schedule.check().map_err(|error| error.to_string())?;
        Ok(schedule)
    }
}

/// An event as it is written. What is left out is as on a real machine.
#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum EventConfig {
    Preempt {
        #[serde(default, alias = "notice-seconds", deserialize_with = "given")]
        notice_seconds: Option<u64>,
    },
    Maintenance {
        #[serde(default, deserialize_with = "given")]
        action: Option<Action>,
        #[serde(default)]
        gpu: bool,
        #[serde(default, alias = "announced-seconds", deserialize_with = "given")]
        announced_seconds: Option<u64>,
        #[serde(default, alias = "notice-seconds", deserialize_with = "given")]
        notice_seconds: Option<u64>,
        #[serde(default, alias = "duration-seconds", deserialize_with = "given")]
        duration_seconds: Option<u64>,
        #[serde(default, alias = "within-seconds", deserialize_with = "given")]
        within_seconds: Option<u64>,
        #[serde(default, alias = "window-seconds", deserialize_with = "given")]
        window_seconds: Option<u64>,
        #[serde(default, rename = "type", deserialize_with = "given")]
        kind: Option<Type>,
        #[serde(default, alias = "can-reschedule")]
        can_reschedule: bool,
    },
    LiveMigration {
        #[serde(default, alias = "notice-seconds", deserialize_with = "given")]
        notice_seconds: Option<u64>,
        #[serde(default, alias = "jump-seconds", deserialize_with = "given")]
        jump_seconds: Option<u64>,
    },
    HostError {
        #[serde(default, alias = "restart-seconds", deserialize_with = "given")]
        restart_seconds: Option<u64>,
        #[serde(default = "yes", alias = "automatic-restart")]
        automatic_restart: bool,
    },
    Shutdown {
        #[serde(default, alias = "grace-seconds", deserialize_with = "given")]
        grace_seconds: Option<u64>,
        #[serde(default, alias = "within-seconds", deserialize_with = "given")]
        within_seconds: Option<u64>,
        #[serde(default, alias = "target-state", deserialize_with = "given")]
        target_state: Option<Target>,
    },
    DetachAccount {
        #[serde(default, deserialize_with = "given")]
        account: Option<String>,
    },
    ExchangeAccount {
        email: String,
        #[serde(default, deserialize_with = "given")]
        scopes: Option<Vec<String>>,
    },
    AttachDisk {
        #[serde(default, alias = "device-name", deserialize_with = "given")]
        device_name: Option<String>,
        #[serde(default, deserialize_with = "given")]
        interface: Option<String>,
        #[serde(default, rename = "type", deserialize_with = "given")]
        kind: Option<String>,
    },
    AttachInterface {
        #[serde(default, deserialize_with = "given")]
        ip: Option<String>,
        #[serde(default, deserialize_with = "given")]
        network: Option<String>,
    },
    SetAttributes {
        attributes: BTreeMap<String, Option<String>>,
        #[serde(default)]
        project: bool,
    },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Action {
    Migrate,
    Terminate,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Type {
    Scheduled,
    Unscheduled,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Target {
    Stopped,
    Suspended,
    Deleted,
}

fn yes() -> bool {
    true
}

fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn duration(seconds: u64) -> Result<Duration, String> {
    if seconds <= LONGEST {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(format!("a time has at most {LONGEST} seconds"))
    }
}

impl EventConfig {
    fn event(self) -> Result<MachineEvent, String> {
        let or = |seconds: Option<u64>, default: Duration| seconds.map_or(Ok(default), duration);
        Ok(match self {
            Self::Preempt { notice_seconds } => MachineEvent::Preempt {
                notice: or(notice_seconds, Duration::from_secs(30))?,
            },
            Self::Maintenance {
                action,
                gpu,
                announced_seconds,
                notice_seconds,
                duration_seconds,
                within_seconds,
                window_seconds,
                kind,
                can_reschedule,
            } => {
                let base = match (action, gpu) {
                    (Some(Action::Migrate), true) => {
                        return Err(
                            "a machine with GPUs is not migrated: its action is TERMINATE".into(),
                        );
                    }
                    (_, true) => Maintenance::gpu(),
                    (Some(Action::Terminate), false) => Maintenance::terminate(),
                    (Some(Action::Migrate) | None, false) => Maintenance::migrate(),
                };
                MachineEvent::Maintenance(Maintenance {
                    action: base.action,
                    announced: or(announced_seconds, base.announced)?,
                    notice: or(notice_seconds, base.notice)?,
                    duration: or(duration_seconds, base.duration)?,
                    within: or(within_seconds, base.within)?,
                    window: or(window_seconds, base.window)?,
                    scheduled: !matches!(kind, Some(Type::Unscheduled)),
                    can_reschedule,
                })
            }
            Self::LiveMigration {
                notice_seconds,
                jump_seconds,
            } => MachineEvent::LiveMigration {
                notice: or(notice_seconds, Duration::from_secs(60))?,
                jump: or(jump_seconds, Duration::from_secs(1))?,
            },
            Self::HostError {
                restart_seconds,
                automatic_restart: true,
            } => MachineEvent::HostError {
                restart: Some(or(restart_seconds, Duration::from_secs(60))?),
            },
            Self::HostError {
                restart_seconds: Some(_),
                automatic_restart: false,
            } => return Err("without automaticRestart there are no restartSeconds".into()),
            Self::HostError {
                restart_seconds: None,
                automatic_restart: false,
            } => MachineEvent::HostError { restart: None },
            Self::Shutdown {
                grace_seconds,
                within_seconds,
                target_state,
            } => MachineEvent::Shutdown {
                grace: or(grace_seconds, Duration::from_secs(600))?,
                within: or(within_seconds, Duration::from_secs(90))?,
                target: match target_state {
                    None | Some(Target::Stopped) => "STOPPED",
                    Some(Target::Suspended) => "SUSPENDED",
                    Some(Target::Deleted) => "DELETED",
                }
                .into(),
            },
            Self::DetachAccount { account } => MachineEvent::DetachAccount {
                account: account.unwrap_or_else(|| "default".into()),
            },
            Self::ExchangeAccount { email, scopes } => {
                let account = Account::new(email);
                MachineEvent::ExchangeAccount {
                    account: match scopes {
                        Some(scopes) => account.scopes(scopes),
                        None => account,
                    },
                }
            }
            Self::AttachDisk {
                device_name,
                interface,
                kind,
            } => MachineEvent::AttachDisk {
                name: device_name,
                interface: interface.unwrap_or_else(|| "SCSI".into()),
                kind: kind.unwrap_or_else(|| "PERSISTENT-BALANCED".into()),
            },
            Self::AttachInterface { ip, network } => MachineEvent::AttachInterface { ip, network },
            Self::SetAttributes {
                attributes,
                project,
            } => MachineEvent::SetAttributes {
                attributes,
                project,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event_json::show;

    fn read(text: &str) -> Result<MachineEvent, String> {
        let config =
            serde_json::from_str::<EventConfig>(text).map_err(|error| error.to_string())?;
        config.event()
    }

    #[test]
    fn events_are_shown_so_that_they_can_be_read_again() {
        for (text, event) in [
            (r#"{"kind":"preempt"}"#, MachineEvent::preempt()),
            (r#"{"kind":"maintenance"}"#, Maintenance::migrate().into()),
            (
                r#"{"kind":"maintenance","gpu":true}"#,
                Maintenance::gpu().into(),
            ),
            (
                r#"{"kind":"maintenance","action":"TERMINATE"}"#,
                Maintenance::terminate().into(),
            ),
            (
                r#"{"kind":"live-migration"}"#,
                MachineEvent::live_migration(),
            ),
            (r#"{"kind":"host-error"}"#, MachineEvent::host_error()),
            (
                r#"{"kind":"host-error","automaticRestart":false}"#,
                MachineEvent::HostError { restart: None },
            ),
            (r#"{"kind":"shutdown"}"#, MachineEvent::shutdown()),
            (
                r#"{"kind":"detach-account"}"#,
                MachineEvent::detach_account(),
            ),
            (
                r#"{"kind":"exchange-account","email":"a@b"}"#,
                MachineEvent::exchange_account(Account::new("a@b")),
            ),
            (r#"{"kind":"attach-disk"}"#, MachineEvent::attach_disk()),
            (
                r#"{"kind":"attach-interface"}"#,
                MachineEvent::attach_interface(),
            ),
            (
                r#"{"kind":"set-attributes","attributes":{"a":"1"}}"#,
                MachineEvent::set_attributes([("a", "1")]),
            ),
        ] {
            let read_event = read(text).expect(text);
            assert_eq!(read_event, event, "{text}");
            let shown = show(&event);
            assert_eq!(read(&shown.to_string()), Ok(event), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, part) in [
            (r#"{"kind":"dance"}"#, "dance"),
            (r#"{"kind":"preempt","noticeSecond":1}"#, "noticeSecond"),
            (r#"{"kind":"preempt","noticeSeconds":null}"#, "null"),
            (
                r#"{"kind":"preempt","noticeSeconds":999999999999}"#,
                "at most",
            ),
            (
                r#"{"kind":"maintenance","gpu":true,"action":"MIGRATE"}"#,
                "GPU",
            ),
            (
                r#"{"kind":"host-error","automaticRestart":false,"restartSeconds":1}"#,
                "restartSeconds",
            ),
        ] {
            let why = read(text).expect_err(text);
            assert!(why.contains(part), "{why}");
        }
    }
}
