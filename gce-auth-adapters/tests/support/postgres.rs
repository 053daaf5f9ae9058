//! A PostgreSQL server of Debian's, which takes the emulator's tokens as passwords: `pg_hba.conf`
//! says `pam`, and `pam_exec` asks the emulator's `tokeninfo`. It takes connections with TLS, too,
//! by a certificate of its own CA. Needs root, for a private `/etc/pam.d`.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

const OWNER: &str = "postgres";

/// An address that clients take for another machine's, and that leads to this one.
pub const ANOTHER_HOST: &str = "0.0.0.0";

/// What asks the emulator: the token is of the account that logs in. PAM hands the password over
/// with a zero byte at its end.
const CHECK: &str = r#"#!/bin/sh
token=$(/usr/bin/tr -d '\0')
answer=$(/usr/bin/curl -sf "http://$(/bin/cat DIRECTORY/emulator)/tokeninfo?access_token=$token") || exit 1
echo "$answer" | /usr/bin/tr -d ' \n' | /bin/grep -qF "\"email\":\"$PAM_USER.gserviceaccount.com\""
"#;

pub struct Postgres {
    directory: PathBuf,
    programs: PathBuf,
    pub port: u16,
    /// The certificate of the CA, PEM.
    pub ca: String,
}

impl Postgres {
    /// Starts a server, or says why there is none here. With `GCE_AUTH_POSTGRES=required` there
    /// must be.
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
        let ca = certify(&directory);
        succeed(Command::new("chown").arg(OWNER).arg(here));

        let server = Self {
            directory: directory.clone(),
            programs,
            port,
            ca,
        };
        succeed(
            server
                .as_owner("initdb")
                .args(["--no-sync", "--auth=trust", "-U", OWNER]),
        );
        let rules = "local all all trust\nhost all all 127.0.0.1/32 pam pamservice=gce-auth\n";
        fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
        let settings = format!(
            "ssl = on\nssl_cert_file = '{here}/server.pem'\nssl_key_file = '{here}/server.key'\n"
        );
        let more = server.data().join("postgresql.auto.conf");
        fs::write(more, settings).unwrap();
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

    /// The file of the CA.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Offers TLS no more.
    pub fn without_tls(&self) {
        self.ask("ALTER SYSTEM SET ssl = off");
        self.ask("SELECT pg_reload_conf()");
        while self.ask("SHOW ssl").trim() != "off" {
            std::thread::yield_now();
        }
    }

    /// Ends every connection over TCP.
    pub fn cut(&self) {
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL",
        );
    }

    fn ask(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-v",
            "ON_ERROR_STOP=1",
            "-tA",
            "-U",
            OWNER,
            "-d",
            "postgres",
            "-p",
            &port,
            "-h",
        ]);
        succeed(psql.arg(&self.directory).args(["-c", sql]))
    }
}

/// Writes the certificate of a CA, and a key and a certificate of the server, which is its owner's;
/// returns the first.
fn certify(directory: &Path) -> String {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "the CA of a test");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", ANOTHER_HOST, "localhost"].map(str::to_owned);
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    fs::write(directory.join("ca.pem"), &pem).unwrap();
    fs::write(directory.join("server.pem"), leaf.pem()).unwrap();
    let file = directory.join("server.key");
    fs::write(&file, key.serialize_pem()).unwrap();
    succeed(Command::new("chown").arg(OWNER).arg(&file));
    succeed(Command::new("chmod").arg("0600").arg(&file));
    pem
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

fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
