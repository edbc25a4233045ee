//! What a step tells about itself.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::optim::Lr;

/// Loss and right answers of some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// Samples.
    pub samples: u32,
    /// Sum of their losses in units of 2^-16.
    pub loss: u64,
    /// Samples whose largest output was that of their class. Under binary cross-entropy against
    /// values, outputs on the side of zero where their value asked for them, of all samples.
    pub correct: u32,
}

impl Tally {
    /// Counts a sample with so many right answers.
    pub(super) fn note(&mut self, right: u32) {
        self.samples = self.samples.saturating_add(1);
        self.correct = self.correct.saturating_add(right);
    }
}

impl core::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.loss = self.loss.saturating_add(other.loss);
        self.correct = self.correct.saturating_add(other.correct);
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StepRecord {
    /// Steps finished, this one included.
    pub step: u32,
    /// Learning rate of this step.
    pub lr: Lr,
    /// Loss and right answers before the update.
    pub tally: Tally,
}
