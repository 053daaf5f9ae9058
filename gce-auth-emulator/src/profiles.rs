//! The built-in documents: what the metadata server says on the machines that Google runs.

use std::{fmt, str::FromStr};

use gce_auth_server::protocol::query::is_true;
use serde_json::{Value, json};

use crate::identity::accounts::Account;

/// Which kind of machine the emulator poses as.
///
/// The keys and values are those of Google's "View and query VM metadata", with made-up names.
///
/// ```
/// use gce_auth_emulator::Profile;
///
/// assert_eq!("cloud-run".parse(), Ok(Profile::CloudRun));
/// for profile in Profile::ALL {
///     assert_eq!(profile.to_string().parse(), Ok(profile));
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// A Compute Engine VM with a service account.
    #[default]
    Gce,
    /// A Compute Engine VM to which no service account was attached: everything below
    /// `service-accounts/default` is 404.
    GceWithoutAccount,
    /// A shielded Compute Engine VM: as [`Gce`](Self::Gce), but with the HTTPS endpoint that wants
    /// a client's certificate ([`EmulatorBuilder::https`](crate::EmulatorBuilder::https)), and with
    /// `instance/credentials/mds-client-certificate`. That is sealed for a TPM, which no emulated
    /// machine has: clients take the certificate from
    /// [files](crate::EmulatorBuilder::certificates_directory), where the guest agent would have
    /// put it.
    Shielded,
    /// A pod on Google Kubernetes Engine with Workload Identity: few keys, `scopes=` is honoured,
    /// no `google` claim in identity tokens.
    Gke,
    /// A Cloud Run service: few keys, an instance id in hex, a region, `scopes=` is honoured, no
    /// `google` claim in identity tokens.
    CloudRun,
    /// An App Engine service in the standard environment of the second generation: as on Cloud Run.
    AppEngine,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| format!("`{name}` is no kind of machine"))
    }
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 6] = [
        Self::Gce,
        Self::GceWithoutAccount,
        Self::Shielded,
        Self::Gke,
        Self::CloudRun,
        Self::AppEngine,
    ];

    /// Returns the name of the profile, as commands take it: `gce`, `gce-without-account` and so
    /// on.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gce => "gce",
            Self::GceWithoutAccount => "gce-without-account",
            Self::Shielded => "shielded",
            Self::Gke => "gke",
            Self::CloudRun => "cloud-run",
            Self::AppEngine => "app-engine",
        }
    }

    /// Whether `scopes=` alone changes what a token may do. Compute Engine ignores it.
    pub(crate) fn honours_scopes(self) -> bool {
        matches!(self, Self::Gke | Self::CloudRun | Self::AppEngine)
    }

    /// What its server calls itself.
    pub(crate) fn server(self) -> &'static str {
        match self {
            Self::Gce | Self::GceWithoutAccount | Self::Shielded => "Metadata Server for VM",
            Self::Gke => "GKE Metadata Server",
            Self::CloudRun | Self::AppEngine => "Metadata Server for Serverless",
        }
    }

    /// Whether its 404 has no page.
    pub(crate) fn has_bare_errors(self) -> bool {
        matches!(self, Self::CloudRun | Self::AppEngine)
    }

    /// Whether `format=full` adds the facts of the machine to identity tokens.
    pub(crate) fn has_full_identity(self) -> bool {
        matches!(self, Self::Gce | Self::GceWithoutAccount | Self::Shielded)
    }
}

/// Whether a switch in the custom metadata is on; the instance's word counts before the project's.
pub(crate) fn attribute(document: &Value, name: &str) -> bool {
    let at = |place: &str| document[place]["attributes"][name].as_str();
    at("instance")
        .or_else(|| at("project"))
        .is_some_and(is_true)
}

/// What the documents are filled with.
pub(crate) struct Facts {
    pub(crate) project_id: String,
    pub(crate) numeric_project_id: u64,
    pub(crate) accounts: Vec<Account>,
}

impl Facts {
    pub(crate) fn new(
        project_id: Option<String>,
        numeric_project_id: Option<u64>,
        accounts: Vec<Account>,
    ) -> Self {
        let project_id = project_id.unwrap_or_else(|| "emulator-project".into());
        let accounts = if accounts.is_empty() {
            vec![Account::new(format!(
                "emulator@{project_id}.iam.gserviceaccount.com"
            ))]
        } else {
            accounts
        };
        Self {
            project_id,
            numeric_project_id: numeric_project_id.unwrap_or(204_954_049_439),
            accounts,
        }
    }
}

pub(crate) fn document(profile: Profile, facts: &Facts) -> Value {
    let accounts = match profile {
        Profile::GceWithoutAccount => json!({}),
        Profile::Gce
        | Profile::Shielded
        | Profile::Gke
        | Profile::CloudRun
        | Profile::AppEngine => Account::document(&facts.accounts),
    };
    let universe = json!({"universeDomain": "googleapis.com"});
    let Facts {
        project_id,
        numeric_project_id: number,
        ..
    } = facts;
    match profile {
        Profile::Gce | Profile::GceWithoutAccount | Profile::Shielded => json!({
            "instance": vm(facts, &accounts),
            "oslogin": {"authenticate": {"sessions": {}}, "groups": [], "users": []},
            "project": {
                "attributes": {},
                "numericProjectId": number,
                "projectId": project_id,
            },
            "universe": universe,
        }),
        Profile::Gke => json!({
            "instance": {
                "attributes": {
                    "cluster-location": "us-central1-a",
                    "cluster-name": "emulator-cluster",
                    "cluster-uid": "9f1c3a52c7e24d0fb8a7d6e5f4c3b2a190817263544536271809aabbccddeeff",
                },
                "hostname": format!("gke-emulator-cluster-pool-1-0a1b2c3d-xyz9.us-central1-a.c.{project_id}.internal"),
                "id": 5_737_554_347_302_044_216_u64,
                "serviceAccounts": accounts,
                "zone": format!("projects/{number}/zones/us-central1-a"),
            },
            "project": {
                "numericProjectId": number,
                "projectId": project_id,
            },
            "universe": universe,
        }),
        Profile::CloudRun | Profile::AppEngine => json!({
            "instance": {
                "id": "00c61b117c3f41a0d2e9bd1c1b6d3f3a6a2f0d9b8a7c6e5f4d3c2b1a09876543",
                "region": format!("projects/{number}/regions/europe-west1"),
                "serviceAccounts": accounts,
                "zone": format!("projects/{number}/zones/europe-west1-1"),
            },
            "project": {
                "numericProjectId": number,
                "projectId": project_id,
            },
            "universe": universe,
        }),
    }
}

/// What a modern VM lists below `instance/`. `null` stands for what exists as a path but was never
/// configured.
fn vm(facts: &Facts, accounts: &Value) -> Value {
    let Facts {
        project_id,
        numeric_project_id: number,
        ..
    } = facts;
    json!({
        "attributes": {},
        "cpuPlatform": "Intel Broadwell",
        "credentials": {"mdsClientCertificate": null},
        "description": "",
        "disks": [{
            "deviceName": "persistent-disk-0",
            "index": 0,
            "interface": "SCSI",
            "mode": "READ_WRITE",
            "type": "PERSISTENT-BALANCED",
        }],
        "gceWorkloadCertificates": {
            "configStatus": null,
            "trustAnchors": null,
            "workloadIdentities": null,
        },
        "guestAttributes": {},
        "hostname": format!("emulator.us-central1-a.c.{project_id}.internal"),
        "id": 5_737_554_347_302_044_216_u64,
        "image": "projects/debian-cloud/global/images/debian-12-bookworm-v20260810",
        "licenses": [{"id": "2147286739765738111"}],
        "machineType": format!("projects/{number}/machineTypes/e2-medium"),
        "maintenanceEvent": "NONE",
        "name": "emulator",
        "networkInterfaces": [{
            "accessConfigs": [{"externalIp": "203.0.113.82", "type": "ONE_TO_ONE_NAT"}],
            "dnsServers": ["169.254.169.254"],
            "forwardedIps": [],
            "gateway": "10.128.0.1",
            "ip": "10.128.0.7",
            "ipAliases": [],
            "mac": "42:01:0a:80:00:07",
            "mtu": 1460,
            "network": format!("projects/{number}/networks/default"),
            "subnetmask": "255.255.240.0",
            "targetInstanceIps": [],
        }],
        "partnerAttributes": {},
        "preempted": "FALSE",
        "remainingCpuTime": -1,
        "scheduling": {
            "automaticRestart": "TRUE",
            "onHostMaintenance": "MIGRATE",
            "preemptible": "FALSE",
        },
        "serviceAccounts": accounts,
        "shutdownDetails": {
            "stopState": "UNKNOWN",
            "targetState": "UNKNOWN",
        },
        "tags": ["http-server", "https-server"],
        "upcomingMaintenance": "NONE",
        "virtualClock": {"driftToken": "0"},
        "vlanNetworkInterfaces": {},
        "workloadCertificatesConfigStatus": null,
        "workloadIdentities": null,
        "workloadTrustedRootCerts": null,
        "zone": format!("projects/{number}/zones/us-central1-a"),
    })
}
