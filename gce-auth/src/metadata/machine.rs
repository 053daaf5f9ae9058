//! The machine: its kind, disks and networks, and what is about to happen to it.

use super::get::{getter, none_where_missing};
use crate::{
    client::config::MetadataClient,
    values::error::Error,
    wire::{
        instance::{self, Disk, NetworkInterface, Scheduling, UpcomingMaintenance},
        request::{self, MetadataPath, Query},
        response::{self, Answer},
    },
};

impl MetadataClient {
    getter! {
        /// Fetches the machine type, like `e2-medium`, without the project before it.
        machine_type / blocking_machine_type() -> String,
        |client| {
            let path = client.trimmed("instance/machine-type")?;
            Ok(response::last_segment(&path).to_owned())
        }
    }

    getter! {
        /// Fetches the processor, like `Intel Broadwell`.
        cpu_platform / blocking_cpu_platform() -> String,
        |client| client.trimmed("instance/cpu-platform")
    }

    getter! {
        /// Fetches the image that the machine was made from, like
        /// `projects/debian-cloud/global/images/debian-12`; `None` where it
        /// was made from none.
        image / blocking_image() -> Option<String>,
        |client| {
            let image = client.optional("instance/image")?;
            Ok(image.filter(|image| !image.is_empty()))
        }
    }

    getter! {
        /// Fetches the description of the instance; may be empty.
        description / blocking_description() -> String,
        |client| Ok(client.optional("instance/description")?.unwrap_or_default())
    }

    getter! {
        /// Fetches the network tags of the instance.
        tags / blocking_tags() -> Vec<String>,
        |client| document(client, "instance/tags", instance::list)
    }

    getter! {
        /// Fetches the network interfaces, in one request.
        network_interfaces / blocking_network_interfaces() -> Vec<NetworkInterface>,
        |client| document(client, "instance/network-interfaces/", instance::network_interfaces)
    }

    getter! {
        /// Fetches the internal IPv4 address of the first network interface.
        internal_ip / blocking_internal_ip() -> String,
        |client| client.trimmed("instance/network-interfaces/0/ip")
    }

    getter! {
        /// Fetches the external IPv4 address of the first network interface; `None`
        /// where it has none.
        external_ip / blocking_external_ip() -> Option<String>,
        |client| {
            let ip = "instance/network-interfaces/0/access-configs/0/external-ip";
            let ip = client.optional(ip)?.map(|ip| ip.trim().to_owned());
            Ok(ip.filter(|ip| !ip.is_empty()))
        }
    }

    getter! {
        /// Fetches the disks, in one request.
        disks / blocking_disks() -> Vec<Disk>,
        |client| document(client, "instance/disks/", instance::disks)
    }

    getter! {
        /// Fetches the ids of the licenses of the instance's images.
        licenses / blocking_licenses() -> Vec<String>,
        |client| document(client, "instance/licenses/", instance::licenses)
    }

    getter! {
        /// Fetches what becomes of the instance when its host is serviced, or fails.
        scheduling / blocking_scheduling() -> Scheduling,
        |client| document(client, "instance/scheduling/", instance::scheduling)
    }

    getter! {
        /// Fetches what is happening to the host: `NONE`,
        /// `MIGRATE_ON_HOST_MAINTENANCE` or `TERMINATE_ON_HOST_MAINTENANCE`,
        /// some 60 s before it happens. [`watch`](Self::watch) tells at once.
        maintenance_event / blocking_maintenance_event() -> String,
        |client| client.trimmed("instance/maintenance-event")
    }

    getter! {
        /// Fetches the maintenance of the host that is planned; `None` where none is.
        upcoming_maintenance / blocking_upcoming_maintenance() -> Option<UpcomingMaintenance>,
        |client| {
            let path = "instance/upcoming-maintenance";
            let found = document(client, path, instance::upcoming_maintenance);
            Ok(none_where_missing(found)?.flatten())
        }
    }

    getter! {
        /// Fetches whether the instance is being stopped because its room is needed
        /// (spot and preemptible machines): 30 s are left.
        preempted / blocking_preempted() -> bool,
        |client| Ok(instance::flag(&client.trimmed("instance/preempted")?))
    }
}

/// The JSON document at `path`.
fn document<T>(
    client: &MetadataClient,
    path: &str,
    read: fn(&Answer) -> Result<T, Error>,
) -> Result<T, Error> {
    let query = Query::default()
        .with("recursive", "true")
        .with("alt", "json");
    let path = MetadataPath::new(path)?;
    let request = request::value(client.0.endpoint()?, &path, &query)?;
    client.ask(&request, |answer, _| read(answer))
}
