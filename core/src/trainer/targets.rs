//! What samples should give.

use crate::loss::Target;

/// What the samples of a call should give.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// One class a sample.
    Classes(&'a [u16]),
    /// One value an output, sample after sample, in units of `2^exponent`.
    Values {
        /// Mantissas.
        mantissas: &'a [i16],
        /// Exponent of their unit.
        exponent: i16,
    },
}

impl<'a> Targets<'a> {
    /// The target of sample `index` with `outputs` outputs.
    pub(crate) fn at(&self, index: usize, outputs: usize) -> Target<'a> {
        match *self {
            Self::Classes(classes) => {
                Target::Class(classes.get(index).copied().unwrap_or(u16::MAX))
            }
            Self::Values { mantissas, exponent } => {
                let from = index * outputs;
                let values = mantissas.get(from..from + outputs).unwrap_or_default();
                Target::Values(values, exponent)
            }
        }
    }

    /// Samples `from..from + len`, or none.
    #[must_use]
    pub(crate) fn part(self, from: usize, len: usize, outputs: usize) -> Self {
        match self {
            Self::Classes(classes) => {
                Self::Classes(classes.get(from..from + len).unwrap_or_default())
            }
            Self::Values { mantissas, exponent } => {
                let range = from * outputs..(from + len) * outputs;
                Self::Values { mantissas: mantissas.get(range).unwrap_or_default(), exponent }
            }
        }
    }
}
