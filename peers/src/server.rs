//! The way to the [stub](crate::stub) that serves.

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::contestant::Failure;

/// The metadata server that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Where it is.
    pub address: SocketAddr,
}

/// What was asked since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Requests for tokens.
    pub tokens: u64,
    /// Requests.
    pub requests: u64,
    /// Connections with at least one request.
    pub connections: u64,
}

impl Server {
    /// The one of `GCE_METADATA_HOST`, which all contestants find there too.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find() -> Result<Self, Failure> {
        let host = env::var("GCE_METADATA_HOST");
        let host = host.map_err(|_| "GCE_METADATA_HOST is not set: use peers/run")?;
        let address = host.to_socket_addrs()?.next();
        let server = Self {
            address: address.ok_or("GCE_METADATA_HOST leads nowhere")?,
        };
        server.set(Duration::ZERO, 3600)?;
        Ok(server)
    }

    /// From now on it takes so long to answer, and tokens live for so many
    /// seconds. Gives what was asked until now.
    ///
    /// # Errors
    /// If it is not there.
    pub fn set(&self, latency: Duration, lifetime: u64) -> Result<Counts, Failure> {
        let latency = latency.as_micros();
        self.control(&format!("?latency_us={latency}&lifetime={lifetime}"))
    }

    /// What was asked since the last time.
    ///
    /// # Errors
    /// If it is not there.
    pub fn counts(&self) -> Result<Counts, Failure> {
        self.control("")
    }

    /// Closes all connections, so that the next request needs a new one.
    /// Gives what was asked until now.
    ///
    /// # Errors
    /// If it is not there.
    pub fn hang_up(&self) -> Result<Counts, Failure> {
        self.control("?hang_up")
    }

    fn control(&self, query: &str) -> Result<Counts, Failure> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET /stub{query} HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, counts) = answer.split_once("\r\n\r\n").ok_or("not the stub")?;
        let counts: Vec<u64> = counts
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [tokens, requests, connections] = counts[..] else {
            return Err("not the stub".into());
        };
        Ok(Counts {
            tokens,
            requests,
            connections,
        })
    }
}
