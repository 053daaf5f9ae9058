//! What can happen to a machine.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::identity::accounts::Account;

/// Something that happens to a Compute Engine machine, as its metadata server shows it.
///
/// The functions of this type make events with the times of the real ones; fields can be changed.
/// Durations are of the emulator's clock.
///
/// ```
/// use std::time::Duration;
///
/// use gce_auth_emulator::{Emulator, MachineEvent};
///
/// let emulator = Emulator::builder().start()?;
/// emulator.play(MachineEvent::preempt())?;
/// // `instance/preempted` is TRUE now. In 30 s the machine ends:
/// emulator.advance(Duration::from_secs(30));
/// let event = &emulator.machine_events()[0];
/// assert!(event.is_down);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MachineEvent {
    /// A Spot or preemptible machine is preempted: `preempted` becomes `TRUE` and the operating
    /// system begins to shut down; then the machine ends.
    Preempt {
        /// The time between both. Default: 30 s.
        notice: Duration,
    },
    /// The host is maintained: `upcoming-maintenance` and `maintenance-event` tell before.
    Maintenance(Maintenance),
    /// The machine is moved to another host: `maintenance-event` tells before, the clock jumps over
    /// the time for which the machine stood still, and `virtual-clock/drift-token` changes.
    LiveMigration {
        /// How long before `maintenance-event` tells. Default: 60 s.
        notice: Duration,
        /// How far the clock jumps. Default: 1 s.
        jump: Duration,
    },
    /// The host fails: the machine ends without any notice, and starts again elsewhere.
    HostError {
        /// How long the machine is away; `None` if it stays so, as without automatic restart.
        /// Default: 60 s.
        restart: Option<Duration>,
    },
    /// The machine is stopped gracefully: `shutdown-details` has `PENDING_STOP`, then `STOPPING`
    /// when the operating system begins to shut down; then the machine ends.
    Shutdown {
        /// The maximum duration of the graceful shutdown. Default: 600 s.
        grace: Duration,
        /// How long the operating system has after that. Default: 90 s.
        within: Duration,
        /// `STOPPED`, `SUSPENDED` or `DELETED`. Default: `STOPPED`.
        target: String,
    },
    /// A service account is detached: its token, and all below it, is 404.
    DetachAccount {
        /// Its email or an alias. Default: `default`.
        account: String,
    },
    /// The machine gets another service account instead of those that it has.
    ExchangeAccount {
        /// The new one.
        account: Account,
    },
    /// A disk is attached.
    AttachDisk {
        /// Its name; by default `persistent-disk-N`.
        name: Option<String>,
        /// `SCSI` or `NVME`. Default: `SCSI`.
        interface: String,
        /// For example `LOCAL-SSD`. Default: `PERSISTENT-BALANCED`.
        kind: String,
    },
    /// A network interface is attached.
    AttachInterface {
        /// Its address; by default `10.N.0.7`.
        ip: Option<String>,
        /// Its network; by default that of the first interface.
        network: Option<String>,
    },
    /// Custom metadata is set or removed.
    SetAttributes {
        /// The keys with their values; `None` removes one.
        attributes: BTreeMap<String, Option<String>>,
        /// Whether these are the project's instead of the machine's.
        project: bool,
    },
}

impl MachineEvent {
    /// Returns a preemption: 30 s of notice.
    #[must_use]
    pub fn preempt() -> Self {
        Self::Preempt {
            notice: Duration::from_secs(30),
        }
    }

    /// Returns a live migration: 60 s of notice, a jump of 1 s.
    #[must_use]
    pub fn live_migration() -> Self {
        Self::LiveMigration {
            notice: Duration::from_secs(60),
            jump: Duration::from_secs(1),
        }
    }

    /// Returns a failure of the host, with a restart after 60 s.
    #[must_use]
    pub fn host_error() -> Self {
        Self::HostError {
            restart: Some(Duration::from_secs(60)),
        }
    }

    /// Returns a graceful shutdown to `STOPPED`: 10 minutes, then 90 s.
    #[must_use]
    pub fn shutdown() -> Self {
        Self::Shutdown {
            grace: Duration::from_secs(600),
            within: Duration::from_secs(90),
            target: "STOPPED".into(),
        }
    }

    /// Returns the detachment of the default account.
    #[must_use]
    pub fn detach_account() -> Self {
        Self::DetachAccount {
            account: "default".into(),
        }
    }

    /// Returns the exchange of all accounts for this one.
    #[must_use]
    pub fn exchange_account(account: Account) -> Self {
        Self::ExchangeAccount { account }
    }

    /// Returns the attachment of a disk of the kind `PERSISTENT-BALANCED`.
    #[must_use]
    pub fn attach_disk() -> Self {
        Self::AttachDisk {
            name: None,
            interface: "SCSI".into(),
            kind: "PERSISTENT-BALANCED".into(),
        }
    }

    /// Returns the attachment of a network interface.
    #[must_use]
    pub fn attach_interface() -> Self {
        Self::AttachInterface {
            ip: None,
            network: None,
        }
    }

    /// Returns the setting of attributes of the machine.
    #[must_use]
    pub fn set_attributes<K: Into<String>, V: Into<String>>(
        attributes: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pair = |(key, value): (K, V)| (key.into(), Some(value.into()));
        Self::SetAttributes {
            attributes: attributes.into_iter().map(pair).collect(),
            project: false,
        }
    }

    /// Returns the name that commands and control requests have for it, for example
    /// `live-migration`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Preempt { .. } => "preempt",
            Self::Maintenance(_) => "maintenance",
            Self::LiveMigration { .. } => "live-migration",
            Self::HostError { .. } => "host-error",
            Self::Shutdown { .. } => "shutdown",
            Self::DetachAccount { .. } => "detach-account",
            Self::ExchangeAccount { .. } => "exchange-account",
            Self::AttachDisk { .. } => "attach-disk",
            Self::AttachInterface { .. } => "attach-interface",
            Self::SetAttributes { .. } => "set-attributes",
        }
    }
}

impl From<Maintenance> for MachineEvent {
    fn from(maintenance: Maintenance) -> Self {
        Self::Maintenance(maintenance)
    }
}

impl fmt::Display for MachineEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Maintenance of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintenance {
    /// What becomes of the machine.
    pub action: MaintenanceAction,
    /// How long before `maintenance-event` `upcoming-maintenance` tells. Default: 0.
    pub announced: Duration,
    /// How long before the maintenance `maintenance-event` tells. Default: 60 s, with GPUs 60 min.
    pub notice: Duration,
    /// How long the maintenance takes. Default: 60 s.
    pub duration: Duration,
    /// How long a machine that is terminated has to shut down. Default: 90 s.
    pub within: Duration,
    /// The length of the window, from the beginning of the maintenance on. Default: 4 h.
    pub window: Duration,
    /// Whether its type is `SCHEDULED`, else `UNSCHEDULED`. Default: true.
    pub scheduled: bool,
    /// Whether it could be rescheduled. Default: false.
    pub can_reschedule: bool,
}

/// What becomes of a machine when its host is maintained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MaintenanceAction {
    /// It is moved to another host.
    Migrate,
    /// It is stopped, and started again after the maintenance.
    Terminate,
}

impl Maintenance {
    /// Returns maintenance during which the machine is moved.
    #[must_use]
    pub fn migrate() -> Self {
        Self {
            action: MaintenanceAction::Migrate,
            announced: Duration::ZERO,
            notice: Duration::from_secs(60),
            duration: Duration::from_secs(60),
            within: Duration::from_secs(90),
            window: Duration::from_secs(4 * 3600),
            scheduled: true,
            can_reschedule: false,
        }
    }

    /// Returns maintenance for which the machine is stopped.
    #[must_use]
    pub fn terminate() -> Self {
        Self {
            action: MaintenanceAction::Terminate,
            ..Self::migrate()
        }
    }

    /// Returns maintenance for which a machine with GPUs is stopped, with a notice of 60 minutes.
    #[must_use]
    pub fn gpu() -> Self {
        Self {
            notice: Duration::from_secs(3600),
            ..Self::terminate()
        }
    }
}
