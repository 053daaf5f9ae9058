//! Events as control requests and the page show them: as they are written, with all that was left
//! out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    events::machine_event::{MachineEvent, Maintenance, MaintenanceAction},
    identity::accounts::Account,
};

/// An event as it is written, with all that was left out.
pub(crate) fn show(event: &MachineEvent) -> Value {
    let seconds = |time: &Duration| time.as_secs();
    let mut shown = match event {
        MachineEvent::Preempt { notice } => json!({"noticeSeconds": seconds(notice)}),
        MachineEvent::Maintenance(maintenance) => show_maintenance(maintenance),
        MachineEvent::LiveMigration { notice, jump } => {
            json!({"noticeSeconds": seconds(notice), "jumpSeconds": seconds(jump)})
        }
        MachineEvent::HostError {
            restart: Some(time),
        } => json!({"restartSeconds": seconds(time)}),
        MachineEvent::HostError { restart: None } => json!({"automaticRestart": false}),
        MachineEvent::Shutdown {
            grace,
            within,
            target,
        } => json!({
            "graceSeconds": seconds(grace),
            "withinSeconds": seconds(within),
            "targetState": target,
        }),
        MachineEvent::DetachAccount { account } => json!({"account": account}),
        MachineEvent::ExchangeAccount { account } => {
            let account = Account::document(std::slice::from_ref(account));
            json!({"email": account["default"]["email"], "scopes": account["default"]["scopes"]})
        }
        MachineEvent::AttachDisk {
            name,
            interface,
            kind,
        } => json!({"deviceName": name, "interface": interface, "type": kind}),
        MachineEvent::AttachInterface { ip, network } => json!({"ip": ip, "network": network}),
        MachineEvent::SetAttributes {
            attributes,
            project,
        } => json!({"attributes": attributes, "project": project}),
    };
    if let Value::Object(shown) = &mut shown {
        shown.retain(|_, value| !value.is_null());
    }
    shown["kind"] = event.name().into();
    shown
}

fn show_maintenance(maintenance: &Maintenance) -> Value {
    json!({
        "action": match maintenance.action {
            MaintenanceAction::Migrate => "MIGRATE",
            MaintenanceAction::Terminate => "TERMINATE",
        },
        "announcedSeconds": maintenance.announced.as_secs(),
        "noticeSeconds": maintenance.notice.as_secs(),
        "durationSeconds": maintenance.duration.as_secs(),
        "withinSeconds": maintenance.within.as_secs(),
        "windowSeconds": maintenance.window.as_secs(),
        "type": if maintenance.scheduled { "SCHEDULED" } else { "UNSCHEDULED" },
        "canReschedule": maintenance.can_reschedule,
    })
}
