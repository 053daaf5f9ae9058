//! The answers that are no values: redirects and errors, with the bodies the real server gives
//! them.

use crate::protocol::reply::Reply;

const HTML: &str = "text/html; charset=UTF-8";

const PLAIN: &str = "text/plain; charset=utf-8";

/// Returns 403 for a request that went through a proxy.
pub fn forwarded() -> Reply {
    page(
        403,
        "Forbidden",
        "Requests with an X-Forwarded-For header are not allowed.",
    )
}

/// Returns 403 whose body says why, as one line of text.
pub fn forbidden(why: &str) -> Reply {
    Reply::new(403, PLAIN, format!("{why}\n"))
}

/// Returns 403 for a request that names another server.
pub fn host_refused(host: &str) -> Reply {
    let name = escape(host.rsplit_once(':').map_or(host, |(name, _)| name));
    page(
        403,
        "Forbidden",
        &format!(
            "<code>{name}</code> is no name of this server: a web page may have led it here. \
             If it is yours, allow it: <code>--allow-host {name}</code>."
        ),
    )
}

/// Returns 403 for a request that a browser sent for a web page.
pub fn browser_refused() -> Reply {
    page(
        403,
        "Forbidden",
        "Requests of web pages, with an Origin or Sec-Fetch-Site header, are not allowed.",
    )
}

/// Returns 403 for a request without the header that proves intent.
pub fn flavor_missing() -> Reply {
    Reply::new(
        403,
        HTML,
        "Missing required header \"Metadata-Flavor\": \"Google\"\n",
    )
}

/// Returns 403 of GKE's metadata server for a request without the header that proves intent, as
/// plain text and without a flavor.
pub fn gke_flavor_missing() -> Reply {
    let why = "Missing required header \"Metadata-Flavor\": \"Google\"";
    let text = format!("GKE Metadata Server encountered an error: {why}\n");
    Reply::new(403, PLAIN, text).flavored(None)
}

/// Returns 403 for the paths of the versions before v1.
pub fn legacy(path: &str) -> Reply {
    Reply::new(
        403,
        HTML,
        format!(
            "Legacy metadata endpoint accessed: {}\nLegacy metadata endpoints are disabled. Please use the /v1/ endpoint.\n",
            escape(path)
        ),
    )
}

/// Returns 404, the page with the robot, without the robot.
pub fn not_found(path: &str) -> Reply {
    page(
        404,
        "Not Found",
        &format!(
            "The requested URL <code>{}</code> was not found on this server.",
            escape(path)
        ),
    )
}

/// Returns 400 whose body says what was wrong, as one line of text.
pub fn bad_request(message: &str) -> Reply {
    Reply::new(400, HTML, format!("{message}\n"))
}

/// Returns 403 while the instance does not allow guest attributes.
pub fn guest_attributes_off() -> Reply {
    Reply::new(403, HTML, "Guest attributes endpoint access is disabled.")
}

/// Returns 412 for workload certificates that were never configured.
pub fn unconfigured() -> Reply {
    Reply::new(412, HTML, "Workload certificates are not configured.\n")
}

/// Returns 405 with the methods that would do.
pub fn method_not_allowed(method: &str, path: &str, allow: &'static str) -> Reply {
    page(
        405,
        "Method Not Allowed",
        &format!(
            "The request method <code>{}</code> is inappropriate for the URL <code>{}</code>.",
            escape(method),
            escape(path)
        ),
    )
    .with("Allow", allow)
}

/// Returns 413 for a body that no caller of this protocol has a reason to send.
pub fn too_large() -> Reply {
    page(
        413,
        "Request Entity Too Large",
        "The request was too large.",
    )
}

/// Returns 500 when a token could not be had, with the reason as text.
pub fn backend_failed(why: &str) -> Reply {
    Reply::new(500, HTML, format!("{}\n", escape(why)))
}

/// Returns 502 when another metadata server could not be asked, with the reason as plain text.
pub fn bad_gateway(why: &str) -> Reply {
    Reply::new(502, PLAIN, format!("{why}\n"))
}

/// Returns what GKE's metadata server says when IAM gives it no token, as plain text. `what` is
/// `access token` or `ID token`.
pub fn iam_refused(code: u16, what: &str, permission: &str) -> Reply {
    let why = match code {
        404 => "404 Not Found: the service account does not exist".into(),
        _ => format!(
            "403 Forbidden: Permission '{permission}' denied on resource (or it may not exist)"
        ),
    };
    Reply::new(
        code,
        PLAIN,
        format!("Unable to generate {what}; IAM returned {why}.\n"),
    )
}

/// Returns 404 for the identity of a workload that is tied to no Google service account.
pub fn not_annotated() -> Reply {
    Reply::new(
        404,
        PLAIN,
        "Unable to generate ID token; the Kubernetes service account is not tied to a Google service account. \
         Annotate it with iam.gke.io/gcp-service-account.\n",
    )
}

/// Returns 500 when something inside failed.
pub fn internal() -> Reply {
    page(
        500,
        "Internal Server Error",
        "The server encountered an error.",
    )
}

/// Returns any status that carries no more than its name.
pub fn status(code: u16) -> Reply {
    let reason = match code {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    };
    page(code, reason, "The request could not be served.")
}

/// Returns 301 from a directory to the same directory with its slash; the query is kept behind it.
pub fn add_slash(origin: &str, path: &str, query: &str) -> Reply {
    let mark = if query.is_empty() { "" } else { "?" };
    Reply::new(301, "text/html", format!("{path}/\n"))
        .with("Location", format!("{origin}{path}/{mark}{query}"))
}

fn page(code: u16, reason: &str, text: &str) -> Reply {
    Reply::new(
        code,
        HTML,
        format!(
            "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Error {code} ({reason})!!1</title>\n\
             <p><b>{code}.</b> <ins>That\u{2019}s an error.</ins>\n<p>{text} <ins>That\u{2019}s all we know.</ins>\n"
        ),
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_redirect_keeps_the_query_behind_the_slash() {
        let reply = add_slash(
            "http://localhost:80",
            "/computeMetadata/v1/instance",
            "recursive=true",
        );
        let location = "http://localhost:80/computeMetadata/v1/instance/?recursive=true";
        assert!(
            reply
                .header_lines(Bytes::new(), "s")
                .contains(&("Location", location.into()))
        );
        assert_eq!(reply.body, "/computeMetadata/v1/instance/\n");
    }

    #[test]
    fn nothing_of_the_path_becomes_markup() {
        let body = String::from_utf8(not_found("/<script>").body.into()).unwrap();
        assert!(body.contains("<code>/&lt;script&gt;</code>"));
        assert!(body.contains("<title>Error 404 (Not Found)!!1</title>"));
    }
}
