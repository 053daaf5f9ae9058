//! The certificate that a client shows to the metadata server, read from the
//! files in which the guest agent renews it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::{Zeroize, Zeroizing};

use crate::io::transport::{TransportError, TransportErrorKind};

/// Where the guest agent puts the files, and how it calls them (Google's guest
/// agent, `agentcrypto`).
struct Usual {
    directories: &'static [&'static str],
    names: [&'static str; 2],
}

const UNIX: Usual = Usual {
    directories: &["/run/google-mds-mtls"],
    names: ["root.crt", "client.key"],
};

/// Where the agent writes them, and where it says that it does, which is where
/// google-auth reads them.
const WINDOWS: Usual = Usual {
    directories: &[
        r"C:\ProgramData\Google\Compute Engine",
        r"C:\ProgramData\Google\ComputeEngine",
    ],
    names: ["mds-mtls-root.crt", "mds-mtls-client.key"],
};

const USUAL: Usual = if cfg!(windows) { WINDOWS } else { UNIX };

/// What one request is sent with: an extension of the request, which a
/// transport that carries HTTPS honours.
///
/// Trust the server only if its certificate is signed by the given root;
/// without one, by a root of the system.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Pem>);

struct Pem {
    /// Empty: the roots of the system.
    root: Vec<u8>,
    /// The client's certificate, and its key.
    client: Zeroizing<Vec<u8>>,
}

impl ClientIdentity {
    /// Returns the root certificate to trust, in PEM; empty if those of the
    /// system are.
    #[must_use]
    pub fn root_pem(&self) -> &[u8] {
        &self.0.root
    }

    /// Returns the client's certificate and its private key, in PEM. A secret.
    #[must_use]
    pub fn client_pem(&self) -> &[u8] {
        &self.0.client
    }

    /// Whether both are the same: of one reading, or of two that found the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        let (one, other) = (&self.0, &other.0);
        Arc::ptr_eq(one, other) || (one.client == other.client && one.root == other.root)
    }

    /// Of these files; without a root those of the system.
    pub(super) fn read(root: Option<&Path>, client: &[&Path]) -> Result<Self, TransportError> {
        let unusable = |file: &Path, why: String| {
            TransportError::new(
                TransportErrorKind::Tls,
                format!("{} cannot be used: {why}", file.display()),
            )
        };
        let bytes = |file: &Path| match fs::read(file) {
            Ok(bytes) => Ok(Zeroizing::new(bytes)),
            Err(why) => Err(unusable(file, why.to_string())),
        };
        let root_pem = root.map(bytes).transpose()?.unwrap_or_default();
        let parts = client.iter().map(|file| bytes(file));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        // All of it at once, so that no half-grown copy stays behind.
        let room = parts.iter().map(|part| part.len() + 1).sum();
        let mut pem = Pem {
            root: root_pem.to_vec(),
            client: Zeroizing::new(Vec::with_capacity(room)),
        };
        for part in parts {
            pem.client.extend_from_slice(&part);
            pem.client.push(b'\n');
        }
        if let Some(root) = root.filter(|_| CertificateDer::from_pem_slice(&pem.root).is_err()) {
            return Err(unusable(root, "it holds no certificate".into()));
        }
        let last = client.last().copied().unwrap_or_else(|| Path::new(""));
        if CertificateDer::from_pem_slice(&pem.client).is_err() {
            return Err(unusable(last, "there is no certificate".into()));
        }
        match PrivateKeyDer::from_pem_slice(&pem.client) {
            Ok(mut key) => key.zeroize(),
            Err(_) => return Err(unusable(last, "there is no private key".into())),
        }
        Ok(Self(Arc::new(pem)))
    }

    /// Every certificate of the client, in DER.
    pub(super) fn certificates(&self) -> Vec<Vec<u8>> {
        let certificates = CertificateDer::pem_slice_iter(&self.0.client);
        certificates.flatten().map(|der| der.to_vec()).collect()
    }

    /// Every root, in DER.
    pub(super) fn roots(&self) -> Vec<Vec<u8>> {
        let certificates = CertificateDer::pem_slice_iter(&self.0.root);
        certificates.flatten().map(|der| der.to_vec()).collect()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

/// The files, and what they held when they were last read.
pub(crate) struct IdentityFiles {
    directories: Vec<PathBuf>,
    names: [&'static str; 2],
    read: Mutex<Option<(Stamp, ClientIdentity)>>,
}

/// Which files they were, and when they were written.
type Stamp = (PathBuf, [Option<SystemTime>; 2]);

impl IdentityFiles {
    /// The files of `directory`, else of where they usually are.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        match directory {
            Some(directory) => Self::of(vec![directory], USUAL.names),
            None => Self::of(
                USUAL.directories.iter().map(PathBuf::from).collect(),
                USUAL.names,
            ),
        }
    }

    fn of(directories: Vec<PathBuf>, names: [&'static str; 2]) -> Self {
        Self {
            directories,
            names,
            read: Mutex::default(),
        }
    }

    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// What the files hold now, read again if they were written since; `None`
    /// where they are not both there.
    pub(crate) fn load(&self) -> Result<Option<ClientIdentity>, TransportError> {
        for directory in &self.directories {
            let files = self.names.map(|name| directory.join(name));
            if !files.iter().all(|file| file.exists()) {
                continue;
            }
            let written = |file: &PathBuf| fs::metadata(file).and_then(|file| file.modified());
            let stamp = (
                directory.clone(),
                [&files[0], &files[1]].map(|file| written(file).ok()),
            );
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            return match &*read {
                Some((seen, identity)) if *seen == stamp => Ok(Some(identity.clone())),
                _ => {
                    let identity = ClientIdentity::read(Some(&files[0]), &[&files[1]])?;
                    *read = Some((stamp, identity.clone()));
                    Ok(Some(identity))
                }
            };
        }
        Ok(None)
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;
    use crate::world::Folder;

    #[test]
    fn files_are_read_again_when_they_were_written() {
        let folder = Folder::new();
        let files = IdentityFiles::new(Some(folder.to_path_buf()));
        assert!(files.load().unwrap().is_none());
        let certificate = include_str!("../../tests/data/agent.pem");
        let key = include_str!("../../tests/data/agent.key");
        fs::write(folder.join(USUAL.names[0]), certificate).unwrap();
        fs::write(folder.join(USUAL.names[1]), certificate).unwrap();
        let error = files.load().unwrap_err();
        assert!(error.message().contains("no private key"), "{error:?}");
        fs::write(folder.join(USUAL.names[1]), format!("{certificate}{key}")).unwrap();
        let one = files.load().unwrap().unwrap();
        let same = files.load().unwrap().unwrap();
        assert!(Arc::ptr_eq(&one.0, &same.0), "it was not read again");
        assert_eq!((one.certificates().len(), one.roots().len()), (1, 1));
        assert_eq!(format!("{one:?}"), "ClientIdentity");
        assert_eq!(one.root_pem(), certificate.as_bytes());
        assert_eq!(one.client_pem(), format!("{certificate}{key}\n").as_bytes());
        let held = &one.0.client;
        assert_eq!(
            held.capacity(),
            held.len(),
            "it grew, and left a copy behind"
        );
        assert_eq!(files.directories(), [&*folder]);
        let touch = || {
            let file = folder.join(USUAL.names[1]);
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        touch();
        let again = files.load().unwrap().unwrap();
        assert!(!Arc::ptr_eq(&one.0, &again.0), "it was read again");
        assert!(one.is(&again), "the same may share a connection");
        let other = format!("{certificate}\n{key}");
        fs::write(folder.join(USUAL.names[1]), other).unwrap();
        assert!(!one.is(&files.load().unwrap().unwrap()));
        fs::write(folder.join(USUAL.names[0]), "junk").unwrap();
        assert!(files.load().is_err());
    }

    #[test]
    fn on_windows_both_folders_are_looked_into() {
        let folder = Folder::new();
        // The last parts of the paths, below a folder that is here.
        let below = |directory: &&str| folder.join(directory.rsplit('\\').next().unwrap());
        let directories: Vec<PathBuf> = WINDOWS.directories.iter().map(below).collect();
        assert!(directories[0].ends_with("Compute Engine"));
        assert!(directories[1].ends_with("ComputeEngine"));
        let files = IdentityFiles::of(directories.clone(), WINDOWS.names);
        assert!(files.load().unwrap().is_none());
        let certificate = include_str!("../../tests/data/agent.pem");
        let key = include_str!("../../tests/data/agent.key");
        for directory in [&directories[1], &directories[0]] {
            fs::create_dir_all(directory).unwrap();
            fs::write(directory.join("mds-mtls-root.crt"), certificate).unwrap();
            let both = format!("{certificate}{key}");
            fs::write(directory.join("mds-mtls-client.key"), both).unwrap();
            assert!(files.load().unwrap().is_some());
            let read = files.read.lock().unwrap();
            assert_eq!(
                read.as_ref().unwrap().0.0,
                *directory,
                "the first that has them"
            );
        }
    }
}
