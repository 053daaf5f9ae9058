//! What HTTPS is spoken with. With `crypto.rs` the only file that names rustls.

use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::io::{
    crypto::provider,
    identity::ClientIdentity,
    transport::{TransportError, TransportErrorKind},
};

/// The roots that a connection trusts, and the certificate that it shows.
pub(super) type Trusted = Arc<ClientConfig>;

/// The roots that one transport trusts, loaded when first needed.
#[derive(Default)]
pub(super) struct Trust {
    /// The roots of the system.
    system: Mutex<Option<Trusted>>,
    /// What the certificate that was shown last needs.
    mutual: Mutex<Option<(ClientIdentity, Trusted)>>,
}

impl Trust {
    /// What a connection is made with that shows `identity`, if any.
    pub(super) fn config(
        &self,
        identity: Option<&ClientIdentity>,
    ) -> Result<Trusted, TransportError> {
        let Some(identity) = identity else {
            let mut held = self.system.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(config) = &*held {
                return Ok(Arc::clone(config));
            }
            let config = Arc::new(trusting(roots()?)?.with_no_client_auth());
            *held = Some(Arc::clone(&config));
            return Ok(config);
        };
        let mut held = self.mutual.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((holder, config)) if holder.is(identity) => Ok(Arc::clone(config)),
            _ => {
                let config = Arc::new(showing(identity)?);
                *held = Some((identity.clone(), Arc::clone(&config)));
                Ok(config)
            }
        }
    }
}

/// Trusts the root of `identity`, or without one the roots of the system, and
/// shows its certificate.
fn showing(identity: &ClientIdentity) -> Result<ClientConfig, TransportError> {
    let unusable = |why: &str| {
        TransportError::new(
            TransportErrorKind::Tls,
            format!("the client's {why} cannot be used"),
        )
    };
    let key = PrivateKeyDer::from_pem_slice(identity.client_pem())
        .map_err(|_| unusable("private key"))?;
    let chain = identity
        .certificates()
        .into_iter()
        .map(CertificateDer::from);
    let known = identity.roots();
    let trusted = if known.is_empty() { roots()? } else { known };
    trusting(trusted)?
        .with_client_auth_cert(chain.collect(), key)
        .map_err(|error| unusable("certificate").with_source(error))
}

fn trusting(
    roots: Vec<Vec<u8>>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TransportError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.into_iter().map(CertificateDer::from));
    let config = ClientConfig::builder_with_provider(provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            TransportError::new(TransportErrorKind::Tls, "no version of TLS can be spoken")
                .with_source(error)
        })?;
    Ok(config.with_root_certificates(store))
}

/// Reads of at least 4 KiB each that tickets may take: servers send two of them.
const MOST_READS: u32 = 16;

/// One secured connection, without the socket that carries it.
pub(super) struct Session(Box<ClientConnection>);

impl Session {
    /// Shakes hands over `socket` with a server that proves to be `host`, a name
    /// or an address.
    pub(super) fn open(
        config: &Trusted,
        host: &str,
        socket: &mut (impl Read + Write),
    ) -> io::Result<Self> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(literal.trim_end_matches('.').to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut connection =
            ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(socket)?;
        }
        Ok(Self(Box::new(connection)))
    }

    /// The connection over its socket.
    pub(super) fn over<'a, S: Read + Write>(
        &'a mut self,
        socket: &'a mut S,
    ) -> Stream<'a, ClientConnection, S> {
        Stream::new(&mut self.0, socket)
    }

    /// Whether what a socket that does not block has to say is nothing but
    /// tickets for later sessions, which may come at any time.
    /// A peer that streams them is not quiet: reading would never end.
    pub(super) fn is_quiet(&mut self, mut socket: impl Read) -> bool {
        for _ in 0..MOST_READS {
            // First what was read along with the last answer.
            match self.0.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 => {}
                _ => return false,
            }
            match self.0.read_tls(&mut socket) {
                // Also after the peer has said that it closes.
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }
}

/// The certificates that this system trusts, in DER; read anew at each call.
fn roots() -> Result<Vec<Vec<u8>>, TransportError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let mut error = TransportError::new(
            TransportErrorKind::Tls,
            "this system names no certificates to trust; install its CA certificates \
             (package ca-certificates) or set SSL_CERT_FILE",
        );
        if let Some(cause) = found.errors.into_iter().next() {
            error = error.with_source(cause);
        }
        return Err(error);
    }
    Ok(found.certs.into_iter().map(|der| der.to_vec()).collect())
}

/// What rustls said, where that is why reading or writing failed.
pub(super) fn refusal(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    let said = inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| inner.source()?.downcast_ref::<rustls::Error>())?;
    Some(describe(said))
}

/// What rustls said, in one line for people.
fn describe(error: &rustls::Error) -> String {
    format!("no secure connection could be made: {error}")
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_refused_certificate_is_told_from_a_broken_connection() {
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, refused);
        let said = refusal(&error).unwrap();
        assert!(said.contains("UnknownIssuer"), "{said}");
        assert_eq!(refusal(&io::Error::other("reset")), None);
        assert_eq!(refusal(&io::ErrorKind::UnexpectedEof.into()), None);
    }

    /// A session, and both ends of the connection on which its server has sent
    /// `tickets`, and then did what `more` does.
    fn session(
        tickets: usize,
        more: fn(&mut Stream<'_, rustls::ServerConnection, TcpStream>),
    ) -> (Session, [TcpStream; 2]) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut config = rustls::ServerConfig::builder_with_provider(provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.send_tls13_tickets = tickets;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Else the second of two records waits until the first is acknowledged.
            stream.set_nodelay(true).unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            while connection.is_handshaking() || connection.wants_write() {
                connection.complete_io(&mut stream).unwrap();
            }
            let mut secured = Stream::new(&mut connection, &mut stream);
            more(&mut secured);
            secured.flush().unwrap();
            stream
        });
        let trust = trusting(vec![certificate.to_vec()]).unwrap();
        let trust = Arc::new(trust.with_no_client_auth());
        let mut stream = TcpStream::connect(address).unwrap();
        let session = Session::open(&trust, "localhost", &mut stream).unwrap();
        // All that it sent has arrived.
        let servers = server.join().unwrap();
        stream.set_nonblocking(true).unwrap();
        (session, [stream, servers])
    }

    #[test]
    fn a_few_tickets_are_quiet_and_a_stream_of_them_is_not() {
        let (mut usual, sockets) = session(2, |_| ());
        assert!(usual.is_quiet(&sockets[0]));
        let (mut streaming, sockets) = session(800, |_| ());
        assert!(!streaming.is_quiet(&sockets[0]));
    }

    #[test]
    fn a_server_that_says_something_unasked_is_not_quiet() {
        let (mut late, sockets) = session(2, |server| server.write_all(b"late").unwrap());
        assert!(!late.is_quiet(&sockets[0]));
        assert!(!late.is_quiet(&sockets[0]), "once it has been read");
    }

    #[test]
    fn what_came_along_with_an_answer_and_was_not_read_is_not_quiet() {
        let (mut longer, [mut socket, _servers]) =
            session(0, |server| server.write_all(b"answer and more").unwrap());
        let mut answer = [0; 6];
        longer.over(&mut socket).read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        assert!(!longer.is_quiet(&socket));
    }

    #[test]
    fn a_server_that_has_closed_is_not_quiet() {
        let (mut said, sockets) = session(2, |server| server.conn.send_close_notify());
        assert!(!said.is_quiet(&sockets[0]), "with a farewell");
        let (mut gone, [socket, servers]) = session(2, |_| ());
        assert!(gone.is_quiet(&socket));
        servers.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(!gone.is_quiet(&socket), "without a word");
    }

    #[test]
    fn what_a_certificate_needs_is_made_once_for_each() {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let (certificate, key) = (data.join("agent.pem"), data.join("agent.key"));
        let read = |root: Option<&std::path::Path>| {
            ClientIdentity::read(root, &[&certificate, &key]).unwrap()
        };
        let (one, same, other) = (
            read(Some(&certificate)),
            read(Some(&certificate)),
            read(Some(&data.join("workload.pem"))),
        );
        let trust = Trust::default();
        let made = trust.config(Some(&one)).unwrap();
        assert!(Arc::ptr_eq(&made, &trust.config(Some(&same)).unwrap()));
        let others = trust.config(Some(&other)).unwrap();
        assert!(!Arc::ptr_eq(&made, &others));
        assert!(Arc::ptr_eq(&others, &trust.config(Some(&other)).unwrap()));
    }

    #[test]
    fn the_process_is_left_without_a_default() {
        let _ = provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
