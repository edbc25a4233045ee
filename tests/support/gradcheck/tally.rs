//! Loss and right answers of a step.

use fixgrad::{config::LossKind, trainer::Tensor};

use super::Step;
use crate::{
    net::Wanted,
    reference::{Expected, LOSS_UNITS, bce, bce_loss, mse, mse_loss, softmax, softmax_loss},
};

/// Bits that the finer of two units may lie below the coarser.
const SPREAD: i16 = 13;

impl Step<'_> {
    /// The step's tally against the outputs of the network.
    pub(super) fn assert_tally(&self, outputs: &[f64]) {
        let units = self.shape(self.case.config.layers.len() - 1).0;
        let first = self.index * usize::from(self.case.config.train.batch);
        let rows = || outputs.chunks_exact(units).zip(first..);
        let (mut value, mut absolute) = (0.0, 0.0);
        for (row, sample) in rows() {
            let expected = self.loss_of(row, sample);
            (value, absolute) = (value + expected.value, absolute + expected.absolute);
        }
        let found = self.tally.loss as f64 / LOSS_UNITS;
        // Losses saturate at the end of 64 bits.
        let most = 2f64.powi(64) / LOSS_UNITS;
        let allowed = (value - absolute).min(most)..=(value + absolute).min(most);
        let what = format!("step {}, loss {found} and not {value}", self.index);
        assert!(allowed.contains(&found), "{what}, within {absolute}");
        self.coverage.note_if(value > 0.0, format!("{:?} value", self.case.config.train.loss));

        let right = match &self.case.targets {
            // The first of the largest outputs is the answer.
            Wanted::Classes(classes) => rows()
                .filter(|(row, sample)| {
                    let class = usize::from(classes[*sample]);
                    let before = row[..class].iter().all(|y| *y < row[class]);
                    before && row[class..].iter().all(|y| *y <= row[class])
                })
                .count(),
            // Outputs above zero where more than a half is wanted, and no others.
            Wanted::Values(..) if self.case.config.train.loss == LossKind::BceWithLogits => rows()
                .flat_map(|(row, sample)| {
                    let wanted = shares(&self.wanted(sample, units));
                    row.iter().zip(wanted).map(|(y, t)| (*y > 0.0) == (t > 0.5)).collect::<Vec<_>>()
                })
                .filter(|right| *right)
                .count(),
            Wanted::Values(..) => 0,
        };
        assert_eq!(self.tally.correct as usize, right, "step {}, right answers", self.index);
        assert_eq!(self.tally.samples as usize, rows().count(), "step {}, samples", self.index);
    }

    fn loss_of(&self, row: &[f64], sample: usize) -> Expected {
        let wanted = self.wanted(sample, row.len());
        match self.case.config.train.loss {
            LossKind::Mse => mse_loss(row, &wanted, self.distance_unit()),
            LossKind::SoftmaxCrossEntropy => softmax_loss(row, &self.smoothed(&wanted)),
            LossKind::BceWithLogits => bce_loss(row, &shares(&wanted)),
        }
    }

    /// The gradient by the outputs of one sample.
    pub(super) fn loss_grad(&self, row: &[f64], wanted: &[f64]) -> Vec<Expected> {
        match self.case.config.train.loss {
            LossKind::Mse => mse(row, wanted),
            LossKind::SoftmaxCrossEntropy => softmax(row, &self.smoothed(wanted)),
            LossKind::BceWithLogits => bce(row, &shares(wanted)),
        }
    }

    /// Wanted probabilities, of which all have a part alike: whole units of 2^-15, those that do not
    /// come out even to the first outputs.
    fn smoothed(&self, wanted: &[f64]) -> Vec<f64> {
        let smoothing = usize::from(self.case.config.train.label_smoothing);
        let (each, rest) = (smoothing / wanted.len(), smoothing % wanted.len());
        let left = 1.0 - smoothing as f64 / 32_768.0;
        let shares = shares(wanted).into_iter().enumerate();
        shares
            .map(|(i, share)| {
                let own = (share * left * 32_768.0 + 0.5).floor();
                (own + (each + usize::from(i < rest)) as f64) / 32_768.0
            })
            .collect()
    }

    /// The unit that outputs and targets are brought to.
    fn distance_unit(&self) -> f64 {
        let layers = (0..self.case.config.layers.len()).rev();
        let mut codes = layers.map(|i| self.recorded(i, Tensor::Activation, true));
        let output = codes.find_map(|codes| Some(codes.first()?.exponent)).expect("codes");
        let target = match self.case.targets {
            Wanted::Classes(_) => -14,
            Wanted::Values(_, exponent) => exponent,
        };
        f64::from(output.min(target).max(output.max(target) - SPREAD)).exp2()
    }
}

/// Wanted probabilities have 15 bits.
fn shares(wanted: &[f64]) -> Vec<f64> {
    wanted.iter().map(|t| ((t * 32_768.0).floor() / 32_768.0).clamp(0.0, 1.0)).collect()
}
