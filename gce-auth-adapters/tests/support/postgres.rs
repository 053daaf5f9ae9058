//! A PostgreSQL server of Debian's, which takes the emulator's tokens as passwords: `pg_hba.conf` says
//! `pam`, and `pam_exec` asks the emulator's `tokeninfo`. Needs root, for a private `/etc/pam.d`.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
};

const OWNER: &str = "postgres";

/// What asks the emulator: the token is of the account that logs in. PAM hands the password over with
/// a zero byte at its end.
const CHECK: &str = r#"#!/bin/sh
token=$(/usr/bin/tr -d '\0')
answer=$(/usr/bin/curl -sf "http://$(/bin/cat DIRECTORY/emulator)/tokeninfo?access_token=$token") || exit 1
echo "$answer" | /usr/bin/tr -d ' \n' | /bin/grep -qF "\"email\":\"$PAM_USER.gserviceaccount.com\""
"#;

pub struct Postgres {
    directory: PathBuf,
    programs: PathBuf,
    pub port: u16,
}

impl Postgres {
    /// Starts a server, or says why there is none here. With `GCE_AUTH_POSTGRES=required` there must be.
    pub fn start() -> Option<Self> {
        match Self::try_start() {
            Ok(server) => Some(server),
            Err(reason) => {
                assert!(!is_required(), "no PostgreSQL: {reason}");
                println!("SKIPPED: {reason}");
                None
            }
        }
    }

    fn try_start() -> Result<Self, String> {
        let installed =
            fs::read_dir("/usr/lib/postgresql").map_err(|_| "PostgreSQL is not installed")?;
        let programs = installed
            .flatten()
            .map(|version| version.path().join("bin"));
        let programs = programs.filter(|path| path.join("initdb").exists()).max();
        let programs = programs.ok_or("PostgreSQL is not installed")?;
        for needed in ["/usr/bin/curl", "/usr/bin/setpriv", "/usr/bin/unshare"] {
            if !Path::new(needed).exists() {
                return Err(format!("{needed} is missing"));
            }
        }
        let root = run(Command::new("unshare").args(["--mount", "true"]));
        if !root.status.success() {
            return Err("a private /etc/pam.d needs root".to_owned());
        }

        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = std::env::temp_dir().join(format!("gce-auth-postgres-{port}"));
        fs::create_dir_all(directory.join("pam.d")).unwrap();
        let here = directory.to_str().unwrap();
        let check = directory.join("check");
        fs::write(&check, CHECK.replace("DIRECTORY", here)).unwrap();
        let service = format!(
            "auth required pam_exec.so quiet expose_authtok {}\naccount required pam_permit.so\n",
            check.display()
        );
        fs::write(directory.join("pam.d/gce-auth"), service).unwrap();
        succeed(Command::new("chmod").arg("-R").arg("a+rX").arg(here));
        succeed(Command::new("chmod").arg("a+x").arg(&check));
        succeed(Command::new("chown").arg(OWNER).arg(here));

        let server = Self {
            directory,
            programs,
            port,
        };
        succeed(
            server
                .as_owner("initdb")
                .args(["--no-sync", "--auth=trust", "-U", OWNER]),
        );
        let rules = "local all all trust\nhost all all 127.0.0.1/32 pam pamservice=gce-auth\n";
        fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
        server.launch();
        Ok(server)
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn as_owner(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups", "--"]);
        command
            .arg(self.programs.join(program))
            .arg("-D")
            .arg(self.data());
        command.current_dir(&self.directory);
        command
    }

    /// Starts it where `/etc/pam.d` is its own; returns once it answers.
    fn launch(&self) {
        let here = self.directory.display();
        let script = format!(
            "mount --bind {here}/pam.d /etc/pam.d && exec setpriv --reuid {OWNER} --regid {OWNER} --clear-groups -- \
             {}/pg_ctl -D {here}/data -w -s -l {here}/log -o '-p {} -h 127.0.0.1 -k {here} -F' start",
            self.programs.display(),
            self.port
        );
        succeed(Command::new("unshare").args(["--mount", "sh", "-c", &script]));
    }

    /// Makes a user for `email`, and takes the tokens of this emulator from now on.
    pub fn admit(&self, emulator: SocketAddr, email: &str) {
        fs::write(self.directory.join("emulator"), emulator.to_string()).unwrap();
        let user = email.strip_suffix(".gserviceaccount.com").unwrap();
        self.ask(&format!(
            "DROP ROLE IF EXISTS \"{user}\"; CREATE ROLE \"{user}\" LOGIN"
        ));
    }

    /// Ends every connection over TCP.
    pub fn cut(&self) {
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL",
        );
    }

    fn ask(&self, sql: &str) {
        let port = self.port.to_string();
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            OWNER,
            "-d",
            "postgres",
            "-p",
            &port,
            "-h",
        ]);
        succeed(psql.arg(&self.directory).args(["-c", sql]));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        run(self
            .as_owner("pg_ctl")
            .args(["-m", "immediate", "-w", "-s", "stop"]));
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[expect(clippy::disallowed_methods, reason = "the caller of the tests says it")]
fn is_required() -> bool {
    std::env::var("GCE_AUTH_POSTGRES").is_ok_and(|value| value == "required")
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeed(command: &mut Command) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
