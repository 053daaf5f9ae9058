use std::{path::PathBuf, sync::Arc};

use super::*;
use crate::io::{
    fake::{HandClock, Reply, ScriptedTransport},
    transport::{Transport, TransportErrorKind},
};

struct World {
    client: MetadataClient,
    transport: Arc<ScriptedTransport>,
    clock: Arc<HandClock>,
    file: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A machine whose firmware says `product`, and a network that replies.
fn world(product: Option<&str>, replies: impl IntoIterator<Item = Reply>) -> World {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let name = format!("gce-auth-residency-{}-{n}", std::process::id());
    let file = std::env::temp_dir().join(name);
    if let Some(product) = product {
        std::fs::write(&file, product).unwrap();
    }
    let transport = Arc::new(ScriptedTransport::new(replies));
    let clock = Arc::new(HandClock::at(1_700_000_000));
    let client = MetadataClient::builder()
        .transport(Arc::clone(&transport) as Arc<dyn Transport>)
        .clock(Arc::clone(&clock) as _)
        .dmi_product_name_file(&file)
        .build_without_environment();
    World {
        client,
        transport,
        clock,
        file,
    }
}

impl World {
    fn fast(&self, environment: &Environment) -> (bool, usize) {
        let found = self.client.detect(environment).unwrap();
        (found.is_on_gce(), self.transport.requests().len())
    }

    fn google_auth(&self, environment: &Environment) -> (bool, usize) {
        let found = self.client.detect_like_google_auth(environment).unwrap();
        (found.is_on_gce(), self.transport.requests().len())
    }
}

#[test]
fn a_call_goes_by_the_environment_that_its_client_was_built_in() {
    let transport = Arc::new(ScriptedTransport::new([refused()]));
    let builder = MetadataClient::builder()
        .transport(Arc::clone(&transport) as _)
        .clock(Arc::new(HandClock::at(1)))
        .dmi_product_name_file("/nonexistent");
    let client = MetadataClient(Arc::new(builder.settle(&Environment {
        no_gce_check: Some("true".to_owned()),
        ..Environment::default()
    })));
    let error = client.blocking_get("instance/name").unwrap_err();
    assert!(error.to_string().contains("NO_GCE_CHECK"), "{error}");
    assert_eq!(transport.requests().len(), 1);
}

fn refused() -> Reply {
    Reply::Broken(TransportErrorKind::Connect)
}

fn environment(change: impl FnOnce(&mut Environment)) -> Environment {
    let mut environment = Environment::default();
    change(&mut environment);
    environment
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn fast_takes_less_than_a_second_also_where_packets_are_dropped() {
    for product in [None, Some("Precision 5520\n")] {
        let silent = world(product, [Reply::Broken(TransportErrorKind::Timeout)]);
        assert_eq!(silent.fast(&Environment::default()), (false, 1));
        let limits = &silent.transport.limits()[0];
        let longest = limits.attempt.max(limits.connect).max(limits.first_byte);
        assert!(longest < Duration::from_secs(1), "{longest:?}");
        assert!(silent.clock.take_sleeps().is_empty());
    }
}

#[test]
fn firmware_and_environment_answer_without_a_request() {
    let nothing = Environment::default();
    let google = world(Some("Google Compute Engine\n"), [refused()]);
    assert_eq!(google.fast(&nothing), (true, 0));
    assert_eq!(google.client.detect_dmi(), Some(true));
    let unknown = world(None, [refused()]);
    let run = environment(|it| it.serverless = Some("K_SERVICE"));
    assert_eq!(unknown.fast(&run), (true, 0));
    let assumed = environment(|it| it.detection = text("assume-present"));
    assert_eq!(unknown.fast(&assumed), (true, 0));
    let silenced = environment(|it| it.no_gce_check = text("true"));
    assert_eq!(unknown.fast(&silenced), (false, 0));
    let none = environment(|it| it.detection = text("none"));
    assert_eq!(unknown.fast(&none), (false, 0));
    // A setting comes before what a platform sets.
    let both = environment(|it| {
        it.serverless = Some("K_SERVICE");
        it.no_gce_check = text("true");
    });
    assert_eq!(google.fast(&both), (false, 0));
    let bios = environment(|it| it.detection = text("bios-only"));
    assert_eq!(unknown.fast(&bios), (false, 0));
}

#[test]
fn elsewhere_one_quick_ping_decides_and_no_is_not_remembered() {
    let nothing = Environment::default();
    let world = world(
        Some("Laptop"),
        [refused(), Reply::text("computeMetadata/\n")],
    );
    assert_eq!(world.client.detect_dmi(), Some(false));
    assert_eq!(world.fast(&nothing), (false, 1));
    assert!(world.transport.limits()[0].attempt < Duration::from_secs(1));
    assert_eq!(world.fast(&nothing), (true, 2));
}

#[test]
fn what_answers_must_be_a_metadata_server() {
    let nothing = Environment::default();
    let portal = world(None, [Reply::Raw(200, vec![], "<html>".into())]);
    let found = portal.client.detect(&nothing).unwrap();
    assert!(!found.is_on_gce());
    assert!(
        found.to_string().starts_with("not on Google Cloud"),
        "{found}"
    );
    assert!(found.reason().contains("Metadata-Flavor"), "{found}");
}

#[test]
fn a_ping_goes_to_the_address_of_the_environment() {
    let world = world(None, [Reply::text("computeMetadata/\n")]);
    let ip = environment(|it| it.metadata_ip = text("127.0.0.1:99"));
    assert_eq!(world.fast(&ip), (true, 1));
    assert_eq!(world.transport.requests()[0].uri(), "http://127.0.0.1:99/");
    let senseless = environment(|it| it.metadata_ip = text("a b"));
    let error = world.client.detect(&senseless).unwrap_err();
    assert!(error.to_string().starts_with("GCE_METADATA_IP"), "{error}");
}

#[test]
fn an_endpoint_in_code_is_pinged_whatever_the_environment_says() {
    let transport = Arc::new(ScriptedTransport::new([Reply::text("computeMetadata/\n")]));
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:7")
        .transport(Arc::clone(&transport) as Arc<dyn Transport>)
        .dmi_product_name_file("/nowhere")
        .build_without_environment();
    let ip = environment(|it| it.metadata_ip = text("127.0.0.1:99"));
    assert!(client.detect(&ip).unwrap().is_on_gce());
    assert_eq!(transport.requests()[0].uri(), "http://127.0.0.1:7/");
}

#[test]
fn senseless_variables_are_named() {
    let world = world(None, [refused()]);
    let odd = environment(|it| it.detection = text("perhaps"));
    let error = world.client.detect(&odd).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("METADATA_SERVER_DETECTION"));
    for count in ["0", "-1", "many", ""] {
        let odd = environment(|it| it.detect_retries = text(count));
        let error = world.client.detect_like_google_auth(&odd).unwrap_err();
        assert!(
            error.to_string().contains("GCE_METADATA_DETECT_RETRIES"),
            "{count}"
        );
    }
}

#[test]
fn google_auth_pings_three_times_before_it_asks_the_firmware() {
    let nothing = Environment::default();
    let google = world(Some("Google"), [refused()]);
    assert_eq!(google.google_auth(&nothing), (true, 3));
    assert_eq!(
        google.clock.take_sleeps(),
        [Duration::from_secs(1), Duration::from_secs(2)]
    );
    let elsewhere = world(Some("Laptop"), [refused()]);
    let once = environment(|it| it.detect_retries = text("1"));
    assert_eq!(elsewhere.google_auth(&once), (false, 1));
    let answered = world(None, [Reply::text("x")]);
    assert_eq!(answered.google_auth(&nothing), (true, 1));
    let impostor = world(None, [Reply::Raw(200, vec![], String::new())]);
    assert_eq!(impostor.google_auth(&nothing), (false, 1));
    let silenced = environment(|it| it.no_gce_check = text("true"));
    assert_eq!(google.google_auth(&silenced), (false, 3));
}
