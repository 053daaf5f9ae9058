//! `exec --isolated`: programs that know only the metadata server's own address. As this user and,
//! where root runs the tests, as another one, too.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "what is skipped is printed")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use support::{Ran, folder::Folder, gce_auth};

/// Another user. Not `nobody`, 65534: in a namespace the kernel shows it for all users of outside,
/// too.
const OTHER: u32 = 54_321;

/// Users to try: this one, and another if this is root.
fn users() -> Vec<u32> {
    let own = geteuid().as_raw();
    if own == 0 { vec![0, OTHER] } else { vec![own] }
}

/// `gce-auth exec` with these arguments, about to be run by a user, from where both can read it.
fn exec(user: u32, arguments: &[&str]) -> Command {
    let command = gce_auth(&[&["exec"], arguments].concat());
    if user == geteuid().as_raw() {
        return command;
    }
    let mut other = Command::new(public_copy());
    other.args(command.get_args()).stdin(Stdio::null());
    for (name, _) in command.get_envs() {
        other.env_remove(name);
    }
    other.env("HOME", "/").uid(user).gid(user);
    other
}

/// The command where all users can run it.
fn public_copy() -> PathBuf {
    static COPY: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let copy = || {
        let file = std::env::temp_dir().join("gce-auth-isolated-test");
        let new = file.with_extension(std::process::id().to_string());
        fs::copy(env!("CARGO_BIN_EXE_gce-auth"), &new).unwrap();
        // Another run may execute the one before.
        fs::rename(&new, &file).unwrap();
        file
    };
    COPY.get_or_init(copy).clone()
}

/// Users for whom this system allows namespaces. Those for whom not get the one sentence.
fn allowed() -> Vec<u32> {
    let allowed = |user: &u32| {
        let output = exec(*user, &["--isolated", "--", "true"]).output().unwrap();
        if output.status.code() == Some(125) {
            let why = Ran::new(output).failure(125);
            println!("SKIPPED isolated, as uid {user}: {why}");
            return false;
        }
        assert_eq!(Ran::new(output).value(), "");
        true
    };
    let mut users = users();
    users.retain(allowed);
    users
}

/// Runs a shell's script isolated, with these options, to its end.
#[track_caller]
fn shell(user: u32, options: &[&str], script: &str) -> Ran {
    let own = &["--isolated"][..];
    let end = &["--", "sh", "-c", script][..];
    Ran::new(exec(user, &[own, options, end].concat()).output().unwrap())
}

#[test]
fn the_machine_is_compute_engine_s_under_its_own_names() {
    for user in allowed() {
        let script = "id -u; id -g; cat /sys/class/dmi/id/product_name /sys/class/dmi/id/sys_vendor
            ls /sys/class/net
            for name in metadata.google.internal metadata.google.internal. metadata metadata.; do
                getent ahostsv4 $name | head -1 | cut -d' ' -f1
            done
            env | grep -c GCE_METADATA";
        let seen = shell(user, &[], script);
        let lines: Vec<_> = seen.stdout.lines().collect();
        let id = user.to_string();
        assert_eq!(lines[..2], [&id, &id], "{seen:?}");
        assert_eq!(lines[2..5], ["Google Compute Engine", "Google", "lo"]);
        assert_eq!(lines[5..9], ["169.254.169.254"; 4], "{seen:?}");
        assert_eq!(lines[9], "0", "{seen:?}");
        assert_eq!(seen.stderr, "");
    }
}

#[test]
fn the_emulator_is_at_the_real_address_with_its_control_requests() {
    let command = public_copy();
    let command = command.to_str().unwrap();
    for user in allowed() {
        let options = ["--project", "my-project", "--journal"];
        let script =
            format!("{command} get project/project-id && {command} token --source metadata");
        let seen = shell(user, &options, &script);
        assert_eq!(seen.code, Some(0), "{seen:?}");
        assert!(seen.stdout.starts_with("my-project\nya29."), "{seen:?}");
        assert!(seen.stderr.contains("the program made "), "{seen:?}");
        assert!(seen.stderr.contains("project/project-id 200"), "{seen:?}");
        let seen = shell(
            user,
            &[],
            "curl -sS http://169.254.169.254/emulator/v1/clock",
        );
        assert!(seen.value().contains(r#""now":""#));
    }
}

#[test]
fn the_apis_are_at_their_own_names_if_asked_for() {
    for user in allowed() {
        let script = "token=$(curl -sS -H 'Metadata-Flavor: Google' \
            'http://metadata/computeMetadata/v1/instance/service-accounts/default/token' |
            sed 's/.*access_token\":\"\\([^\"]*\\).*/\\1/')
            curl -sS \"https://oauth2.googleapis.com/tokeninfo?access_token=$token\"
            test -s \"$SSL_CERT_FILE\" && echo trusted";
        let seen = shell(user, &["--cloud"], script).value();
        assert!(seen.contains("cloud-platform"), "{seen}");
        assert!(seen.ends_with("trusted\n"), "{seen}");
        // Certificates of others are trusted as before, and no other program trusts this one.
        let seen = shell(user, &[], "getent hosts oauth2.googleapis.com");
        assert_ne!(seen.code, Some(0), "{seen:?}");
    }
}

/// Asks an API over TLS, as a program without any setting.
const JAVA: &str = r#"
import java.net.*;
public class Ask {
    public static void main(String[] arguments) throws Exception {
        URL url = new URL("https://oauth2.googleapis.com/tokeninfo?access_token=x");
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        System.out.println("status " + connection.getResponseCode() + " " + System.getProperty("own"));
    }
}
"#;

#[test]
fn java_trusts_the_apis_and_keeps_its_options() {
    if Command::new("java").arg("-version").output().is_err() {
        println!("SKIPPED: Java is not installed");
        return;
    }
    let folder = Folder::new("java");
    // Others may read it.
    fs::write(folder.join("Ask.java"), JAVA).unwrap();
    for user in allowed() {
        let script = format!("java {}/Ask.java", folder.display());
        let mut command = exec(user, &["--isolated", "--cloud", "--", "sh", "-c", &script]);
        command.env("JAVA_TOOL_OPTIONS", "-Down=kept -Xshare:auto");
        let ran = Ran::new(command.output().unwrap());
        assert!(ran.stdout.contains("status 400 kept"), "{ran:?}");
    }
}

#[test]
fn a_shielded_machine_has_its_port_for_certificates() {
    for user in allowed() {
        let script = "cd /run/google-mds-mtls && curl -sS --cacert root.crt --cert client.key \
            -H 'Metadata-Flavor: Google' \
            https://metadata.google.internal/computeMetadata/v1/project/project-id";
        let seen = shell(user, &["--profile", "shielded"], script).value();
        assert_eq!(seen, "emulator-project");
        let seen = shell(user, &[], "curl -sS --max-time 2 https://169.254.169.254/");
        assert_eq!(seen.code, Some(7), "nothing listens there: {seen:?}");
    }
}

#[test]
fn exit_codes_are_the_program_s() {
    for user in allowed() {
        for (script, code) in [("exit 7", 7), ("kill -TERM $$", 143), ("true", 0)] {
            assert_eq!(shell(user, &[], script).code, Some(code), "{script}");
        }
        for (program, code, part) in [
            ("/no/such/program", 127, "cannot run /no/such/program: "),
            ("/", 126, "cannot run /: "),
        ] {
            let output = exec(user, &["--isolated", "--", program]).output().unwrap();
            let line = Ran::new(output).failure(code);
            assert!(line.starts_with(part), "{line}");
        }
    }
}

#[test]
fn input_and_signals_reach_the_program() {
    for user in allowed() {
        let script =
            "trap 'echo caught; exit 3' TERM; echo begun; read line; echo $line; read line";
        let mut child = exec(user, &["--isolated", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = String::new();
        output.read_line(&mut lines).unwrap();
        input.write_all(b"through\n").unwrap();
        output.read_line(&mut lines).unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        output.read_to_string(&mut lines).unwrap();
        assert_eq!(lines, "begun\nthrough\ncaught\n");
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }
}

#[test]
fn only_named_ports_of_the_loopback_interface_are_relayed() {
    for user in allowed() {
        let servers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = servers.each_ref().map(|it| it.local_addr().unwrap().port());
        for server in servers {
            thread::spawn(move || {
                for stream in server.incoming() {
                    stream.unwrap().write_all(b"from outside").unwrap();
                }
            });
        }
        let [relayed, other] = ports;
        let script = |port: u16| format!("curl -sS --http0.9 http://127.0.0.1:{port}/");
        let network = format!("host-loopback={relayed}");
        let options = ["--network", &network];
        assert_eq!(
            shell(user, &options, &script(relayed)).value(),
            "from outside"
        );
        assert_eq!(shell(user, &options, &script(other)).code, Some(7));
        assert_eq!(shell(user, &[], &script(relayed)).code, Some(7));
    }
}

#[test]
fn daemons_and_an_isolation_within_do_no_harm() {
    let command = public_copy();
    let command = command.to_str().unwrap();
    for user in allowed() {
        let script = format!(
            "(exec sleep 30 >/dev/null 2>&1 </dev/null) & \
             {command} exec --isolated --project inner -- {command} get project/project-id; \
             {command} get project/project-id; kill $!"
        );
        let seen = shell(user, &["--project", "outer"], &script).value();
        assert_eq!(seen, "inner\nouter\n");
    }
}

#[test]
fn nothing_is_left_behind() {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("isolated");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    let hosts = fs::read("/etc/hosts").unwrap_or_default();
    let options = ["--isolated", "--cloud", "--adc", "service_account", "--"];
    let script = "test -s $GOOGLE_APPLICATION_CREDENTIALS && echo there";
    let mut command = exec(
        geteuid().as_raw(),
        &[&options[..], &["sh", "-c", script]].concat(),
    );
    let ran = Ran::new(command.env("TMPDIR", &place).output().unwrap());
    if ran.code != Some(125) {
        assert_eq!(ran.value(), "there\n");
    }
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    assert_eq!(fs::read("/etc/hosts").unwrap_or_default(), hosts);
}

#[test]
fn where_namespaces_are_forbidden_one_sentence_says_so() {
    // A user namespace has limits of its own.
    let command = gce_auth(&["exec", "--isolated", "--", "true"]);
    let script = "for kind in user net mnt; do echo 0 >/proc/sys/user/max_${kind}_namespaces; done
        exec \"$@\"";
    let mut within = Command::new("unshare");
    within.args(["--user", "--map-root-user", "sh", "-ec", script, "sh"]);
    within.arg(command.get_program()).args(command.get_args());
    let output = within.output().unwrap();
    if output.status.code() != Some(125) {
        let users = allowed();
        assert!(users.is_empty(), "{output:?}");
        return;
    }
    let line = Ran::new(output).failure(125);
    assert!(line.starts_with("--isolated needs namespaces, which this system refuses (unshare: "));
    assert!(
        line.contains("user.max_user_namespaces is 0: raise it as root, or use --as-proxy"),
        "{line}"
    );
}

#[test]
fn a_system_without_a_hosts_file_has_one_inside() {
    let command = gce_auth(&["exec", "--isolated", "--", "cat", "/etc/hosts"]);
    for remount in ["true", "mount -o remount,ro /etc"] {
        let script =
            format!("mount -t tmpfs tmpfs /etc; echo kept >/etc/own; {remount}; exec \"$@\"");
        let mut within = Command::new("unshare");
        let flags = ["--user", "--map-root-user", "--mount"];
        within.args(flags).args(["sh", "-ec", &script, "sh"]);
        within.arg(command.get_program()).args(command.get_args());
        let ran = Ran::new(within.output().unwrap());
        if allowed().is_empty() {
            return;
        }
        let hosts = ran.value();
        assert!(
            hosts.starts_with("169.254.169.254 metadata.google.internal "),
            "{hosts}"
        );
    }
}

#[test]
fn a_silent_program_is_explained() {
    let silent = |options: &[&str]| {
        let arguments = [options, &["--journal", "--", "true"]].concat();
        Ran::new(
            exec(geteuid().as_raw(), &arguments)
                .env("HOME", "/")
                .output()
                .unwrap(),
        )
    };
    let why = silent(&[]).stderr;
    assert!(
        why.contains("the program made 0 requests: ") && why.contains("--isolated"),
        "{why}"
    );
    let within = silent(&["--isolated"]);
    if within.code == Some(0) {
        assert!(
            within.stderr.contains("asked neither 169.254.169.254"),
            "{within:?}"
        );
    }
}

#[test]
fn real_tokens_reach_the_program() {
    let script = "curl -sS -H 'Metadata-Flavor: Google' \
        http://metadata/computeMetadata/v1/instance/service-accounts/default/token";
    for user in allowed() {
        let options = ["--token-command", "echo ya29.real"];
        let seen = shell(user, &options, script).value();
        assert!(seen.contains(r#""access_token":"ya29.real""#), "{seen}");
    }
}

#[test]
fn an_emulator_by_hand_has_the_real_address_and_control_requests() {
    let command = public_copy();
    let command = command.to_str().unwrap();
    for user in allowed() {
        // The loopback interface has the address in these namespaces; the port is another one.
        let script = format!(
            "place=$(mktemp -d); mkfifo $place/ready
            {command} emulate --address link-local --port 8081 --token-command 'echo ya29.real' \
                --ready-json >$place/ready &
            read ready <$place/ready; rm -r $place
            host=169.254.169.254:8081
            curl -sS http://$host/emulator/v1/requests; echo
            curl -sS -H 'Host: metadata.google.internal' http://$host/emulator/v1/requests; echo
            curl -sS -H 'Metadata-Flavor: Google' \
                http://$host/computeMetadata/v1/instance/service-accounts/default/token; echo
            kill $!; wait"
        );
        let seen = shell(user, &[], &script);
        let lines: Vec<_> = seen.stdout.lines().collect();
        assert_eq!(lines[0], r#"{"requests":[]}"#, "{seen:?}");
        assert!(
            lines[1].contains("control requests come from this machine"),
            "{seen:?}"
        );
        assert!(lines[2].contains("ya29.real"), "{seen:?}");
    }
    let own = ["emulate", "--address", "link-local", "--port", "8081"];
    let why = Ran::new(gce_auth(&own).output().unwrap()).failure(1);
    assert!(
        why.contains("ip address add 169.254.169.254/32 dev lo"),
        "{why}"
    );
}
