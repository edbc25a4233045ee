//! The float side of the gradient check: what sums must be, and what codes follow from them.

use fixgrad::quant::{Quant, Round};

use crate::recorder::Number;

/// What a sum must be, and how far it may be from that.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The value.
    pub value: f64,
    /// Allowed error in units of the sum.
    pub units: f64,
    /// Allowed error besides.
    pub absolute: f64,
}

impl Expected {
    /// No other value will do.
    pub fn exactly(value: f64) -> Self {
        Self { value, units: 0.0, absolute: 0.0 }
    }
}

/// `p - y`, as far as 15 bits and a table of powers of two can tell: every power is within 1.5
/// units, and so is every term of their sum.
pub fn softmax(row: &[f64], wanted: &[f64]) -> Vec<Expected> {
    let peak = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|y| (y - peak).exp()).sum();
    row.iter()
        .zip(wanted)
        .map(|(y, t)| {
            let p = (y - peak).exp() / sum;
            let absolute = (2.0 + 1.5 * row.len() as f64 * p) / 32_768.0;
            Expected { value: p - t, units: 0.0, absolute }
        })
        .collect()
}

/// What the numbers are worth.
pub fn values(numbers: &[Number]) -> Vec<f64> {
    numbers.iter().map(|number| number.value()).collect()
}

/// Every sum is what was expected.
///
/// # Panics
///
/// When one is not.
pub fn assert_sums(sums: &[Number], expected: &[Expected], what: &str) {
    assert_eq!(sums.len(), expected.len(), "{what}");
    for (i, (sum, expected)) in sums.iter().zip(expected).enumerate() {
        let error = (sum.value() - expected.value).abs();
        let bound = expected.absolute + expected.units * sum.unit();
        assert!(error <= bound, "{what}, element {i}: {sum:?} and not {expected:?}");
    }
}

/// Every code is its rounded sum: the nearest even one, or under stochastic rounding a neighbour.
///
/// # Panics
///
/// When one is not.
pub fn assert_codes(sums: &[Number], codes: &[Number], quant: Quant, what: &str) {
    assert_eq!(sums.len(), codes.len(), "{what}");
    let (low, high) = quant.overflow.limits(quant.bits);
    for (i, (&sum, &code)) in sums.iter().zip(codes).enumerate() {
        let exact = sum.value() / code.unit();
        let found = f64::from(code.mantissa);
        let clamped = exact.clamp(low.into(), high.into());
        let right = match quant.round {
            Round::Stochastic => found == clamped.floor() || found == clamped.ceil(),
            _ => found == exact.round_ties_even().clamp(low.into(), high.into()),
        };
        assert!(right, "{what}, element {i}: {sum:?} became {code:?} under {quant:?}");
    }
}

/// The straight-through gradient: none where the rounded value lay outside the codes.
pub fn block_clipped(grad: &mut [Expected], sums: &[Number], codes: &[Number], quant: Quant) {
    let (low, high) = quant.overflow.limits(quant.bits);
    for (g, (&sum, &code)) in grad.iter_mut().zip(sums.iter().zip(codes)) {
        let nearest = (sum.value() / code.unit()).round_ties_even();
        if nearest < low.into() || nearest > high.into() {
            *g = Expected::exactly(0.0);
        }
    }
}
