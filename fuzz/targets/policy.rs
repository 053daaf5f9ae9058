#![no_main]

// Without the bound on memory: the file is the operator's own, and TOML's tables are large.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gce_auth_agent::fuzzing::policy(bytes);
});
