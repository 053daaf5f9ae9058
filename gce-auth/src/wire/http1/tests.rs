use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1000;

fn whole(bytes: &[u8]) -> Head {
    let (head, length) = head(bytes, &Method::GET, 100).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    head
}

fn refused(bytes: &[u8]) -> Malformed {
    head(bytes, &Method::GET, 100).unwrap_err()
}

/// Feeds `input` in pieces of `step` bytes; the body, and what was left over.
fn body(framing: Framing, input: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), Malformed> {
    let mut body = Body::new(framing, LIMIT)?;
    let mut left = 0;
    for part in input.chunks(step) {
        left += part.len() - body.feed(part)?;
    }
    let whole = body.is_whole_at_end();
    Ok((body.take(), whole, left))
}

#[test]
fn a_request_is_written_as_it_is_meant() {
    let get = Request::get("http://h:80/a?b=c")
        .header("x", "y")
        .body(Vec::new())
        .unwrap();
    assert_eq!(
        &encode(&get)[..],
        b"GET /a?b=c HTTP/1.1\r\nhost: h:80\r\nx: y\r\n\r\n"
    );
    let post = Request::post("http://user@h")
        .body(b"body".to_vec())
        .unwrap();
    assert_eq!(
        &encode(&post)[..],
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody"
    );
    let empty = Request::put("http://[::1]:8/")
        .header("host", "other")
        .body(Vec::new())
        .unwrap();
    assert_eq!(
        &encode(&empty)[..],
        b"PUT / HTTP/1.1\r\nhost: other\r\ncontent-length: 0\r\n\r\n"
    );
}

#[test]
fn how_long_a_body_is_stands_there_once() {
    let post = Request::post("http://h/")
        .header("content-length", "9")
        .header("transfer-encoding", "chunked")
        .body(b"body".to_vec())
        .unwrap();
    assert_eq!(
        &encode(&post)[..],
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody"
    );
}

#[test]
fn heads_say_where_bodies_end() {
    for (text, framing, keeps) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length:5\r\nConnection: x, Close\r\n\r\n",
            Framing::Length(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
            Framing::Length(5),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            Framing::Chunked,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            Framing::Chunked,
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", Framing::UntilClose, false),
        (
            "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n",
            Framing::Length(0),
            true,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n", Framing::Length(0), true),
        (
            "HTTP/1.1 200\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            Framing::Length(u64::MAX),
            true,
        ),
    ] {
        let head = whole(text.as_bytes());
        assert_eq!((head.framing, head.keeps), (framing, keeps), "{text}");
    }
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let (head, _) = head(text, &Method::HEAD, 100).unwrap().unwrap();
    assert_eq!(head.framing, Framing::Length(0));
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 99 X\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "<html>",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    ] {
        assert_eq!(refused(text.as_bytes()), Malformed::Nonsense, "{text}");
    }
    let most = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert_eq!(whole(most.as_bytes()).headers.len(), 100);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(refused(many.as_bytes()), Malformed::TooManyLines);
    let more = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(1000));
    assert_eq!(refused(more.as_bytes()), Malformed::TooManyLines);
}

#[test]
fn bodies_are_read_whatever_pieces_they_come_in() {
    let chunked: &[u8] = b"4;name=value\r\nWiki\r\n5\r\npedia\r\n0\r\nTrailer: x\r\n\r\nmore";
    for step in 1..chunked.len() {
        let (bytes, whole, left) = body(Framing::Chunked, chunked, step).unwrap();
        assert_eq!(
            (&bytes[..], whole, left),
            (&b"Wikipedia"[..], true, 4),
            "{step}"
        );
        let (bytes, whole, left) = body(Framing::Length(5), b"hello, more", step).unwrap();
        assert_eq!(
            (&bytes[..], whole, left),
            (&b"hello"[..], true, 6),
            "{step}"
        );
        let (bytes, whole, left) = body(Framing::UntilClose, b"hello", step).unwrap();
        assert_eq!(
            (&bytes[..], whole, left),
            (&b"hello"[..], true, 0),
            "{step}"
        );
    }
    assert!(!body(Framing::Length(9), b"short", 2).unwrap().1);
    assert!(!body(Framing::Chunked, b"4\r\nWik", 2).unwrap().1);
    assert!(!body(Framing::Chunked, b"4\r\nWiki\r\n0\r\n", 2).unwrap().1);
}

#[test]
fn bodies_are_bounded() {
    let limit = LIMIT as u64;
    assert_eq!(
        Body::new(Framing::Length(limit + 1), LIMIT).unwrap_err(),
        Malformed::TooLong
    );
    assert_eq!(
        body(Framing::UntilClose, &[b'x'; LIMIT + 1], 64),
        Err(Malformed::TooLong)
    );
    assert_eq!(
        body(Framing::Chunked, b"fffffffffffffff\r\n", 64),
        Err(Malformed::TooLong)
    );
    assert_eq!(
        body(Framing::Chunked, b"3e9\r\n", 64),
        Err(Malformed::TooLong)
    );
    for whole in [
        [&b"3e8\r\n"[..], &[b'x'; LIMIT], b"\r\n0\r\n\r\n"].concat(),
        [
            &b"00000000000003E8\r\n"[..],
            &[b'x'; LIMIT],
            b"\r\n0\r\n\r\n",
        ]
        .concat(),
    ] {
        let (bytes, done, _) = body(Framing::Chunked, &whole, 64).unwrap();
        assert!(done && bytes.len() == LIMIT);
    }
    assert!(body(Framing::UntilClose, &[b'x'; LIMIT], 64).is_ok());
    for nonsense in [
        &b"x\r\n"[..],
        b"+1\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x4\r\n",
        b"11111111111111111\r\n",
        b"1\r\nab",
    ] {
        assert_eq!(
            body(Framing::Chunked, nonsense, 64),
            Err(Malformed::Nonsense)
        );
    }
    let endless = [b'1'; LONGEST_LINE + 2];
    assert_eq!(
        body(Framing::Chunked, &endless, 64),
        Err(Malformed::Nonsense)
    );
    let trailers = [&b"0\r\n"[..], &vec![b'x'; MOST_OVERHEAD]].concat();
    assert_eq!(
        body(Framing::Chunked, &trailers, 4096),
        Err(Malformed::Nonsense)
    );
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_body_outgrows_its_limit(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..3000),
        framing in prop_oneof![
            (0u64..2000).prop_map(Framing::Length),
            Just(Framing::Chunked),
            Just(Framing::UntilClose)
        ],
        step in 1usize..200,
    ) {
        let _ = head(&bytes, &Method::GET, 100);
        if let Ok((body, _, left)) = body(framing, &bytes, step) {
            prop_assert!(body.len() <= LIMIT && body.len() + left <= bytes.len());
        }
    }

    #[test]
    fn what_is_chunked_is_put_together_again(
        parts in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 1..50), 0..20),
        step in 1usize..100,
    ) {
        let mut wire = Vec::new();
        for part in &parts {
            wire.extend_from_slice(format!("{:X}\r\n", part.len()).as_bytes());
            wire.extend_from_slice(part);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let (bytes, whole, left) = body(Framing::Chunked, &wire, step).unwrap();
        prop_assert_eq!(bytes, parts.concat());
        prop_assert!(whole && left == 0);
    }
}

#[test]
fn a_buffer_that_is_outgrown_is_wiped() {
    let mut body = Body::new(Framing::UntilClose, 1024).unwrap();
    body.feed(b"ya29.secret").unwrap();
    let old = body.outgrow(64);
    assert_eq!(old, [0; 11]);
    body.feed(b"-and-more").unwrap();
    assert_eq!(body.take(), b"ya29.secret-and-more");
}

#[test]
fn a_buffer_grows_only_where_the_old_one_is_wiped() {
    const ROOM: usize = 1 << 20;
    let mut body = Body::new(Framing::UntilClose, ROOM).unwrap();
    let mut room = body.bytes.capacity();
    let piece = [7; 1000];
    for fed in (1000..=300_000).step_by(1000) {
        body.feed(&piece).unwrap();
        if fed > room {
            room = fed * 2;
        }
        assert_eq!(body.bytes.capacity(), room, "{fed}");
    }
    // Filled to its last byte.
    body.feed(&vec![7; room - body.bytes.len()]).unwrap();
    assert_eq!(body.bytes.capacity(), room);
    body.feed(&vec![7; ROOM - body.bytes.len()]).unwrap();
    assert_eq!(body.bytes.capacity(), ROOM, "the limit");
}
