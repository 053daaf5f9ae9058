//! What is kept of the bodies of answers: thousands of answers with the same bytes share one text.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use bytes::Bytes;

use crate::redact::Seen;

/// How many bodies are known, of each kind.
const KNOWN: usize = 16;

/// A body beyond this length would take much memory for as long as it is known.
const LONGEST: usize = 64 * 1024;

/// A longer body is no token.
const TOKEN: usize = 2048;

/// The last bodies, and what is kept of them.
#[derive(Default)]
pub(super) struct SharedBodies {
    /// In these nothing was hidden: known by where in memory they lie.
    plain: [Option<(Bytes, Arc<str>)>; KNOWN],
    /// In these something was: known by their hash alone, as the secret has to leave the memory.
    hidden: [Option<(u64, Arc<str>)>; KNOWN],
    hasher: RandomState,
}

impl SharedBodies {
    /// Keeps a body as `read` gives it, which is asked once for the same bytes. Borrowed is a text
    /// in which nothing was hidden.
    pub(super) fn keep<'a>(
        &mut self,
        body: &'a Bytes,
        seen: &mut Seen,
        read: impl FnOnce(&'a [u8], &mut Seen) -> Option<Cow<'a, str>>,
    ) -> Option<Arc<str>> {
        if body.is_empty() {
            return None;
        }
        let plain = &mut self.plain[body.as_ptr().addr() / 16 % KNOWN];
        if let Some((known, text)) = plain
            && is_same(known, body)
        {
            return Some(Arc::clone(text));
        }
        let hash = (body.len() <= TOKEN).then(|| self.hasher.hash_one(&**body));
        let hidden = hash.map(|hash| (hash, &mut self.hidden[hash as usize % KNOWN]));
        if let Some((hash, Some((known, text)))) = &hidden
            && known == hash
        {
            return Some(Arc::clone(text));
        }
        let times = seen.times();
        let text = read(body, seen)?;
        let is_plain = matches!(text, Cow::Borrowed(_));
        let text: Arc<str> = text.into();
        match hidden {
            _ if is_plain && body.len() <= LONGEST => {
                *plain = Some((body.clone(), Arc::clone(&text)));
            }
            // The number that stands in a web token's place is another in another request.
            Some((hash, place)) if !is_plain && seen.times() == times => {
                *place = Some((hash, Arc::clone(&text)));
            }
            _ => {}
        }
        Some(text)
    }
}

/// Whether these are the same bytes in memory. As long as they are known nothing else lies there.
fn is_same(known: &Bytes, body: &Bytes) -> bool {
    known.len() == body.len() && known.as_ptr() == body.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact;

    fn keep(bodies: &mut SharedBodies, body: &Bytes, text: Cow<'static, str>) -> Arc<str> {
        let seen = &mut Seen::default();
        bodies.keep(body, seen, |_, _| Some(text)).unwrap()
    }

    fn owned(text: &str) -> Cow<'static, str> {
        Cow::Owned(text.to_owned())
    }

    #[test]
    fn the_same_bytes_are_read_once() {
        let mut bodies = SharedBodies::default();
        let body = Bytes::from("value".to_owned());
        let first = keep(&mut bodies, &body, "a".into());
        let second = keep(&mut bodies, &body.clone(), "b".into());
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(&*keep(&mut bodies, &body.slice(..4), "c".into()), "c");
        assert_eq!(
            &*keep(&mut bodies, &Bytes::from("value".to_owned()), "d".into()),
            "d"
        );
    }

    #[test]
    fn a_body_with_a_secret_is_read_once_and_not_held() {
        let mut bodies = SharedBodies::default();
        let secret = || Bytes::from("ya29.secret".to_owned());
        let first = keep(&mut bodies, &secret(), owned("[redacted]"));
        assert!(Arc::ptr_eq(
            &first,
            &keep(&mut bodies, &secret(), owned("other"))
        ));
        let other = Bytes::from("ya29.other".to_owned());
        assert_eq!(&*keep(&mut bodies, &other, owned("other")), "other");
        assert!(bodies.plain.iter().all(Option::is_none));
    }

    #[test]
    fn a_body_with_a_web_token_is_read_again() {
        let mut bodies = SharedBodies::default();
        let body = Bytes::from("{\"id_token\": \"e30.e30.c2ln\"}".to_owned());
        let read = |bodies: &mut SharedBodies, seen: &mut Seen| {
            bodies.keep(&body, seen, |body, seen| {
                Some(redact::text(std::str::from_utf8(body).unwrap(), seen))
            })
        };
        let alone = read(&mut bodies, &mut Seen::default()).unwrap();
        assert!(alone.contains("[JWT 1]"), "{alone}");
        let mut seen = Seen::new(vec![serde_json::json!("another")]);
        let second = read(&mut bodies, &mut seen).unwrap();
        assert!(second.contains("[JWT 2]"), "{second}");
    }

    #[test]
    fn long_bodies_are_not_known() {
        let mut bodies = SharedBodies::default();
        let long = Bytes::from(vec![b'x'; LONGEST + 1]);
        keep(&mut bodies, &long, "x".into());
        keep(&mut bodies, &long, owned("x"));
        let no_text = Bytes::from("no text".to_owned());
        let read = bodies.keep(&no_text, &mut Seen::default(), |_, _| None);
        assert!(read.is_none());
        assert!(bodies.plain.iter().all(Option::is_none));
        assert!(bodies.hidden.iter().all(Option::is_none));
    }
}
