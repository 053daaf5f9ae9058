//! Header names as the server writes them: `ETag`, not `etag` or `Etag`.
//!
//! hyper can begin each word of a name with a capital, which is nearly right. And it can answer
//! with the spelling of another message, but only with one that it read itself. So it is given one
//! to read, in memory, in which names stand as they are to be written: those that are spelled
//! otherwise, and those of each answer, which are written faster so.

use std::{convert::Infallible, sync::Mutex};

use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    http::Extensions,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LESSON: &[u8] = b"GET / HTTP/1.1\r\n\
    Metadata-Flavor: 1\r\n\
    Content-Type: 1\r\n\
    ETag: 1\r\n\
    Date: 1\r\n\
    Server: 1\r\n\
    Content-Length: 0\r\n\
    X-XSS-Protection: 1\r\n\
    X-Frame-Options: 1\r\n\
    Connection: close\r\n\r\n";

/// What has to be among the extensions of a response, so that the names of the lesson are spelled
/// as in it.
pub(crate) async fn learn() -> Extensions {
    let learnt = Mutex::new(Extensions::new());
    let (mut pupil, teacher) = tokio::io::duplex(4096);
    let service = service_fn(|request: Request<Incoming>| {
        if let Ok(mut learnt) = learnt.lock() {
            learnt.clone_from(request.extensions());
        }
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let read = http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(teacher), service);
    let speak = async {
        let mut answer = Vec::new();
        if pupil.write_all(LESSON).await.is_ok() {
            let _ = pupil.read_to_end(&mut answer).await;
        }
    };
    let (_, ()) = tokio::join!(read, speak);
    learnt.into_inner().unwrap_or_default()
}
