//! A transport that reaches nobody, and a clock on which sleeping takes no time.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use gce_auth::{
    time::{Clock, Now, SystemClock},
    transport::{Limits, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};

/// Answers from a script; where the script is over, there is no connection.
#[derive(Debug, Default)]
pub(crate) struct Script {
    asked: Mutex<Vec<(String, Limits)>>,
    answers: Mutex<VecDeque<Option<String>>>,
}

impl Script {
    /// `None` is no connection, else it is the body of a metadata server.
    pub(crate) fn new<'a>(answers: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let answers = answers.into_iter().map(|answer| answer.map(str::to_owned));
        Self {
            asked: Mutex::default(),
            answers: Mutex::new(answers.collect()),
        }
    }

    /// Every URL that was asked for, with its limits.
    pub(crate) fn asked(&self) -> Vec<(String, Limits)> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Transport for Script {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((request.uri().to_string(), limits.clone()));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.pop_front().flatten();
        let body = answer.ok_or_else(|| {
            TransportError::new(TransportErrorKind::Connect, "the script reaches nobody")
        })?;
        let response = Response::builder().header("Metadata-Flavor", "Google");
        Ok(response.body(body.into_bytes()).unwrap())
    }
}

/// The machine's clock, but sleeping moves it and takes no time.
#[derive(Debug, Default)]
pub(crate) struct Leaping(Mutex<Duration>);

impl Leaping {
    /// How long was slept.
    pub(crate) fn slept(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Leaping {
    fn now(&self) -> Now {
        let (now, slept) = (SystemClock::new().now(), self.slept());
        Now::new(now.wall + slept, now.boot + slept)
    }

    fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += duration;
    }
}
