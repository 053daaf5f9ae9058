//! Every source of tokens, with the servers that it asks and that a test makes fail.

use std::{error::Error, time::Duration};

use gce_auth::{AwsKeys, Credentials, DefaultOptions, MetadataClient, RetryPolicy, SubjectToken};
use gce_auth_emulator::{AdcKind, Fault};
use serde_json::Value;

use crate::{
    aws, boundary,
    ec2::Ec2,
    files::{File, Files},
};

const IDENTITY: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";
const ACCOUNT: &str = "/v1/projects/-/serviceAccounts/\
    emulator@emulator-project.iam.gserviceaccount.com:generateAccessToken";

/// A server that a source asks, as the path of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) path: &'static str,
    pub(crate) answers: Answers,
}

/// What an answer of a server is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answers {
    /// A token (RFC 6749, RFC 8693).
    Token,
    /// A narrowed token, which may leave its expiry to its source's.
    NarrowedToken,
    /// The token of an account (`generateAccessToken`).
    TokenOfAccount,
    /// The token of another provider, as it is.
    Subject,
    /// Something of a machine of AWS: text, or a JSON object with keys.
    AwsText,
    AwsKeys,
}

const OAUTH: Server = Server {
    path: "/token",
    answers: Answers::Token,
};
const WORKFORCE: Server = Server {
    path: "/v1/oauthtoken",
    answers: Answers::Token,
};
const STS: Server = Server {
    path: "/v1/token",
    answers: Answers::Token,
};
const NARROWING: Server = Server {
    path: STS.path,
    answers: Answers::NarrowedToken,
};
const IAM: Server = Server {
    path: ACCOUNT,
    answers: Answers::TokenOfAccount,
};
const SUBJECT: Server = Server {
    path: IDENTITY,
    answers: Answers::Subject,
};
const MACHINE_OF_AWS: [Server; 4] = [
    Server {
        path: "/latest/api/token",
        answers: Answers::AwsText,
    },
    Server {
        path: "/latest/meta-data/placement/availability-zone",
        answers: Answers::AwsText,
    },
    Server {
        path: "/latest/meta-data/iam/security-credentials",
        answers: Answers::AwsText,
    },
    Server {
        path: "/latest/meta-data/iam/security-credentials/ci",
        answers: Answers::AwsKeys,
    },
];

/// A source of tokens.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    /// All that it asks.
    pub(crate) servers: Vec<Server>,
    /// What it may take beside the budget: the timeout of an executable.
    pub(crate) own_time: Duration,
    make: Box<dyn Fn(DefaultOptions) -> Credentials + Send + Sync>,
}

/// An emulator, a machine of AWS and every source that leads to them.
pub(crate) struct Sources {
    pub(crate) files: Files,
    pub(crate) all: Vec<Source>,
    ec2: Ec2,
}

impl Sources {
    pub(crate) fn new() -> Self {
        let files = aws::files();
        let ec2 = Ec2::start(aws::machine(true));
        let mut all: Vec<_> = files.all().iter().map(of_file).collect();
        all.extend(federated(&files, &ec2));
        all.extend(narrowed(&files));
        Self { files, all, ec2 }
    }

    /// Credentials of a source, which share no token.
    pub(crate) fn load(&self, source: &Source) -> Credentials {
        (source.make)(self.files.options().shared(false)).unshared()
    }

    /// The same, with this budget of an operation.
    pub(crate) fn load_within(&self, source: &Source, budget: Duration) -> Credentials {
        let client = MetadataClient::builder().endpoint(self.files.emulator.addr().to_string());
        let client = client.retry(RetryPolicy::new().budget(budget)).build();
        let options = self.files.options().client(client.unwrap());
        (source.make)(options.shared(false)).unshared()
    }

    /// Credentials of a function that is called with a good token.
    pub(crate) fn supplied(
        &self,
        supply: impl Fn(&str) -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Credentials {
        let (audience, url) = workload(&self.files);
        let subject = self.files.subject_for(&audience);
        let token = SubjectToken::supplier(move || supply(&subject));
        let built = Credentials::external_account(audience, token).token_url(url);
        built.options(self.files.options()).build().unwrap()
    }

    pub(crate) fn fail_next(&self, server: Server, times: usize, fault: Fault) {
        if is_of_aws(server) {
            self.ec2.fail(server.path, times, fault);
        } else {
            self.files.emulator.fail_next(server.path, times, fault);
        }
    }

    pub(crate) fn fail(&self, server: Server, fault: Fault) {
        self.fail_next(server, usize::MAX, fault);
    }

    pub(crate) fn heal(&self) {
        self.ec2.heal();
        self.files.emulator.heal();
    }

    pub(crate) fn count(&self, server: Server) -> usize {
        if is_of_aws(server) {
            let asked = self.ec2.asked();
            let paths = asked.iter().filter_map(|line| line.split_once(' '));
            return paths.filter(|(_, path)| *path == server.path).count();
        }
        self.files.emulator.request_count(server.path)
    }
}

fn is_of_aws(server: Server) -> bool {
    matches!(server.answers, Answers::AwsText | Answers::AwsKeys)
}

/// What a file's source asks, by what stands in the file.
fn asks(document: &Value) -> Vec<Server> {
    let mut servers = match document["type"].as_str().unwrap() {
        "authorized_user" | "service_account" => vec![OAUTH],
        "external_account_authorized_user" => vec![WORKFORCE],
        "impersonated_service_account" => asks(&document["source_credentials"]),
        "external_account" if document["credential_source"]["url"].is_string() => {
            vec![SUBJECT, STS]
        }
        "external_account" => vec![STS],
        other => unreachable!("{other}"),
    };
    if document["service_account_impersonation_url"].is_string() {
        servers.push(IAM);
    }
    servers
}

fn of_file(file: &File) -> Source {
    let executable = "/credential_source/executable/timeout_millis";
    let own = file.document.pointer(executable).and_then(Value::as_u64);
    let text = file.document.to_string();
    Source {
        name: file.name,
        servers: asks(&file.document),
        own_time: Duration::from_millis(own.unwrap_or(0)),
        make: Box::new(move |options| options.load_json(&text).unwrap().credentials),
    }
}

/// The provider that the emulator's machine proves itself to, and where tokens are exchanged.
fn workload(files: &Files) -> (String, String) {
    let document = files.adc(AdcKind::ExternalAccount);
    let audience = document["audience"].as_str().unwrap().to_owned();
    (audience, format!("{}/v1/token", files.emulator.url()))
}

/// A machine of AWS, and tokens and keys that the program supplies.
fn federated(files: &Files, ec2: &Ec2) -> [Source; 3] {
    let machine = aws::document(files, &ec2.source(true)).to_string();
    let (audience, url) = workload(files);
    let (subject, of_aws) = (files.subject_for(&audience), url.clone());
    files.emulator.clear_requests();
    let built = |name, make| Source {
        name,
        servers: vec![STS],
        own_time: Duration::ZERO,
        make,
    };
    [
        Source {
            name: "a machine of AWS",
            servers: MACHINE_OF_AWS.into_iter().chain([STS]).collect(),
            own_time: Duration::ZERO,
            make: Box::new(move |options| options.load_json(&machine).unwrap().credentials),
        },
        built(
            "a program that supplies tokens",
            Box::new(move |options| {
                let subject = subject.clone();
                let token = SubjectToken::supplier(move || Ok(subject.clone()));
                let built = Credentials::external_account(&audience, token).token_url(&url);
                built.options(options).build().unwrap()
            }),
        ),
        built(
            "a program that supplies keys of AWS",
            Box::new(move |options| {
                let keys = || {
                    let keys = AwsKeys::new("us-east-2", aws::ROLE.id, aws::ROLE.secret);
                    Ok(keys.session_token(aws::ROLE.token))
                };
                let provider = format!("//iam.googleapis.com/{}", aws::PROVIDER);
                let built =
                    Credentials::external_account(provider, SubjectToken::aws_supplier(keys));
                built.token_url(&of_aws).options(options).build().unwrap()
            }),
        ),
    ]
}

/// Narrowed tokens, of a source of each kind of server.
fn narrowed(files: &Files) -> Vec<Source> {
    let names = [
        ("authorized_user", "a narrowed user"),
        ("service_account", "a narrowed key"),
        ("a user that acts as an account", "a narrowed account"),
        ("a server", "a narrowed workload"),
    ];
    let of = |file: &File| {
        let (_, name) = names.into_iter().find(|(of, _)| *of == file.name)?;
        let url = format!("{}/v1/token", files.emulator.url());
        let whole = of_file(file);
        let mut servers = whole.servers.clone();
        if !servers.iter().any(|server| server.path == STS.path) {
            servers.push(NARROWING);
        }
        let make = move |options: DefaultOptions| {
            let whole = (whole.make)(options);
            whole.downscope_at(&boundary(), &*url).unwrap()
        };
        Some(Source {
            name,
            servers,
            own_time: Duration::ZERO,
            make: Box::new(make),
        })
    };
    let all: Vec<_> = files.all().iter().filter_map(of).collect();
    assert_eq!(all.len(), names.len());
    all
}
