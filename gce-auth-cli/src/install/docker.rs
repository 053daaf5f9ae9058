//! Docker's `config.json`: `credHelpers` names the helper of each registry.

use std::{collections::BTreeMap, ops::Range};

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
/// Docker's place for the settings of others, which it keeps when it writes the file anew: the
/// registries that an edit named stand there, as a person may have named this helper for more.
const PLUGINS: &str = "plugins";
const RECORD: &str = "gce-auth";
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
    let missing = missing(&text, registries)?;
    if missing.is_empty() {
        return Ok(Edit::none());
    }
    let mut recorded = missing.clone();
    recorded.extend(record(&text)?);
    let mut changes: Vec<_> = missing
        .iter()
        .map(|registry| format!("+ {MEMBER}: \"{registry}\": {HELPER}"))
        .collect();
    let recorded = recorded.join(",");
    changes.push(format!(
        "+ {PLUGINS}: \"{RECORD}\": {{\"{MEMBER}\": \"{recorded}\"}}"
    ));
    text = put_record(&text, &recorded)?;
    for registry in missing.iter().rev() {
        text = insert(&text, MEMBER, &format!("\"{registry}\": {HELPER}"))?;
    }
    Ok(Edit::text(text, changes))
}

/// Removes this helper from the registries that an edit named.
pub(crate) fn undo(text: &str) -> Result<Edit, Failure> {
    let Ok(recorded) = record(text) else {
        return Ok(Edit::none());
    };
    if recorded.is_empty() {
        return Ok(Edit::none());
    }
    let installed = installed(text);
    let mut text = text.to_owned();
    let mut changes = Vec::new();
    for registry in recorded.iter().filter(|known| installed.contains(known)) {
        text = remove(&text, MEMBER, registry)?;
        changes.push(format!("- {MEMBER}: \"{registry}\": {HELPER}"));
    }
    text = remove(&text, PLUGINS, RECORD)?;
    changes.push(format!("- {PLUGINS}: \"{RECORD}\""));
    if text == MADE {
        return Ok(Edit {
            after: After::Gone,
            changes,
        });
    }
    Ok(Edit::text(text, changes))
}

/// Returns the registries without this helper.
fn missing(text: &str, registries: &[String]) -> Result<Vec<String>, Failure> {
    let top = read(text)?;
    let helpers = match top.member(MEMBER) {
        Some(member) => Object::read(text, member.value.clone())
            .ok_or_else(|| refused(format!("{MEMBER} is no object")))?,
        None => Object::none(),
    };
    let mut missing = Vec::new();
    for registry in registries {
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
            None if missing.contains(registry) => {}
            None => missing.push(registry.clone()),
        }
    }
    Ok(missing)
}

/// Returns the registries that edits named; none without an edit.
fn record(text: &str) -> Result<Vec<String>, Failure> {
    let Some(value) = member_of(text, PLUGINS, RECORD) else {
        return Ok(Vec::new());
    };
    let read: Option<BTreeMap<String, String>> = serde_json::from_str(&text[value]).ok();
    let list = read.as_ref().and_then(|read| match read.len() {
        1 => read.get(MEMBER),
        _ => None,
    });
    let list = list.ok_or_else(|| {
        refused(format!(
            "{RECORD} in {PLUGINS} is not what `install` writes; remove it first"
        ))
    })?;
    Ok(list.split(',').map(str::to_owned).collect())
}

/// Writes the list of registries in the place of the one that is there.
fn put_record(text: &str, list: &str) -> Result<String, Failure> {
    let value = format!("{{\n\t\t\t\"{MEMBER}\": \"{list}\"\n\t\t}}");
    match member_of(text, PLUGINS, RECORD) {
        Some(known) => Ok([&text[..known.start], &value, &text[known.end..]].concat()),
        None => insert(text, PLUGINS, &format!("\"{RECORD}\": {value}")),
    }
}

/// Puts an entry first into the member of this name, which is made if it is missing.
fn insert(text: &str, member: &str, entry: &str) -> Result<String, Failure> {
    let top = read(text)?;
    let Some(known) = top.member(member) else {
        let made = format!("\"{member}\": {{\n\t\t{entry}\n\t}}");
        return Ok(top.insert_first(text, &made));
    };
    // After an undo it could not be told from a member that was made here.
    if text[known.value.clone()] == *EMPTY {
        return Err(refused(format!("{member} is empty; remove it first")));
    }
    let inner = Object::read(text, known.value.clone())
        .ok_or_else(|| refused(format!("{member} is no object")))?;
    Ok(inner.insert_first(text, entry))
}

/// Removes an entry from the member of this name, and the member if it was made here.
fn remove(text: &str, member: &str, key: &str) -> Result<String, Failure> {
    let Some(inner) = object(text, member) else {
        return Ok(text.to_owned());
    };
    let text = inner.remove(text, key);
    let top = read(&text)?;
    let value = top.member(member).map(|known| &text[known.value.clone()]);
    Ok(match value {
        Some(EMPTY) => top.remove(&text, member),
        _ => text,
    })
}

/// Returns the registries that have this helper, with a record or without.
pub(crate) fn installed(text: &str) -> Vec<String> {
    let helpers = object(text, MEMBER).map_or_else(Vec::new, |helpers| helpers.members);
    let ours = helpers
        .into_iter()
        .filter(|known| &text[known.value.clone()] == HELPER);
    ours.map(|known| known.key).collect()
}

fn object(text: &str, member: &str) -> Option<Object> {
    let top = Object::read(text, 0..text.len())?;
    Object::read(text, top.member(member)?.value.clone())
}

/// Returns where the value of an entry of a member is.
fn member_of(text: &str, member: &str, key: &str) -> Option<Range<usize>> {
    Some(object(text, member)?.member(key)?.value.clone())
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
            "{\"plugins\":{}}",
            "{\"plugins\": {\"-x-cli-hints\": {\"enabled\": \"true\"}}}",
            "{\"plugins\": {\"x\": {}},\n\"credHelpers\": {\"a\": \"b\"}, \"x\": 1}",
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
        let login = json!({"auths": {}, MEMBER: read[MEMBER], PLUGINS: read[PLUGINS]});
        let undone = undo(&format!("{login:#}")).unwrap();
        let After::Text(text) = undone.after else {
            panic!("{undone:?}")
        };
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["auths"], json!({}));
        assert!(installed(&text).is_empty());
    }

    #[test]
    fn what_a_person_named_stays() {
        let all = names(&["gcr.io", "eu.gcr.io"]);
        for text in [
            r#"{"credHelpers": {"gcr.io": "gce-auth"}}"#,
            r#"{"credHelpers": {"x": "y", "eu.gcr.io": "gce-auth"}}"#,
            "{\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gce-auth\"\n\t}\n}\n",
        ] {
            let edited = installed_in(Some(text), &["gcr.io", "eu.gcr.io"]);
            let read: Value = serde_json::from_str(&edited).unwrap();
            for registry in &all {
                assert_eq!(read[MEMBER][registry], "gce-auth", "{edited}");
            }
            assert_eq!(undo(&edited).unwrap().after, After::Text(text.to_owned()));
            // As Docker writes it anew.
            let anew: Value = serde_json::from_str(&edited).unwrap();
            let After::Text(undone) = undo(&format!("{anew:#}")).unwrap().after else {
                panic!("{edited}")
            };
            let [undone, before] =
                [&*undone, text].map(|it| serde_json::from_str::<Value>(it).unwrap());
            assert_eq!(undone[MEMBER], before[MEMBER]);
        }
        let both = r#"{"credHelpers": {"gcr.io": "gce-auth", "eu.gcr.io": "gce-auth"}}"#;
        assert_eq!(install(Some(both), &all).unwrap(), Edit::none());
        assert_eq!(undo(both).unwrap(), Edit::none());
    }

    #[test]
    fn a_second_edit_adds_to_the_first_and_one_undo_removes_both() {
        for text in [
            r#"{"auths": {}}"#,
            r#"{"credHelpers": {"gcr.io": "gce-auth"}}"#,
        ] {
            let first = installed_in(Some(text), &["gcr.io", "eu.gcr.io"]);
            let second = installed_in(Some(&first), &["us.gcr.io", "eu.gcr.io", "us.gcr.io"]);
            let read: Value = serde_json::from_str(&second).unwrap();
            assert_eq!(read[MEMBER].as_object().unwrap().len(), 3, "{second}");
            assert_eq!(undo(&second).unwrap().after, After::Text(text.to_owned()));
            // A registry that was given to another helper since stays with it.
            let other = second.replace("\"us.gcr.io\": \"gce-auth\"", "\"us.gcr.io\": \"gcloud\"");
            let After::Text(undone) = undo(&other).unwrap().after else {
                panic!("{other}")
            };
            assert!(undone.contains("\"us.gcr.io\": \"gcloud\""), "{undone}");
            assert!(!undone.contains("eu.gcr.io"), "{undone}");
        }
    }

    #[test]
    fn a_record_of_another_is_left_alone() {
        for record in ["1", "{}", r#"{"a": "b"}"#, r#"{"credHelpers": ["gcr.io"]}"#] {
            let text = format!(r#"{{"plugins": {{"gce-auth": {record}}}}}"#);
            assert!(install(Some(&text), &names(&["gcr.io"])).is_err(), "{text}");
            assert_eq!(undo(&text).unwrap(), Edit::none(), "{text}");
        }
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
