//! The live page, in files of its own: no build makes them, and they load nothing from elsewhere.

use gce_auth_server::protocol::Reply;

/// Where the page is.
pub(crate) const PATH: &str = "/emulator/";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Its files: name, type, text.
const FILES: [(&str, &str, &str); 14] = [
    ("", HTML, include_str!("index.html")),
    ("page.css", CSS, include_str!("page.css")),
    ("api.js", SCRIPT, include_str!("api.js")),
    ("app.js", SCRIPT, include_str!("app.js")),
    ("clock.js", SCRIPT, include_str!("clock.js")),
    ("curl.js", SCRIPT, include_str!("curl.js")),
    ("detail.js", SCRIPT, include_str!("detail.js")),
    ("dom.js", SCRIPT, include_str!("dom.js")),
    ("events.js", SCRIPT, include_str!("events.js")),
    ("faults.js", SCRIPT, include_str!("faults.js")),
    ("requests.js", SCRIPT, include_str!("requests.js")),
    ("session.js", SCRIPT, include_str!("session.js")),
    ("tokens.js", SCRIPT, include_str!("tokens.js")),
    ("tree.js", SCRIPT, include_str!("tree.js")),
];

/// The page runs its own files alone, loads nothing from elsewhere, and speaks to this emulator
/// alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a path is that of the page or of one of its files, or lacks the page's slash.
pub(crate) fn is_at(path: &str) -> bool {
    path == PATH.trim_end_matches('/') || find(path).is_some()
}

/// A file of the page, by its path.
pub(crate) fn file(path: &str) -> Option<Reply> {
    let (_, content_type, text) = find(path)?;
    let reply = Reply::own(content_type, text)
        .with("Content-Security-Policy", POLICY)
        .with("Cache-Control", "no-store")
        .with("Referrer-Policy", "no-referrer")
        .with("X-Content-Type-Options", "nosniff");
    Some(reply)
}

fn find(path: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let name = path.strip_prefix(PATH)?;
    FILES.iter().find(|(file, _, _)| *file == name)
}
