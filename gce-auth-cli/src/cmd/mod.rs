//! A file for each command: its arguments, one call, its output.

mod completions;
mod demo;
mod detect;
mod doctor;
mod emulate;
mod exec;
mod format;
mod get;
mod guest;
mod headers;
mod id_token;
mod info;
mod man;
mod path;
mod sign;
mod sign_url;
mod token;
mod verify;
mod wait;
mod watch;
mod world;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{exit::Failure, out::Out};

/// What `gce-auth` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Token(token::Args),
    IdToken(id_token::Args),
    Headers(headers::Args),
    Sign(sign::Args),
    SignUrl(sign_url::Args),
    Verify(verify::Args),
    Get(get::Args),
    Watch(watch::Args),
    Guest(guest::Args),
    Info(info::Args),
    Detect(detect::Args),
    Wait(wait::Args),
    Doctor(doctor::Args),
    Emulate(emulate::Args),
    Exec(exec::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The description of one command.
pub(crate) fn alone(name: &str) -> Option<clap::Command> {
    fn of<A: clap::Args>(name: &'static str) -> Option<clap::Command> {
        Some(A::augment_args(clap::Command::new(name)))
    }
    match name {
        "token" => of::<token::Args>("token"),
        "id-token" => of::<id_token::Args>("id-token"),
        "headers" => of::<headers::Args>("headers"),
        "sign" => of::<sign::Args>("sign"),
        "sign-url" => of::<sign_url::Args>("sign-url"),
        "verify" => of::<verify::Args>("verify"),
        "get" => of::<get::Args>("get"),
        "watch" => of::<watch::Args>("watch"),
        "guest" => of::<guest::Args>("guest"),
        "info" => of::<info::Args>("info"),
        "detect" => of::<detect::Args>("detect"),
        "wait" => of::<wait::Args>("wait"),
        "doctor" => of::<doctor::Args>("doctor"),
        "emulate" => of::<emulate::Args>("emulate"),
        "exec" => of::<exec::Args>("exec"),
        "demo" => of::<demo::Args>("demo"),
        "completions" => of::<completions::Args>("completions"),
        "man" => of::<man::Args>("man"),
        _ => None,
    }
}

impl Command {
    /// Does it. The exit code says more than done and failed where there is
    /// more to say: what a program ended with, or an answer of no.
    pub(crate) fn run(&self, out: &Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Detect(args) => return args.run(out),
            Self::Doctor(args) => return args.run(out),
            Self::Exec(args) => return args.run(out),
            Self::Token(args) => args.run(out),
            Self::IdToken(args) => args.run(out),
            Self::Headers(args) => args.run(out),
            Self::Sign(args) => args.run(out),
            Self::SignUrl(args) => args.run(out),
            Self::Verify(args) => args.run(out),
            Self::Get(args) => args.run(out),
            Self::Watch(args) => args.run(out),
            Self::Guest(args) => args.run(out),
            Self::Info(args) => args.run(out),
            Self::Wait(args) => args.run(out),
            Self::Emulate(args) => args.run(out),
            Self::Demo(args) => args.run(out),
            Self::Completions(args) => args.run(out),
            Self::Man(args) => args.run(out),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}
