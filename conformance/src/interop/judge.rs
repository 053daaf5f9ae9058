//! What a client found, held against what the machine is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Transcript,
    machine::{
        ADDRESSES, AUDIENCE, COLOR, EMAIL, HOSTNAME, INSTANCE, NAME, NUMBER, PROJECT, SCOPES, TAGS,
        TOKEN_LIFETIME, UNIVERSE, ZONE,
    },
    table,
};

/// How much of a lifetime may pass between a token's issue and the client's look at it, in seconds.
const PASSED: u64 = 60;

/// Judges one client's report, library by library.
///
/// What is judged gets a name, which stands in the table of clients once all that belongs to it
/// holds.
#[derive(Debug)]
#[must_use = "a judge has to be asked for the verdict"]
pub struct Judge<'a> {
    language: &'static str,
    seen: &'a Transcript,
    libraries: Vec<Library>,
    wrong: Vec<String>,
}

#[derive(Debug)]
struct Library {
    name: &'static str,
    version: String,
    judged: Vec<&'static str>,
    failed: BTreeSet<&'static str>,
}

impl<'a> Judge<'a> {
    /// A judge of what this language's client said.
    pub fn new(language: &'static str, seen: &'a Transcript) -> Self {
        Self {
            language,
            seen,
            libraries: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// What follows is this library's work. The client has to have said which version it is.
    pub fn library(&mut self, name: &'static str) -> &mut Self {
        let version = self
            .seen
            .all("library")
            .find(|library| library["name"] == name)
            .and_then(|library| library["version"].as_str());
        if version.is_none() {
            self.wrong
                .push(format!("no version of the library {name} was reported"));
        }
        self.libraries.push(Library {
            name,
            version: version.unwrap_or("unknown").to_owned(),
            judged: Vec::new(),
            failed: BTreeSet::new(),
        });
        self
    }

    /// One thing that has to hold, under the name of what it belongs to.
    pub fn finds(
        &mut self,
        what: &'static str,
        found: &Value,
        expected: impl Into<Value>,
    ) -> &mut Self {
        let expected = expected.into();
        self.holds(what, *found == expected, || {
            format!("{found} instead of {expected}")
        })
    }

    /// As [`finds`](Self::finds), for what is not a matter of being equal.
    pub fn holds(
        &mut self,
        what: &'static str,
        holds: bool,
        why_not: impl FnOnce() -> String,
    ) -> &mut Self {
        let name = match self.libraries.last_mut() {
            Some(library) => {
                if !library.judged.contains(&what) {
                    library.judged.push(what);
                }
                if !holds {
                    library.failed.insert(what);
                }
                library.name
            }
            None => "no library",
        };
        if !holds {
            self.wrong.push(format!("{name}: {what}: {}", why_not()));
        }
        self
    }

    /// A step that this library reported, or the program as a whole.
    #[must_use]
    pub fn step(&self, name: &str) -> &'a Value {
        let library = self.libraries.last().map(|library| library.name);
        let mut of_the_program = &Value::Null;
        for step in self.seen.all(name) {
            match step["library"].as_str() {
                None => of_the_program = step,
                of_a_library if of_a_library == library => return step,
                Some(_) => {}
            }
        }
        of_the_program
    }

    /// The step `detection`: the client knows that it is on Google Cloud.
    pub fn detection(&mut self) -> &mut Self {
        self.finds("detection", &self.step("detection")["present"], true)
    }

    /// The step `project`, its name.
    pub fn project(&mut self) -> &mut Self {
        self.finds("project", &self.step("project")["id"], PROJECT)
    }

    /// The step `project`, its number.
    pub fn project_number(&mut self) -> &mut Self {
        let number = self.step("project")["number"].clone();
        self.finds("project number", &number, NUMBER.to_string())
    }

    /// The step `machine`, its zone with the project or without.
    pub fn zone(&mut self) -> &mut Self {
        let zone = self.step("machine")["zone"].as_str();
        let bare = zone.and_then(|zone| zone.rsplit('/').next());
        self.finds("zone", &json!(bare), ZONE)
    }

    /// The step `machine`, its number.
    pub fn instance(&mut self) -> &mut Self {
        let id = self.step("machine")["id"].clone();
        self.finds("instance id", &id, INSTANCE.to_string())
    }

    /// The step `attribute`.
    pub fn attribute(&mut self) -> &mut Self {
        self.finds("attribute", &self.step("attribute")["value"], COLOR)
    }

    /// The step `account`, its email.
    pub fn email(&mut self) -> &mut Self {
        self.finds("account", &self.step("account")["email"], EMAIL)
    }

    /// The step `account`, its scopes.
    pub fn scopes(&mut self) -> &mut Self {
        self.finds("scopes", &self.step("account")["scopes"], &SCOPES[..])
    }

    /// What a program reads by hand where its library has no function: the project's number, and
    /// zone, number, attribute and scopes of the machine.
    pub fn machine(&mut self) -> &mut Self {
        self.project_number().zone().instance().attribute().scopes()
    }

    /// The step `machine`, its names, addresses and tags.
    pub fn network(&mut self) -> &mut Self {
        let machine = self.step("machine");
        self.finds("name", &machine["name"], NAME)
            .finds("hostname", &machine["hostname"], HOSTNAME)
            .finds("addresses", &machine["internal_ip"], ADDRESSES[0])
            .finds("addresses", &machine["external_ip"], ADDRESSES[1])
            .finds("tags", &machine["tags"], &TAGS[..])
    }

    /// The steps `machine`, its tags, and `bulk`: several values by one call.
    pub fn lists(&mut self) -> &mut Self {
        let (machine, bulk) = (self.step("machine"), self.step("bulk"));
        let both = json!({"project/project-id": PROJECT, "instance/name": NAME});
        self.finds("lists", &machine["tags"], &TAGS[..])
            .finds("bulk", &bulk["found"], both)
    }

    /// The step `universe`.
    pub fn universe(&mut self) -> &mut Self {
        self.finds("universe", &self.step("universe")["domain"], UNIVERSE)
    }

    /// The steps `access_token` and `access_token_info`: the emulator knows the token that the
    /// client got, and whose it is.
    pub fn access_token(&mut self) -> &mut Self {
        let token = self.step("access_token");
        let info = self.step("access_token_info");
        let length = token["token"]["length"].as_u64();
        self.holds("access token", length > Some(20), || {
            format!("no token in {token}")
        });
        if !token["seconds_left"].is_null() {
            self.left("access token", &token["seconds_left"], TOKEN_LIFETIME);
        }
        self.finds("access token", &info["email"], EMAIL).finds(
            "access token",
            &info["scope"],
            SCOPES.join(" "),
        )
    }

    /// The steps `id_token`, `id_token_verified` and `other_audience`: the library's own verifier
    /// accepts the token with the emulator's keys, for the right audience only.
    pub fn id_token(&mut self) -> &mut Self {
        let token = self.step("id_token");
        self.holds(
            "ID token",
            token["token"]["length"].as_u64() > Some(100),
            || format!("no token in {token}"),
        );
        self.claims("ID token", "id_token_verified");
        let other = &self.step("other_audience")["refused"];
        self.finds("ID token", other, true)
    }

    /// A step with the claims of an ID token in the full format.
    pub fn claims(&mut self, what: &'static str, step: &str) -> &mut Self {
        let claims = &self.step(step)["claims"];
        let machine = &claims["google"]["compute_engine"];
        let times = whole(&claims["exp"]).zip(whole(&claims["iat"]));
        self.finds(what, &claims["aud"], AUDIENCE)
            .finds(what, &claims["iss"], "https://accounts.google.com")
            .finds(what, &claims["email"], EMAIL)
            .finds(what, &claims["email_verified"], true)
            .finds(what, &machine["project_id"], PROJECT)
            .finds(what, &machine["zone"], ZONE)
            .finds(what, &machine["instance_id"], INSTANCE.to_string())
            .finds(what, &json!(whole(&machine["project_number"])), NUMBER)
            .finds(what, &json!(times.map(|(exp, iat)| exp - iat)), 3600)
    }

    /// A number of seconds that is a lifetime, less what may have passed of it.
    pub fn left(&mut self, what: &'static str, seconds: &Value, lifetime: u64) -> &mut Self {
        let passed = u32::try_from(PASSED).map_or(f64::MAX, f64::from);
        let whole = u32::try_from(lifetime).map_or(f64::MAX, f64::from);
        let fits = seconds
            .as_f64()
            .is_some_and(|left| (whole - passed..=whole).contains(&left));
        self.holds(what, fits, || format!("{seconds} s left of {lifetime} s"))
    }

    /// Closes the case: everything has to hold.
    ///
    /// # Panics
    ///
    /// With all that does not hold.
    pub fn agree(&self) {
        assert!(
            self.wrong.is_empty(),
            "the {} client:\n{}\n{:#?}",
            self.language,
            self.wrong.join("\n"),
            self.seen
        );
    }

    /// Closes the case: everything has to hold, and the table of clients has to say so.
    ///
    /// # Panics
    ///
    /// With all that does not hold, or because the table says something else than this run.
    pub fn verdict(&self) {
        self.agree();
        let rows: Vec<String> = self
            .libraries
            .iter()
            .map(|library| {
                let passed: Vec<&str> = library
                    .judged
                    .iter()
                    .copied()
                    .filter(|what| !library.failed.contains(what))
                    .collect();
                table::row(
                    self.language,
                    library.name,
                    &library.version,
                    &passed.join(", "),
                )
            })
            .collect();
        table::settle(self.language, &rows);
    }
}

/// A whole number, whatever kind of number the client's JSON has made of it.
fn whole(value: &Value) -> Option<u64> {
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    format!("{:.0}", value.as_f64()?).parse().ok()
}
