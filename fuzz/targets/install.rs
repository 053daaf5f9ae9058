#![no_main]

// Without the bound on memory: the file is the user's own, and each registry is an edit of all of
// it.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gce_auth_cli::fuzzing::install(bytes);
});
