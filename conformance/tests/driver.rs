//! The driver's command line.

use std::process::Command;

#[test]
fn an_unknown_subcommand_is_bad_usage() {
    for arguments in [&[][..], &["no-such-judge"][..]] {
        let output = Command::new(env!("CARGO_BIN_EXE_conformance-driver"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: "));
    }
}
