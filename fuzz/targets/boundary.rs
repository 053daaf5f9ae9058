#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gce_auth_fuzz::bounded(bytes, gce_auth::fuzzing::boundary);
});
