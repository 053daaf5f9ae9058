//! What each request means to the emulator, and who answers it.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use gce_auth_server::{
    protocol::{
        Dialect, Method, Reply, Request, guard, pages,
        query::{Query, Reading},
        render,
        route::{self, Credential, Op, Target},
    },
    service::{Answer, Connection, Service},
};
use tokio::runtime::Handle;

use crate::{
    access::{self, Caller},
    client::Client,
    cloud,
    cloud::{call::CloudCall, endpoint::Endpoint},
    control::{self, ControlCall},
    feed,
    identity::agents::Agent,
    oslogin, page,
    profiles::Profile,
    state::State,
};

/// Where the tree begins. On a host of Google's APIs no other path is the metadata server's.
const TREE: &str = "/computeMetadata";

/// Where the requests lie that drive the emulator.
const CONTROL: &str = "/emulator/v1/";

/// Bodies of calls to Google's APIs are small. A larger one is not read on the thread that serves
/// all.
const LARGE: usize = 16 * 1024;

/// Answers the requests of one emulator.
pub(crate) struct Dispatcher(pub(crate) Arc<State>);

/// A request that was let in and understood.
enum Meaning {
    Metadata(Op),
    Cloud(Endpoint, Request),
    /// A file of the page.
    Page(Reply),
    Feed,
    Control(ControlCall),
}

impl Service for Dispatcher {
    type Caller = Caller;

    fn date(&self) -> Bytes {
        self.0.clock.http_date()
    }

    fn server(&self) -> &'static str {
        self.0.profile.server()
    }

    fn identify(&self, connection: &Connection) -> impl Future<Output = Caller> + Send {
        std::future::ready(self.0.access.identify(connection))
    }

    fn serve<'a>(&'a self, request: Request, caller: &'a Caller) -> Answer<'a> {
        let state = &*self.0;
        state.catch_up();
        // Most requests need no copy of who asks.
        let waits = state.asks_others() || request.query.contains("wait_for_change");
        let differs = state.document.is_split() || waits;
        let client = (differs || state.events.is_any_down())
            .then(|| Box::new(Client::new(caller.address(), &request)));
        let original = state.upstream.is_some().then(|| request.clone());
        match understand(state, request, *caller) {
            Err(reply) => Answer::Ready(dressed(state, reply)),
            Ok(Meaning::Metadata(_)) if is_down(state, client.as_deref()) => Answer::Closed,
            Ok(Meaning::Metadata(op)) => match original {
                None => match at_once(state, &op, client.as_deref()) {
                    Some(reply) => Answer::Ready(dressed(state, reply)),
                    None => later(state, op, client),
                },
                Some(request) => {
                    Answer::Perhaps(Box::pin(answer(state, op, Some(request), client)))
                }
            },
            Ok(Meaning::Cloud(endpoint, request))
                if request.body.len() > LARGE || cloud::encoding::is_compressed(&request) =>
            {
                Answer::Later(Box::pin(cloud_beside(&self.0, endpoint, request)))
            }
            Ok(Meaning::Cloud(endpoint, request)) => Answer::Later(Box::pin(async move {
                cloud::dispatch::answer(state, &CloudCall::new(endpoint, request)).await
            })),
            Ok(Meaning::Page(file)) => Answer::Ready(file),
            Ok(Meaning::Feed) => match feed::follow(Arc::clone(&self.0)) {
                Some(more) => Answer::Stream(control::stream(), more),
                None => Answer::Ready(control::too_many_listeners()),
            },
            Ok(Meaning::Control(call)) => Answer::Later(Box::pin(controlled(&self.0, call))),
        }
    }

    async fn gone(&self, request: &Request, caller: &Caller) {
        let path = &request.path;
        let elsewhere = path.starts_with(CONTROL) || Endpoint::parse(path).is_some();
        if elsewhere {
            return std::future::pending().await;
        }
        let client = Client::new(caller.address(), request);
        self.0.events.ended(&client).await;
    }
}

/// The answer to a control request. It may be long, so it is made beside the thread that serves
/// all.
async fn controlled(state: &Arc<State>, call: ControlCall) -> Reply {
    let turn = Arc::clone(&state.control).acquire_owned().await;
    let state = Arc::clone(state);
    let answer = tokio::task::spawn_blocking(move || {
        // Until its end, also where the client leaves before.
        let _turn = turn;
        control::answer(&state, &call)
    });
    answer.await.unwrap_or_else(|_| pages::internal())
}

/// The answer to a call with a large or compressed body, which takes a while to read, beside that
/// thread.
async fn cloud_beside(state: &Arc<State>, endpoint: Endpoint, request: Request) -> Reply {
    // Made on a thread of the same pool: calls that waited for it there would leave it none.
    state.key().await;
    let (state, runtime) = (Arc::clone(state), Handle::current());
    let answer = tokio::task::spawn_blocking(move || {
        let call = CloudCall::new(endpoint, request);
        runtime.block_on(cloud::dispatch::answer(&state, &call))
    });
    answer.await.unwrap_or_else(|_| cloud::errors::internal())
}

/// Whether the machine of this client ended.
fn is_down(state: &State, client: Option<&Client>) -> bool {
    let down = |client| state.events.is_any_down() && state.events.is_down_for(client);
    client.is_some_and(down)
}

/// An answer of the metadata server as the machine's platform has it.
fn dressed(state: &State, mut reply: Reply) -> Reply {
    let bare = reply.status == 404 && reply.dialect == Dialect::Metadata;
    if bare && state.profile.has_bare_errors() {
        reply.body = Bytes::new();
    }
    reply
}

/// Checks and understands a request: who may ask, then what it means.
fn understand(state: &State, mut request: Request, caller: Caller) -> Result<Meaning, Reply> {
    let access = &state.access;
    access.check_caller(caller)?;
    if let Some(endpoint) = Endpoint::parse(&request.path) {
        access.check_origin(&request)?;
        return Ok(Meaning::Cloud(endpoint, request));
    }
    if let Some(path) = request.path.strip_prefix(CONTROL) {
        access.check_control(&request, caller)?;
        if path == "events" && request.method == Method::Get {
            return Ok(Meaning::Feed);
        }
        return Ok(Meaning::Control(ControlCall {
            path: path.into(),
            query: Query::parse(&request.query),
            method: request.method,
            body: request.body,
        }));
    }
    if page::is_at(&request.path) {
        access.check_page(&request, caller)?;
        return match request.method {
            _ if !request.path.starts_with(page::PATH) => Err(pages::add_slash(
                &request.origin(),
                &request.path,
                &request.query,
            )),
            Method::Get | Method::Head => page::file(&request.path)
                .map(Meaning::Page)
                .ok_or_else(|| pages::not_found(&request.path)),
            _ => Err(pages::method_not_allowed(
                request.method.as_str(),
                page::PATH,
                "GET, HEAD",
            )),
        };
    }
    request.path = without_empty_segments(request.path);
    access.check_origin(&request)?;
    if !request.path.starts_with(TREE) && access::is_for_apis(&request) {
        return Err(cloud::errors::no_method());
    }
    if state.profile == Profile::Gke && !guard::has_flavor(&request) {
        return Err(pages::gke_flavor_missing());
    }
    guard::check_flavor(&request).map_err(|why| why.reply())?;
    route::route(request).map(Meaning::Metadata)
}

/// The path as a metadata server understands it.
fn without_empty_segments(path: String) -> String {
    if !path.contains("//") {
        return path;
    }
    let mut out = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !out.ends_with('/') {
            out.push(character);
        }
    }
    out
}

/// The answer, if it is there without any waiting.
fn at_once(state: &State, op: &Op, client: Option<&Client>) -> Option<Reply> {
    match op {
        Op::Read(reading, target) if reading.wait.is_none() => {
            let (Ok((reply, _)) | Err(reply)) = state.look(client, target, reading);
            Some(reply)
        }
        Op::Credential {
            target,
            account,
            kind: Credential::Token,
            query,
            certificates,
        } => state.token_at_once(client, (target, account, query), certificates.as_deref()),
        _ => None,
    }
}

/// The answer that may have to be waited for. Thousands may wait for a change, so those have a box
/// without the room that others need.
fn later(state: &State, op: Op, client: Option<Box<Client>>) -> Answer<'_> {
    Answer::Perhaps(match op {
        Op::Read(reading, mut target) => {
            target.shrink();
            Box::pin(read(state, reading, target, client))
        }
        op => Box::pin(answer(state, op, None, client)),
    })
}

/// The answer with a value, as [`answer`] gives it.
async fn read(
    state: &State,
    reading: Reading,
    target: Target,
    client: Option<Box<Client>>,
) -> Option<Reply> {
    let client = client.as_deref();
    let reply = pin!(async { dressed(state, state.read(client, &target, &reading).await) });
    unless_ended(state, client, reply).await
}

/// The answer, unless the machine of this client ends before. The request is for another metadata
/// server.
async fn answer(
    state: &State,
    op: Op,
    request: Option<Request>,
    client: Option<Box<Client>>,
) -> Option<Reply> {
    let client = client.as_deref();
    let reply = pin!(async {
        match request {
            Some(request) => relayed(state, op, request, client).await,
            None => made(state, op, client).await,
        }
    });
    unless_ended(state, client, reply).await
}

/// Returns the answer, unless the machine of this client ends before. The caller pins the future:
/// to move it would take its memory once more.
async fn unless_ended(
    state: &State,
    client: Option<&Client>,
    reply: Pin<&mut impl Future<Output = Reply>>,
) -> Option<Reply> {
    let Some(client) = client else {
        return Some(reply.await);
    };
    tokio::select! {
        biased;
        () = state.events.ended(client) => None,
        reply = reply => Some(reply),
    }
}

/// The answer of the other metadata server, where it is for that to give.
async fn relayed(state: &State, op: Op, request: Request, client: Option<&Client>) -> Reply {
    if let Some(upstream) = &state.upstream
        // In a box of its own: thousands may wait who need none of it.
        && let Some(reply) = Box::pin(state.relay(upstream, (&op, &request), client)).await
    {
        return reply;
    }
    drop(request);
    made(state, op, client).await
}

async fn made(state: &State, op: Op, client: Option<&Client>) -> Reply {
    let reply = match op {
        Op::Home => render::lines("computeMetadata/\n"),
        Op::Versions => render::lines("v1/\n"),
        Op::Read(reading, target) => state.read(client, &target, &reading).await,
        Op::Credential {
            target,
            account,
            kind: Credential::Token,
            query,
            certificates,
        } => {
            let asked = (&target, &*account, &query);
            state.token(client, asked, certificates).await
        }
        Op::Credential {
            target,
            account,
            kind: Credential::Identity,
            query,
            certificates,
        } => {
            let agent = certificates.as_deref().and_then(Agent::of);
            let asked = (&target, &*account, &query);
            state.identity(client, asked, agent).await
        }
        Op::WriteGuestAttribute {
            target,
            namespace,
            key,
            value,
        } => state.write_guest_attribute(client, &target, (&namespace, &key), &value),
        Op::DeleteGuestAttribute {
            target,
            namespace,
            key,
        } => state.delete_guest_attribute(client, &target, &namespace, key.as_deref()),
        Op::Login {
            target,
            what,
            query,
        } => state.document.read_for(client, |document| {
            oslogin::answer(document, what, &query, &target)
        }),
    };
    dressed(state, reply)
}
