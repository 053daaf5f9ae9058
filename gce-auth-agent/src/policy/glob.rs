//! Patterns of paths. Anchored at both ends, case-sensitive; `*` crosses no slash, and a segment
//! `**` stands for any number of segments. Nothing else is special.

use std::fmt;

/// A pattern that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    segments: Vec<Segment>,
    /// What `*` and `**` don't match, besides a slash.
    except: &'static [char],
}

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// The texts between the asterisks: one more than there are asterisks.
    Parts(Vec<Box<str>>),
}

/// A segment of a path that a pattern must spell to match it: its index, and how it begins.
pub(super) type Key<'a> = (usize, &'a str);

impl Glob {
    /// Returns the pattern of a path.
    #[must_use]
    pub fn path(text: &str) -> Self {
        Self::new(text, &[])
    }

    /// Returns the pattern of an audience: `*` crosses none of `? # @ \`, behind which a URL goes
    /// on with something other than its host and path.
    #[must_use]
    pub fn audience(text: &str) -> Self {
        Self::new(text, &['?', '#', '@', '\\'])
    }

    fn new(text: &str, except: &'static [char]) -> Self {
        let segment = |text: &str| match text {
            "**" => Segment::Any,
            _ => Segment::Parts(text.split('*').map(Into::into).collect()),
        };
        Self {
            text: text.into(),
            segments: text.split('/').map(segment).collect(),
            except,
        }
    }

    /// Returns the text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the pattern matches all of a path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.walk(path, None).matched
    }

    /// Returns whether the pattern matches a path, and spells the key in a segment of its own.
    pub(super) fn names(&self, path: &str, key: Option<Key<'_>>) -> bool {
        self.walk(path, key).matched
    }

    /// Returns whether the pattern may match something below a directory.
    pub(super) fn reaches_below(&self, directory: &str, key: Option<Key<'_>>) -> bool {
        self.walk(directory, key).below
    }

    /// Walks through the pattern, and keeps in mind how many segments of the path may be behind it.
    fn walk(&self, path: &str, key: Option<Key<'_>>) -> Walked {
        let steps: Vec<&str> = path.split('/').collect();
        let is_key = |at: usize| key.is_some_and(|(index, _)| index == at);
        let mut reached = vec![false; steps.len() + 1];
        reached[0] = true;
        let mut below = false;
        for segment in &self.segments {
            below |= reached[steps.len()];
            match segment {
                Segment::Any => {
                    for (at, step) in steps.iter().enumerate() {
                        let takes = !is_key(at) && !step.contains(self.except);
                        reached[at + 1] |= reached[at] && takes;
                    }
                    below |= reached[steps.len()];
                }
                Segment::Parts(parts) => {
                    for (at, step) in steps.iter().enumerate().rev() {
                        let spelled = key.is_none_or(|(index, begins)| {
                            index != at || parts.first().is_some_and(|it| it.starts_with(begins))
                        });
                        reached[at + 1] =
                            reached[at] && spelled && matches_step(parts, step, self.except);
                    }
                    reached[0] = false;
                }
            }
        }
        Walked {
            matched: reached[steps.len()],
            below,
        }
    }
}

struct Walked {
    matched: bool,
    below: bool,
}

/// Matches one segment. The first part stands at its beginning, the last at its end, and the others
/// where they first fit.
fn matches_step(parts: &[Box<str>], step: &str, except: &[char]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| **only == *step);
    };
    let Some(mut rest) = step.strip_prefix(&**first) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(&**part) else {
            return false;
        };
        if rest[..at].contains(except) {
            return false;
        }
        rest = &rest[at + part.len()..];
    }
    rest.strip_suffix(&**last)
        .is_some_and(|free| !free.contains(except))
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_asterisk_crosses_no_slash_and_two_do() {
        for (pattern, path) in [
            ("instance/zone", "instance/zone"),
            ("instance/*", "instance/zone"),
            ("instance/attributes/app-*", "instance/attributes/app-"),
            ("project/**", "project/attributes/team"),
            ("project/**", "project"),
            ("**", "instance/zone"),
            ("**/zone", "zone"),
            ("**/zone", "instance/a/zone"),
            ("/deep/**/tool", "/deep/tool"),
            ("/deep/**/tool", "/deep/a/b/tool"),
            ("/usr/bin/w*b*", "/usr/bin/web-app"),
            ("/**", "/usr/bin/web"),
            ("a*c*c", "abcbcc"),
            ("a*b*cd", "abcd"),
            ("*bc*de*", "abcxdef"),
        ] {
            assert!(Glob::path(pattern).matches(path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("instance/*", "instance/attributes/other"),
            ("instance/*", "instance"),
            ("instance/zone", "instance/zones"),
            ("project/**", "projects/x"),
            ("/usr/bin/web*", "/usr/bin/web.d/inner"),
            ("/usr/bin/web", "/usr/bin/Web"),
            ("/a/b", "/a/b/"),
            ("a*a", "a"),
            ("a*bcd*cde", "abcde"),
            ("a?c", "abc"),
            ("[a]", "a"),
            ("", "a"),
        ] {
            assert!(!Glob::path(pattern).matches(path), "{pattern} {path}");
        }
    }

    #[test]
    fn an_asterisk_of_an_audience_stays_within_a_name() {
        let run = Glob::audience("https://*.run.app");
        assert!(run.matches("https://svc-1.a.run.app"));
        for audience in [
            "https://evil.example/.run.app",
            "https://evil.example?a=.run.app",
            "https://evil.example#.run.app",
            "https://user@.run.app",
            "https://evil.example\\.run.app",
            "https://x.run.app.evil.example",
            "http://x.run.app",
        ] {
            assert!(!run.matches(audience), "{audience}");
        }
        let below = Glob::audience("https://a.example/**");
        assert!(below.matches("https://a.example/b/c"));
        assert!(!below.matches("https://a.example/b?c"));
        let middle = Glob::audience("https://*x*.example");
        assert!(middle.matches("https://axb.example"));
        assert!(!middle.matches("https://a@xb.example"));
    }

    #[test]
    fn a_directory_leads_to_what_is_below() {
        let below =
            |pattern: &str, directory: &str| Glob::path(pattern).reaches_below(directory, None);
        assert!(below("instance/attributes/app-*", "instance"));
        assert!(below("instance/attributes/app-*", "instance/attributes"));
        assert!(below("project/**", "project"));
        assert!(below("project/**", "project/attributes"));
        assert!(below("**/zone", "instance"));
        assert!(!below("instance/attributes/app-*", "project"));
        assert!(!below(
            "instance/attributes/app-*",
            "instance/attributes/app-1"
        ));
        assert!(!below("instance/*", "instance/attributes"));
    }

    #[test]
    fn a_key_is_spelled_in_a_segment_of_its_own() {
        let names = |pattern: &str| {
            Glob::path(pattern).names("instance/attributes/ssh-keys", Some((2, "ssh-keys")))
        };
        for pattern in [
            "instance/attributes/ssh-keys",
            "**/ssh-keys",
            "*/*/ssh-keys*",
        ] {
            assert!(names(pattern), "{pattern}");
        }
        for pattern in ["**", "instance/attributes/*", "instance/attributes/ssh-*"] {
            assert!(!names(pattern), "{pattern}");
        }
    }

    /// The meaning of a pattern, as plainly as it can be said.
    fn means(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**", rest @ ..], _) => {
                means(rest, path)
                    || path
                        .split_first()
                        .is_some_and(|(_, path)| means(pattern, path))
            }
            ([one, rest @ ..], [step, path @ ..]) => {
                means_step(one.as_bytes(), step.as_bytes()) && means(rest, path)
            }
            _ => false,
        }
    }

    fn means_step(pattern: &[u8], step: &[u8]) -> bool {
        match (pattern, step) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                means_step(rest, step)
                    || step
                        .split_first()
                        .is_some_and(|(_, step)| means_step(pattern, step))
            }
            ([one, rest @ ..], [byte, step @ ..]) => one == byte && means_step(rest, step),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_it_means(pattern in "([ab*]{0,4}/){0,3}[ab*]{0,4}", path in "([ab]{0,3}/){0,3}[ab]{0,3}") {
            let split = |text: &'_ str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
            let (segments, steps) = (split(&pattern), split(&path));
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            prop_assert_eq!(Glob::path(&pattern).matches(&path), means(&segments, &steps));
        }

        #[test]
        fn what_is_matched_is_reached_from_above(pattern in "([ab*]{1,4}/){0,3}[ab*]{1,4}", path in "([ab]{1,3}/){1,3}[ab]{1,3}") {
            let glob = Glob::path(&pattern);
            if glob.matches(&path) {
                for (at, _) in path.match_indices('/') {
                    prop_assert!(glob.reaches_below(&path[..at], None), "{}", &path[..at]);
                }
            }
        }
    }
}
