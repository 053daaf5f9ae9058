//! Options that several commands have.

mod adc_kind;
mod agent;
mod boundary;
mod client;
mod emulator;
mod metadata_path;
mod printed;
mod scopes;
mod seconds;
pub(crate) mod settings;
mod signer;
mod source;
mod token_format;
mod verbosity;
mod wrong_argument;

pub(crate) use self::{
    adc_kind::adc_kind,
    agent::{agent_source, token_lifetime},
    boundary::boundary_of,
    client::{AccountArgs, ClientArgs, DEFAULT_ACCOUNT},
    emulator::{EmulatorArgs, start_emulator},
    metadata_path::metadata_path,
    printed::OutputArgs,
    scopes::Scopes,
    seconds::seconds,
    signer::SignerArgs,
    source::{AccessArgs, Source, SourceArgs, load_file, trusted_host},
    token_format::{Printable, TokenFormat},
    verbosity::Verbosity,
    wrong_argument::redacted,
};
