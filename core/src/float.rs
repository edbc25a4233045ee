//! Floats at the edges: sensor readings in, numbers for a display out. Nothing in a step uses it.
//!
//! Rounding and scaling come from `libm`, so that every machine gives the same. `micromath` would
//! add nothing: it trades accuracy for speed in functions such as `sin`, and what is needed here,
//! [`ldexp`](libm::ldexp) and [`rint`](libm::rint), is exact and short.

use crate::optim::Lr;

/// Mantissas of `values` in units of `2^exponent`, rounded to nearest, ties to even. What lies
/// outside 16 bits saturates, and what is not a number becomes zero.
///
/// ```
/// use fixgrad::{float, trainer::{SampleData, Samples}};
///
/// let mut mantissas = [0; 3];
/// float::to_mantissas(&[0.5, -0.126, 1e9], -10, &mut mantissas);
/// assert_eq!(mantissas, [512, -129, i16::MAX]);
/// let samples = Samples { data: SampleData::I16(&mantissas), exponent: -10 };
/// ```
pub fn to_mantissas(values: &[f32], exponent: i16, out: &mut [i16]) {
    for (slot, &value) in out.iter_mut().zip(values) {
        // Exact: a double has exponents to spare for every float and every shift that matters.
        let scaled = libm::ldexp(f64::from(value), -i32::from(exponent));
        // This cast saturates, and makes zero of what is not a number.
        *slot = libm::rint(scaled) as i16;
    }
}

/// The value `mantissa * 2^exponent`, rounded once.
pub fn to_f32(mantissa: i32, exponent: i16) -> f32 {
    libm::ldexp(f64::from(mantissa), exponent.into()) as f32
}

impl Lr {
    /// The number nearest to `value` with 15 bits, the larger one on a tie. `None` below zero, for
    /// infinity, and for what is not a number.
    pub fn from_f32(value: f32) -> Option<Self> {
        if !value.is_finite() || value < 0.0 {
            return None;
        }
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 23 & 0xff) as i16, bits & 0x007f_ffff);
        // Subnormal numbers have no hidden bit and the exponent of the smallest normal ones.
        let hidden = u32::from(exponent > 0) << 23;
        Some(Self::normalise(fraction | hidden, exponent.max(1) - 150))
    }

    /// The number as a float, for a display.
    pub fn to_f32(self) -> f32 {
        to_f32(self.mantissa.into(), self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_even_and_the_rest_saturates() {
        let values = [0.5, 1.5, 2.5, -0.5, -1.5, 40_000.0, -40_000.0, f32::NAN, f32::INFINITY];
        let mut out = [7; 10];
        to_mantissas(&values, 0, &mut out);
        assert_eq!(out, [0, 2, 2, 0, -2, i16::MAX, i16::MIN, 0, i16::MAX, 7]);
        to_mantissas(&[1.0, -1.0], i16::MIN, &mut out);
        assert_eq!(out[..2], [i16::MAX, i16::MIN]);
        to_mantissas(&[f32::MAX, f32::MIN_POSITIVE], i16::MAX, &mut out);
        assert_eq!(out[..2], [0, 0]);
    }

    #[test]
    fn values_far_outside_end_at_zero_and_infinity() {
        assert_eq!(to_f32(3, -1), 1.5);
        assert_eq!((to_f32(1, i16::MIN), to_f32(-1, i16::MAX)), (0.0, f32::NEG_INFINITY));
        assert_eq!(to_f32((1 << 24) + 1, 0), 16_777_216.0, "ties to even");
    }

    #[test]
    fn rates_equal_the_ratios() {
        for (n, d) in [(1, 2), (1, 1), (3, 4), (1, 1 << 20), (32_767, 1 << 30)] {
            assert_eq!(Lr::from_f32(n as f32 / d as f32), Some(Lr::ratio(n, d)));
        }
        assert_eq!(Lr::from_f32(0.0), Some(Lr::ZERO));
        for bad in [-0.1, f32::NAN, f32::INFINITY] {
            assert_eq!(Lr::from_f32(bad), None);
        }
    }

    proptest! {
        #[test]
        fn mantissas_come_back(mantissa: i16, exponent in -140i16..100) {
            let mut out = [0];
            to_mantissas(&[to_f32(mantissa.into(), exponent)], exponent, &mut out);
            prop_assert_eq!(out, [mantissa]);
        }

        #[test]
        fn rates_are_within_half_a_unit(bits in 0u32..0x7f80_0000) {
            let value = f32::from_bits(bits);
            let lr = Lr::from_f32(value).unwrap();
            let unit = libm::ldexp(1.0, lr.exponent.into());
            let error = f64::from(lr.mantissa) * unit - f64::from(value);
            prop_assert!(error.abs() <= unit / 2.0 || value == 0.0);
        }
    }
}
