//! The layout of the demo.

use crate::{
    clock::Timer,
    exit::{Exit, Failure},
    output::{Output, Style},
    text,
};

const LABEL: usize = 18;

/// Numbered steps, each with its result and how long it took.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    out: &'a Output,
    began: Timer,
    steps: u32,
    failed: Vec<(&'static str, Exit)>,
}

/// The result of a step: a line, and more lines with a label each.
#[derive(Debug, Default)]
pub(crate) struct Found {
    result: String,
    more: Vec<(&'static str, String)>,
}

impl Found {
    pub(crate) fn new(result: impl Into<String>) -> Self {
        Self {
            result: result.into(),
            more: Vec::new(),
        }
    }

    /// Adds a line.
    pub(crate) fn and(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.more.push((label, value.into()));
        self
    }
}

impl<'a> Page<'a> {
    pub(crate) fn new(out: &'a Output) -> Self {
        Self {
            out,
            began: Timer::start(),
            steps: 0,
            failed: Vec::new(),
        }
    }

    pub(crate) fn title(&self, lines: &[&str]) -> Result<(), Failure> {
        for line in lines {
            self.out
                .value(&self.out.paint(Style::Strong, line).to_string())?;
        }
        self.out.value("")
    }

    /// Runs a step and shows its result. Returns what the next step needs, or `None` if the step
    /// failed.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(Found, T), Failure>,
    ) -> Result<Option<T>, Failure> {
        let timer = Timer::start();
        let outcome = work();
        let took = text::lasting(timer.elapsed());
        self.steps += 1;
        match outcome {
            Ok((found, value)) => {
                self.show(name, Style::Good, &found, &took)?;
                Ok(Some(value))
            }
            Err(failure) => {
                let found = Found::new(failure.to_string());
                self.failed.push((name, failure.exit()));
                self.show(name, Style::Bad, &found, &took)?;
                Ok(None)
            }
        }
    }

    fn show(&self, name: &str, style: Style, found: &Found, took: &str) -> Result<(), Failure> {
        let out = self.out;
        let number = out.paint(style, format!("{:>2}", self.steps));
        let label = out.paint(Style::Strong, format!("{name:LABEL$}"));
        let took = out.paint(Style::Faint, format!("({took})"));
        out.value(&format!("{number}  {label}{}  {took}", found.result))?;
        for (label, value) in &found.more {
            let label = out.paint(Style::Faint, format!("{label:LABEL$}"));
            out.value(&format!("    {label}{value}"))?;
        }
        Ok(())
    }

    /// Ends the page; fails if a step failed.
    pub(crate) fn end(&self, next: &[(&str, &str)]) -> Result<(), Failure> {
        let out = self.out;
        if let Some((_, exit)) = self.failed.first() {
            let names: Vec<_> = self.failed.iter().map(|(name, _)| *name).collect();
            return Err(Failure::new(
                *exit,
                format!("of {} steps failed: {}", self.steps, names.join(", ")),
            ));
        }
        let took = text::lasting(self.began.elapsed());
        let done = format!("All {} steps done in {took}.", self.steps);
        out.value("")?;
        out.value(&out.paint(Style::Good, done).to_string())?;
        if !next.is_empty() {
            out.value("\nNext:")?;
        }
        for (command, what) in next {
            let command = out.paint(Style::Strong, format!("{command:24}"));
            out.value(&format!("  {command}{what}"))?;
        }
        Ok(())
    }
}
