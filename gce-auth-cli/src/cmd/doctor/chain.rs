//! Which credentials programs use here, in the order of Application Default Credentials. Variables
//! come as a function.

use std::path::Path;

use crate::{
    cmd::doctor::report::Finding,
    input,
    sdk_environment::{CREDENTIALS, Holds},
};

/// Returns the steps before the metadata server: variables, the file of gcloud at `login`, and what
/// each program chooses of these.
pub(crate) fn steps(
    var: impl Fn(&str) -> Option<String>,
    login: Option<&Path>,
) -> Vec<(&'static str, Finding)> {
    let set: Vec<_> = CREDENTIALS
        .into_iter()
        .filter_map(|(name, holds, who)| {
            let value = var(name).filter(|value| !value.is_empty())?;
            Some(Named {
                name,
                holds,
                who,
                value,
            })
        })
        .collect();
    let mut steps = Vec::new();
    for named in &set {
        steps.push(("key files", named.finding()));
        if named.holds == Holds::File {
            steps.extend(permissions(Path::new(&named.value)));
        }
    }
    if set.is_empty() {
        steps.push(("key files", Finding::good("no variable names credentials")));
    }
    let first = set.iter().find(|named| named.name == CREDENTIALS[0].0);
    steps.push(("gcloud login", gcloud_login(login, first.is_some())));
    if let Some(login) = login {
        steps.extend(permissions(login));
    }
    let sdks = match (first, login.filter(|login| login.is_file())) {
        (Some(named), _) => named.value.clone(),
        (None, Some(login)) => login.display().to_string(),
        (None, None) => "the metadata server".to_owned(),
    };
    let mut chosen = format!("Google's SDKs use {sdks}");
    for named in &set {
        // Node reads its own variable only if the first is not set.
        if named.who != CREDENTIALS[0].2 && !(named.is_nodes() && first.is_some()) {
            chosen.push_str(&format!(", {} {}", named.who, named.shown()));
        }
    }
    steps.push(("choice", Finding::good(chosen)));
    steps
}

/// A variable that is set and has credentials.
struct Named {
    name: &'static str,
    holds: Holds,
    who: &'static str,
    value: String,
}

impl Named {
    /// Returns the value of a file's variable, and the name of a token's.
    fn shown(&self) -> &str {
        match self.holds {
            Holds::File => &self.value,
            Holds::Token => self.name,
        }
    }

    fn is_nodes(&self) -> bool {
        self.name == CREDENTIALS[1].0
    }

    fn finding(&self) -> Finding {
        let (name, value, who) = (self.name, &self.value, self.who);
        let (shown, what) = match self.holds {
            Holds::File => (format!("{name}={value}"), "file"),
            Holds::Token => (format!("{name} is set"), "token"),
        };
        let advice = format!(
            "{who} this {what} and never ask the metadata server; unset the variable to be the machine"
        );
        Finding::warning(shown, advice)
    }
}

fn gcloud_login(login: Option<&Path>, is_overruled: bool) -> Finding {
    let Some(login) = login.filter(|login| login.is_file()) else {
        return Finding::good("gcloud has written none");
    };
    let shown = login.display();
    if is_overruled {
        let first = CREDENTIALS[0].0;
        return Finding::good(format!("{shown} exists, but {first} comes before it"));
    }
    Finding::warning(
        format!("{shown} exists"),
        "SDKs use this login before the metadata server; to be the machine in one program, run \
         it with CLOUDSDK_CONFIG set to an empty directory",
    )
}

/// Warns of a file with secrets that other users can read.
pub(super) fn permissions(file: &Path) -> Option<(&'static str, Finding)> {
    input::is_readable_by_others(file).then(|| {
        let file = file.display();
        let finding = Finding::warning(
            format!("{file} is readable by other users"),
            format!("run `chmod 600 {file}`"),
        );
        ("permissions", finding)
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    /// A directory with the file of a login, removed at the end.
    struct Login(PathBuf);

    impl Login {
        fn new(name: &str) -> Self {
            let name = format!("gce-auth-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("login.json"), "{}").unwrap();
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("login.json")
        }
    }

    impl Drop for Login {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn found(set: &[(&str, &str)], login: Option<&Path>) -> Vec<(&'static str, Finding)> {
        let var = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        steps(var, login)
    }

    fn choice(set: &[(&str, &str)], login: Option<&Path>) -> String {
        let steps = found(set, login);
        let (_, choice) = steps.iter().find(|(name, _)| *name == "choice").unwrap();
        choice.text().to_owned()
    }

    #[test]
    fn nothing_set_is_good() {
        for login in [None, Some(Path::new("/no/such/file"))] {
            let steps = found(&[], login);
            assert!(steps.iter().all(|(_, step)| step.is_good()), "{steps:?}");
        }
    }

    #[test]
    fn no_advice_destroys_a_login() {
        let login = Login::new("destroys");
        let steps = found(&[], Some(&login.file()));
        let warned: Vec<_> = steps.iter().filter_map(|(_, step)| step.advice()).collect();
        assert!(!warned.is_empty());
        for advice in warned {
            for word in ["revoke", "delete", "remove", "rm "] {
                assert!(!advice.contains(word), "{advice}");
            }
        }
    }

    #[test]
    fn each_program_has_its_choice() {
        let login = Login::new("choice");
        let file = login.file();
        let sdk = ("GOOGLE_APPLICATION_CREDENTIALS", "/sdk.json");
        let node = ("google_application_credentials", "/node.json");
        let terraform = ("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.secret");
        let server = "Google's SDKs use the metadata server";
        assert_eq!(choice(&[], None), server);
        assert_eq!(
            choice(&[], Some(&file)),
            format!("Google's SDKs use {}", file.display())
        );
        assert_eq!(
            choice(&[sdk, node], Some(&file)),
            "Google's SDKs use /sdk.json"
        );
        assert_eq!(
            choice(&[node, terraform], None),
            format!(
                "{server}, Node's SDKs use /node.json, Terraform uses GOOGLE_OAUTH_ACCESS_TOKEN"
            )
        );
    }

    #[cfg(unix)]
    #[test]
    fn files_that_other_users_can_read_are_named() {
        use std::os::unix::fs::PermissionsExt;

        let login = Login::new("permissions");
        let file = login.file();
        let set = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
        for (mode, warned) in [(0o600, 0), (0o640, 1), (0o604, 1)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            for (set, login) in [(&set[..], None), (&[][..], Some(&*file))] {
                let steps = found(set, login);
                let steps = steps.iter().filter(|(name, _)| *name == "permissions");
                let advice: Vec<_> = steps.filter_map(|(_, step)| step.advice()).collect();
                assert_eq!(advice.len(), warned, "{mode:o}");
                assert!(advice.iter().all(|advice| advice.contains("chmod 600")));
            }
        }
    }
}
