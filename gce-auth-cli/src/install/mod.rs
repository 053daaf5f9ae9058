//! Edits other tools' configuration so that they run this command. The edits are pure: text in,
//! text out, and each has an exact inverse. `file` and `link` alone touch the disk.

pub(crate) mod block;
pub(crate) mod cargo;
pub(crate) mod docker;
pub(crate) mod edit;
pub(crate) mod file;
pub(crate) mod goauth;
pub(crate) mod json_members;
pub(crate) mod kubectl;
pub(crate) mod link;
pub(crate) mod marked;
pub(crate) mod places;
pub(crate) mod tool;
