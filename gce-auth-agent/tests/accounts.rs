//! Callers of different accounts at once: none gets a token of another's, and none waits for
//! another's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(
    clippy::disallowed_methods,
    reason = "what one account's trouble costs another is a time"
)]

mod support;

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use gce_auth_agent::AgentBuilder;
use support::{Client, MAIN, Scratch, Source, account_of, start, start_open, token_path};

const ACCOUNTS: usize = 6;
/// Sooner than a token that hangs is given up, after 10 s: until then it keeps its thread.
const SOON: Duration = Duration::from_secs(8);

/// Numbers that look random, the same for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }
}

fn email(number: usize) -> String {
    format!("robot{number}@p.iam.gserviceaccount.com")
}

/// One listener for each account, and a rule that gives its callers that account alone.
fn rules() -> String {
    let mut text = "default = \"deny\"\n".to_owned();
    for number in 0..ACCOUNTS {
        write!(
            text,
            "[[listen]]\nname = \"l{number}\"\ntcp = \"127.0.0.1:0\"\n\
             [[rule]]\nname = \"r{number}\"\n[rule.caller]\nlistener = [\"l{number}\"]\n\
             [rule.allow]\naccounts = [\"{}\"]\n",
            email(number)
        )
        .unwrap();
    }
    text
}

#[test]
fn no_caller_gets_a_token_of_another_account() {
    let seed = 0x5eed_0017;
    let source = Source::start();
    // Tokens end while they are asked for, and are renewed.
    source.script.lifetime.store(2, Ordering::Relaxed);
    let scratch = Scratch::new("accounts");
    let config_file = Some(scratch.file("agent.toml", &rules()));
    let agent = Arc::new(start(
        &source,
        AgentBuilder {
            config_file,
            ..AgentBuilder::default()
        },
    ));
    let addresses = agent.tcp();
    let served = std::thread::scope(|scope| {
        let callers = (0..8).map(|caller| {
            let addresses = &addresses;
            scope.spawn(move || {
                let mut random = Random(seed + caller);
                let mut served = 0;
                for _ in 0..40 {
                    let own = random.below(ACCOUNTS);
                    let mut client = Client::connect(addresses[own]);
                    for _ in 0..random.below(12) {
                        let asked = random.below(ACCOUNTS);
                        let (status, body) = client.get(&token_path(&email(asked)));
                        let what = format!("seed {seed}, caller {caller}: {own} asks for {asked}");
                        if asked == own {
                            assert_eq!(status, 200, "{what}: {body}");
                            assert_eq!(account_of(&body), email(own), "{what}");
                            served += 1;
                        } else {
                            assert_eq!(status, 403, "{what}: {body}");
                        }
                    }
                }
                served
            })
        });
        let callers: Vec<_> = callers.collect();
        callers
            .into_iter()
            .map(|it| it.join().unwrap())
            .sum::<usize>()
    });
    assert!(served > 100, "{served}");
}

#[test]
fn the_default_account_and_its_address_are_one() {
    let source = Source::start();
    let scratch = Scratch::new("default");
    let rules = format!(
        "default = \"deny\"\n[[rule]]\nname = \"r\"\n[rule.caller]\nuid = [{}]\n[rule.allow]\n\
         accounts = [\"default\"]\n",
        rustix::process::geteuid().as_raw()
    );
    let agent = start(
        &source,
        AgentBuilder {
            config_file: Some(scratch.file("agent.toml", &rules)),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..AgentBuilder::default()
        },
    );
    let mut client = Client::connect(agent.tcp()[0]);
    let by_name = client.get(&token_path("default"));
    assert_eq!(by_name.0, 200, "{}", by_name.1);
    let by_address = client.get(&token_path(MAIN));
    assert_eq!(account_of(&by_address.1), "default");
    assert_eq!(client.get(&token_path(&email(1))).0, 403);
}

#[test]
fn an_account_whose_tokens_hang_delays_no_other() {
    let source = Source::start();
    source.script.hanging.lock().unwrap().insert(email(0));
    let (agent, address) = start_open(&source);
    more_descriptors();
    // More different tokens than there are threads that block.
    let mut hanging: Vec<_> = (0..600)
        .map(|number| {
            let mut client = Client::connect(address);
            client.begin(&format!("{}?scopes=s{number}", token_path(&email(0))));
            client
        })
        .collect();
    while source.script.hangs.load(Ordering::Relaxed) < 8 {
        std::thread::yield_now();
    }
    let began = Instant::now();
    for number in 1..ACCOUNTS {
        let mut client = Client::connect(address);
        for scope in 0..5 {
            let path = token_path(&email(number));
            let (status, body) = client.get(&format!("{path}?scopes=s{scope}"));
            assert_eq!((status, account_of(&body)), (200, email(number)));
        }
        assert_eq!(
            client.get("instance/attributes/color"),
            (200, "blue".to_owned())
        );
    }
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
    let mut late = 0;
    for client in &mut hanging {
        let (status, body) = client.receive();
        assert_eq!(status, 503, "{body}");
        assert!(body.starts_with("the source failed: "), "{body}");
        // The others waited behind these.
        late += usize::from(body.ends_with("/token: it did not answer in time\n"));
    }
    assert!(late > 0, "no failure says what was asked for");
    drop(agent);
}

#[test]
fn an_account_that_hangs_delays_no_other_that_is_acted_as() {
    let source = Source::start();
    source.script.hanging.lock().unwrap().insert(email(0));
    let scratch = Scratch::new("acting");
    let mut rules = "default = \"deny\"\n".to_owned();
    for number in 0..2 {
        write!(
            rules,
            "[[listen]]\nname = \"l{number}\"\ntcp = \"127.0.0.1:0\"\n\
             [[rule]]\nname = \"r{number}\"\n[rule.caller]\nlistener = [\"l{number}\"]\n\
             [rule.allow]\nas = \"{}\"\n",
            email(number)
        )
        .unwrap();
    }
    let agent = start(
        &source,
        AgentBuilder {
            config_file: Some(scratch.file("agent.toml", &rules)),
            iam_endpoint: Some(format!("http://{}", source.address)),
            ..AgentBuilder::default()
        },
    );
    let addresses = agent.tcp();
    let ask = |listener: usize, scope: &str| {
        let mut client = Client::connect(addresses[listener]);
        client.begin(&format!("{}?scopes={scope}", token_path("default")));
        client
    };
    let _hanging: Vec<_> = (0..40).map(|at| ask(0, &format!("s{at}"))).collect();
    // As many as are fetched of one account at once.
    while source.script.hangs.load(Ordering::Relaxed) < 16 {
        std::thread::yield_now();
    }
    let began = Instant::now();
    let (status, body) = ask(1, "read").receive();
    assert_eq!((status, account_of(&body)), (200, email(1)));
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
}

/// Source, agent and callers are one process here.
fn more_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: Some(limit.maximum.unwrap_or(16_384).min(16_384)),
        ..limit
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
}
