//! Softmax cross-entropy: gradient `p - y`, probabilities from a table of powers of two.

use core::ops::Range;

use super::{Outputs, Target};
use crate::tables::{Below, exp2_negative, log2};

/// Probabilities are in units of 2^-15.
pub(super) const GRAD_EXPONENT: i16 = -15;
const ONE: i32 = 1 << 15;
/// A difference of two probabilities is at most one.
pub(super) const GRAD_BITS: u8 = 15;

/// `ln(2)` in units of 2^-16.
const LN_2: u32 = 45_426;

fn below(outputs: &Outputs<'_>) -> Below {
    Below::of(outputs.peak(), outputs.exponent)
}

fn power(below: Below, outputs: &Outputs<'_>, i: usize) -> u32 {
    exp2_negative(below.octaves(outputs.codes.get(i)))
}

pub(super) fn row(outputs: Outputs<'_>, target: &Target<'_>, grad: &mut [i32]) -> u64 {
    let below = below(&outputs);
    let mut sum = 0u32;
    for (i, slot) in grad.iter_mut().enumerate() {
        let power = power(below, &outputs, i);
        // At most 2^15 each, of at most 2^16 outputs.
        sum = sum.wrapping_add(power);
        *slot = power as i32;
    }
    // The largest output contributes 2^15, so the sum is never zero where a row has elements.
    let sum = sum.max(1);
    let reciprocal = RECIPROCAL / sum;
    for slot in grad.iter_mut() {
        *slot = share(*slot as u32, sum, reciprocal) as i32;
    }
    for i in wanted_of(target, grad.len()) {
        if let Some(slot) = grad.get_mut(i) {
            *slot -= wanted(target, i);
        }
    }
    loss(&outputs, target, below, sum)
}

pub(super) fn value(outputs: Outputs<'_>, target: &Target<'_>) -> u64 {
    let below = below(&outputs);
    let sum = (0..outputs.codes.len()).map(|i| power(below, &outputs, i)).sum::<u32>();
    loss(&outputs, target, below, sum.max(1))
}

/// Divided by a sum, [`share`] needs no division, which not every chip has.
const RECIPROCAL: u32 = 1 << 30;

/// `power / sum` in units of 2^-15, rounded to nearest, for powers up to 2^15 and sums from there on.
const fn share(power: u32, sum: u32, reciprocal: u32) -> u32 {
    // The reciprocal is too small by less than one, and so is what comes of it.
    let share = power.wrapping_mul(reciprocal).wrapping_add(1 << 14) >> 15;
    let rest = (power << 15).wrapping_add(sum / 2).wrapping_sub(share.wrapping_mul(sum));
    if rest < sum { share } else { share + 1 }
}

/// Sum of `wanted * -log(probability)`, each below 2^24.
fn loss(outputs: &Outputs<'_>, target: &Target<'_>, below: Below, sum: u32) -> u64 {
    // Not negative where there is an output.
    let log_sum = log2(sum).wrapping_sub(15 << 16);
    wanted_of(target, outputs.codes.len()).fold(0, |loss, i| {
        // At most 64 octaves of distance and 32 of the sum.
        let octaves = below.octaves(outputs.codes.get(i)).wrapping_add(log_sum);
        let share = scaled(octaves, LN_2, 16);
        loss + u64::from(scaled(share, wanted(target, i).unsigned_abs(), 15))
    })
}

/// `value * factor >> drop` for values below 2^23 and factors up to 2^16, in 32 bits.
const fn scaled(value: u32, factor: u32, drop: u32) -> u32 {
    let (high, low) = (value >> drop, value & ((1 << drop) - 1));
    high.wrapping_mul(factor).wrapping_add(low.wrapping_mul(factor) >> drop)
}

/// The outputs, of `len`, whose wanted probability may not be zero.
fn wanted_of(target: &Target<'_>, len: usize) -> Range<usize> {
    match *target {
        Target::Class(class) => {
            let class = usize::from(class).min(len);
            class..len.min(class + 1)
        }
        Target::Values(..) => 0..len,
    }
}

/// The wanted probability of output `i` in units of 2^-15.
fn wanted(target: &Target<'_>, i: usize) -> i32 {
    match *target {
        Target::Class(class) => ONE * i32::from(usize::from(class) == i),
        Target::Values(values, exponent) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::FARTHEST;
    use crate::tensor::Mantissas;
    use proptest::prelude::*;

    fn check(codes: &[i16], exponent: i16, class: u16) {
        let mut grad = std::vec![0; codes.len()];
        let outputs = Outputs { codes: Mantissas::I16(codes), exponent };
        let loss = row(outputs, &Target::Class(class), &mut grad);
        assert_eq!(value(outputs, &Target::Class(class)), loss);
        let scale = f64::from(exponent).exp2();
        let peak = codes.iter().max().map_or(0.0, |&m| f64::from(m)) * scale;
        let power = |c: i16| (f64::from(c) * scale - peak).exp();
        let sum: f64 = codes.iter().map(|&c| power(c)).sum();
        for (i, (&c, &g)) in codes.iter().zip(&grad).enumerate() {
            let exact = power(c) / sum - f64::from(u8::from(i == usize::from(class)));
            // Every power is within 1.5 units, and so is every term of the sum.
            let bound = 2.0 + 1.5 * codes.len() as f64 * power(c) / sum;
            let error = (f64::from(g) - 32768.0 * exact).abs();
            assert!(error < bound, "{codes:?} {exponent} {i}: {error}");
        }
        let exact = sum.ln() + peak - f64::from(codes[usize::from(class)]) * scale;
        let octaves_cut = exact > 44.0;
        let error = (loss as f64 / 65536.0 - exact).abs();
        // Every power but that of the largest output is within 1.6 units: 1.5 by the table, the
        // rest by the distance. Their sum is at least one, so its logarithm errs by as much.
        let powers = 1.6 * (codes.len() - 1) as f64 / 32768.0;
        // The table of logarithms 5.4, the distance 0.5, the final shift 1.45 in octaves.
        let logarithm = (5.4 + 0.5 + 1.45) / 65536.0 * core::f64::consts::LN_2;
        // How far the two constants lie off.
        let constants = (4.9e-6 + 2.1e-6) * exact;
        let bound = powers + logarithm + constants;
        assert!(octaves_cut || error < bound, "{codes:?} {exponent}: {error} {bound}");
    }

    #[test]
    fn gradient_and_loss_equal_floating_point_to_fifteen_bits() {
        check(&[0, 0, 0, 0], -4, 1);
        check(&[100, -100], 0, 1);
        check(&[127, -128, 5], -20, 2);
        check(&[32767, -32768, 0], 4, 0);
        check(&[7], 0, 0);
        let mut long = [0; 30];
        long[26] = 65;
        check(&long, -3, 26);
    }

    #[test]
    fn distances_hold_for_every_exponent() {
        for exponent in -60..60i16 {
            for code in [127i16, 126, 100, 0, -128, i16::MIN] {
                let outputs = Outputs { codes: Mantissas::I16(&[127, code]), exponent };
                let distance = u128::from(127u16.wrapping_sub(code.cast_unsigned())) * 23_637;
                // In units of 2^(exponent - 14) with 80 more bits; rounded to units of 2^-16.
                let exact = ((distance << (exponent + 62)) + (1 << 59)) >> 60;
                let octaves = below(&outputs).octaves(code.into());
                assert_eq!(u128::from(octaves), exact.min(FARTHEST.into()), "{exponent} {code}");
            }
        }
    }

    proptest! {
        #[test]
        fn shares_are_rounded_quotients(power in 0u32..=1 << 15, sum in 1u32 << 15..1 << 28) {
            let exact = ((u64::from(power) << 15) + u64::from(sum / 2)) / u64::from(sum);
            prop_assert_eq!(u64::from(share(power, sum, RECIPROCAL / sum)), exact);
        }

        #[test]
        fn gradient_and_loss_hold_on_random_rows(
            codes in proptest::collection::vec(-128i16..128, 1..40), exponent in -8i16..0, pick: u16,
        ) {
            check(&codes, exponent, pick % codes.len() as u16);
        }
    }
}
