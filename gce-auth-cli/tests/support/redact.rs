//! Output in which what differs from run to run has a name instead.

/// Ports, tokens, signatures, keys, times and durations by their names.
pub(crate) fn redact(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest
            .find(|c| !is_word(c))
            .unwrap_or(rest.len())
            .max(if is_word(first) { 0 } else { first.len_utf8() });
        let (word, after) = rest.split_at(length);
        let before = result.ends_with("expires_in\": ").then_some("COUNT");
        result.push_str(before.filter(|_| is_number(word)).unwrap_or(""));
        if before.is_none() || !is_number(word) {
            result.push_str(&named(word, after));
        }
        rest = after;
    }
    // What the firmware says is of the machine.
    for said in ["null", "true", "false"] {
        result = result.replace(&format!("\"firmware\": {said}"), "\"firmware\": SAID");
    }
    result
        .replace("1 attempt ", "COUNT attempts ")
        .replace("MINUTES min SECONDS s", "TIME")
        .replace("SECONDS s", "TIME")
        .replace("MILLIS ms", "TIME")
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+/:-".contains(c)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn named(word: &str, after: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some((before, port)) = word.split_once("127.0.0.1:") {
        let end = port
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(port.len());
        if end > 1 {
            return format!("{before}127.0.0.1:PORT{}", &port[end..]);
        }
    }
    if word.starts_with("ya29.") {
        return "ACCESS_TOKEN".to_owned();
    }
    if word.starts_with("eyJ") && word.matches('.').count() == 2 {
        return "ID_TOKEN".to_owned();
    }
    if word.len() >= 300 {
        return "SIGNATURE".to_owned();
    }
    if word.len() == 40 && hex(word) {
        return "KEY_ID".to_owned();
    }
    let number = word.strip_prefix(':').unwrap_or_default();
    if number.len() == 10 && digits(number) {
        return ":EPOCH".to_owned();
    }
    if word.len() == 10 && digits(word) {
        return "EPOCH".to_owned();
    }
    if word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' {
        return "DATE".to_owned();
    }
    if word.len() == 16 && word.ends_with('Z') && digits(&word[..8]) {
        return "DATE".to_owned();
    }
    if word.len() == 10 && word.starts_with("2F20") && digits(&word[2..]) {
        return "2FDATE".to_owned();
    }
    if is_number(word) {
        let unit = after.strip_prefix(' ').unwrap_or("");
        for (name, what) in [
            ("ms", "MILLIS"),
            ("min", "MINUTES"),
            ("s", "SECONDS"),
            ("attempt", "COUNT"),
            ("characters", "COUNT"),
        ] {
            let whole = unit.strip_prefix(name).is_some_and(|end| {
                name == "attempt" || !end.starts_with(|c: char| c.is_alphanumeric())
            });
            if whole && !(name == "attempt" && word == "1") {
                return what.to_owned();
            }
        }
    }
    word.to_owned()
}
