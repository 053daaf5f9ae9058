//! What the driver itself must know of the environment. The library reads the rest.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the driver's one door to the environment"
)]

/// Whether a variable says where the metadata server is: otherwise google-auth asks by its name, and
/// the library by its address.
pub(super) fn names_metadata_server() -> bool {
    ["GCE_METADATA_HOST", "GCE_METADATA_ROOT"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some())
}
