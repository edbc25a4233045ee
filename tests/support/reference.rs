//! The float side of the gradient check: what sums must be, and what codes follow from them.

use fixgrad::{
    quant::{Quant, Range},
    rng::Key,
};

use crate::{
    recorder::Number,
    rounding::{self, Coded, reach},
};

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

    /// Nothing passes where a mask blocks.
    #[must_use]
    pub fn unless(self, blocked: bool) -> Self {
        if blocked { Self::exactly(0.0) } else { self }
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

/// `sigmoid(y) - t`, as far as 15 bits and a table of powers of two can tell: a power is within 1.5
/// units, what is made of it too, and it is rounded.
pub fn bce(row: &[f64], wanted: &[f64]) -> Vec<Expected> {
    let grad = |(y, t): (&f64, &f64)| Expected {
        value: 1.0 / (1.0 + (-y).exp()) - t,
        units: 0.0,
        absolute: 2.0 / 32_768.0,
    };
    row.iter().zip(wanted).map(grad).collect()
}

/// `y - t`. Both are brought to the finer of their units, or to one 13 bits below the coarser:
/// then the finer number loses less than that unit.
pub fn mse(row: &[f64], wanted: &[f64]) -> Vec<Expected> {
    let error = |(y, t): (&f64, &f64)| Expected { value: y - t, units: 1.0, absolute: 0.0 };
    row.iter().zip(wanted).map(error).collect()
}

/// `sum t * -ln p` of one sample, as far as 15 bits and the tables can tell. Outputs count as at
/// most 64 octaves below the largest.
pub fn softmax_loss(row: &[f64], wanted: &[f64]) -> Expected {
    let peak = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|y| (y - peak).exp()).sum();
    // Every power but the largest is within 1.6 units, and their sum is at least one.
    let powers = 1.6 * (row.len() - 1) as f64 / 32_768.0;
    // In octaves: the table of logarithms, the distance and the final shift.
    let logarithm = (5.4 + 0.5 + 1.45) / LOSS_UNITS * std::f64::consts::LN_2;
    let terms = row.iter().zip(wanted).filter(|(_, t)| **t > 0.0).map(|(y, t)| {
        let exact = (peak - y).min(64.0 * std::f64::consts::LN_2) + sum.ln();
        // Both constants are a little off, and the product with `t` is rounded down.
        (t * exact, t * (powers + logarithm + 7e-6 * exact) + 1.0 / LOSS_UNITS)
    });
    let (value, absolute) = terms.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    Expected { value, units: 0.0, absolute }
}

/// `softplus(y) - t y` of every output, as far as 15 bits and the tables can tell. Outputs count as at
/// most 64 octaves from zero.
pub fn bce_loss(row: &[f64], wanted: &[f64]) -> Expected {
    let terms = row.iter().zip(wanted).map(|(y, t)| {
        let far = y.abs().min(64.0 * std::f64::consts::LN_2);
        let wrong = if *y < 0.0 { *t } else { 1.0 - t };
        // In octaves: the table of logarithms, the distance, and two shifts; and a power in 2^15.
        let octaves = (5.4 + 0.5 + 1.0) / LOSS_UNITS * std::f64::consts::LN_2;
        let absolute = octaves + 1.0 / LOSS_UNITS + 1.5 / 32_768.0 + 7e-6 * far;
        (far * wrong + (-far).exp().ln_1p(), absolute)
    });
    let (value, absolute) = terms.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    Expected { value, units: 0.0, absolute }
}

/// Half the squared distance of one sample, where every difference may err by `unit`. The sum of the
/// squares, in squares of that, ends with 64 bits.
pub fn mse_loss(row: &[f64], wanted: &[f64], unit: f64) -> Expected {
    let squares = row.iter().zip(wanted).map(|(y, t)| (y - t).powi(2)).sum::<f64>();
    let value = squares.min(2f64.powi(64) * unit * unit) / 2.0;
    let count = row.len() as f64;
    let absolute = unit * (2.0 * value * count).sqrt() + unit * unit * count + 1.0 / LOSS_UNITS;
    Expected { value, units: 0.0, absolute }
}

/// Losses are counted in parts of one.
pub const LOSS_UNITS: f64 = 65_536.0;

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

/// Every code is its rounded sum, with the random bits that `key` gives its element, and not
/// further from it than the rule can reach. Returns where the rounded values lay outside the
/// codes.
///
/// # Panics
///
/// When a code is another one.
pub fn assert_codes(
    sums: &[Number],
    codes: &[Number],
    quant: Quant,
    key: Key,
    first: usize,
    what: &str,
) -> Vec<bool> {
    assert_eq!(sums.len(), codes.len(), "{what}");
    let (below, above) = reach(quant.round);
    (first as u32..)
        .zip(sums.iter().zip(codes))
        .map(|(i, (&sum, &code))| {
            let shift = i32::from(code.exponent) - i32::from(sum.exponent);
            let expected = rounding::code(sum.mantissa.into(), shift, quant.format(), key.half(i));
            let Coded { code: wanted, clipped } = expected;
            let found = f64::from(code.mantissa);
            assert!(
                found == wanted,
                "{what}, element {i}: {sum:?} became {code:?} and not {wanted} under {quant:?}"
            );
            let error = found - sum.value() / code.unit();
            let near = clipped || quant.bits == 1 || (-below..=above).contains(&error);
            assert!(near, "{what}, element {i}: {sum:?} became {code:?}, {error} units away");
            clipped
        })
        .collect()
}

/// The unit of the codes is that of the bound, where the rule names the bound or it is plain to
/// see: the smallest power of two at or above all magnitudes. Zeros alone have no such bound.
///
/// # Panics
///
/// When it is another one.
pub fn assert_unit(sums: &[Number], codes: &[Number], quant: Quant, what: &str) {
    let largest = sums.iter().map(|sum| sum.value().abs()).fold(0.0, f64::max);
    let bound = match quant.range {
        Range::Fixed(bound) => bound,
        Range::Max if largest > 0.0 => largest.log2().ceil() as i16,
        _ => return,
    };
    // Binary codes are worth half the bound, as those of two bits.
    let unit = bound - (i16::from(quant.bits.max(2)) - 1);
    let other = codes.iter().find(|code| code.exponent != unit);
    assert!(other.is_none(), "{what}: {other:?} and not in units of 2^{unit} under {quant:?}");
}
