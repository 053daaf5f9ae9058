//! Clients under the command, unchanged.

use std::{ffi::OsString, path::Path, time::Duration};

use gce_auth_conformance::interop::{self, Build, Client, Transcript, Unavailable, machine};
use gce_auth_emulator::AdcKind;

/// How long a client may take, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(120);

/// What stands between a client and the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// The emulator is all there is.
    Nothing,
    /// An agent, whose source the emulator is.
    Agent,
    /// An agent with a rule that leaves a client what it asks for, and one of the scopes.
    Narrowed,
    /// An agent, beside which IAM and the token endpoint are.
    Signing,
    /// An agent whose source is a credentials file of this kind.
    Login(AdcKind),
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

/// What signs without a key is named, too. Boundaries are off by default since google-auth 2.63.
const SIGNING: &str = "\
    export TOKEN_URL=http://$GCE_METADATA_HOST/token IAM_URL=http://$GCE_METADATA_HOST \
        GOOGLE_SDK_EXPERIMENTAL_PYTHON_REGIONAL_ACCESS_BOUNDARY_LOOKUP_ENABLED=true; ";

/// What every client here asks for, and no more.
const RULES: &str = r#"
default = "deny"
[[rule]]
name = "narrow"
[rule.caller]
child-of = "exec"
[rule.allow]
accounts = ["default"]
metadata = ["instance/attributes/color", "instance/id", "instance/name", "instance/tags",
    "instance/zone", "project/numeric-project-id", "project/project-id", "universe/**"]
scopes = ["https://www.googleapis.com/auth/devstorage.read_only"]
"#;

/// The arguments of `gce-auth` that make the machine of [`machine`].
fn arguments_of(between: Between, command: &Path) -> Vec<OsString> {
    let set = |path: &str, value: &str| format!("--set={path}={value}");
    let mut arguments = vec![
        "exec".to_owned(),
        format!("--project={}", machine::PROJECT),
        format!("--project-number={}", machine::NUMBER),
        format!("--account={}", machine::EMAIL),
        match between {
            Between::Signing => {
                "--scopes=https://www.googleapis.com/auth/cloud-platform".to_owned()
            }
            _ => format!("--scopes={}", machine::SCOPES.join(",")),
        },
        format!("--token-lifetime={}", machine::TOKEN_LIFETIME),
        set("instance/id", &machine::INSTANCE.to_string()),
        set("instance/name", machine::NAME),
        set("instance/zone", &machine::zone_path()),
        set("instance/attributes/color", machine::COLOR),
        set("instance/attributes/watched", "first"),
        set("project/attributes/team", machine::TEAM),
        set(
            "universe/universe-domain",
            match between {
                // There is no IAM outside Google's own universe.
                Between::Signing | Between::Login(_) => "googleapis.com",
                _ => machine::UNIVERSE,
            },
        ),
        // Go's Subscribe is told that what it follows is gone, when it asks again.
        "--fault=path = \"instance/attributes/watched\", allowed = 1, per-seconds = 3600, \
         fault = { kind = \"status\", code = 404 }"
            .to_owned(),
    ];
    let script = match between {
        Between::Nothing => [BESIDE, PROGRAM].concat(),
        Between::Agent => [BESIDE, AGENT].concat(),
        Between::Signing => [BESIDE, SIGNING, AGENT].concat(),
        Between::Login(kind) => {
            arguments.insert(1, format!("--adc={kind}"));
            let option = "GCE_AUTH_TRUST_HOSTS=$GCE_METADATA_HOST exec \"$agent\" exec --agent --source adc --";
            [
                BESIDE,
                &AGENT.replace("exec \"$agent\" exec --agent --", option),
            ]
            .concat()
        }
        Between::Narrowed => {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("narrow.toml");
            std::fs::write(&file, RULES).expect("the target folder can be written");
            let option = format!("exec --agent --config '{}' --", file.display());
            [BESIDE, &AGENT.replace("exec --agent --", &option)].concat()
        }
    };
    arguments.extend(["--", "sh", "-c", &script, "sh"].map(str::to_owned));
    let mut arguments: Vec<_> = arguments.into_iter().map(OsString::from).collect();
    if between != Between::Nothing {
        arguments.push(command.into());
    }
    arguments
}

/// What a client reports that runs under the command; nothing where its toolchain is missing.
pub(crate) fn run(between: Between, client: Result<Client, Unavailable>) -> Option<Transcript> {
    let client = interop::ready_or_skip(client)?;
    let command =
        interop::gce_auth(super::target(), Build::Debug).unwrap_or_else(|why| panic!("{why}"));
    let client = client.under(&command, arguments_of(between, &command));
    let seen = client.run([("AUDIENCE", machine::AUDIENCE)], LIMIT);
    Some(seen.unwrap_or_else(|failure| panic!("{failure}")))
}

/// An agent at the metadata server's own address and name, in a network namespace, and the client
/// there without a word about it.
const AT_THE_REAL_ADDRESS: &str = r#"
agent=$1; hosts=$2; shift 2
ip link set lo up && ip addr add 169.254.169.254/32 dev lo && mount --bind "$hosts" /etc/hosts
"$agent" agent --listen 169.254.169.254:80 --allow-from 169.254.169.254 --config "$hosts.toml" 2>/dev/null &
for try in $(seq 600); do ! "$agent" get project/project-id >/dev/null 2>&1 || break; sleep 0.05; done
env -u GCE_METADATA_HOST -u GCE_METADATA_IP -u GCE_METADATA_ROOT -u METADATA_SERVER_DETECTION "$@"
status=$?; kill $!; exit $status"#;

/// What a client reports that asks metadata.google.internal alone, of an agent there; nothing where
/// its toolchain is missing, or namespaces are forbidden.
pub(crate) fn at_the_real_address(client: Result<Client, Unavailable>) -> Option<Transcript> {
    let client = interop::ready_or_skip(client)?;
    interop::ready_or_skip(interop::namespace())?;
    let command =
        interop::gce_auth(super::target(), Build::Debug).unwrap_or_else(|why| panic!("{why}"));
    let hosts = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent-hosts");
    let rules = "default = \"deny\"\n[[rule]]\n[rule.caller]\nfrom = [\"169.254.169.254/32\"]\n";
    std::fs::write(
        &hosts,
        "127.0.0.1 localhost\n169.254.169.254 metadata.google.internal\n",
    )
    .and_then(|()| std::fs::write(hosts.with_extension("toml"), rules))
    .expect("the target folder can be written");
    let mut arguments = vec!["--user", "--map-root-user", "--net", "--mount"]
        .into_iter()
        .map(OsString::from)
        .collect::<Vec<_>>();
    arguments.push(command.clone().into());
    let mut inner = arguments_of(Between::Nothing, &command);
    let script = inner.len() - 2;
    inner[script] = [BESIDE, AT_THE_REAL_ADDRESS].concat().into();
    inner.extend([command.into(), hosts.into()]);
    arguments.extend(inner);
    let seen = client
        .under("unshare", arguments)
        .run([("AUDIENCE", machine::AUDIENCE)], LIMIT);
    Some(seen.unwrap_or_else(|failure| panic!("{failure}")))
}
