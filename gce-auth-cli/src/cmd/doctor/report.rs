//! The report: prints each finding as soon as it is known.

use std::{process::ExitCode, time::Duration};

use gce_auth::Error;
use serde_json::{Value, json};

use crate::{
    clock::Timer,
    exit::{self, Exit, Failure},
    output::{Output, Style, one_line},
    text,
};

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    Good,
    Warning,
    Failed(Exit),
    /// Not checked.
    Skipped,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Good => Style::Good,
            Self::Warning => Style::Strong,
            Self::Failed(_) => Style::Bad,
            Self::Skipped => Style::Faint,
        }
    }
}

/// The finding of a step, and what to do about it.
#[derive(Debug)]
pub(crate) struct Finding {
    grade: Grade,
    found: String,
    advice: Option<String>,
}

impl Finding {
    pub(crate) fn good(found: impl Into<String>) -> Self {
        Self {
            grade: Grade::Good,
            found: found.into(),
            advice: None,
        }
    }

    pub(crate) fn warning(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            grade: Grade::Warning,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    pub(crate) fn failed(exit: Exit, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            grade: Grade::Failed(exit),
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// Skips the step for this reason.
    pub(crate) fn skipped(why: String) -> Self {
        Self {
            grade: Grade::Skipped,
            found: why,
            advice: None,
        }
    }

    /// Separates an error from its advice.
    pub(crate) fn of(error: &Error) -> Self {
        let (found, advice) = exit::parts(error);
        Self {
            grade: Grade::Failed(Exit::of(error)),
            found,
            advice,
        }
    }

    pub(crate) fn of_failure(failure: &Failure) -> Self {
        match failure {
            Failure::Library(error) => Self::of(error),
            other => Self {
                grade: Grade::Failed(other.exit()),
                found: other.to_string(),
                advice: None,
            },
        }
    }

    /// Turns a failure into a warning: clients can do without.
    pub(crate) fn into_warning(mut self) -> Self {
        self.grade = Grade::Warning;
        self
    }

    #[cfg(test)]
    pub(crate) fn is_good(&self) -> bool {
        self.grade == Grade::Good
    }

    #[cfg(test)]
    pub(crate) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.found
    }
}

/// The findings, in order.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    out: &'a Output,
    json: bool,
    took: Option<Duration>,
    steps: Vec<Value>,
    failed: Option<Exit>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(out: &'a Output, json: bool) -> Self {
        Self {
            out,
            json,
            took: None,
            steps: Vec::new(),
            failed: None,
        }
    }

    /// Measures the work behind the next finding.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let timer = Timer::start();
        let result = work();
        self.took = Some(timer.elapsed());
        result
    }

    pub(crate) fn add(&mut self, step: &str, finding: Finding) -> Result<(), Failure> {
        let took = self.took.take();
        if let Grade::Failed(exit) = finding.grade {
            self.failed.get_or_insert(exit);
        }
        if !self.json {
            self.print(step, &finding, took)?;
        }
        let Finding {
            grade,
            found,
            advice,
        } = finding;
        self.steps.push(json!({
            "step": step,
            "result": grade.name(),
            "found": found,
            "advice": advice,
            "milliseconds": took.map(|took| (took.as_secs_f64() * 1e5).round() / 1e2),
        }));
        Ok(())
    }

    fn print(&self, step: &str, finding: &Finding, took: Option<Duration>) -> Result<(), Failure> {
        let out = self.out;
        let grade = out.paint(finding.grade.style(), format!("{:9}", finding.grade.name()));
        let step = out.paint(Style::Strong, format!("{step:14}"));
        let took = took.map_or_else(String::new, |took| {
            let took = format!("  ({})", text::lasting(took));
            out.paint(Style::Faint, took).to_string()
        });
        // Text of variables and servers may hold control characters.
        let found = one_line(&finding.found);
        out.value(&format!("{grade}{step}{found}{took}"))?;
        if let Some(advice) = &finding.advice {
            out.value(&format!("{:23}-> {}", "", one_line(advice)))?;
        }
        Ok(())
    }

    /// Ends the report; returns the code of the first step that failed.
    pub(crate) fn end(self) -> Result<ExitCode, Failure> {
        if self.json {
            self.out.json(&json!({
                "ok": self.failed.is_none(),
                "steps": self.steps,
            }))?;
        }
        Ok(self.failed.map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}
