//! Prints what a helper answers.

use std::process::ExitCode;

use crate::{exit::Failure, helper::token::Reply, output::Output};

/// Prints a reply, and returns its exit code.
pub(crate) fn print(reply: &Reply, out: &Output) -> Result<ExitCode, Failure> {
    out.pieces(&[&reply.text])?;
    Ok(reply.code.into())
}
