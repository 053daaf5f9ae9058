//! `gs://` URLs. Pure.

/// What a `gs://` URL names: an object, or a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) bucket: String,
    pub(crate) object: Option<String>,
}

impl Location {
    /// Reads `gs://BUCKET/OBJECT` or `gs://BUCKET`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("gs://")
            .ok_or("write gs://BUCKET/OBJECT, or gs://BUCKET")?;
        let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
        check_bucket(bucket)?;
        if object.len() > 1024 || object.contains(['\r', '\n']) {
            return Err("object names have at most 1024 bytes and no line breaks".to_owned());
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            object: (!object.is_empty()).then(|| object.to_owned()),
        })
    }
}

/// Refuses what Cloud Storage refuses ("About Cloud Storage buckets", "Bucket names").
fn check_bucket(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    let at_ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let longest = if name.contains('.') { 222 } else { 63 };
    let reason = if !(3..=longest).contains(&name.len()) {
        "has 3 to 63 characters, or up to 222 with dots"
    } else if !name.bytes().all(allowed) {
        "consists of lower-case letters, digits, '-', '_' and '.'"
    } else if !at_ends(name.as_bytes().first()) || !at_ends(name.as_bytes().last()) {
        "begins and ends with a letter or a digit"
    } else if name
        .split('.')
        .any(|part| part.is_empty() || part.len() > 63)
    {
        "has 1 to 63 characters between dots"
    } else if name.parse::<std::net::Ipv4Addr>().is_ok() {
        "is not an IP address"
    } else {
        return Ok(());
    };
    Err(format!("{name:?} is not a bucket: its name {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_slashes() {
        let location = Location::parse("gs://a-bucket/folder//file?x").unwrap();
        assert_eq!(location.object.as_deref(), Some("folder//file?x"));
        for text in ["gs://a-bucket", "gs://a-bucket/"] {
            let location = Location::parse(text).unwrap();
            assert_eq!(
                (location.bucket.as_str(), location.object),
                ("a-bucket", None)
            );
        }
    }

    #[test]
    fn buckets_that_cannot_exist_are_refused() {
        let long = "a".repeat(64);
        let dotted = format!("{}.{}", "a".repeat(63), "b".repeat(63));
        assert!(Location::parse(&format!("gs://{dotted}/o")).is_ok());
        for name in ["my_bucket", "a.example.com", "0-9", "abc"] {
            assert!(Location::parse(&format!("gs://{name}/o")).is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            &long,
            "My-Bucket",
            "b\u{fc}cket",
            "-abc",
            "abc-",
            ".abc",
            "a..b",
            "a b",
            "192.168.5.4",
            "a@b",
            "a?b",
        ] {
            assert!(
                Location::parse(&format!("gs://{name}/o")).is_err(),
                "{name}"
            );
        }
        for text in ["bucket/object", "s3://bucket/object", "gs:/bucket/object"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        assert!(Location::parse("gs://bucket/a\nb").is_err());
        assert!(Location::parse(&format!("gs://bucket/{}", "o".repeat(1025))).is_err());
    }
}
