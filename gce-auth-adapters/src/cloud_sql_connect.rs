//! Logging in for a pool: an error of gce-auth as one of tokio-postgres, which has no constructor,
//! and a password that the server rejects.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use gce_auth::{Credentials, Error};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinHandle,
};
use tokio_postgres::{
    Client, Config, NoTls, Socket, config::SslMode, error::SqlState, tls::MakeTlsConnect,
};

use crate::tokio_postgres_0_7::login_token;

/// Opens a connection with a token of `ours`, which are for logins, and the task that drives it.
pub(crate) async fn connect<T>(
    mut config: Config,
    ours: &Credentials,
    tls: T,
) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let token = match login_token(&mut config, ours).await {
        Ok(token) => token,
        Err(error) => return Err(connect_error(error).await),
    };
    let (client, connection) = config.connect(tls).await.inspect_err(|error| {
        let rejected = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ];
        if error.code().is_some_and(|code| rejected.contains(code)) {
            ours.invalidate(&token);
        }
    })?;
    let task = tokio::spawn(async move {
        // Its error also reaches the client that it belongs to.
        drop(connection.await);
    });
    Ok((client, task))
}

/// Returns `error` as the error of a connection: its source is `error`.
async fn connect_error(error: Error) -> tokio_postgres::Error {
    let mut config = Config::new();
    config.user("none").ssl_mode(SslMode::Disable);
    match config.connect_raw(Broken(Some(error)), NoTls).await {
        Err(error) => error,
        Ok(_) => unreachable!("a stream that only fails connects to nothing"),
    }
}

/// A stream that fails at the first use, with this error.
struct Broken(Option<Error>);

impl Broken {
    fn fail(&mut self) -> io::Error {
        match self.0.take() {
            Some(error) => io::Error::other(error),
            None => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.fail()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(self.fail()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.fail()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[tokio::test]
    async fn the_cause_is_kept() {
        let error = connect_error(Error::of_provider("no token today")).await;
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("no token today"), "{error}: {cause}");
    }
}
