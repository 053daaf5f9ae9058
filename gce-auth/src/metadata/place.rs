//! Project, instance and where it runs.

use super::get::getter;
use crate::{client::config::MetadataClient, values::error::Error, wire::response};

impl MetadataClient {
    getter! {
        /// Fetches the id of the project, like `my-project`.
        project_id / blocking_project_id() -> String,
        |client| client.trimmed("project/project-id")
    }

    getter! {
        /// Fetches the number of the project.
        numeric_project_id / blocking_numeric_project_id() -> u64,
        |client| {
            let text = client.trimmed("project/numeric-project-id")?;
            text.parse().map_err(|_| response::unusable("the project number is not a number"))
        }
    }

    getter! {
        /// Fetches the id of the instance, as text: on Compute Engine a number of up to
        /// 64 bits, on serverless platforms hexadecimal.
        instance_id / blocking_instance_id() -> String,
        |client| client.trimmed("instance/id")
    }

    getter! {
        /// Fetches the name of the instance.
        instance_name / blocking_instance_name() -> String,
        |client| client.trimmed("instance/name")
    }

    getter! {
        /// Fetches the host name of the instance, with its domain.
        hostname / blocking_hostname() -> String,
        |client| client.trimmed("instance/hostname")
    }

    getter! {
        /// Fetches the zone, like `us-central1-a`, without the project before it.
        zone / blocking_zone() -> String,
        |client| {
            let path = client.trimmed("instance/zone")?;
            Ok(response::last_segment(&path).to_owned())
        }
    }

    getter! {
        /// Fetches the region, like `us-central1`: of the zone, or where there is none
        /// to be told from it (serverless platforms) the server's own word.
        region / blocking_region() -> String,
        |client| region(client)
    }

    getter! {
        /// Fetches the custom metadata of the instance at `key`; `None` where there is
        /// none. The value is exactly what was set.
        instance_attribute / blocking_instance_attribute(key) -> Option<String>,
        |client, key| client.optional(&format!("instance/attributes/{key}"))
    }

    getter! {
        /// Fetches the custom metadata of the project at `key`; `None` where there is
        /// none. The value is exactly what was set.
        project_attribute / blocking_project_attribute(key) -> Option<String>,
        |client, key| client.optional(&format!("project/attributes/{key}"))
    }

    getter! {
        /// Fetches the keys of the instance's custom metadata.
        instance_attributes / blocking_instance_attributes() -> Vec<String>,
        |client| client.listed("instance/attributes/")
    }

    getter! {
        /// Fetches the keys of the project's custom metadata.
        project_attributes / blocking_project_attributes() -> Vec<String>,
        |client| client.listed("project/attributes/")
    }
}

fn region(client: &MetadataClient) -> Result<String, Error> {
    let zone = client.blocking_zone()?;
    if let Some(region) = response::region_of(&zone) {
        return Ok(region.to_owned());
    }
    let path = client.trimmed("instance/region")?;
    Ok(response::last_segment(&path).to_owned())
}
