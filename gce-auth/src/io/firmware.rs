//! What the firmware says the machine is.

use std::path::{Path, PathBuf};

/// Where Linux tells which product the machine is (DMI, SMBIOS type 1).
pub(crate) fn dmi_product_name_file() -> PathBuf {
    PathBuf::from("/sys/class/dmi/id/product_name")
}

/// The product name, trimmed: from `file`, or on Windows from the registry.
/// `None` where it cannot be read, or is empty.
pub(crate) fn product_name(file: &Path) -> Option<String> {
    let name = registry_product_name().or_else(|| {
        let bytes = std::fs::read(file).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// `HKLM\SYSTEM\HardwareConfig\Current`, where Go's client looks as well.
#[cfg(windows)]
fn registry_product_name() -> Option<String> {
    windows_registry::LOCAL_MACHINE
        .open(r"SYSTEM\HardwareConfig\Current")
        .ok()?
        .get_string("SystemProductName")
        .ok()
}

#[cfg(not(windows))]
fn registry_product_name() -> Option<String> {
    None
}
