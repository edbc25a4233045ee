//! Binary cross-entropy of every output for itself: gradient `sigmoid(x) - t`, from the tables.

use super::{LN_2, ONE, Outputs, Target, scaled};
use crate::tables::{Below, exp2_negative, log2, logistic};

pub(super) fn row(outputs: Outputs<'_>, target: &Target<'_>, grad: &mut [i32]) -> u64 {
    let below = Below::of(0, outputs.exponent);
    for (i, slot) in grad.iter_mut().enumerate() {
        *slot = logistic(below, outputs.codes.get(i)) - target.share(i);
    }
    value(outputs, target)
}

/// Sum of `softplus(x) - t x`, which is that of `|x|` times what is wrong with its sign, and
/// `softplus(-|x|)`.
pub(super) fn value(outputs: Outputs<'_>, target: &Target<'_>) -> u64 {
    let below = Below::of(0, outputs.exponent);
    (0..outputs.codes.len()).fold(0, |loss, i| {
        let (code, share) = (outputs.codes.get(i), target.share(i));
        let wrong = if code < 0 { share } else { ONE - share }.unsigned_abs();
        let octaves = below.octaves(-code.saturating_abs());
        // At least 2^15 and at most twice that, so that the difference is one octave at most.
        let above = log2((1 << 15) + exp2_negative(octaves)).wrapping_sub(15 << 16);
        // At most 64 octaves of distance and that one.
        let octaves = scaled(octaves, wrong, 15).wrapping_add(above);
        loss + u64::from(scaled(octaves, LN_2, 16))
    })
}

/// Outputs above zero where more than a half is wanted, and no others.
pub(super) fn right(outputs: Outputs<'_>, target: &Target<'_>) -> u32 {
    let is_right = |&i: &usize| (outputs.codes.get(i) > 0) == (target.share(i) > ONE / 2);
    (0..outputs.codes.len()).filter(is_right).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::LossKind, loss::Loss, tensor::Mantissas};
    use proptest::prelude::*;

    const LOSS: Loss = Loss { kind: LossKind::BceWithLogits, label_smoothing: 0 };

    fn check(codes: &[i16], exponent: i16, target: &Target<'_>, wanted: &[f64]) {
        let mut grad = std::vec![0; codes.len()];
        let outputs = Outputs { codes: Mantissas::I16(codes), exponent };
        let loss = LOSS.row(outputs, target, &mut grad);
        assert_eq!(LOSS.value(outputs, target), loss);
        let (mut exact, mut bound) = (0.0, 0.0);
        for ((&c, &g), &t) in codes.iter().zip(&grad).zip(wanted) {
            let x = f64::from(c) * f64::from(exponent).exp2();
            let slope = 1.0 / (1.0 + (-x).exp()) - t;
            assert!((f64::from(g) - 32_768.0 * slope).abs() <= 2.5, "{c} {exponent} {t}: {g}");
            // Outputs count as at most 64 octaves from zero.
            let far = x.abs().min(64.0 * core::f64::consts::LN_2);
            let wrong = if x < 0.0 { t } else { 1.0 - t };
            exact += far * wrong + (-far).exp().ln_1p();
            // In octaves: the table of logarithms 5.4, the distance 0.5, two shifts 2; a power is
            // within 1.5 of 2^15. Constants lie a little off; a wanted share is rounded down.
            bound += (5.4 + 0.5 + 2.0) / 65_536.0 + 1.5 / 32_768.0 + 7e-6 * far + far / 32_768.0;
        }
        let error = (loss as f64 / 65_536.0 - exact).abs();
        assert!(error <= bound, "{codes:?} {exponent}: {error} {bound}");
    }

    #[test]
    fn a_class_is_wanted_and_all_others_are_not() {
        check(&[0, 0, 0], -4, &Target::Class(1), &[0.0, 1.0, 0.0]);
        check(&[127, -128, 5], -20, &Target::Class(2), &[0.0, 0.0, 1.0]);
        check(&[32_767, -32_768], 4, &Target::Class(1), &[0.0, 1.0]);
        let mut grad = [0; 2];
        let outputs = Outputs { codes: Mantissas::I8(&[0, 0]), exponent: 0 };
        let loss = LOSS.row(outputs, &Target::Class(1), &mut grad);
        // Two times the logarithm of two.
        assert_eq!((grad, loss), ([1 << 14, -(1 << 14)], 2 * 45_426));
    }

    #[test]
    fn answers_are_right_on_their_side_of_zero() {
        let values = Target::Values(&[64, 0, 64, 0, 32, 33], -6);
        let outputs = Outputs { codes: Mantissas::I8(&[1, -1, 0, 0, 1, 1]), exponent: 3 };
        // Zero says no, and a half is not wanted.
        assert_eq!((LOSS.right(outputs, &values), LOSS.answers(false, 6)), (4, 6));
        assert_eq!((LOSS.right(outputs, &Target::Class(0)), LOSS.answers(true, 6)), (1, 1));
        let distance = Loss { kind: LossKind::Mse, ..LOSS };
        assert_eq!((distance.right(outputs, &values), distance.answers(false, 6)), (0, 0));
    }

    proptest! {
        #[test]
        fn gradient_and_loss_equal_floating_point(
            codes in proptest::collection::vec(-128i16..128, 1..20),
            values in proptest::collection::vec(-1_000i16..18_000, 20), exponent in -9i16..3,
        ) {
            let wanted: std::vec::Vec<f64> =
                values.iter().map(|&v| (f64::from(v) / 16_384.0).clamp(0.0, 1.0)).collect();
            check(&codes, exponent, &Target::Values(&values, -14), &wanted);
        }
    }
}
