//! The kept signing key: made once, by the first process, whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{fs, path::PathBuf, process::Command};

use client::request;
use gce_auth_emulator::Emulator;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("gce-auth-keys-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| name(entry.unwrap()))
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn twelve_that_start_at_once_on_an_empty_directory_share_one_key() {
    let directory = Directory::new("race");
    let starting: Vec<_> = (0..12)
        .map(|_| {
            let path = directory.0.clone();
            std::thread::spawn(move || Emulator::builder().keys_directory(path).start())
        })
        .collect();
    let keys: Vec<String> = starting
        .into_iter()
        .map(|started| {
            let emulator = started.join().unwrap().unwrap();
            let answer = request(emulator.addr(), "GET", "/oauth2/v3/certs", &[], b"");
            answer.text().to_owned()
        })
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(directory.names(), ["signing-key.pem"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = fs::metadata(directory.0.join("signing-key.pem")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
}

/// Run by the next test in a process that can write no byte to a file.
#[test]
#[ignore = "a part of the next test"]
fn start_where_the_disk_is_full() {
    let why = Emulator::builder()
        .keys_directory(".")
        .start()
        .unwrap_err()
        .to_string();
    assert!(why.starts_with("cannot keep the signing key"), "{why}");
    assert!(why.contains("signing-key.pem: "), "it says where: {why}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_key_behind() {
    let directory = Directory::new("full");
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 0; exec \"$0\" --ignored --exact start_where_the_disk_is_full",
        ])
        .arg(std::env::current_exe().unwrap())
        .current_dir(&directory.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert_eq!(directory.names(), [""; 0]);
    Emulator::builder()
        .keys_directory(&directory.0)
        .start()
        .unwrap();
}
