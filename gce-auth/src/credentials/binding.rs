//! Tokens bound to the certificate of an agent, so that nobody else can use
//! them.

use std::{fs, time::Duration};

use http::Request;

use crate::{
    client::{call::Budget, settings::Settings},
    io::{
        events,
        workload::{Place, Workload},
    },
    values::{
        certificate::Chain,
        error::{Error, ErrorKind},
    },
    wire::request,
};

/// How long is waited for a certificate that the platform is about to write:
/// 5 s with short waits, then 25 s with longer ones.
const WAITS: [(u32, Duration); 2] = [
    (50, Duration::from_millis(100)),
    (50, Duration::from_millis(500)),
];

/// The request as it is, or with the certificate that the token is to be bound
/// to, where this workload is an agent and nobody has opted out.
pub(crate) fn bound(
    settings: &Settings,
    budget: &mut Budget,
    request: Request<Vec<u8>>,
) -> Result<Request<Vec<u8>>, Error> {
    Ok(match chain(settings, budget)? {
        Some(chain) => request::bind(request, &chain.to_pem()),
        None => request,
    })
}

/// The certificates of the agent that this workload is, if it is one. A
/// certificate that cannot be used binds nothing, and is no error.
fn chain(settings: &Settings, budget: &mut Budget) -> Result<Option<Chain>, Error> {
    let environment = &settings.environment;
    if !Workload::may_bind(environment) {
        return Ok(None);
    }
    let mut place = settings.workload.agent_certificate(environment);
    for (times, wait) in WAITS {
        for _ in 0..times {
            if place != Place::Soon || !budget.has(wait) {
                break;
            }
            settings.clock.sleep(wait);
            budget.spend(wait);
            place = settings.workload.agent_certificate(environment);
        }
    }
    let file = match place {
        Place::At(file) => file,
        Place::Nowhere => return Ok(None),
        Place::Soon => return Err(missing()),
    };
    let read = fs::read(&file).map_err(|error| error.to_string());
    let chain = read.and_then(|bytes| {
        let pem = String::from_utf8_lossy(&bytes);
        Chain::read(&pem).map_err(str::to_owned)
    });
    match chain {
        Ok(chain) => Ok(Some(chain).filter(Chain::is_of_an_agent)),
        Err(why) => {
            events::not_bound(&file, &why);
            Ok(None)
        }
    }
}

fn missing() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the certificate that tokens are to be bound to is not there yet",
    )
    .with_hint(
        "look at the file that GOOGLE_API_CERTIFICATE_CONFIG names, or set \
         GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN=false for tokens that are not bound",
    )
}
