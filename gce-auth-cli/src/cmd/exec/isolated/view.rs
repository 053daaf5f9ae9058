//! The files that an isolated program sees in place of others, in a directory that both processes
//! know. The one outside writes them, the one inside mounts them.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{machine, mounts};
use crate::cmd::exec::{java, trust};

const HOSTS: &str = "/etc/hosts";
const SWITCH: &str = "/etc/nsswitch.conf";
/// Where glibc looks for the socket of its cache of names, which runs outside.
const NAME_CACHE: &str = "/var/run/nscd";
const DMI: &str = "/sys/class/dmi";
/// Where `/sys/class/dmi/id` leads to on machines that have it.
const DMI_DEVICE: &str = "/sys/devices/virtual/dmi/id";
/// Where the guest agent puts the certificates of the metadata server's HTTPS.
const CERTIFICATES: &str = "/run/google-mds-mtls";

/// The files, and which of them there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) directory: &'a Path,
    /// The metadata server has HTTPS.
    pub(super) https: bool,
    /// The APIs are at their own names.
    pub(super) apis: bool,
}

impl View<'_> {
    /// Returns the file with all certificates to trust.
    pub(super) fn bundle(&self) -> PathBuf {
        self.directory.join("ca-bundle.pem")
    }

    /// Returns the same certificates as a file of Java's.
    pub(super) fn java_bundle(&self) -> PathBuf {
        self.directory.join("ca-bundle.jks")
    }

    /// Returns the directory of the certificates of the metadata server's HTTPS.
    pub(super) fn certificates(&self) -> PathBuf {
        self.directory.join("google-mds-mtls")
    }

    /// Writes the files. `trusted` are the certificates that programs trust anyway.
    pub(super) fn write(&self, trusted: impl FnOnce() -> String) -> io::Result<()> {
        // Programs that run as another user read these, too. None of them is secret.
        fs::set_permissions(self.directory, fs::Permissions::from_mode(0o755))?;
        let hosts = fs::read(HOSTS).unwrap_or_default();
        let hosts = machine::hosts(&String::from_utf8_lossy(&hosts), self.apis);
        public_file(&self.directory.join("hosts"), hosts.as_bytes())?;
        let switch = fs::read_to_string(SWITCH).unwrap_or_default();
        let switch = machine::nsswitch(&switch);
        public_file(&self.directory.join("nsswitch.conf"), switch.as_bytes())?;
        for folder in ["dmi", "dmi/id", "nscd", "google-mds-mtls"] {
            public_directory(&self.directory.join(folder))?;
        }
        for (name, value) in machine::DMI {
            let file = self.directory.join("dmi/id").join(name);
            public_file(&file, format!("{value}\n").as_bytes())?;
        }
        if self.apis {
            public_file(&self.bundle(), trusted().as_bytes())?;
        }
        Ok(())
    }

    /// Adds a root certificate to the file of those to trust, which is shown by now.
    pub(super) fn trust(&self, root: &str) -> io::Result<()> {
        let mut bundle = fs::OpenOptions::new().append(true).open(self.bundle())?;
        bundle.write_all(format!("\n{root}").as_bytes())?;
        let all = fs::read_to_string(self.bundle())?;
        public_file(&self.java_bundle(), &java::trust_store(&all))
    }

    /// Shows the files in this mount namespace. Returns what could not be shown and programs may do
    /// without.
    ///
    /// # Errors
    ///
    /// When the names of the metadata server could not be shown.
    pub(super) fn show(&self) -> io::Result<Vec<String>> {
        let own = |name: &str| self.directory.join(name);
        let mut missing = Vec::new();
        let mut show = |source: PathBuf, place: &str| {
            if let Err(error) = mounts::show(&source, Path::new(place)) {
                missing.push(format!("cannot show {place}: {error}"));
            }
        };
        // Where the kernel refuses a new one, the old one shows interfaces from outside.
        let _ = mounts::renew_sys();
        show(own("dmi"), DMI);
        for (source, place) in [
            (own("dmi/id"), DMI_DEVICE),
            (own("nsswitch.conf"), SWITCH),
            (own("nscd"), NAME_CACHE),
        ] {
            if Path::new(place).exists() {
                show(source, place);
            }
        }
        if self.https {
            show(self.certificates(), CERTIFICATES);
        }
        if self.apis {
            for place in trust::BUNDLES {
                if Path::new(place).exists() {
                    show(self.bundle(), place);
                }
            }
        }
        mounts::show(&own("hosts"), Path::new(HOSTS))?;
        Ok(missing)
    }
}

fn public_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::write(path, contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn public_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
