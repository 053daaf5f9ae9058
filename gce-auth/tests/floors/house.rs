//! A crate, and what its files may name.

use crate::circles::{arrows, circles};

/// A crate, its rooms from the ground up, and what must not be named but in the listed files.
/// A file imports from its own floor or from lower ones.
pub(crate) struct House {
    pub(crate) name: &'static str,
    pub(crate) floors: &'static [&'static [&'static str]],
    pub(crate) named_only_in: &'static [(&'static str, &'static [&'static str])],
    /// Rooms whose files may name each other in a circle.
    pub(crate) circles_in: &'static [&'static str],
}

impl House {
    /// Returns what is wrong with the crate as it is, of more than `files` files.
    pub(crate) fn judge(&self, files: usize) -> String {
        let found = crate::files_of(self.name);
        assert!(
            found.len() > files,
            "the walk found the source of {}",
            self.name
        );
        self.complaints(&found).join("\n")
    }

    /// Returns what would be wrong with the crate if `file` had this text.
    pub(crate) fn judge_with(&self, file: &str, text: &str) -> String {
        let mut files = crate::files_of(self.name);
        files.retain(|(name, _)| name != file);
        files.push((file.to_owned(), text.to_owned()));
        self.complaints(&files).join("\n")
    }

    fn floor(&self, file: &str) -> Option<usize> {
        let room = file.split(['/', '.']).next()?;
        self.floors.iter().position(|floor| floor.contains(&room))
    }

    fn complaints(&self, files: &[(String, String)]) -> Vec<String> {
        let arrows = arrows(files);
        let mut found = Vec::new();
        for (file, named) in &arrows {
            if self.floor(file).is_none() {
                found.push(format!("{file} is on no floor"));
            }
            for other in named
                .iter()
                .filter(|other| self.floor(other) > self.floor(file))
            {
                found.push(format!("{file} reaches up into {other}"));
            }
        }
        let mut circles = circles(&arrows);
        let within = |room: &&str, circle: &[String]| circle.iter().all(|it| it.starts_with(*room));
        circles.retain(|circle| !self.circles_in.iter().any(|room| within(room, circle)));
        found.extend(
            circles
                .iter()
                .map(|circle| format!("a circle: {}", circle.join(", "))),
        );
        for (file, text) in files {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.split("#[cfg(all(test").next().unwrap_or_default();
            for (name, homes) in self.named_only_in {
                let named = code.lines().filter_map(|line| line.split("//").next());
                if named.clone().any(|line| line.contains(name)) && !homes.contains(&file.as_str())
                {
                    let homes = homes.join(", ");
                    found.push(format!("{file} names {name}, which belongs to {homes}"));
                }
            }
        }
        found
    }
}
