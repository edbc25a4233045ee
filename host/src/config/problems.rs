//! Collects what is wrong, and what a person should know, while a configuration is compiled.

use std::ops::Range;

use super::diagnostics::{Diagnostic, Diagnostics};

/// Errors and notes so far.
#[derive(Default)]
pub(super) struct Problems {
    errors: Vec<Diagnostic>,
    notes: Vec<String>,
}

impl Problems {
    /// One error for each place: a setting that many layers share is reported once.
    pub(super) fn error(
        &mut self,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if span.is_none() || self.errors.iter().all(|error| error.span != span) {
            self.errors.push(Diagnostic::new(span, message, help));
        }
    }

    /// True while nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The notes, or all errors in the order of the file.
    pub(super) fn finish(mut self, file: &str, text: &str) -> Result<Vec<String>, Diagnostics> {
        if self.errors.is_empty() {
            return Ok(self.notes);
        }
        self.errors.sort_by_key(|error| error.span.as_ref().map(|span| span.start));
        Err(Diagnostics::new(file, text, self.errors))
    }

    /// The number at a place when it lies in `allowed`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &mut self,
        what: &str,
        at: &super::at::At<i64>,
        allowed: std::ops::RangeInclusive<i64>,
    ) -> Option<T> {
        let value = at.value;
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.error(
                at.span(),
                format!("{what} is {value}"),
                format!("expected a whole number from {low} to {high}"),
            );
            return None;
        }
        T::try_from(value).ok()
    }
}
