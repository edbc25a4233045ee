//! Losses: from outputs and a target to the gradient of the outputs, in integers.

mod mse;
mod softmax;

use crate::{
    config::LossKind,
    tensor::{Mantissa, Mantissas, for_width},
};

/// What one sample should give.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// This class.
    Class(u16),
    /// These values, in units of `2^exponent`.
    Values(&'a [i16], i16),
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
        let mut best = (i32::MIN, 0);
        for_width!(Mantissas, self.codes, codes => {
            for (code, i) in codes.iter().zip(0..) {
                if code.widen() > best.0 {
                    best = (code.widen(), i);
                }
            }
        });
        best.1
    }
}

/// Losses are summed in units of 2^-16.
pub const LOSS_EXPONENT: i16 = -16;

impl LossKind {
    /// Bytes of the constant tables that the loss reads.
    pub const fn table_bytes(self) -> usize {
        match self {
            Self::SoftmaxCrossEntropy => crate::tables::BYTES,
            Self::Mse => 0,
        }
    }

    /// Exponent of the gradient that [`row`](Self::row) writes.
    pub fn grad_exponent(self, outputs: i16, target: &Target<'_>) -> i16 {
        match self {
            Self::SoftmaxCrossEntropy => softmax::GRAD_EXPONENT,
            Self::Mse => mse::grad_exponent(outputs, target),
        }
    }

    /// Magnitudes of that gradient stay at or below two to this power, where the outputs have
    /// `bits` bits.
    pub fn grad_bits(self, outputs: i16, bits: u8, target: &Target<'_>) -> u8 {
        match self {
            Self::SoftmaxCrossEntropy => softmax::GRAD_BITS,
            Self::Mse => mse::grad_bits(outputs, bits, target),
        }
    }

    /// The loss of one sample in units of 2^-16, and its gradient into `grad`.
    pub fn row(self, outputs: Outputs<'_>, target: &Target<'_>, grad: &mut [i32]) -> u64 {
        match self {
            Self::SoftmaxCrossEntropy => softmax::row(outputs, target, grad),
            Self::Mse => mse::row(outputs, target, grad),
        }
    }

    /// The loss of one sample in units of 2^-16.
    pub fn value(self, outputs: Outputs<'_>, target: &Target<'_>) -> u64 {
        match self {
            Self::SoftmaxCrossEntropy => softmax::value(outputs, target),
            Self::Mse => mse::value(outputs, target),
        }
    }
}
