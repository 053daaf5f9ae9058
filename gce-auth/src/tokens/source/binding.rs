//! Tokens bound to the certificate of an agent: no other process can use them.

use std::{fs, time::Duration};

use http::Request;
use zeroize::Zeroizing;

use crate::{
    client::config::Config,
    io::{
        events,
        workload::{Place, Workload},
    },
    tokens::info::{CertificateBinding, LastBinding},
    values::{
        budget::Budget,
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
/// to, where this workload is an agent and has not opted out.
pub(crate) fn bound(
    settings: &Config,
    budget: &Budget,
    request: Request<Vec<u8>>,
    last: &LastBinding,
) -> Result<Request<Vec<u8>>, Error> {
    let (request, _) = bind(settings, budget, request, last)?;
    Ok(request)
}

/// The request with the certificate, or the error that there is none.
pub(crate) fn always_bound(
    settings: &Config,
    budget: &Budget,
    request: Request<Vec<u8>>,
    last: &LastBinding,
) -> Result<Request<Vec<u8>>, Error> {
    match bind(settings, budget, request, last)? {
        (request, CertificateBinding::Bound) => Ok(request),
        (_, CertificateBinding::NotBound(why)) => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("the token is always to be bound to a certificate, but {why}"),
        )
        .with_hint(
            "run this as an agent whose certificate the platform provides, or leave \
             bind_id_token automatic",
        )),
    }
}

fn bind(
    settings: &Config,
    budget: &Budget,
    request: Request<Vec<u8>>,
    last: &LastBinding,
) -> Result<(Request<Vec<u8>>, CertificateBinding), Error> {
    let (request, binding) = match chain(settings, budget)? {
        Ok(chain) => (
            request::bind(request, &chain.to_pem()),
            CertificateBinding::Bound,
        ),
        Err(why) => (request, CertificateBinding::NotBound(why)),
    };
    last.note(binding.clone());
    Ok((request, binding))
}

/// The certificates of the agent that this workload is, or why it is none. A
/// certificate that cannot be used binds nothing, and is no error.
fn chain(settings: &Config, budget: &Budget) -> Result<Result<Chain, String>, Error> {
    let environment = &settings.environment;
    if !Workload::may_bind(environment) {
        return Ok(Err(
            "the environment says that tokens are not to be bound".into()
        ));
    }
    let mut place = settings.workload.agent_certificate(environment);
    for (times, wait) in WAITS {
        for _ in 0..times {
            if place != Place::Soon || budget.left(settings.clock.now()) <= wait {
                break;
            }
            settings.clock.sleep(wait);
            place = settings.workload.agent_certificate(environment);
        }
    }
    let file = match place {
        Place::At(file) => file,
        Place::Nowhere => return Ok(Err("there is no certificate for this workload".into())),
        Place::Soon => return Err(missing()),
    };
    // The private key may be in it as well.
    let read = fs::read(&file).map(Zeroizing::new);
    let read = read.map_err(|error| error.to_string());
    let chain = read.and_then(|mut bytes| {
        // What is no ASCII is not PEM, but may stand around it.
        for byte in bytes.iter_mut().filter(|byte| !byte.is_ascii()) {
            *byte = b'?';
        }
        let pem = std::str::from_utf8(&bytes).unwrap_or_default();
        Chain::read(pem).map_err(str::to_owned)
    });
    match chain {
        Ok(chain) if chain.is_of_an_agent() => Ok(Ok(chain)),
        Ok(_) => Ok(Err("its certificate is not that of an agent".into())),
        Err(why) => {
            events::not_bound(&file, &why);
            Ok(Err(format!("{} cannot be used: {why}", file.display())))
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

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::{path::Path, sync::Arc};

    use http::Request;

    use super::*;
    use crate::{
        client::config::MetadataClient,
        io::{env::Environment, fake::HandClock},
        world::Folder,
    };

    fn text(path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }

    /// Writes a certificate configuration.
    fn configure(folder: &Folder, certificate: &Path) -> String {
        let config = serde_json::json!({
            "cert_configs": {"workload": {"cert_path": certificate}}
        });
        text(&folder.write("config.json", &config.to_string()))
    }

    const AGENT: &str = include_str!("../../../tests/data/agent.pem");
    const WORKLOAD: &str = include_str!("../../../tests/data/workload.pem");

    /// What becomes of a request, and how often was waited.
    fn bind(
        environment: &Environment,
        directory: &Path,
    ) -> (Result<Request<Vec<u8>>, Error>, usize) {
        let clock = Arc::new(HandClock::at(1));
        let client = MetadataClient::builder()
            .clock(Arc::clone(&clock) as _)
            .workload_credentials_dir(directory)
            .build_in(environment);
        let budget = Budget::new(client.0.clock.now(), Duration::from_secs(60));
        let request = Request::get("http://m/token").body(Vec::new()).unwrap();
        let last = LastBinding::default();
        let bound = bound(&client.0, &budget, request, &last);
        if let Ok(request) = &bound {
            let is_bound = last.get() == Some(CertificateBinding::Bound);
            assert_eq!(is_bound, request.method() == http::Method::POST);
        }
        (bound, clock.take_sleeps().len())
    }

    fn configured(config: String) -> Environment {
        Environment {
            certificate_config: Some(config),
            ..Environment::default()
        }
    }

    #[test]
    fn an_agents_certificates_are_sent_and_nothing_else_of_the_file() {
        let folder = Folder::new();
        let key = include_str!("../../../tests/data/agent.key");
        let file = folder.write("cert.pem", &format!("{AGENT}{key}{WORKLOAD}"));
        let (bound, waits) = bind(&configured(configure(&folder, &file)), &folder.join("none"));
        let bound = bound.unwrap();
        assert_eq!((bound.method(), waits), (&http::Method::POST, 0));
        assert_eq!(bound.headers()["content-type"], "application/json");
        let body: serde_json::Value = serde_json::from_slice(bound.body()).unwrap();
        let chain = body["certificate_chain"].as_str().unwrap();
        assert_eq!(chain, format!("{AGENT}{WORKLOAD}"));
    }

    #[test]
    fn whoever_is_no_agent_or_opts_out_sends_nothing() {
        let folder = Folder::new();
        let other = folder.write("other.pem", WORKLOAD);
        let agent = folder.write("agent.pem", AGENT);
        let elsewhere = folder.join("none");
        let opted_out = Environment {
            bound_tokens: Some(" False ".to_owned()),
            ..configured(configure(&folder, &agent))
        };
        let without = Environment {
            use_client_certificate: Some("no".to_owned()),
            ..configured(configure(&folder, &agent))
        };
        for environment in [
            configured(text(&folder.write("broken.json", "{"))),
            configured("/nonexistent".to_owned()),
            opted_out,
            without,
        ] {
            let (bound, waits) = bind(&environment, &elsewhere);
            assert_eq!((bound.unwrap().method(), waits), (&http::Method::GET, 0));
        }
        for file in [
            other,
            folder.write("damaged.pem", "-----BEGIN CERTIFICATE-----"),
        ] {
            let (bound, _) = bind(&configured(configure(&folder, &file)), &elsewhere);
            assert_eq!(bound.unwrap().method(), http::Method::GET);
        }
    }

    #[test]
    fn who_counts_on_it_gets_no_token_that_is_not_bound() {
        let folder = Folder::new();
        let client = MetadataClient::builder()
            .workload_credentials_dir(&*folder)
            .build_in(&Environment::default());
        let request = || Request::get("http://m/token").body(Vec::new()).unwrap();
        let budget = Budget::new(client.0.clock.now(), Duration::from_secs(60));
        let last = LastBinding::default();
        let error = always_bound(&client.0, &budget, request(), &last).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation);
        assert!(error.to_string().contains("there is no certificate"));
        assert!(error.hint().unwrap().contains("bind_id_token"));
        folder.write("x509.credential-bundle.private-key.pem", AGENT);
        let bound = always_bound(&client.0, &budget, request(), &last).unwrap();
        assert_eq!(bound.method(), http::Method::POST);
        assert_eq!(last.get(), Some(CertificateBinding::Bound));
    }

    #[test]
    fn what_the_platform_is_about_to_write_is_waited_for() {
        let folder = Folder::new();
        let config = text(&folder.join("config.json"));
        let (bound, waits) = bind(&configured(config), &folder);
        assert_eq!(waits, 100);
        let error = bound.unwrap_err();
        assert!(error.is_retryable() && error.hint().unwrap().contains("GOOGLE_API"));
        let late = folder.join("late.pem");
        let (bound, waits) = bind(&configured(configure(&folder, &late)), &folder);
        assert!(bound.is_err() && waits == 100);
        folder.write("late.pem", AGENT);
        let (bound, waits) = bind(&configured(configure(&folder, &late)), &folder);
        assert_eq!((bound.unwrap().method(), waits), (&http::Method::POST, 0));
    }

    #[test]
    fn the_bundle_of_gke_is_found_without_configuration() {
        let folder = Folder::new();
        folder.write("x509.credential-bundle.private-key.pem", AGENT);
        let (bound, _) = bind(&Environment::default(), &folder);
        assert_eq!(bound.unwrap().method(), http::Method::POST);
        let explicit = Environment {
            context_aware_config: Some("/nonexistent".to_owned()),
            ..Environment::default()
        };
        let (bound, _) = bind(&explicit, &folder);
        assert_eq!(bound.unwrap().method(), http::Method::GET);
    }
}
