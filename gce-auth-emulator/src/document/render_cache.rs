//! What was rendered of a version of the document: thousands who ask or wait for the same place
//! cost one rendering, and share its bytes.

use std::collections::HashMap;

use gce_auth_server::protocol::{
    Reply,
    etag::Etag,
    query::{Alt, Reading},
    route::Target,
};

/// How many places are remembered, and how many bytes of answers; beyond that all are forgotten.
const PLACES: usize = 1024;
const BYTES: usize = 8 << 20;

/// All of a request for a place that decides how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Representation {
    slash: bool,
    recursive: bool,
    alt: Option<Alt>,
    waits: bool,
}

impl Representation {
    pub(crate) fn new(target: &Target, reading: &Reading) -> Self {
        Self {
            slash: target.slash(),
            recursive: reading.recursive,
            alt: reading.alt,
            waits: reading.wait.is_some(),
        }
    }
}

/// Answers and ETags of one version, by place.
#[derive(Default)]
pub(crate) struct RenderCache {
    places: HashMap<String, Place>,
    bytes: usize,
}

struct Place {
    etag: Etag,
    replies: Vec<(Representation, Reply)>,
}

impl RenderCache {
    pub(crate) fn find(
        &self,
        place: &str,
        representation: Representation,
    ) -> Option<(Reply, Etag)> {
        let Place { etag, replies } = self.places.get(place)?;
        let (_, reply) = replies.iter().find(|(known, _)| *known == representation)?;
        Some((reply.clone(), *etag))
    }

    pub(crate) fn etag(&self, place: &str) -> Option<Etag> {
        self.places.get(place).map(|place| place.etag)
    }

    pub(crate) fn keep_etag(&mut self, place: &str, etag: Etag) {
        if self.places.len() >= PLACES {
            self.clear();
        }
        self.places.entry(place.into()).or_insert(Place {
            etag,
            replies: Vec::new(),
        });
    }

    pub(crate) fn keep(
        &mut self,
        place: &str,
        etag: Etag,
        representation: Representation,
        reply: &Reply,
    ) {
        if self.bytes.saturating_add(reply.body.len()) > BYTES {
            self.clear();
        }
        self.bytes += reply.body.len();
        self.keep_etag(place, etag);
        if let Some(place) = self.places.get_mut(place) {
            place.replies.push((representation, reply.clone()));
        }
    }

    /// Forgets all, as the document has changed.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use gce_auth_server::protocol::Request;

    use super::*;

    fn representation(path: &str) -> Representation {
        let request = Request {
            path: path.into(),
            ..Request::default()
        };
        Representation::new(&Target::new(request), &Reading::default())
    }

    #[test]
    fn an_answer_is_found_by_its_place_and_shape() {
        let mut rendered = RenderCache::default();
        let (value, directory) = (representation("/a"), representation("/a/"));
        let reply = Reply::new(200, "text/plain", "x");
        rendered.keep("a", Etag(1), value, &reply);
        assert_eq!(rendered.find("a", value), Some((reply, Etag(1))));
        assert_eq!(rendered.find("a", directory), None);
        assert_eq!(rendered.find("b", value), None);
        assert_eq!(rendered.etag("a"), Some(Etag(1)));
        rendered.clear();
        assert_eq!(rendered.etag("a"), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut rendered = RenderCache::default();
        for number in 0..3 * PLACES {
            rendered.keep_etag(&number.to_string(), Etag(0));
            assert!(rendered.places.len() <= PLACES);
        }
        let large = Reply::new(200, "text/plain", vec![b'x'; BYTES / 3]);
        for number in 0..10 {
            rendered.keep(&number.to_string(), Etag(0), representation("/"), &large);
            assert!(rendered.bytes <= BYTES);
        }
        let huge = Reply::new(200, "text/plain", vec![b'x'; BYTES + 1]);
        rendered.keep("huge", Etag(0), representation("/"), &huge);
        assert_eq!(rendered.places.len(), 1);
    }
}
