//! npm's and Maven's settings, which hold secrets.

use std::{path::Path, process::Command};

use super::{Home, support::emulator};

#[test]
fn npm_gets_a_private_file_and_its_old_one_back() {
    let (home, server) = (Home::new("npm"), emulator());
    let address = server.addr().to_string();
    let registry = "https://us-npm.pkg.dev/p/r/";
    let write = || {
        let npmrc = [
            "helper",
            "npmrc",
            "--endpoint",
            &address,
            "--registries",
            registry,
        ];
        home.run(&[&npmrc[..], &["--write"]].concat())
    };
    let mine = "registry=https://us-npm.pkg.dev/p/r/";
    home.write(".npmrc", mine, 0o644);
    let said = write();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.stdout.contains("ya29"), "{said:?}");
    let text = home.read(".npmrc").unwrap();
    assert!(
        text.contains("//us-npm.pkg.dev/p/r/:_authToken=ya29."),
        "{text}"
    );
    assert!(text.contains("; this token expires at "), "{text}");
    assert_eq!(home.mode(".npmrc"), 0o600);
    assert_eq!(write().code, Some(0));
    assert_eq!(
        home.read(".npmrc").unwrap().matches("_authToken").count(),
        1
    );
    assert_eq!(home.run(&["helper", "npmrc", "--undo"]).code, Some(0));
    assert_eq!(home.read(".npmrc").as_deref(), Some(mine));

    home.write(".npmrc", "//us-npm.pkg.dev/p/r/:_authToken = old\n", 0o600);
    let refused = write();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(!refused.stderr.contains("old"), "{refused:?}");
}

#[test]
fn mavens_settings_are_private() {
    let (home, server) = (Home::new("maven"), emulator());
    let file = home.path("settings.xml");
    let address = server.addr().to_string();
    let maven = [
        "helper",
        "maven",
        "--endpoint",
        &address,
        "--servers",
        "a",
        "--output",
    ];
    let said = home.run(&[&maven[..], &[file.to_str().unwrap()]].concat());
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
    assert_eq!(home.mode("settings.xml"), 0o600);
    assert!(home.read("settings.xml").unwrap().contains("Bearer ya29."));

    let again = home.run(&[&maven[..], &[file.to_str().unwrap()]].concat());
    assert_eq!(again.code, Some(0), "{again:?}");
    home.write("mine.xml", "<settings/>\n", 0o600);
    let mine = home.path("mine.xml");
    for kept in [mine.to_str().unwrap(), "/dev/null"] {
        let refused = home.run(&[&maven[..], &[kept]].concat());
        assert!(refused.failure(2).contains(kept));
    }
    assert_eq!(home.read("mine.xml").as_deref(), Some("<settings/>\n"));
    assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
}

#[test]
fn a_device_is_not_replaced_and_a_pipe_is_not_waited_for() {
    let home = Home::new("devices");
    let pipe = home.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for file in ["/dev/null", pipe.to_str().unwrap()] {
        let refused = home.install("git", &["--file", file]);
        assert!(refused.failure(2).contains("no regular file"));
        let refused = home.run(&["helper", "npmrc", "--undo", "--file", file]);
        assert!(refused.failure(2).contains("no regular file"));
    }
    let known = Path::new("/dev/null").metadata().unwrap();
    assert!(!known.is_file());
}

#[test]
fn npm_without_change_is_private_and_a_file_is_for_edits() {
    let (home, server) = (Home::new("npm-same"), emulator());
    let address = server.addr().to_string();
    let npmrc = ["helper", "npmrc", "--endpoint", &address];
    let npmrc = [&npmrc[..], &["--registries", "us-npm.pkg.dev/p/r"]].concat();
    let write = || home.run(&[&npmrc[..], &["--write"]].concat());
    assert_eq!(write().code, Some(0));
    let text = home.read(".npmrc").unwrap();
    home.write(".npmrc", &text, 0o644);
    let same = write();
    assert_eq!(same.code, Some(0), "{same:?}");
    assert_eq!(home.mode(".npmrc"), 0o600);

    let file = home.path("other");
    let ignored = home.run(&[&npmrc[..], &["--file", file.to_str().unwrap()]].concat());
    assert_eq!((ignored.code, ignored.stdout.as_str()), (Some(2), ""));
    assert!(ignored.stderr.contains("--write"), "{ignored:?}");
}
