//! The command: arguments on top, options below, output at the bottom.

use crate::house::House;

const COMMAND: House = House {
    name: "gce-auth-cli",
    floors: &[
        &["env", "exit", "sdk_environment", "signals", "text"],
        &["clock", "helper", "next_program", "output"],
        &["deadline", "input", "install", "temporary"],
        &["real_tokens"],
        &["options"],
        &["cmd"],
        // The root declares all rooms, so it is above them.
        &["cli", "fuzzing", "lib", "main"],
    ],
    named_only_in: &[("println!", &["output.rs"]), ("std::env::var", &["env.rs"])],
    circles_in: &[],
};

#[test]
fn no_file_of_the_command_reaches_up_or_in_a_circle() {
    let found = COMMAND.judge(40);
    assert!(found.is_empty(), "{found}");
}

#[test]
fn the_judge_of_the_command_sees_what_it_is_for() {
    for (file, text, complaint) in [
        (
            "output.rs",
            "use crate::options::Verbosity;",
            "output.rs reaches up into options/mod.rs",
        ),
        (
            "options/client.rs",
            "use crate::cmd::token;",
            "reaches up into cmd/token.rs",
        ),
        (
            "cmd/man.rs",
            "use crate::cli::Args;",
            "a circle: cli.rs, cmd/man.rs, cmd/mod.rs",
        ),
        (
            "options/seconds.rs",
            "use crate::options::client::X;",
            "a circle: options/client.rs",
        ),
        ("attic.rs", "", "attic.rs is on no floor"),
        (
            "cmd/get.rs",
            "fn f() { println!(); }",
            "belongs to output.rs",
        ),
    ] {
        let found = COMMAND.judge_with(file, text);
        assert!(found.contains(complaint), "{file}: {found}");
    }
}
