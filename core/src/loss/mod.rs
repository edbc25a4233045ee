//! Losses: from outputs and a target to the gradient of the outputs, in integers.

mod bce;
mod mse;
mod softmax;

use crate::{
    config::{LossKind, Train},
    tensor::{Mantissa, Mantissas, for_width},
};

/// One, in the units of probabilities, 2^-15.
const ONE: i32 = 1 << 15;
/// The exponent of that unit.
const SHARE_EXPONENT: i16 = -15;
/// A difference of two probabilities is at most one.
const SHARE_BITS: u8 = 15;

/// `ln(2)` in units of 2^-16.
const LN_2: u32 = 45_426;

/// What one sample should give.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// This class.
    Class(u16),
    /// These values, in units of `2^exponent`.
    Values(&'a [i16], i16),
}

impl Target<'_> {
    /// The wanted probability of output `i` in units of 2^-15.
    #[inline(never)]
    fn share(&self, i: usize) -> i32 {
        match *self {
            Self::Class(class) => ONE * i32::from(usize::from(class) == i),
            Self::Values(values, exponent) => {
                // One is the most, so that a shift to the left needs no more than 15 bits.
                let value = i32::from(values.get(i).copied().unwrap_or(0)).max(0);
                let left = i32::from(exponent) + 15;
                let scaled = if left >= 0 {
                    value << left.min(15)
                } else {
                    value >> left.unsigned_abs().min(31)
                };
                scaled.min(ONE)
            }
        }
    }
}

/// The outputs of one sample: codes and the exponent of their unit.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// Codes of the last layer.
    pub codes: Mantissas<'a>,
    /// Exponent of their unit.
    pub exponent: i16,
}

impl Outputs<'_> {
    fn peak(&self) -> i32 {
        for_width!(Mantissas, self.codes, codes => {
            codes.iter().map(|code| code.widen()).max().unwrap_or(0)
        })
    }

    /// The index of the largest output; the lowest one on a tie.
    pub fn argmax(&self) -> u16 {
        let mut best = (i32::MIN, 0u32);
        for_width!(Mantissas, self.codes, codes => {
            for (code, i) in codes.iter().zip(0..) {
                if code.widen() > best.0 {
                    best = (code.widen(), i);
                }
            }
        });
        best.1 as u16
    }
}

/// Losses are summed in units of 2^-16.
pub const LOSS_EXPONENT: i16 = -16;

/// `value * factor >> drop` for values below 2^23, factors up to 2^16 and `drop` of 15 or 16, in 32
/// bits.
const fn scaled(value: u32, factor: u32, drop: u32) -> u32 {
    let (high, low) = (value >> drop, value & ((1 << drop) - 1));
    high.wrapping_mul(factor).wrapping_add(low.wrapping_mul(factor) >> drop)
}

impl LossKind {
    /// Bytes of the constant tables that the loss reads.
    pub const fn table_bytes(self) -> usize {
        match self {
            Self::SoftmaxCrossEntropy | Self::BceWithLogits => crate::tables::BYTES,
            Self::Mse => 0,
        }
    }
}

/// A loss with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What is minimised.
    pub kind: LossKind,
    /// Softmax cross-entropy only: the share of the target that all classes get alike, in units of
    /// 2^-15.
    pub label_smoothing: u16,
}

impl Loss {
    /// The loss of a run.
    pub const fn of(train: &Train) -> Self {
        Self { kind: train.loss, label_smoothing: train.label_smoothing }
    }

    /// Exponent of the gradient that [`row`](Self::row) writes.
    pub fn grad_exponent(self, outputs: i16, target: &Target<'_>) -> i16 {
        match self.kind {
            LossKind::SoftmaxCrossEntropy | LossKind::BceWithLogits => SHARE_EXPONENT,
            LossKind::Mse => mse::grad_exponent(outputs, target),
        }
    }

    /// Magnitudes of that gradient stay at or below two to this power, where the outputs have
    /// `bits` bits.
    pub fn grad_bits(self, outputs: i16, bits: u8, target: &Target<'_>) -> u8 {
        match self.kind {
            LossKind::SoftmaxCrossEntropy | LossKind::BceWithLogits => SHARE_BITS,
            LossKind::Mse => mse::grad_bits(outputs, bits, target),
        }
    }

    /// The loss of one sample in units of 2^-16, and its gradient into `grad`.
    pub fn row(self, outputs: Outputs<'_>, target: &Target<'_>, grad: &mut [i32]) -> u64 {
        match self.kind {
            LossKind::SoftmaxCrossEntropy => {
                softmax::row(outputs, target, self.label_smoothing, grad)
            }
            LossKind::Mse => mse::row(outputs, target, grad),
            LossKind::BceWithLogits => bce::row(outputs, target, grad),
        }
    }

    /// The loss of one sample in units of 2^-16.
    pub fn value(self, outputs: Outputs<'_>, target: &Target<'_>) -> u64 {
        match self.kind {
            LossKind::SoftmaxCrossEntropy => softmax::value(outputs, target, self.label_smoothing),
            LossKind::Mse => mse::value(outputs, target),
            LossKind::BceWithLogits => bce::value(outputs, target),
        }
    }

    /// How many answers of one sample are right, of [`answers`](Self::answers): the largest output
    /// is that of the class; or, of binary cross-entropy against values, outputs on the side of zero
    /// that their values are on of a half.
    pub fn right(self, outputs: Outputs<'_>, target: &Target<'_>) -> u32 {
        match (*target, self.kind) {
            (Target::Class(class), _) => (outputs.argmax() == class).into(),
            (Target::Values(..), LossKind::BceWithLogits) => bce::right(outputs, target),
            (Target::Values(..), _) => 0,
        }
    }

    /// Answers that a sample has, each right or wrong; none where outputs are quantities.
    pub const fn answers(self, classes: bool, outputs: usize) -> usize {
        match self.kind {
            _ if classes => 1,
            LossKind::BceWithLogits => outputs,
            LossKind::SoftmaxCrossEntropy | LossKind::Mse => 0,
        }
    }
}
