//! Docker's `config.json`: `credHelpers` names the helper of each registry.

use crate::{
    exit::Failure,
    install::{
        edit::{After, Edit, refused},
        json_members::Object,
    },
};

/// The registries without `--registries`.
pub(crate) const DEFAULT: [&str; 7] = [
    "gcr.io",
    "us.gcr.io",
    "eu.gcr.io",
    "asia.gcr.io",
    "us-docker.pkg.dev",
    "europe-docker.pkg.dev",
    "asia-docker.pkg.dev",
];

const MEMBER: &str = "credHelpers";
const HELPER: &str = "\"gce-auth\"";
/// What stays of a file that was made here.
const MADE: &str = "{\n\t\n}\n";
/// What stays of a member that was made here.
const EMPTY: &str = "{\n\t\t\n\t}";

/// Names this helper for the registries. Fails if another helper has one of them.
pub(crate) fn install(text: Option<&str>, registries: &[String]) -> Result<Edit, Failure> {
    if text == Some(MADE) {
        return Err(refused("it is an empty object; remove the file first"));
    }
    let mut text = text.unwrap_or(MADE).to_owned();
    let mut changes = Vec::new();
    for registry in registries.iter().rev() {
        let top = read(&text)?;
        let entry = format!("\"{registry}\": {HELPER}");
        let Some(helpers) = top.member(MEMBER) else {
            let member = format!("\"{MEMBER}\": {{\n\t\t{entry}\n\t}}");
            text = top.insert_first(&text, &member);
            changes.push(format!("+ {MEMBER}: {entry}"));
            continue;
        };
        // After an undo it could not be told from a member that was made here.
        if text[helpers.value.clone()] == *EMPTY {
            return Err(refused(format!("{MEMBER} is empty; remove it first")));
        }
        let helpers = Object::read(&text, helpers.value.clone())
            .ok_or_else(|| refused(format!("{MEMBER} is no object")))?;
        match helpers
            .member(registry)
            .map(|known| &text[known.value.clone()])
        {
            Some(HELPER) => {}
            Some(other) => {
                return Err(refused(format!(
                    "{registry} has the helper {other}; remove it from {MEMBER}, or leave the \
                     registry out of --registries"
                )));
            }
            None => {
                text = helpers.insert_first(&text, &entry);
                changes.push(format!("+ {MEMBER}: {entry}"));
            }
        }
    }
    if changes.is_empty() {
        return Ok(Edit::none());
    }
    changes.reverse();
    Ok(Edit::text(text, changes))
}

/// Removes this helper from all registries.
pub(crate) fn undo(text: &str) -> Result<Edit, Failure> {
    let mut text = text.to_owned();
    let mut changes = Vec::new();
    for registry in installed(&text) {
        if let Some(helpers) = helpers(&text) {
            text = helpers.remove(&text, &registry);
            changes.push(format!("- {MEMBER}: \"{registry}\": {HELPER}"));
        }
    }
    if changes.is_empty() {
        return Ok(Edit::none());
    }
    let top = read(&text)?;
    let value = top.member(MEMBER).map(|member| &text[member.value.clone()]);
    if value == Some(EMPTY) {
        text = top.remove(&text, MEMBER);
    }
    if text == MADE {
        return Ok(Edit {
            after: After::Gone,
            changes,
        });
    }
    Ok(Edit::text(text, changes))
}

/// Returns the registries that have this helper.
pub(crate) fn installed(text: &str) -> Vec<String> {
    let helpers = helpers(text).map_or_else(Vec::new, |helpers| helpers.members);
    let ours = helpers
        .into_iter()
        .filter(|known| &text[known.value.clone()] == HELPER);
    ours.map(|known| known.key).collect()
}

fn helpers(text: &str) -> Option<Object> {
    let top = Object::read(text, 0..text.len())?;
    Object::read(text, top.member(MEMBER)?.value.clone())
}

fn read(text: &str) -> Result<Object, Failure> {
    Object::read(text, 0..text.len()).ok_or_else(|| refused("it is no object in JSON"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(registries: &[&str]) -> Vec<String> {
        registries.iter().map(|name| (*name).to_owned()).collect()
    }

    fn installed_in(text: Option<&str>, registries: &[&str]) -> String {
        match install(text, &names(registries)).unwrap().after {
            After::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_file_is_as_it_was_after_undo() {
        for text in [
            "{}",
            "{ }\n",
            "{\n}\n",
            "{\"credHelpers\":{}}",
            "{\"credHelpers\": { }}",
            "{\n\t\"credHelpers\": {\n\t}\n}",
            "{\"auths\":{\"x\":{\"auth\":\"c2VjcmV0\"}}}",
            "{\n\t\"auths\": {},\n\t\"credHelpers\": {\n\t\t\"a.example\": \"other\"\n\t},\n\t\"x\": 1\n}",
            "{\r\n  \"credsStore\": \"desktop\",\r\n  \"credHelpers\": {\"a\": \"b\", \"c\": \"d\"}\r\n}",
        ] {
            let edited = installed_in(Some(text), &["gcr.io", "eu.gcr.io"]);
            let read: Value = serde_json::from_str(&edited).unwrap();
            assert_eq!(read[MEMBER]["gcr.io"], "gce-auth", "{edited}");
            assert_eq!(read[MEMBER]["eu.gcr.io"], "gce-auth", "{edited}");
            let again = install(Some(&edited), &names(&["gcr.io", "eu.gcr.io"])).unwrap();
            assert_eq!(again, Edit::none(), "{edited}");
            let undone = undo(&edited).unwrap();
            assert_eq!(undone.after, After::Text(text.to_owned()), "{edited}");
            assert!(!undone.changes.join("").contains("c2VjcmV0"));
            assert_eq!(undo(text).unwrap(), Edit::none());
        }
    }

    #[test]
    fn a_file_that_was_made_here_goes() {
        let made = installed_in(None, &DEFAULT);
        let read: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(read[MEMBER].as_object().unwrap().len(), DEFAULT.len());
        assert_eq!(undo(&made).unwrap().after, After::Gone);
        // As Docker writes it anew.
        let login = json!({"auths": {}, MEMBER: read[MEMBER]});
        let undone = undo(&format!("{login:#}")).unwrap();
        let After::Text(text) = undone.after else {
            panic!("{undone:?}")
        };
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["auths"], json!({}));
        assert!(installed(&text).is_empty());
    }

    #[test]
    fn another_helper_keeps_its_registry() {
        let text = r#"{"credHelpers": {"gcr.io": "gcloud"}}"#;
        let failure = install(Some(text), &names(&["eu.gcr.io", "gcr.io"])).unwrap_err();
        assert!(failure.to_string().contains("gcloud"), "{failure}");
        let edited = installed_in(Some(text), &["eu.gcr.io"]);
        assert_eq!(undo(&edited).unwrap().after, After::Text(text.to_owned()));
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        for text in ["", "{", "[]", "\u{feff}{}", r#"{"credHelpers": 1}"#] {
            assert!(install(Some(text), &names(&["gcr.io"])).is_err(), "{text}");
            assert_eq!(undo(text).unwrap(), Edit::none());
        }
    }
}
