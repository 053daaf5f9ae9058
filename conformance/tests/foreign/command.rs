//! Clients under the command, unchanged.

use std::{ffi::OsString, path::Path, time::Duration};

use gce_auth_conformance::interop::{self, Build, Client, Transcript, Unavailable, machine};

/// How long a client may take, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(120);

/// What stands between a client and the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// The emulator is all there is.
    Nothing,
    /// An agent, whose source the emulator is.
    Agent,
}

/// What stands beside the metadata server is named to the clients, which would ask Google.
const BESIDE: &str = "\
    export TOKENINFO_URL=http://$GCE_METADATA_HOST/tokeninfo \
        CERTS_URL=http://$GCE_METADATA_HOST/oauth2/v1/certs \
        JWKS_URL=http://$GCE_METADATA_HOST/oauth2/v3/certs; ";

/// The client itself.
const PROGRAM: &str = "exec \"$@\"";

/// The command again, as an agent, and under it the client.
const AGENT: &str = "agent=$1; shift; exec \"$agent\" exec --agent -- \"$@\"";

/// The arguments of `gce-auth` that make the machine of [`machine`].
fn arguments(between: Between, command: &Path) -> Vec<OsString> {
    let set = |path: &str, value: &str| format!("--set={path}={value}");
    let mut arguments = vec![
        "exec".to_owned(),
        format!("--project={}", machine::PROJECT),
        format!("--project-number={}", machine::NUMBER),
        format!("--account={}", machine::EMAIL),
        format!("--scopes={}", machine::SCOPES.join(",")),
        format!("--token-lifetime={}", machine::TOKEN_LIFETIME),
        set("instance/id", &machine::INSTANCE.to_string()),
        set("instance/name", machine::NAME),
        set("instance/zone", &machine::zone_path()),
        set("instance/attributes/color", machine::COLOR),
        set("instance/attributes/watched", "first"),
        set("project/attributes/team", machine::TEAM),
        set("universe/universe-domain", machine::UNIVERSE),
        // Go's Subscribe is told that what it follows is gone, when it asks again.
        "--fault=path = \"instance/attributes/watched\", allowed = 1, per-seconds = 3600, \
         fault = { kind = \"status\", code = 404 }"
            .to_owned(),
    ];
    let script = match between {
        Between::Nothing => [BESIDE, PROGRAM].concat(),
        Between::Agent => [BESIDE, AGENT].concat(),
    };
    arguments.extend(["--", "sh", "-c", &script, "sh"].map(str::to_owned));
    let mut arguments: Vec<_> = arguments.into_iter().map(OsString::from).collect();
    if between == Between::Agent {
        arguments.push(command.into());
    }
    arguments
}

/// What a client reports that runs under the command; nothing where its toolchain is missing.
pub(crate) fn run(between: Between, client: Result<Client, Unavailable>) -> Option<Transcript> {
    let client = interop::ready_or_skip(client)?;
    let command =
        interop::gce_auth(super::target(), Build::Debug).unwrap_or_else(|why| panic!("{why}"));
    let client = client.under(&command, arguments(between, &command));
    let seen = client.run([("AUDIENCE", machine::AUDIENCE)], LIMIT);
    Some(seen.unwrap_or_else(|failure| panic!("{failure}")))
}
