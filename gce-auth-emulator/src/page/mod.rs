//! The live page.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use gce_auth_server::protocol::Reply;

const PAGE: &str = include_str!("page.html");

/// Where the page is.
pub(crate) const PATH: &str = "/emulator/";

/// Whether a path is that of the page, or lacks its slash.
pub(crate) fn is_at(path: &str) -> bool {
    path == PATH || path == PATH.trim_end_matches('/')
}

/// The page. Its policy lets it run its own script alone, load nothing, and speak to this emulator
/// alone.
pub(crate) fn page() -> Reply {
    let hash = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let text = PAGE
            .split_once(&open)
            .and_then(|(_, rest)| rest.split_once(&close))
            .map_or("", |(text, _)| text);
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
    };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    );
    Reply::own("text/html; charset=utf-8", PAGE)
        .with("Content-Security-Policy", policy)
        .with("Cache-Control", "no-store")
        .with("Referrer-Policy", "no-referrer")
        .with("X-Content-Type-Options", "nosniff")
}
