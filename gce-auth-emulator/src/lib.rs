//! An emulator of Google Cloud's metadata server for tests and laptops.
//!
//! An [`Emulator`] starts in about a millisecond, needs no network, no credential and no privilege,
//! and is gone when it is dropped. It serves
//!
//! - the tree below `/computeMetadata/v1/` as a real machine does: values, listings,
//!   `recursive=true`, `alt=`, `wait_for_change=true`, ETags, and the server's own headers,
//!   redirects and errors;
//! - who may log in, for OS Login's modules: `oslogin/users`, `oslogin/groups`,
//!   `oslogin/authorize`, from login profiles that are set at `oslogin/users` and groups at
//!   `oslogin/groups`, as JSON;
//! - access tokens that age, and ID tokens that verify, for any number of service accounts;
//! - on the same port, under Google's own paths, what belongs to them: the IAM Credentials API
//!   (`/v1/projects/-/serviceAccounts/EMAIL:signBlob` and its siblings), the Security Token Service
//!   (`/v1/token`, `/v1/introspect`, `/v1/oauthtoken`), the OAuth endpoints (`/token`, `/revoke`,
//!   `/tokeninfo`), and the keys (`/oauth2/v3/certs` as JWK set, `/oauth2/v1/certs` as X.509
//!   certificates, `/.well-known/openid-configuration`), with [users](User), [pools](Provider) and
//!   [grants](EmulatorBuilder::impersonation) that you configure, and as
//!   [strict](EmulatorBuilder::strict) as Google if you want;
//! - [credentials files](Emulator::write_adc) that lead other sources of tokens here, and the
//!   certificates of [agents](AgentIdentity).
//!
//! What goes wrong is up to you: [faults](FaultRule) by path, client, count, rate or chance, in
//! code, from a [plan](EmulatorBuilder::plan) or by request, and a cold start that refuses
//! connections. The document can come from [files that are
//! followed](EmulatorBuilder::document_file), or lie over that of [another
//! server](EmulatorBuilder::upstream).
//!
//! Programs in other languages drive it by [requests of its own](#control-requests).
//!
//! The behaviour follows Google's "View and query VM metadata" and what was seen on real machines.
//!
//! # Example
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use gce_auth_emulator::{Account, Emulator};
//!
//! let emulator = Emulator::builder()
//!     .project_id("my-project")
//!     .account(Account::new("robot@my-project.iam.gserviceaccount.com"))
//!     .set("instance/attributes/greeting", "hello")
//!     .start()?;
//!
//! let mut stream = TcpStream::connect(emulator.addr())?;
//! stream.write_all(
//!     b"GET /computeMetadata/v1/instance/attributes/greeting HTTP/1.1\r\n\
//!       Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n",
//! )?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n"));
//! assert!(answer.ends_with("\r\n\r\nhello"));
//! assert_eq!(emulator.request_count("instance/attributes/greeting"), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Control requests
//!
//! For people there is a live page at `/emulator/`, which shows requests as they come and does all
//! of this.
//!
//! Below `/emulator/v1/`, from this machine and to a loopback address only; a request with the
//! `Origin` of another page is refused. With [`control_from`](EmulatorBuilder::control_from) from
//! other machines, too, with a bearer token. Bodies are JSON objects. They are not recorded, and
//! faults do not touch them.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET document/PATH` | shows a part of the document as it is kept, nothing hidden |
//! | `PUT document/PATH`, `DELETE document/PATH` | puts any JSON there; takes it away |
//! | `GET requests?path=..`, `DELETE requests` | who asked what; forgets it |
//! | `POST assertions` `{"path", "times", "parameters"}` | 200 if the path was asked so often with these parameters, else 409 |
//! | `POST faults` `{"path", "fault": {"kind", ..}, ..}` | see below; gives the fault's number |
//! | `GET faults`, `DELETE faults`, `DELETE faults/ID` | shows them; takes all away, or one |
//! | `POST machine-events` `{"event": {"kind", ..}, ..}` | has something happen to the machine, see below; gives the event's number |
//! | `GET machine-events` | shows them, with their steps |
//! | `DELETE machine-events`, `DELETE machine-events/ID` | cancels all, or one, and takes back what they did |
//! | `GET requests/ID` | one of them: headers, bodies, the answer, why it was refused |
//! | `GET events` | server-sent events: `request` as they come and as they end, `left-out` for those that were too many, `state` |
//! | `GET news?after=ID&pending=ID,ID&limit=N` | the same for clients that poll: requests after one, those that were under way, and the state |
//! | `GET clock`, `POST clock` `{"now", "advanceSeconds", "frozen"}` | the emulator's time; sets it, moves it ahead or back, stops it |
//! | `GET tokens`, `POST tokens` `{"lifetimeSeconds", "renewalSeconds"}` | how long new tokens live, and how long before their end they are replaced |
//! | `GET tokens/current`, `DELETE tokens/current/ID` | the access tokens that are accepted, without the tokens; revokes one |
//! | `POST tokens/rotate`, `POST tokens/revoke` | the next token is a new one; old ones are no longer accepted |
//! | `GET cloud`, `PUT cloud` | what the APIs beside the server know: users, pools, accounts, grants, strictness; replaces all of it |
//! | `GET cloud/openapi.json` | those APIs, as OpenAPI 3.0 |
//! | `POST reset` | everything as at the start |
//! | `GET openapi.json` | all of this for programs, as OpenAPI 3.0 |
//!
//! Bodies have at most 64 KiB, that of `PUT document/PATH` 1 MiB. A document has at most 16,384
//! values and 4 MiB, nested 128 levels deep; guest attributes have 256 KiB in all. At most 1,000
//! faults with 256 KiB of text are kept, and the last 10,000 requests with 16 MiB of text: the
//! oldest make room. An answer of an
//! [upstream](EmulatorBuilder::upstream) has at most 4 MiB.
//!
//! A fault hits all requests whose path begins with `path`; with `method` only those of one method;
//! with `client` only those in whose `User-Agent` or `x-goog-api-client` header this stands. With
//! `times` it hits so many, with `forSeconds` those in this time, with `allowed` and `perSeconds`
//! those beyond a rate, with `probability` and `seed` those that chance picks. Its kinds: `status`
//! (`code`, `retryAfter`), `close`, `reset`, `hang`, `delay` (`milliseconds`), `missing-flavor`,
//! `wrong-flavor` (`flavor`), `slow` (`bytes`, `milliseconds`), `truncate` (`bytes`), `body`
//! (`contentType`, `text`); see [`Fault`]. A file can hold the same as TOML, see
//! [`EmulatorBuilder::plan`].
//!
//! # Machine events
//!
//! What happens to a machine is played as its metadata server shows it, step by step, on the
//! emulator's clock: see [`MachineEvent`]. In code it is [`Emulator::play`], in a
//! [plan](EmulatorBuilder::plan) `[[events]]`, as control request `POST machine-events` with
//! `event` and, if wanted, `inSeconds` or `at` (RFC 3339), `repeat`, and `client`: an address, a
//! network, or a part of a `User-Agent` or `x-goog-api-client` header. In plans, keys may have
//! hyphens. Clients that wait for a change see each step with its ETag. Between the end of a
//! machine and its next start, its metadata server closes connections unanswered; control requests
//! and the page go on.
//!
//! | `kind` | what happens |
//! | --- | --- |
//! | `preempt` (`noticeSeconds`: 30) | `instance/preempted` is `TRUE`; after the notice the machine ends |
//! | `maintenance` (`action`: `MIGRATE` or `TERMINATE`, `gpu`, `announcedSeconds`: 0, `noticeSeconds`: 60 or with `gpu` 3600, `durationSeconds`: 60, `withinSeconds`: 90, `windowSeconds`: 14400, `type`: `SCHEDULED` or `UNSCHEDULED`, `canReschedule`) | `upcoming-maintenance` has window, type and status; `maintenance-event` has `MIGRATE_ON_HOST_MAINTENANCE` or `TERMINATE_ON_HOST_MAINTENANCE` during the notice and the maintenance; with `TERMINATE` the machine shuts down, ends, and starts again |
//! | `live-migration` (`noticeSeconds`: 60, `jumpSeconds`: 1) | `maintenance-event` tells, the clock jumps, `virtual-clock/drift-token` changes |
//! | `host-error` (`restartSeconds`: 60, `automaticRestart`: true) | the machine ends without notice, and starts again |
//! | `shutdown` (`graceSeconds`: 600, `withinSeconds`: 90, `targetState`: `STOPPED`, `SUSPENDED` or `DELETED`) | `shutdown-details` has `PENDING_STOP`, then `STOPPING`; the machine ends |
//! | `detach-account` (`account`: `default`) | a service account is gone, and its tokens are 404 |
//! | `exchange-account` (`email`, `scopes`) | the machine has this account alone |
//! | `attach-disk` (`deviceName`, `interface`, `type`) | `disks/` has one more |
//! | `attach-interface` (`ip`, `network`) | `network-interfaces/` has one more |
//! | `set-attributes` (`attributes`, `project`: false) | custom metadata is set, or with `null` removed |
//!
//! ```
//! use gce_auth_emulator::Emulator;
//!
//! let emulator = Emulator::builder()
//!     .plan(r#"
//!         [[events]]
//!         event = { kind = "maintenance", action = "TERMINATE", notice-seconds = 120 }
//!         in-seconds = 600
//!     "#)
//!     .start()?;
//! assert_eq!(emulator.machine_events().len(), 1);
//! # Ok::<(), gce_auth_emulator::StartError>(())
//! ```

#![forbid(unsafe_code)]

mod access;
mod adc;
mod agent_identity;
mod builder;
mod builder_cloud;
mod builder_listeners;
mod builder_plan;
mod client;
mod client_library;
mod clock;
mod cloud;
mod control;
mod credential;
mod dispatch;
mod document;
mod emulator;
mod error;
mod events;
#[cfg(test)]
mod every_refusal;
mod explain;
mod faults;
mod feed;
mod guest_attributes;
mod identity;
mod issued_tokens;
mod journal;
mod observers;
mod oslogin;
mod page;
mod peer_process;
mod playing;
mod policy;
mod private_file;
mod private_listeners;
mod profiles;
mod read;
mod record;
mod recorded_request;
mod redact;
mod relay;
mod requests;
mod start;
mod state;
mod text_source;
mod token_source;
mod toml_text;
mod upstream;
mod watch;

pub use adc::AdcKind;
pub use agent_identity::AgentIdentity;
pub use builder::EmulatorBuilder;
pub use emulator::Emulator;
pub use error::{SetError, StartError};
pub use events::{
    EventError, EventSchedule, EventState, EventStatus, MachineEvent, MachineStep, Maintenance,
    MaintenanceAction,
};
pub use faults::{Fault, FaultRule};
pub use identity::{accounts::Account, api_certificate::API_HOSTS};
pub use observers::Event;
pub use peer_process::Process;
pub use policy::{aws::AwsKey, providers::Provider, users::User};
pub use profiles::Profile;
pub use recorded_request::{Explanation, RecordedAnswer, RecordedRequest};
pub use token_source::{TokenFuture, TokenSource};
