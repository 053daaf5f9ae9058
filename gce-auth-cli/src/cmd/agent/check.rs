//! Tells what the rules of a file decide.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use gce_auth::MetadataClient;
use gce_auth_agent::{
    caller::{Caller, Fact, Process, cgroup},
    policy::{
        Config, Decision, Fit, Request, SourceKind, Topic,
        system::{Machine, System as _},
    },
};

use crate::{
    exit::{Exit, Failure},
    output::Output,
};

/// So long the metadata server has for an address.
const PATIENCE: Duration = Duration::from_secs(2);
const REFUSED: u8 = Exit::Refused as u8;

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The rules
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The user of the caller; default: this user
    #[arg(long, value_name = "N", conflicts_with = "user")]
    uid: Option<u32>,
    /// The user of the caller, by name
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The group of the caller
    #[arg(long, value_name = "N", conflicts_with = "group")]
    gid: Option<u32>,
    /// The group of the caller, by name
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The executable of the caller
    #[arg(long, value_name = "PATH")]
    exe: Option<PathBuf>,
    /// The cgroup of the caller, which tells its container and pod, too
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// The source address of the caller; beside --uid or --user a loopback address
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// The name of the listener
    #[arg(long, value_name = "NAME", default_value = "")]
    listener: String,
    /// What is asked for, as in a request line
    #[arg(value_name = "PATH[?QUERY]")]
    target: String,
}

impl CheckArgs {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let own = rustix::process::geteuid().as_raw();
        let usage = |why: String| Failure::new(Exit::Usage, why);
        let config = Config::read(&self.config, own).map_err(|error| usage(error.to_string()))?;
        let caller = self.caller(own)?;
        let fit = config.policy.fit(&caller);
        let by = match fit {
            Fit::Rule(_) => format!("rule `{}`", config.policy.rule_name(fit)),
            Fit::Served | Fit::Refused => "`default`".to_owned(),
        };
        let request = match Request::parse(&self.target) {
            Ok(request) => request,
            Err(refused) => {
                let status = refused.status;
                out.value(&format!("refused ({status}): {}; {by}", refused.why))?;
                return Ok(REFUSED.into());
            }
        };
        let mut decision = config.policy.decide(fit, &request, None);
        let compares = config.policy.compares_accounts(fit) && request.names_account();
        if compares && let Decision::Refused(why) = &mut decision {
            // Two names may be of one account.
            match default_email(&config) {
                Ok(email) => decision = config.policy.decide(fit, &request, Some(&email)),
                Err(unknown) => {
                    why.push_str("; the address of the account `default` is not known here: ");
                    why.push_str(&unknown);
                }
            }
        }
        match decision {
            Decision::Served(grant) => {
                let mut text = format!("served by {by}");
                if let Some(email) = &grant.act_as {
                    text = format!("{text}, as {email}");
                }
                let scopes = grant.scopes.as_ref();
                let is_token = matches!(request.topic, Topic::Token { .. });
                if let Some(scopes) = scopes.filter(|_| is_token) {
                    text = format!("{text}, with the scopes {}", scopes.join(" "));
                }
                out.value(&text)?;
                Ok(ExitCode::SUCCESS)
            }
            Decision::Refused(why) => {
                out.value(&format!("refused by {by}: {why}"))?;
                Ok(REFUSED.into())
            }
        }
    }

    fn caller(&self, own: u32) -> Result<Caller, Failure> {
        let unknown = |what: &str, name: &str| {
            Failure::new(Exit::Usage, format!("there is no {what} {name} here"))
        };
        let uid = match &self.user {
            Some(name) => Some(Machine.user(name).ok_or_else(|| unknown("user", name))?),
            None => self.uid,
        };
        let gid = match &self.group {
            Some(name) => Some(Machine.group(name).ok_or_else(|| unknown("group", name))?),
            None => self.gid,
        };
        let local = self
            .from
            .is_none_or(|address| address.to_canonical().is_loopback());
        if !local && uid.is_some() {
            let why = "the user of a caller elsewhere is not known: leave --uid and --user out, or \
                       give a loopback address with --from";
            return Err(Failure::new(Exit::Usage, why.to_owned()));
        }
        let mut caller = Caller {
            listener: Arc::from(self.listener.as_str()),
            address: self.from,
            local,
            uid: if local { uid.or(Some(own)) } else { None },
            ..Caller::default()
        };
        if local {
            let cgroups: Vec<_> = self.cgroup.iter().cloned().collect();
            let path = self.cgroup.as_deref().unwrap_or_default();
            caller.processes.push(Process {
                pid: 0,
                gid: gid.map_or(Fact::Unreadable, Fact::Known),
                exe: self.exe.clone().map_or(Fact::Unreadable, Fact::Known),
                container: cgroup::container(path).map(str::to_owned),
                pod: cgroup::pod(path),
                named_by_user: cgroup::is_named_by_user(path),
                cgroups: Fact::Known(cgroups),
                descends: false,
            });
        }
        Ok(caller)
    }
}

/// Asks the metadata server that an agent with this file asks for the address of its account
/// `default`, or says why that can't be done.
fn default_email(config: &Config) -> Result<String, String> {
    if config.source == Some(SourceKind::Adc) {
        return Err("the source is a login".to_owned());
    }
    let mut client = MetadataClient::builder();
    if let Some(upstream) = &config.upstream {
        client = client.endpoint(upstream.as_str());
    }
    let asked = client.build().and_then(|client| {
        let email = client.request("instance/service-accounts/default/email");
        email.timeout(PATIENCE).attempts(1).blocking_send()
    });
    let email = asked.map_err(|error| error.to_string())?;
    Ok(email.text().trim().to_owned())
}
