//! Turns decimal numbers into 16-bit mantissas that share one power-of-two exponent.
//!
//! This is the edge of the integer world: it runs once, when a data set is loaded, on IEEE
//! doubles, with operations that are exact or correctly rounded on every machine.

use std::ops::RangeInclusive;
use std::path::Path;

use super::{DataError, Mantissas, Samples, Targets};

/// Exponents that a data set may have.
pub(crate) const EXPONENTS: RangeInclusive<i32> = -64..=63;

/// Magnitudes from two to this power on do not fit a mantissa at the largest exponent.
pub(crate) const LARGEST: i32 = *EXPONENTS.end() + 15;

/// Mantissas, their exponent and how well they stand for the numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) values: Vec<i16>,
    pub(crate) exponent: i8,
    /// Largest distance between a number and what stands for it.
    pub(crate) rounding_error: f64,
}

impl Fixed {
    pub(crate) fn into_samples(self) -> Samples {
        Samples {
            mantissas: Mantissas::I16(self.values),
            exponent: self.exponent,
            rounding_error: self.rounding_error,
        }
    }

    pub(crate) fn into_targets(self, width: usize) -> Targets {
        Targets::Values {
            mantissas: self.values,
            exponent: self.exponent,
            width,
            rounding_error: self.rounding_error,
        }
    }
}

/// Mantissas for `numbers * 2^scale`, of which `width` make a sample.
pub(crate) fn from_numbers(
    path: &Path,
    numbers: &[f64],
    width: usize,
    scale: i8,
) -> Result<Fixed, DataError> {
    let fixed = mantissas(numbers).map_err(|Unrepresentable(at)| DataError::Unrepresentable {
        path: path.to_owned(),
        sample: at / width,
        element: at % width,
        value: numbers[at],
        largest: LARGEST,
    })?;
    let exponent = scaled(path, fixed.exponent, scale)?;
    let rounding_error = fixed.rounding_error * power_of_two(scale.into());
    Ok(Fixed { exponent, rounding_error, ..fixed })
}

/// The exponent of mantissas after a multiplication by `2^scale`.
pub(crate) fn scaled(path: &Path, exponent: i8, scale: i8) -> Result<i8, DataError> {
    let sum = i32::from(exponent) + i32::from(scale);
    match i8::try_from(sum) {
        Ok(narrow) if EXPONENTS.contains(&sum) => Ok(narrow),
        _ => Err(DataError::Setting {
            path: path.to_owned(),
            key: "scale_exponent",
            message: format!(
                "{scale} brings the exponent of the data from {exponent} to {sum}, \
                 expected it to end within {} to {}",
                EXPONENTS.start(),
                EXPONENTS.end()
            ),
        }),
    }
}

/// The index of the first number that is not finite or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unrepresentable(pub(crate) usize);

/// The smallest exponent at which the largest magnitude still rounds to at most 32,767; every
/// number is rounded to nearest, halves to even.
pub(crate) fn mantissas(numbers: &[f64]) -> Result<Fixed, Unrepresentable> {
    let fits = |x: &f64| x.is_finite() && exponent_for(x.abs()) <= *EXPONENTS.end();
    if let Some(at) = numbers.iter().position(|x| !fits(x)) {
        return Err(Unrepresentable(at));
    }
    let bound = numbers.iter().fold(0.0, |bound: f64, x| bound.max(x.abs()));
    let exponent = exponent_for(bound);
    let (scale, step) = (power_of_two(-exponent), power_of_two(exponent));
    let mut rounding_error: f64 = 0.0;
    let values = numbers
        .iter()
        .map(|x| {
            let mantissa = (x * scale).round_ties_even();
            rounding_error = rounding_error.max((x - mantissa * step).abs());
            mantissa as i16
        })
        .collect();
    Ok(Fixed { values, exponent: exponent as i8, rounding_error })
}

/// The exponent at which 16 bits hold `bound`.
pub(crate) fn exponent_for(bound: f64) -> i32 {
    if bound == 0.0 {
        return 0;
    }
    // The exponent field: 2^floor <= bound < 2^(floor + 1). A subnormal bound gives a floor that
    // is far below the smallest exponent anyway.
    let floor = ((bound.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let exponent = (floor - 14).max(*EXPONENTS.start());
    let rounds_up = (bound * power_of_two(-exponent)).round_ties_even() > f64::from(i16::MAX);
    exponent + i32::from(rounds_up)
}

/// Two to the power `n`, exactly; `n` stays within the normal range of a double.
pub(crate) fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_magnitude_uses_all_the_bits() {
        for (bound, mantissa, exponent) in [
            (1.0, 16384, -14),
            (0.999_999_9, 16384, -14),
            (0.999, 32735, -15),
            (16.0, 16384, -10),
            (-3.0, -24576, -13),
            (32767.0, 32767, 0),
            (32767.5, 16384, 1),
        ] {
            let fixed = mantissas(&[0.0, bound]).unwrap();
            assert_eq!((fixed.values[1], fixed.exponent), (mantissa, exponent), "{bound}");
        }
    }

    #[test]
    fn integers_and_zeros_are_exact() {
        let all_zero = mantissas(&[0.0, -0.0]).unwrap();
        assert_eq!(all_zero, Fixed { values: vec![0, 0], exponent: 0, rounding_error: 0.0 });
        let numbers: Vec<f64> = (-255..=255).map(f64::from).collect();
        assert_eq!(mantissas(&numbers).unwrap().rounding_error, 0.0);
    }

    #[test]
    fn numbers_that_cannot_be_held_are_named() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -3.1e23] {
            assert_eq!(mantissas(&[0.5, bad]), Err(Unrepresentable(1)), "{bad}");
        }
        assert_eq!(mantissas(&[1e-300]).unwrap().values, [0]);
        assert_eq!(mantissas(&[f64::MIN_POSITIVE / 4.0]).unwrap().values, [0]);
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_a_step(
            numbers in prop::collection::vec(prop_oneof![-1e20..1e20, -1.0..1.0, -1e-9..1e-9], 1..50)
        ) {
            let fixed = mantissas(&numbers).unwrap();
            let step = power_of_two(fixed.exponent.into());
            prop_assert!(fixed.rounding_error <= step / 2.0);
            for (x, &m) in numbers.iter().zip(&fixed.values) {
                prop_assert!((x - f64::from(m) * step).abs() <= fixed.rounding_error);
            }
        }
    }
}
