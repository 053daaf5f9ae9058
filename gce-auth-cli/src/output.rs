//! The only file that prints: values on standard output, everything else on standard error.

use std::{
    fmt::{self, Display},
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use serde_json::Value;

use crate::{env, exit::Failure};

/// How much is printed on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing.
    Quiet,
    /// What users should know.
    Normal,
    /// What the command does, too.
    Verbose,
}

/// Prints what a command finds and does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    level: Level,
    colour: bool,
    error_colour: bool,
}

impl Output {
    pub(crate) fn new(level: Level) -> Self {
        let wanted = env::wants_colour();
        Self {
            level,
            colour: wanted && io::stdout().is_terminal(),
            error_colour: wanted && io::stderr().is_terminal(),
        }
    }

    /// Returns how much is printed on standard error.
    #[cfg(target_os = "linux")]
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Prints a value, and a newline unless it ends with one.
    pub(crate) fn value(&self, text: &str) -> Result<(), Failure> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.pieces(&[text, end])
    }

    /// Prints a value with nothing added.
    pub(crate) fn exact(&self, text: &str) -> Result<(), Failure> {
        self.pieces(&[text])
    }

    /// Prints the pieces of a value without joining them, as they may hold a secret.
    #[expect(clippy::unused_self, reason = "one printer, one way to reach it")]
    pub(crate) fn pieces(&self, pieces: &[&str]) -> Result<(), Failure> {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        write(&pieces)
    }

    /// Prints bytes that need not be text.
    #[expect(clippy::unused_self, reason = "one printer, one way to reach it")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        write(&[bytes])
    }

    /// Prints a JSON document.
    pub(crate) fn json(&self, value: &Value) -> Result<(), Failure> {
        self.value(&format!("{value:#}"))
    }

    /// Ends the process when the reader of standard output goes away: for commands that print
    /// seldom, and would notice it late.
    #[expect(clippy::unused_self, reason = "one printer, one way to reach it")]
    pub(crate) fn end_with_reader(&self) {
        #[cfg(unix)]
        {
            use rustix::event::{PollFd, PollFlags, poll};
            let watch = || {
                let stdout = io::stdout();
                // `poll` reports a closed pipe without being asked.
                let mut seen = [PollFd::new(&stdout, PollFlags::empty())];
                while poll(&mut seen, None).is_err() {}
                std::process::exit(0);
            };
            // If no thread can start, the next line notices it.
            let _ = std::thread::Builder::new()
                .name("reader".to_owned())
                .spawn(watch);
        }
    }

    /// Prints a line on standard error, unless `--quiet` is given.
    pub(crate) fn note(&self, text: impl Display) {
        if self.level >= Level::Normal {
            self.say(text);
        }
    }

    /// Prints a line on standard error if `--verbose` is given.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.level >= Level::Verbose {
            self.say(text);
        }
    }

    /// Prints why the command failed, in one line, and returns the exit code. A reader that went
    /// away is no failure.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        if failure.is_broken_pipe() {
            return ExitCode::SUCCESS;
        }
        self.fail_as(failure.exit() as u8, &failure.to_string())
    }

    /// Prints why the command failed, in one line, and returns this exit code.
    pub(crate) fn fail_as(&self, code: u8, why: &str) -> ExitCode {
        self.note(why);
        code.into()
    }

    /// Styles text for standard output.
    pub(crate) fn paint<T: Display>(&self, style: Style, text: T) -> Painted<T> {
        let style = self.colour.then_some(style);
        Painted { style, text }
    }

    /// Prints a line on standard error, whatever the level.
    pub(crate) fn say(&self, text: impl Display) {
        let name = Painted {
            style: self.error_colour.then_some(Style::Strong),
            text: "gce-auth:",
        };
        // There is no other place to report that standard error is closed.
        let text = one_line(&text.to_string());
        let _ = writeln!(io::stderr().lock(), "{name} {text}");
    }
}

fn write(pieces: &[&[u8]]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    pieces
        .iter()
        .try_for_each(|piece| stdout.write_all(piece))
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}

/// The style of text on a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Strong,
    Faint,
    Good,
    Bad,
}

/// Text in a [`Style`], plain where there are no colours.
#[derive(Debug)]
pub(crate) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.style {
            None => return self.text.fmt(f),
            Some(Style::Strong) => "1",
            Some(Style::Faint) => "2",
            Some(Style::Good) => "32",
            Some(Style::Bad) => "31",
        };
        write!(f, "\x1b[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// Replaces line breaks and everything else that controls a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stays_on_its_line() {
        assert_eq!(one_line("a\r\nb\x1b[2Jc"), "a  b [2Jc");
    }

    #[test]
    fn paint_keeps_the_width_that_was_asked_for() {
        let plain = Painted {
            style: None,
            text: "x",
        };
        assert_eq!(format!("{plain:3}|"), "x  |");
        let green = Painted {
            style: Some(Style::Good),
            text: "x",
        };
        assert_eq!(format!("{green:3}|"), "\x1b[32mx  \x1b[0m|");
    }
}
