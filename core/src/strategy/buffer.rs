//! The gradient buffer: weight gradients held in a fixed range, as a hardware accumulator would.

use serde::{Deserialize, Serialize};

use super::Tile;
use crate::{
    optim::Lr,
    quant::{Format, Overflow, Round, exponent_of, requantize},
};

/// Quantises weight gradients once more, to a fixed bound and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GradientBuffer {
    /// Exponent of the buffer's bound.
    pub bound: i16,
    /// Width of the buffer, 2..=30.
    pub bits: u8,
}

impl GradientBuffer {
    pub(super) fn apply(self, tile: &mut Tile<'_>) {
        let bits = self.bits.clamp(2, 30);
        let exponent = exponent_of(self.bound, bits);
        let shift = i32::from(exponent) - i32::from(tile.exponent);
        let format = Format { bits, round: Round::RndConv, overflow: Overflow::Sat };
        for v in tile.values.iter_mut() {
            *v = requantize(i64::from(*v), shift, format, 0).value;
        }
        tile.exponent = exponent;
    }
}

/// Which recorded gradient bound the fixed one is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BufferRule {
    /// The smallest bound: small gradients are kept, large ones saturate.
    FromMin,
    /// The largest bound: nothing saturates, small gradients underflow.
    FromMax,
}

/// What [`BufferRule::exponents`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferExponents {
    /// Exponent of the fixed bound of the weight gradient.
    pub grad_bound: i16,
    /// Exponent of the bound of the buffer.
    pub buffer_bound: i16,
}

impl BufferRule {
    /// Fixed exponents for weight gradient and buffer from a recorded run.
    ///
    /// `lr` is the rate of the gradients as they were recorded: of sums over a batch, the rate
    /// divided by the batch. The lower limit: the bound of the buffer, times this rate, reaches at
    /// least one unit of the weight, or the buffer could never move it. nics_fix's helper puts the buffer's lowest bit one above the
    /// gradient's; here they coincide.
    pub fn exponents(
        self,
        weight: (i16, u8),
        lr: Lr,
        recorded: (i16, i16),
        grad_bits: u8,
        buffer_bits: u8,
    ) -> BufferExponents {
        let (lowest, highest) = recorded;
        // floor(log2 lr): the mantissa is normalised to 15 bits.
        let log2_lr = lr.exponent.saturating_add(14);
        let weight_unit = exponent_of(weight.0, weight.1);
        let finest = weight_unit.saturating_sub(log2_lr);
        let (grad_bound, wanted) = match self {
            Self::FromMin => {
                let grad_unit = exponent_of(lowest, grad_bits);
                (lowest, grad_unit.saturating_add(i16::from(buffer_bits) - 1))
            }
            Self::FromMax => (highest, highest),
        };
        BufferExponents { grad_bound, buffer_bound: wanted.max(finest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_move_to_the_fixed_grid_and_saturate_there() {
        let mut values = [1, 5, 6, 4000, -4000];
        let mut tile = Tile { values: &mut values, exponent: -4, first: 0, unit: -4 };
        // Eight bits under 2^5: the unit is 2^-2.
        GradientBuffer { bound: 5, bits: 8 }.apply(&mut tile);
        assert_eq!(tile.exponent, -2);
        assert_eq!(values, [0, 1, 2, 127, -128]);
    }

    #[test]
    fn exponents_follow_the_rule() {
        let lr = Lr::ratio(1, 2);
        let rule = |rule: BufferRule| rule.exponents((0, 8), lr, (-6, 2), 8, 24);
        // Gradient unit 2^-13; 24 bits from there up reach 2^10.
        assert_eq!(rule(BufferRule::FromMin), BufferExponents { grad_bound: -6, buffer_bound: 10 });
        assert_eq!(rule(BufferRule::FromMax), BufferExponents { grad_bound: 2, buffer_bound: 2 });
        let slow = BufferRule::FromMax.exponents((0, 8), Lr::ratio(1, 1024), (-6, 2), 8, 24);
        assert_eq!(slow.buffer_bound, 3, "one weight unit 2^-7 over a rate of 2^-10");
    }
}
