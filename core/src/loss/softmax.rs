//! Softmax cross-entropy: gradient `p - y`, probabilities from a table of powers of two.

use super::{
    Outputs, Target,
    tables::{exp2_negative, log2},
};

/// Probabilities are in units of 2^-15.
pub(super) const GRAD_EXPONENT: i16 = -15;
const ONE: i32 = 1 << 15;
/// A difference of two probabilities is at most one.
pub(super) const GRAD_BITS: u8 = 15;

/// `log2(e)` in units of 2^-14, and `ln(2)` in units of 2^-16.
const LOG2_E: u32 = 23_637;
const LN_2: u32 = 45_426;

/// Distances below the largest output are cut here, in units of 2^-16 octaves: what lies 64
/// octaves down has no probability in 15 bits anyway, and the loss stays finite.
const FARTHEST: u32 = 64 << 16;

/// How far `code` lies below `peak`, in units of 2^-16 octaves. Codes have at most 16 bits, so that
/// 32 do.
fn octaves_below(peak: i32, code: i32, exponent: i16) -> u32 {
    let steps = peak.wrapping_sub(code).cast_unsigned().min(u16::MAX.into());
    let distance = steps * LOG2_E;
    // Unit of the product: 2^(exponent - 14); wanted: 2^-16.
    let left = i32::from(exponent) + 2;
    let by = left.unsigned_abs();
    match left {
        0.. if distance > FARTHEST >> by.min(31) => FARTHEST,
        0.. => distance << by.min(31),
        -31.. => (distance.wrapping_add(1 << (by - 1)) >> by).min(FARTHEST),
        _ => 0,
    }
}

pub(super) fn row(outputs: Outputs<'_>, target: &Target<'_>, grad: &mut [i32]) -> u64 {
    let peak = outputs.peak();
    let mut sum = 0u32;
    for (i, slot) in grad.iter_mut().enumerate() {
        let power = power(&outputs, peak, i);
        sum = sum.saturating_add(power);
        *slot = power as i32;
    }
    // The largest output contributes 2^15, so the sum is never zero where a row has elements.
    let sum = sum.max(1);
    // Not every chip divides: this is at most too small by a little.
    let reciprocal = (1 << 30) / sum;
    let log_sum = log_sum(sum);
    let mut loss = 0;
    for (i, slot) in grad.iter_mut().enumerate() {
        // Powers are at most 2^15: the dividend fits 32 bits, and so does the product.
        let power = *slot as u32;
        let dividend = (power << 15).wrapping_add(sum / 2);
        let mut probability = power.wrapping_mul(reciprocal) >> 15;
        let mut rest = dividend.wrapping_sub(probability.wrapping_mul(sum));
        while rest >= sum {
            rest -= sum;
            probability += 1;
        }
        let wanted = wanted(target, i);
        *slot = probability as i32 - wanted;
        loss += share(&outputs, wanted, peak, i, log_sum);
    }
    loss
}

pub(super) fn value(outputs: Outputs<'_>, target: &Target<'_>) -> u64 {
    let peak = outputs.peak();
    let elements = 0..outputs.codes.len();
    let sum = elements.clone().map(|i| power(&outputs, peak, i)).sum::<u32>();
    let log_sum = log_sum(sum.max(1));
    elements.fold(0, |loss, i| loss + share(&outputs, wanted(target, i), peak, i, log_sum))
}

fn power(outputs: &Outputs<'_>, peak: i32, i: usize) -> u32 {
    exp2_negative(octaves_below(peak, outputs.codes.get(i), outputs.exponent))
}

/// The logarithm of the sum of all powers.
const fn log_sum(sum: u32) -> u32 {
    log2(sum).saturating_sub(15 << 16)
}

/// What an output adds to the loss: `wanted * -log(probability)`, which is below 2^24.
fn share(outputs: &Outputs<'_>, wanted: i32, peak: i32, i: usize, log_sum: u32) -> u64 {
    if wanted == 0 {
        return 0;
    }
    // At most 64 octaves of distance and 32 of the sum.
    let octaves = octaves_below(peak, outputs.codes.get(i), outputs.exponent);
    let loss = scaled(octaves.saturating_add(log_sum), LN_2, 16);
    scaled(loss, wanted.unsigned_abs(), 15).into()
}

/// `value * factor >> drop` for values below 2^23 and factors up to 2^16, in 32 bits.
const fn scaled(value: u32, factor: u32, drop: u32) -> u32 {
    let (high, low) = (value >> drop, value & ((1 << drop) - 1));
    high.wrapping_mul(factor).wrapping_add(low.wrapping_mul(factor) >> drop)
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

    proptest! {
        #[test]
        fn gradient_and_loss_hold_on_random_rows(
            codes in proptest::collection::vec(-128i16..128, 1..40), exponent in -8i16..0, pick: u16,
        ) {
            check(&codes, exponent, pick % codes.len() as u16);
        }
    }
}
