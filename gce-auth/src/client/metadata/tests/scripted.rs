//! A client of a server whose answers are scripted, with a clock that is turned by hand.

use std::{sync::Arc, time::Duration};

use crate::{
    client::{config::MetadataClient, metadata::fetch},
    io::{
        fake::{HandClock, Reply, ScriptedTransport},
        transport::Transport,
    },
    values::error::Error,
    wire::{
        request::{self, MetadataPath, Query},
        retry::RetryPolicy,
    },
};

pub(super) struct World {
    pub(super) client: MetadataClient,
    pub(super) transport: Arc<ScriptedTransport>,
    pub(super) clock: Arc<HandClock>,
}

pub(super) fn world(replies: impl IntoIterator<Item = Reply>) -> World {
    let transport = Arc::new(ScriptedTransport::new(replies));
    let clock = Arc::new(HandClock::at(1_700_000_000));
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .transport(Arc::clone(&transport) as Arc<dyn Transport>)
        .clock(Arc::clone(&clock) as _)
        .retry(RetryPolicy::new().jitter(0.0))
        .build_without_environment();
    World {
        client,
        transport,
        clock,
    }
}

impl World {
    pub(super) fn ask(&self, path: &str) -> Result<String, Error> {
        let config = &*self.client.0;
        let path = MetadataPath::new(path).unwrap();
        let request = request::value(config.endpoint().unwrap(), &path, &Query::default()).unwrap();
        let mut budget = config.budget();
        fetch(config, &mut budget, &request, |answer, _| {
            answer.text().map(str::to_owned)
        })
    }

    pub(super) fn asked(&self) -> usize {
        self.transport.requests().len()
    }

    pub(super) fn sleeps(&self) -> Vec<u128> {
        self.clock
            .take_sleeps()
            .iter()
            .map(Duration::as_millis)
            .collect()
    }
}
