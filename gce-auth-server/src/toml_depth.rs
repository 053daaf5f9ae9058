//! How deep a TOML text nests. The TOML library bounds the dots of a key and the brackets around it
//! each, but not both together, and reads what nests by recursion.

/// How many tables and lists may lie within each other in a text that is read.
pub const MOST: usize = 128;

/// Returns how deep a text nests at most, in brackets and dots outside of strings and comments.
/// Dots of numbers count, too.
pub fn depth(text: &str) -> usize {
    let mut rest = text;
    let mut open = Vec::new();
    let (mut now, mut deepest) = (0_usize, 0);
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => string(rest, first),
            _ => first.len_utf8(),
        };
        match first {
            '.' => now += 1,
            '[' | '{' => {
                open.push(now);
                now += 1;
            }
            ']' | '}' => now = open.pop().unwrap_or_default(),
            // The next key or value of the same table or list.
            ',' | '\n' => now = open.last().map_or(0, |outer| outer + 1),
            _ => {}
        }
        deepest = deepest.max(now);
        rest = rest.get(skipped..).unwrap_or_default();
    }
    deepest
}

/// The length of the string that a text begins with.
fn string(text: &str, quote: char) -> usize {
    let three: String = [quote; 3].iter().collect();
    let (mark, body) = match text.strip_prefix(&three) {
        Some(body) => (three, body),
        None => (quote.to_string(), &text[1..]),
    };
    let mut at = text.len() - body.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(&mark) {
            return at + mark.len();
        }
        let mut characters = rest.chars();
        let escaped = characters.next() == Some('\\') && quote == '"';
        at += rest
            .chars()
            .take(1 + usize::from(escaped))
            .map(char::len_utf8)
            .sum::<usize>();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_in_brackets_and_dots() {
        for (text, expected) in [
            ("", 0),
            ("a = 1", 0),
            ("a.b.c = 1\nd = 2", 2),
            ("[a.b]\nc = [[1], [2]]", 2),
            ("a.b = { c.d = { e = 1 }, f = 1 }", 4),
            ("a = '......' # ......\nb = \"....\\\"....\"", 0),
            ("a = \"\"\"\n[[[[[ \\\"\"\"\"", 0),
            ("a = '''\n[[[['''\nb = [1]", 1),
            ("a = ['\u{e9}', '[[']", 1),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
    }
}
