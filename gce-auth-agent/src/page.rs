//! The page of the admin listener: what the agent does, without a secret and without a script.

use std::{fmt::Write as _, sync::PoisonError, time::Duration};

use crate::{caller::Caller, clock, decisions::Decided, metrics::Outcome, state::State};

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<meta http-equiv=\"refresh\" content=\"5\"><title>gce-auth agent</title><style>\
:root{color-scheme:light dark;font:15px/1.4 system-ui,sans-serif}\
body{margin:1rem auto;max-width:72rem;padding:0 1rem}\
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.5rem 0 .4rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8883;vertical-align:top}\
td{white-space:nowrap}td.w{white-space:normal;overflow-wrap:anywhere;min-width:12rem}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
code{overflow-wrap:anywhere}td code{display:inline-block;min-width:16rem;white-space:normal}\
progress{width:8rem}.bad{color:#c33}</style></head><body>";

/// What a full bar stands for.
const HOUR: f64 = 3600.0;

/// Writes the page.
pub(crate) fn html(state: &State) -> String {
    let mut out = String::with_capacity(64 * 1024);
    // A string takes whatever is written.
    let _ = write(&mut out, state);
    out
}

fn write(out: &mut String, state: &State) -> std::fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    let ready = if state.tokens.is_ready() {
        "ready"
    } else {
        "<span class=\"bad\">no token of the default account is in hand</span>"
    };
    write!(out, "{HEAD}<h1>gce-auth agent {version}</h1><p>{ready}</p>")?;
    listeners(out, state)?;
    rules(out, state)?;
    tokens(out, state)?;
    decisions(out, &state.decisions.latest())?;
    out.push_str("</body></html>");
    Ok(())
}

fn listeners(out: &mut String, state: &State) -> std::fmt::Result {
    out.push_str("<h2>Listeners</h2><ul>");
    let listening = state.listening.lock();
    for place in listening.unwrap_or_else(PoisonError::into_inner).iter() {
        write!(out, "<li><code>{}</code></li>", Escaped(place))?;
    }
    out.push_str("</ul>");
    Ok(())
}

fn rules(out: &mut String, state: &State) -> std::fmt::Result {
    out.push_str(
        "<h2>Rules</h2><div class=\"wide\"><table><tr><th>rule</th><th>served</th><th>denied</th>\
         <th>limited</th><th>unavailable</th><th>bad</th></tr>",
    );
    for (name, counts) in state.rules().all() {
        write!(out, "<tr><td class=\"w\">{}</td>", Escaped(name))?;
        for outcome in [
            Outcome::Ok,
            Outcome::Denied,
            Outcome::Limited,
            Outcome::Unavailable,
            Outcome::Bad,
        ] {
            write!(out, "<td class=\"n\">{}</td>", counts.of(outcome))?;
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
    Ok(())
}

fn tokens(out: &mut String, state: &State) -> std::fmt::Result {
    out.push_str(
        "<h2>Tokens</h2><div class=\"wide\"><table><tr><th>account</th><th>for</th><th>left</th>\
         <th></th></tr>",
    );
    let mut access = state.tokens.access_in_hand();
    access.sort_by_key(|(_, left)| *left);
    for (key, left) in access.iter().take(100) {
        let account = key.act_as.as_deref().unwrap_or(&key.account);
        let scopes = key
            .scopes
            .as_ref()
            .map_or_else(String::new, |all| all.join(" "));
        bar(out, account, &scopes, *left)?;
    }
    let mut identity = state.tokens.identity_in_hand();
    identity.sort_by_key(|(_, left)| *left);
    for (key, left) in identity.iter().take(100) {
        let account = key.act_as.as_deref().unwrap_or(&key.account);
        bar(out, account, &key.audience, *left)?;
    }
    out.push_str("</table></div>");
    Ok(())
}

fn bar(out: &mut String, account: &str, what: &str, left: Duration) -> std::fmt::Result {
    let seconds = left.as_secs();
    let part = (left.as_secs_f64() / HOUR).min(1.0);
    write!(
        out,
        "<tr><td>{}</td><td><code>{}</code></td><td class=\"n\">{seconds}\u{a0}s</td>\
         <td><progress aria-label=\"left of an hour\" value=\"{part:.3}\"></progress></td></tr>",
        Escaped(account),
        Escaped(what)
    )
}

fn decisions(out: &mut String, latest: &[Decided]) -> std::fmt::Result {
    out.push_str(
        "<h2>Last requests</h2><div class=\"wide\"><table><tr><th>time</th><th>caller</th>\
         <th>rule</th><th>what</th><th>path</th><th>status</th><th>why</th></tr>",
    );
    for decided in latest {
        let caller = described(&decided.caller);
        let why = decided
            .why
            .as_deref()
            .unwrap_or_else(|| decided.cache.name());
        let class = if decided.status < 400 { "n" } else { "n bad" };
        write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td>\
             <td class=\"{class}\">{}</td><td class=\"w\">{}</td></tr>",
            clock::rfc3339(decided.at),
            Escaped(&caller),
            Escaped(&decided.rule),
            decided.kind.name(),
            Escaped(&decided.path),
            decided.status,
            Escaped(why)
        )?;
    }
    out.push_str("</table></div>");
    Ok(())
}

/// A caller in a few words.
fn described(caller: &Caller) -> String {
    let mut words = Vec::new();
    match caller.uid {
        Some(uid) => words.push(format!("uid {uid}")),
        None => words.push("unknown".to_owned()),
    }
    if let Some(process) = caller.processes.first() {
        words.push(format!("pid {}", process.pid));
        if let Some(exe) = process.exe.said() {
            words.push(exe.display().to_string());
        }
        words.extend(
            process
                .container
                .as_ref()
                .map(|id| format!("container {id}")),
        );
        words.extend(process.pod.as_ref().map(|id| format!("pod {id}")));
    }
    words.extend(caller.address.map(|address| format!("at {address}")));
    if !caller.listener.is_empty() {
        words.push(format!("by {}", caller.listener));
    }
    words.join(", ")
}

/// Text without markup.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other if other.is_control() => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_caller_is_markup() {
        let escaped = Escaped("<img src='x' onerror=\"a\">&\n").to_string();
        assert_eq!(
            escaped,
            "&lt;img src=&#39;x&#39; onerror=&quot;a&quot;&gt;&amp;\u{fffd}"
        );
    }
}
