//! What is kept of the headers of requests and answers: thousands of which each has the same share
//! one copy.

use std::{borrow::Cow, sync::Arc};

use gce_auth_server::protocol::fields::Fields;

/// How many are known.
const KNOWN: usize = 16;

/// The last headers in which nothing was hidden and nothing was cut off.
#[derive(Default)]
pub(super) struct SharedHeads {
    known: [Option<Arc<Fields>>; KNOWN],
}

impl SharedHeads {
    /// Keeps headers, each as `read` gives its value, which is not asked where the same headers are
    /// known.
    pub(super) fn keep<'a>(
        &mut self,
        lines: impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone,
        mut read: impl FnMut(&str, &'a [u8]) -> Cow<'a, str>,
    ) -> Arc<Fields> {
        let (length, sum) = lines.clone().fold((0, 0), |(length, sum), (name, value)| {
            let last = value.last().copied().unwrap_or_default();
            (length + name.len() + value.len(), sum + usize::from(last))
        });
        let place = &mut self.known[(length + sum) % KNOWN];
        if let Some(known) = place
            && is_same(known, lines.clone(), length)
        {
            return Arc::clone(known);
        }
        let mut kept = Fields::with_capacity(lines.len(), length);
        for (name, value) in lines.clone() {
            kept.push(name, &read(name, value));
        }
        let is_plain = is_same(&kept, lines, length);
        kept.shrink();
        let kept = Arc::new(kept);
        if is_plain {
            *place = Some(Arc::clone(&kept));
        }
        kept
    }
}

fn is_same<'a>(
    known: &Fields,
    mut lines: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>,
    length: usize,
) -> bool {
    known.length() == length
        && known.len() == lines.len()
        && known.iter().all(|(name, value)| {
            lines
                .next()
                .is_some_and(|line| line == (name, value.as_bytes()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = (&'static str, &'static [u8]);

    fn keep(heads: &mut SharedHeads, lines: &[Line], value: &'static str) -> Arc<Fields> {
        heads.keep(lines.iter().copied(), |_, _| value.into())
    }

    #[test]
    fn the_same_headers_are_read_once() {
        let mut heads = SharedHeads::default();
        let one: [Line; 1] = [("a", b"x")];
        let first = keep(&mut heads, &one, "x");
        assert!(Arc::ptr_eq(&first, &keep(&mut heads, &one, "y")));
        for other in [[("ax", &b""[..])], [("a", b"y")], [("b", b"x")]] {
            let kept = keep(&mut heads, &other, "other");
            assert_eq!(kept.iter().next(), Some((other[0].0, "other")));
        }
        let two: [Line; 2] = [("a", b""), ("x", b"")];
        assert_eq!(keep(&mut heads, &two, "").len(), 2);
        assert_eq!(keep(&mut heads, &[], "").len(), 0);
    }

    #[test]
    fn headers_with_a_secret_are_not_known() {
        let mut heads = SharedHeads::default();
        let secret: [Line; 2] = [("accept", b"*/*"), ("authorization", b"Bearer x")];
        let hide = |name: &str, value: &'static [u8]| match name {
            "accept" => String::from_utf8_lossy(value),
            _ => "[redacted]".into(),
        };
        let kept = heads.keep(secret.iter().copied(), hide);
        assert_eq!(kept.get("authorization"), Some("[redacted]"));
        let not_text: [Line; 1] = [("a", b"\xff")];
        heads.keep(not_text.iter().copied(), |_, value| {
            String::from_utf8_lossy(value)
        });
        assert!(heads.known.iter().all(Option::is_none));
    }
}
