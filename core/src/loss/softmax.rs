//! Softmax cross-entropy: gradient `p - y`, probabilities from a table of powers of two.

use core::ops::Range;

use super::{LN_2, ONE, Outputs, Target, scaled};
use crate::tables::{Below, exp2_negative, log2};

fn below(outputs: &Outputs<'_>) -> Below {
    Below::of(outputs.peak(), outputs.exponent)
}

fn power(below: Below, outputs: &Outputs<'_>, i: usize) -> u32 {
    exp2_negative(below.octaves(outputs.codes.get(i)))
}

pub(super) fn row(
    outputs: Outputs<'_>,
    target: &Target<'_>,
    smoothing: u16,
    grad: &mut [i32],
) -> u64 {
    let wanted = Wanted::new(target, smoothing, grad.len());
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
    for i in wanted.outputs() {
        if let Some(slot) = grad.get_mut(i) {
            *slot -= wanted.of(i);
        }
    }
    loss(&outputs, wanted, below, sum)
}

pub(super) fn value(outputs: Outputs<'_>, target: &Target<'_>, smoothing: u16) -> u64 {
    let wanted = Wanted::new(target, smoothing, outputs.codes.len());
    let below = below(&outputs);
    let sum = (0..outputs.codes.len()).map(|i| power(below, &outputs, i)).sum::<u32>();
    loss(&outputs, wanted, below, sum.max(1))
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
fn loss(outputs: &Outputs<'_>, wanted: Wanted<'_>, below: Below, sum: u32) -> u64 {
    // Not negative where there is an output.
    let log_sum = log2(sum).wrapping_sub(15 << 16);
    wanted.outputs().fold(0, |loss, i| {
        // At most 64 octaves of distance and 32 of the sum.
        let octaves = below.octaves(outputs.codes.get(i)).wrapping_add(log_sum);
        let share = scaled(octaves, LN_2, 16);
        loss + u64::from(scaled(share, wanted.of(i).unsigned_abs(), 15))
    })
}

/// Wanted probabilities, of which all outputs may have a part alike (Szegedy et al. 2016, section 7).
#[derive(Clone, Copy)]
struct Wanted<'t> {
    target: &'t Target<'t>,
    outputs: usize,
    smoothing: i32,
    /// What every output has, and how many have one unit more, so that nothing is lost.
    each: i32,
    rest: usize,
}

impl<'t> Wanted<'t> {
    #[inline(always)]
    fn new(target: &'t Target<'t>, smoothing: u16, outputs: usize) -> Self {
        let smoothing = i32::from(smoothing);
        let none = Self { target, outputs, smoothing: 0, each: 0, rest: 0 };
        let parts = outputs as i32;
        match (smoothing.checked_div(parts), smoothing.checked_rem(parts)) {
            (Some(each), Some(rest)) if smoothing > 0 => {
                Self { smoothing, each, rest: rest.unsigned_abs() as usize, ..none }
            }
            _ => none,
        }
    }

    /// The outputs whose wanted probability may not be zero.
    #[inline(always)]
    fn outputs(self) -> Range<usize> {
        match *self.target {
            Target::Class(class) if self.smoothing == 0 => {
                let class = usize::from(class).min(self.outputs);
                class..self.outputs.min(class + 1)
            }
            _ => 0..self.outputs,
        }
    }

    /// The wanted probability of output `i` in units of 2^-15.
    // Inlined: who links no smoothing is left with the target's own.
    #[inline(always)]
    fn of(self, i: usize) -> i32 {
        let share = self.target.share(i);
        if self.smoothing == 0 {
            return share;
        }
        // At most 2^30 before the shift; a class keeps exactly what the others do not get.
        let own = (share * (ONE - self.smoothing) + ONE / 2) >> 15;
        own + self.each + i32::from(i < self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::FARTHEST;
    use crate::tensor::Mantissas;
    use proptest::prelude::*;

    fn check(codes: &[i16], exponent: i16, class: u16, smoothing: u16) {
        let mut grad = std::vec![0; codes.len()];
        let outputs = Outputs { codes: Mantissas::I16(codes), exponent };
        let loss = row(outputs, &Target::Class(class), smoothing, &mut grad);
        assert_eq!(value(outputs, &Target::Class(class), smoothing), loss);
        let smoothing = f64::from(smoothing) / 32_768.0;
        let wanted = |i: usize| {
            let own = f64::from(u8::from(i == usize::from(class)));
            own * (1.0 - smoothing) + smoothing / codes.len() as f64
        };
        let scale = f64::from(exponent).exp2();
        let peak = codes.iter().max().map_or(0.0, |&m| f64::from(m)) * scale;
        let power = |c: i16| (f64::from(c) * scale - peak).exp();
        let sum: f64 = codes.iter().map(|&c| power(c)).sum();
        for (i, (&c, &g)) in codes.iter().zip(&grad).enumerate() {
            let exact = power(c) / sum - wanted(i);
            // Every power is within 1.5 units, and so is every term of the sum; a smooth target is
            // within one.
            let smooth = if smoothing > 0.0 { 1.0 } else { 0.0 };
            let bound = smooth + 2.0 + 1.5 * codes.len() as f64 * power(c) / sum;
            let error = (f64::from(g) - 32768.0 * exact).abs();
            assert!(error < bound, "{codes:?} {exponent} {i}: {error}");
        }
        // Outputs count as at most 64 octaves below the largest.
        let far = |c: i16| (peak - f64::from(c) * scale).min(64.0 * core::f64::consts::LN_2);
        let exact: f64 =
            codes.iter().enumerate().map(|(i, &c)| wanted(i) * (sum.ln() + far(c))).sum();
        let error = (loss as f64 / 65536.0 - exact).abs();
        // Every power but that of the largest output is within 1.6 units: 1.5 by the table, the
        // rest by the distance. Their sum is at least one, so its logarithm errs by as much.
        let powers = 1.6 * (codes.len() - 1) as f64 / 32768.0;
        // The table of logarithms 5.4, the distance 0.5, the final shift 1.45 in octaves.
        let logarithm = (5.4 + 0.5 + 1.45) / 65536.0 * core::f64::consts::LN_2;
        // How far the two constants lie off.
        let constants = (4.9e-6 + 2.1e-6) * exact;
        // A smooth target is within one unit, and each of its terms is rounded down.
        let each = |&c: &i16| (sum.ln() + far(c)) / 32768.0 + 1.0 / 65536.0;
        let smooth = if smoothing > 0.0 { codes.iter().map(each).sum() } else { 0.0 };
        let bound = powers + logarithm + constants + smooth;
        assert!(error < bound, "{codes:?} {exponent}: {error} {bound}");
    }

    #[test]
    fn gradient_and_loss_equal_floating_point_to_fifteen_bits() {
        let mut long = [0; 30];
        long[26] = 65;
        for smoothing in [0, 1, 3_277, 32_767] {
            check(&[0, 0, 0, 0], -4, 1, smoothing);
            check(&[100, -100], 0, 1, smoothing);
            check(&[127, -128, 5], -20, 2, smoothing);
            check(&[32767, -32768, 0], 4, 0, smoothing);
            check(&[7], 0, 0, smoothing);
            check(&long, -3, 26, smoothing);
        }
    }

    #[test]
    fn a_smooth_target_is_one_in_all() {
        for (outputs, smoothing) in [(1, 77), (3, 3_277), (10, 3_277), (1_000, 3_277), (7, 1)] {
            let class = Target::Class(0);
            let wanted = Wanted::new(&class, smoothing, outputs);
            let shares: std::vec::Vec<i32> = wanted.outputs().map(|i| wanted.of(i)).collect();
            assert_eq!((shares.len(), shares.iter().sum::<i32>()), (outputs, ONE));
            let each = f64::from(smoothing) / outputs as f64;
            assert!(shares[1..].iter().all(|&share| (f64::from(share) - each).abs() < 1.0));
        }
        // Probabilities too: 3/4 and 1/4, of which a half is spread over two.
        let values = Target::Values(&[3, 1], -2);
        let wanted = Wanted::new(&values, 1 << 14, 2);
        assert_eq!([wanted.of(0), wanted.of(1)], [20_480, 12_288]);
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
            smoothing in prop_oneof![Just(0), 0u16..1 << 15],
        ) {
            check(&codes, exponent, pick % codes.len() as u16, smoothing);
        }
    }
}
