//! The search, step by step.

use std::path::PathBuf;
#[cfg(feature = "adc")]
use std::time::Duration;

#[cfg(feature = "adc")]
use crate::io::process::{self, Errors};
use crate::{
    adc::{DefaultCredentials, DefaultOptions, DefaultSource},
    client::{config::MetadataClient, residency::Detection},
    io::env::Environment,
    refresh::RefreshMode,
    tokens::{credentials::Credentials, id_token_credentials::IdTokenCredentials},
    values::error::{Error, ErrorKind},
};

/// Time for gcloud to print a project.
#[cfg(feature = "adc")]
const GCLOUD: Duration = Duration::from_secs(10);

/// The source that is used here, found without a request.
pub(super) fn source() -> DefaultSource {
    file(&Environment::read()).unwrap_or(DefaultSource::MetadataServer)
}

/// The path of gcloud's file, which need not exist.
pub(super) fn gcloud_file(environment: &Environment) -> Option<PathBuf> {
    let directory = environment.gcloud_directory()?;
    Some(directory.join("application_default_credentials.json"))
}

/// A file that comes before the metadata server, if there is one.
fn file(environment: &Environment) -> Option<DefaultSource> {
    let well_known = gcloud_file(environment);
    if let Some(named) = &environment.application_credentials {
        let named = PathBuf::from(named);
        // As in google-auth: the variable may name gcloud's file, which is the next step.
        if well_known.as_ref() != Some(&named) {
            return Some(DefaultSource::EnvironmentFile(named));
        }
    }
    let file = well_known.filter(|file| file.is_file())?;
    Some(DefaultSource::GcloudFile(file))
}

pub(super) fn credentials(options: &DefaultOptions) -> Result<DefaultCredentials, Error> {
    let environment = Environment::read();
    let mut found = match file(&environment) {
        Some(source) => of_file(options, &source)?,
        None => of_metadata_server(options)?,
    };
    let named = environment.project.clone();
    // google-auth asks the metadata server also where the answer is of no use.
    let exact = found.credentials.client().0.exact;
    let asks_anyway = exact && found.source == DefaultSource::MetadataServer;
    if found.project_id.is_none() && (named.is_none() || asks_anyway) {
        found.project_id = project(&environment, options, &found);
    }
    found.project_id = named.or(found.project_id);
    Ok(found)
}

#[cfg(feature = "adc")]
fn of_file(options: &DefaultOptions, source: &DefaultSource) -> Result<DefaultCredentials, Error> {
    use crate::adc::load;
    let (DefaultSource::EnvironmentFile(path) | DefaultSource::GcloudFile(path)) = source else {
        return Err(Error::new(ErrorKind::Config, "no file was found"));
    };
    let mut found = load::file(options, path, source.clone(), false)?;
    let credentials = &found.credentials;
    if credentials.requires_scopes() {
        found.credentials = load::scoped(credentials, options);
    }
    Ok(found)
}

#[cfg(not(feature = "adc"))]
fn of_file(_: &DefaultOptions, source: &DefaultSource) -> Result<DefaultCredentials, Error> {
    Err(unreadable(source))
}

/// What a program without the feature says of a file.
#[cfg(not(feature = "adc"))]
fn unreadable(source: &DefaultSource) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("there are credentials in {source}, and this program cannot read them"),
    )
    .with_hint(
        "switch the feature adc of gce-auth on, or use Credentials::new() for the metadata \
         server alone",
    )
}

fn of_metadata_server(options: &DefaultOptions) -> Result<DefaultCredentials, Error> {
    let client = MetadataClient::one_of(options.client.clone(), None)?;
    on_gce(&client, options.detection)?;
    let exact = client.0.exact;
    let mut builder = Credentials::builder().client(client);
    if options.unshared {
        builder = builder.shared(false);
    }
    if exact {
        // google-auth renews nothing in the background unless it is told to.
        builder = builder.refresh_mode(RefreshMode::Blocking);
    }
    #[cfg(feature = "iam")]
    {
        builder = builder.regional_access_boundary(options.boundary);
    }
    if let Some(scopes) = options.scopes.clone() {
        builder = builder.scopes(scopes);
    }
    if let Some(scopes) = options.default_scopes.clone() {
        builder = builder.default_scopes(scopes);
    }
    let credentials = match &options.quota_project_id {
        Some(project) => builder.quota_project_id(project).build()?,
        None => builder.build()?.with_quota_project_from_environment()?,
    };
    Ok(DefaultCredentials {
        credentials,
        project_id: None,
        source: DefaultSource::MetadataServer,
    })
}

/// The project, where neither environment nor file names it. Without one a
/// program can go on, so no failure is an error.
#[cfg(feature = "adc")]
fn project(
    environment: &Environment,
    options: &DefaultOptions,
    found: &DefaultCredentials,
) -> Option<String> {
    if let DefaultSource::GcloudFile(_) = found.source {
        let named = if options.asks_gcloud {
            let config = &found.credentials.client().0;
            let left = config.budget().left(config.clock.now());
            gcloud_says_project(GCLOUD.min(left))
        } else {
            gcloud_project(environment)
        };
        if named.is_some() {
            return named;
        }
    }
    found.credentials.blocking_project_id().ok().flatten()
}

#[cfg(not(feature = "adc"))]
fn project(_: &Environment, _: &DefaultOptions, found: &DefaultCredentials) -> Option<String> {
    found.credentials.client().blocking_project_id().ok()
}

/// The project that gcloud prints within `limit`.
#[cfg(feature = "adc")]
fn gcloud_says_project(limit: Duration) -> Option<String> {
    const WINDOWS: bool = cfg!(windows);
    let program = if WINDOWS { "gcloud.cmd" } else { "gcloud" };
    printed(&[program, "config", "get", "project"], limit)
}

/// What a command prints, without blanks around it, if that is anything.
#[cfg(feature = "adc")]
fn printed(command: &[&str], limit: Duration) -> Option<String> {
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let printed = process::run(&command, &[], limit, Errors::Dropped).ok()?;
    let printed = std::str::from_utf8(&printed).ok()?.trim();
    (!printed.is_empty()).then(|| printed.to_owned())
}

/// The project of gcloud's active configuration, from its files.
#[cfg(feature = "adc")]
fn gcloud_project(environment: &Environment) -> Option<String> {
    use crate::{
        io::{env::AdcEnvironment, files},
        wire::gcloud_config,
    };
    let directory = environment.gcloud_directory()?;
    let read = |name: &str| {
        let bytes = files::read(&directory.join(name)).ok()?;
        String::from_utf8(bytes.to_vec()).ok()
    };
    let named = AdcEnvironment::read().gcloud_configuration;
    let active = read(gcloud_config::ACTIVE);
    let file = gcloud_config::file(named.as_deref(), active.as_deref())?;
    gcloud_config::project(&read(&file)?)
}

pub(super) fn id_token_credentials(
    audience: &str,
    options: &DefaultOptions,
) -> Result<IdTokenCredentials, Error> {
    let environment = Environment::read();
    if let Some(named) = &environment.application_credentials {
        let source = DefaultSource::EnvironmentFile(PathBuf::from(named));
        #[cfg(feature = "adc")]
        if let Some(found) = crate::adc::load::identity(options, source, audience)? {
            return Ok(found);
        }
        #[cfg(not(feature = "adc"))]
        return Err(unreadable(&source));
    }
    let client = MetadataClient::one_of(options.client.clone(), None)?;
    match options.detection {
        // Without a look at the firmware.
        Detection::GoogleAuth => {
            if !client.blocking_ping(None)? {
                return Err(nowhere("where no metadata server answers"));
            }
        }
        Detection::Fast => on_gce(&client, options.detection)?,
    }
    let builder = IdTokenCredentials::builder(audience).client(client);
    if options.unshared {
        return builder.shared(false).build();
    }
    builder.build()
}

fn on_gce(client: &MetadataClient, detection: Detection) -> Result<(), Error> {
    let residency = client.blocking_on_gce(detection)?;
    if residency.is_on_gce() {
        return Ok(());
    }
    Err(nowhere(&residency.to_string()))
}

/// There is no source; `place` is where this program is.
fn nowhere(place: &str) -> Error {
    Error::new(
        ErrorKind::NotOnGce,
        format!(
            "there are no default credentials: GOOGLE_APPLICATION_CREDENTIALS names no file, \
             gcloud has written none, and this program is {place}"
        ),
    )
    .with_hint(
        "run `gcloud auth application-default login`, or for a metadata server without a cloud \
         `gce-auth emulate`",
    )
}

#[cfg(all(test, unix, feature = "adc"))]
mod tests {
    use std::time::Duration;

    use super::printed;

    #[test]
    fn a_project_is_what_gcloud_prints() {
        let long = Duration::from_secs(60);
        let shell = |script| printed(&["/bin/sh", "-c", script], long);
        assert_eq!(shell("echo ' p-1 '").as_deref(), Some("p-1"));
        assert_eq!(shell("echo"), None);
        assert_eq!(shell("echo p-1; exit 1"), None);
        assert_eq!(printed(&["/nonexistent/gcloud"], long), None);
        let late = ["/bin/sh", "-c", "sleep 30; echo p-1"];
        assert_eq!(printed(&late, Duration::from_millis(10)), None);
    }
}
