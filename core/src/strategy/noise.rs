//! Uniform noise before or after a point.

use serde::{Deserialize, Serialize};

use super::{Context, Tile};
use crate::quant::{Format, Overflow, Round, requantize};

/// How much noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Amount {
    /// None.
    None,
    /// Uniform in `low * 2^exponent .. high * 2^exponent`, in the tensor's own units of one.
    Uniform {
        /// Lower end.
        low: i16,
        /// Upper end.
        high: i16,
        /// Exponent of both.
        exponent: i16,
    },
    /// Uniform in `low * 2^-8 .. high * 2^-8`, in units of the point's step.
    UniformSteps {
        /// Lower end.
        low: i16,
        /// Upper end.
        high: i16,
    },
}

/// Adds independent noise to every element, drawn anew each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Noise {
    /// Before the point.
    pub pre: Amount,
    /// After the point.
    pub post: Amount,
    /// True when the values are rounded back to the grid after the post hook. Otherwise they stay
    /// where the noise left them, stored with finer units.
    pub requantize: bool,
}

/// Unit of `Amount::UniformSteps`.
pub(super) const STEP_FRACTION: i16 = -8;

impl Amount {
    pub(super) fn apply(self, context: &Context, tile: &mut Tile<'_>) {
        let (low, high, exponent) = match self {
            Self::None => return,
            Self::Uniform { low, high, exponent } => (low, high, exponent),
            Self::UniformSteps { low, high } => {
                (low, high, tile.unit.saturating_add(STEP_FRACTION))
            }
        };
        let width = i64::from(high) - i64::from(low);
        // 16 random bits below the ends' unit, and one more to stand in the middle of their cell:
        // the mean is that of the ends, and rounding to even keeps it.
        let shift = i32::from(tile.exponent) - (i32::from(exponent) - 17);
        let format = Format { bits: 31, round: Round::RndConv, overflow: Overflow::Sat };
        for (v, i) in tile.values.iter_mut().zip(0u32..) {
            let draw = 2 * i64::from(context.key.half(tile.first.wrapping_add(i))) + 1;
            let noise = requantize((i64::from(low) << 17) + width * draw, shift, format, 0).value;
            *v = v.saturating_add(noise).clamp(-(1 << 30), 1 << 30);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{optim::Lr, rng::Key};

    fn apply(amount: Amount, exponent: i16, unit: i16) -> std::vec::Vec<i32> {
        let context = Context { step: 0, lr: Lr::ZERO, layer: 0, bias: false, key: Key::new(5) };
        let mut values = std::vec![1000; 20_000];
        amount.apply(&context, &mut Tile { values: &mut values, exponent, first: 0, unit });
        values
    }

    #[test]
    fn noise_is_uniform_between_its_ends() {
        // -0.5..1.5 in units of one; the tensor's unit is 2^-10.
        let noisy = apply(Amount::Uniform { low: -1, high: 3, exponent: -1 }, -10, 0);
        let (least, most) = (noisy.iter().min().unwrap(), noisy.iter().max().unwrap());
        assert!((488..492).contains(least) && (2533..=2536).contains(most), "{least} {most}");
        let mean = noisy.iter().map(|&v| f64::from(v)).sum::<f64>() / 20_000.0;
        assert!((mean - 1512.0).abs() < 15.0, "{mean}");
    }

    #[test]
    fn noise_finer_than_the_unit_has_no_bias() {
        // Plus and minus 0.75 of a unit.
        let noisy = apply(Amount::Uniform { low: -3, high: 3, exponent: -2 }, 0, 0);
        let mean = noisy.iter().map(|&v| f64::from(v)).sum::<f64>() / 20_000.0;
        // The standard deviation of the mean is 0.58 / sqrt(20,000) = 0.004.
        assert!((mean - 1000.0).abs() < 0.02, "{mean}");
        assert!((999..=1001).all(|v| noisy.contains(&v)));
    }

    #[test]
    fn noise_in_steps_scales_with_the_step() {
        // Half a step to each side; the step is 2^6 units of the tensor.
        let noisy = apply(Amount::UniformSteps { low: -128, high: 128 }, -10, -4);
        let (least, most) = (noisy.iter().min().unwrap(), noisy.iter().max().unwrap());
        assert_eq!((*least, *most), (968, 1032));
        assert_eq!(apply(Amount::None, 0, 0), std::vec![1000; 20_000]);
    }
}
