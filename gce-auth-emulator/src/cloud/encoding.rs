//! The encodings of what clients send: compressed bodies, and bytes in Base64.

use std::io::Read;

use base64::{
    Engine,
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use flate2::read::GzDecoder;
use gce_auth_server::protocol::Request;

/// A body is not longer than this, compressed or not.
const LONGEST: usize = 1 << 20;

/// Returns whether the body of a request is to be unpacked, which takes a while.
pub(crate) fn is_compressed(request: &Request) -> bool {
    !request.body.is_empty() && request.header("content-encoding").is_some_and(is_gzip)
}

/// Unpacks the body of a request. One that can't be unpacked stays as it is.
pub(super) fn unpack(request: &mut Request) {
    if !is_compressed(request) {
        return;
    }
    let mut body = Vec::new();
    let mut rest = GzDecoder::new(&*request.body).take(LONGEST as u64 + 1);
    if rest.read_to_end(&mut body).is_ok() && body.len() <= LONGEST {
        request.body = body;
    }
}

fn is_gzip(encoding: &str) -> bool {
    let encoding = encoding.trim();
    encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
}

/// Decodes bytes as Google's APIs take them: in either alphabet, with or without padding
/// (ProtoJSON, "bytes").
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    const EITHER: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |alphabet: &Alphabet| GeneralPurpose::new(alphabet, EITHER).decode(text).ok();
    decode(&STANDARD).or_else(|| decode(&URL_SAFE))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(encoding: &str, body: &[u8]) -> Request {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(body).unwrap();
        Request {
            headers: [("content-encoding", encoding)].into_iter().collect(),
            body: packed.finish().unwrap(),
            ..Request::default()
        }
    }

    #[test]
    fn a_body_is_unpacked_up_to_its_limit() {
        for encoding in ["gzip", " X-GZip "] {
            let mut request = packed(encoding, b"{}");
            unpack(&mut request);
            assert_eq!(request.body, b"{}", "{encoding}");
        }
        let mut longest = packed("gzip", &vec![b' '; LONGEST]);
        unpack(&mut longest);
        assert_eq!(longest.body.len(), LONGEST);
        // What grows beyond the limit, is broken, or is packed in another way stays.
        let mut broken = packed("gzip", b"{}");
        broken.body.pop();
        for mut request in [
            packed("gzip", &vec![b' '; LONGEST + 1]),
            packed("br", b"{}"),
            broken,
        ] {
            let sent = request.body.clone();
            unpack(&mut request);
            assert!(request.body == sent, "{} bytes", request.body.len());
        }
    }
}
