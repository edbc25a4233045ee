//! The settings of one point.

use serde::{Deserialize, Serialize};

use super::{Format, Overflow, Range, Round};

/// How a tensor is quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quant {
    /// Bit width including the sign, 1..=16. One bit is binary; two bits with
    /// [`Overflow::SatSym`] are ternary.
    pub bits: u8,
    /// How the bound is found.
    pub range: Range,
    /// Rounding rule.
    pub round: Round,
    /// Overflow rule.
    pub overflow: Overflow,
}

impl Quant {
    /// `bits` wide, bound by the largest magnitude, rounded to nearest even, saturating.
    pub const fn new(bits: u8) -> Self {
        Self { bits, range: Range::Max, round: Round::RndConv, overflow: Overflow::Sat }
    }

    /// With another range rule.
    #[must_use]
    pub const fn range(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// With another rounding rule.
    #[must_use]
    pub const fn round(self, round: Round) -> Self {
        Self { round, ..self }
    }

    /// With another overflow rule.
    #[must_use]
    pub const fn overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }

    /// Width and rules without the range.
    pub const fn format(self) -> Format {
        Format { bits: self.bits, round: self.round, overflow: self.overflow }
    }

    /// The same point in inference unless told otherwise: the bound found in training, and no
    /// random numbers.
    #[must_use]
    pub const fn frozen(self) -> Self {
        let range = match self.range {
            Range::Fixed(bound) => Range::Fixed(bound),
            _ => Range::Keep,
        };
        Self { range, round: self.round.deterministic(), ..self }
    }
}

/// A point of the forward pass: what training does, what inference does, and the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Point {
    /// In training.
    pub train: Quant,
    /// In inference.
    pub infer: Quant,
    /// True when the straight-through gradient is zero where the rounded value lay outside the
    /// range.
    pub clip: bool,
}

impl Point {
    /// The same settings in training and, frozen, in inference; gradients are clipped.
    pub const fn new(train: Quant) -> Self {
        Self { train, infer: train.frozen(), clip: true }
    }

    /// Passes every gradient straight through.
    #[must_use]
    pub const fn straight(self) -> Self {
        Self { clip: false, ..self }
    }

    /// The wider of the two settings, in bits.
    pub const fn bits(self) -> u8 {
        if self.train.bits > self.infer.bits { self.train.bits } else { self.infer.bits }
    }
}
