//! Progress on stderr: a bar in a terminal, plain lines elsewhere, or nothing.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::level_filters::LevelFilter;

/// Plain lines come no more often than this.
const PAUSE: Duration = Duration::from_secs(2);
const BAR: &str = "{bar:30} {pos}/{len} {prefix}, {elapsed} elapsed, {eta} left  {msg}";

/// Progress of a long piece of work.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// When the next plain line is due; `None` where no lines are wanted.
    due: Option<Instant>,
}

impl Progress {
    /// Shows nothing.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), due: None }
    }

    /// As the log level asks: a bar of `count` units in a terminal, plain lines where there is no
    /// terminal or where the log itself writes many lines, and nothing when only errors are told.
    pub fn new(count: u64, unit: &'static str) -> Self {
        let level = LevelFilter::current();
        if level < LevelFilter::WARN {
            return Self::hidden();
        }
        if level > LevelFilter::INFO || !stderr().is_terminal() {
            return Self { due: Some(Instant::now()), ..Self::hidden() };
        }
        let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
        // The template is a constant, so its words are known.
        bar.set_style(ProgressStyle::with_template(BAR).unwrap_or(ProgressStyle::default_bar()));
        bar.set_prefix(unit);
        Self { bar, due: None }
    }

    /// So many units are done.
    pub fn at(&self, units: u64) {
        self.bar.set_position(units);
    }

    /// Something is worth telling. The last one is always told.
    pub fn tell(&mut self, last: bool, text: impl FnOnce() -> String) {
        if !self.bar.is_hidden() {
            self.bar.set_message(text());
        } else if let Some(due) = &mut self.due
            && (last || *due <= Instant::now())
        {
            *due = Instant::now() + PAUSE;
            eprintln!("{}", text());
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
