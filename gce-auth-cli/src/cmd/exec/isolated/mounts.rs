//! Files that replace others in a mount namespace of its own.

use std::{
    fs, io,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, open},
    mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change},
};

const SYS: &str = "/sys";
/// What programs read in `/sys` that is no part of it: limits on processors and memory.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Keeps the mounts of this namespace from others. Those made outside later still appear here.
pub(super) fn detach() -> io::Result<()> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    Ok(mount_change("/", flags)?)
}

/// Mounts `/sys` anew, so that it shows the interfaces of this network namespace. The kernel
/// refuses it where a part of `/sys` is hidden, as in containers.
pub(super) fn renew_sys() -> io::Result<()> {
    let cgroups = open(CGROUPS, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("sysfs", SYS, "sysfs", flags, None)
        .or_else(|_| mount("sysfs", SYS, "sysfs", flags | MountFlags::RDONLY, None))?;
    if let Ok(cgroups) = cgroups {
        let before = format!("/proc/self/fd/{}", cgroups.as_raw_fd());
        mount_bind_recursive(before, CGROUPS)?;
    }
    Ok(())
}

/// Shows a file or a directory at another place, over what is there, if anything is.
pub(super) fn show(source: &Path, place: &Path) -> io::Result<()> {
    if !place.exists() {
        let (Some(directory), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        shadow(directory, name.as_ref())?;
        if source.is_dir() {
            fs::create_dir(place)?;
        } else {
            fs::write(place, "")?;
        }
    }
    Ok(mount_bind_recursive(source, place)?)
}

/// Mounts a temporary file system over a directory, and shows in it what the directory has, without
/// the entry `but`.
fn shadow(directory: &Path, but: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let before = open(directory, flags, Mode::empty())?;
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", directory, "tmpfs", flags, c"mode=0755")?;
    let before = format!("/proc/self/fd/{}", before.as_raw_fd());
    for entry in entries {
        let name = entry.file_name();
        if but == Path::new(&name) {
            continue;
        }
        let (from, to) = (Path::new(&before).join(&name), directory.join(&name));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(from)?, to)?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&to)?;
        } else {
            fs::write(&to, "")?;
        }
        mount_bind_recursive(from, to)?;
    }
    Ok(())
}
