//! Commands a running agent: by its admin listener, or by a signal.

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    env,
    exit::{Exit, Failure},
    output::Output,
};

/// The agent answers within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options that every command takes, before its name or after it.
const OF_ALL: [&str; 4] = ["-q", "--quiet", "-v", "--verbose"];

/// The requests to an agent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Reload,
    Flush,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ControlArgs {
    /// The agent whose admin listener is at this address
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The agent with this process id
    #[arg(long, value_name = "N", conflicts_with = "admin")]
    pid: Option<i32>,
    /// The agent that was started with this file; without any option, the only agent of this user
    #[arg(long, value_name = "FILE", conflicts_with_all = ["admin", "pid"])]
    config: Option<PathBuf>,
}

impl ControlArgs {
    pub(crate) fn run(&self, verb: Verb, out: &Output) -> Result<(), Failure> {
        if let Some(address) = self.admin {
            return ask(address, verb);
        }
        let pid = match self.pid {
            Some(pid) => pid,
            None => find(self.config.as_deref())?,
        };
        let signal = match verb {
            Verb::Reload => Signal::HUP,
            Verb::Flush => Signal::USR1,
        };
        let refused = |why: String| Failure::new(Exit::Failed, why);
        let process = Pid::from_raw(pid).filter(|_| pid > 0);
        let process = process.ok_or_else(|| refused(format!("{pid} is no process id")))?;
        kill_process(process, signal)
            .map_err(|error| refused(format!("cannot signal process {pid}: {error}")))?;
        out.detail(format_args!("process {pid} got the signal"));
        Ok(())
    }
}

/// Asks through the admin listener, which takes commands of its own user and of root.
fn ask(address: SocketAddr, verb: Verb) -> Result<(), Failure> {
    let path = match verb {
        Verb::Reload => "/reload",
        Verb::Flush => "/flush",
    };
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = talk().map_err(|error| {
        let why = format!("no agent answers at {address}: {error}");
        Failure::new(Exit::Failed, why)
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("403") => Err(Failure::new(Exit::Refused, body.trim())),
        Some(_) if !body.trim().is_empty() => Err(Failure::new(Exit::Failed, body.trim())),
        _ => Err(Failure::new(
            Exit::Failed,
            format!("what answers at {address} is no agent"),
        )),
    }
}

/// Finds the one agent of this user, or the one with this file, by its command line.
fn find(config: Option<&Path>) -> Result<i32, Failure> {
    let program = env::program().map_err(|error| {
        let why =
            format!("cannot find this executable: {error}; name the agent with --admin or --pid");
        Failure::new(Exit::Failed, why)
    })?;
    let program = as_installed(program);
    let user = rustix::process::geteuid().as_raw();
    let own = std::process::id();
    let wanted = config.map(|file| fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()));
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if fs::metadata(entry.path()).map(|known| known.uid()).ok() != Some(user) {
            continue;
        }
        let exe = fs::read_link(entry.path().join("exe")).map(as_installed);
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let directory = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if u32::try_from(pid).is_ok_and(|pid: u32| pid != own)
            && exe.is_ok_and(|exe| exe == program)
            && is_agent(&command, &directory, wanted.as_deref())
        {
            found.push(pid);
        }
    }
    let why = match (found[..].first(), found.len()) {
        (Some(pid), 1) => return Ok(*pid),
        (None, _) => "no such agent runs here; name it with --admin or --pid",
        _ => "several agents run here; name one with --admin, --pid or --config",
    };
    Err(Failure::new(Exit::Failed, why))
}

/// Returns the path of an executable as it was when it was started: Linux marks one that was
/// replaced.
fn as_installed(path: PathBuf) -> PathBuf {
    let before = path
        .as_os_str()
        .as_bytes()
        .strip_suffix(b" (deleted)")
        .map(|before| PathBuf::from(OsStr::from_bytes(before)));
    before.unwrap_or(path)
}

/// Whether a command line, with a NUL behind each argument, is that of an agent which serves, with
/// this file if one is named.
fn is_agent(command: &[u8], directory: &Path, config: Option<&Path>) -> bool {
    let command = String::from_utf8_lossy(command);
    let arguments: Vec<_> = command.split('\0').skip(1).collect();
    // Options before the command have no values.
    let Some(at) = arguments
        .iter()
        .position(|argument| !argument.starts_with('-'))
        .filter(|at| arguments[*at] == "agent")
    else {
        return false;
    };
    let rest = arguments.get(at + 1..).unwrap_or_default();
    // A command has none of an agent's options, so that only options for all commands precede it.
    let mut rest_of_all = rest.iter().skip_while(|argument| OF_ALL.contains(argument));
    if matches!(rest_of_all.next(), Some(&("check" | "reload" | "flush"))) {
        return false;
    }
    let Some(config) = config else {
        return true;
    };
    let separate = rest.windows(2).filter(|pair| pair[0] == "--config");
    let joined = rest
        .iter()
        .filter_map(|argument| argument.strip_prefix("--config="));
    let mut files = separate.map(|pair| pair[1]).chain(joined);
    files.any(|file| {
        let file = directory.join(file);
        fs::canonicalize(&file).unwrap_or(file) == config
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_known_by_its_command_line() {
        let here = Path::new("/nonexistent");
        let config = here.join("a.toml");
        let is = |line: &str, config| is_agent(line.replace(' ', "\0").as_bytes(), here, config);
        assert!(is("gce-auth agent --listen x", None));
        assert!(is("gce-auth -v agent --config a.toml", Some(&*config)));
        assert!(is(
            "gce-auth agent --config=/nonexistent/a.toml",
            Some(&*config)
        ));
        assert!(!is("gce-auth agent --config b.toml", Some(&*config)));
        assert!(is("gce-auth agent -v --listen x", None));
        for command in [
            "reload",
            "-v reload",
            "--quiet flush",
            "-v check --config a.toml",
        ] {
            let line = format!("gce-auth agent {command}");
            assert!(!is(&line, None), "{command}");
            assert!(!is(&line, Some(&*config)), "{command}");
        }
        assert!(!is("gce-auth token", None));
        assert!(!is("gce-auth exec -- agent --listen x", None));
        assert!(!is("gce-auth get agent", None));
    }

    #[test]
    fn a_replaced_executable_is_the_same_agent() {
        for (path, expected) in [
            ("/bin/gce-auth (deleted)", "/bin/gce-auth"),
            ("/bin/gce-auth", "/bin/gce-auth"),
            ("/x (deleted)/gce-auth", "/x (deleted)/gce-auth"),
        ] {
            assert_eq!(as_installed(PathBuf::from(path)), Path::new(expected));
        }
    }
}
