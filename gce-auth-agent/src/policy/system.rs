//! What a configuration file refers to outside of itself.

use std::{io, path::Path};

/// Finds what a configuration file refers to.
pub trait System {
    /// Returns the id of a user.
    fn user(&self, name: &str) -> Option<u32>;

    /// Returns the id of a group.
    fn group(&self, name: &str) -> Option<u32>;

    /// Reads a file of text.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// This machine: its databases of users and groups, and its files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl System for Machine {
    #[cfg(unix)]
    fn user(&self, name: &str) -> Option<u32> {
        let user = nix::unistd::User::from_name(name).ok()??;
        Some(user.uid.as_raw())
    }

    #[cfg(unix)]
    fn group(&self, name: &str) -> Option<u32> {
        let group = nix::unistd::Group::from_name(name).ok()??;
        Some(group.gid.as_raw())
    }

    #[cfg(not(unix))]
    fn user(&self, _: &str) -> Option<u32> {
        None
    }

    #[cfg(not(unix))]
    fn group(&self, _: &str) -> Option<u32> {
        None
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}
