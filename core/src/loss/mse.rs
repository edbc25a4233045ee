//! Half the squared distance; its gradient is the distance.

use super::{LOSS_EXPONENT, Outputs, Target};

/// A class means 1 at its place and 0 elsewhere; 1 is `2^14` in this unit.
const ONE_EXPONENT: i16 = -14;
/// The finer of two units rules, at most this many bits below the coarser: distances then stay
/// below 2^30.
const SPREAD: i16 = 13;

fn target_exponent(target: &Target<'_>) -> i16 {
    match *target {
        Target::Class(_) => ONE_EXPONENT,
        Target::Values(_, exponent) => exponent,
    }
}

pub(super) fn grad_exponent(outputs: i16, target: &Target<'_>) -> i16 {
    let target = target_exponent(target);
    outputs.min(target).max(outputs.max(target).saturating_sub(SPREAD))
}

/// The distance is at most twice the larger of output and target.
pub(super) fn grad_bits(outputs: i16, bits: u8, target: &Target<'_>) -> u8 {
    let unit = grad_exponent(outputs, target);
    let up = |exponent: i16| exponent.saturating_sub(unit).clamp(0, SPREAD) as u8;
    let wanted = match *target {
        Target::Class(_) => ONE_EXPONENT.unsigned_abs() as u8,
        Target::Values(..) => 15,
    };
    let output = bits.saturating_sub(1).saturating_add(up(outputs));
    output.max(wanted + up(target_exponent(target))).saturating_add(1)
}

fn align(value: i32, from: i16, to: i16) -> i32 {
    let left = from.saturating_sub(to);
    if left >= 0 { value << left.min(SPREAD) } else { value >> left.unsigned_abs().min(31) }
}

pub(super) fn row(outputs: Outputs<'_>, target: &Target<'_>, grad: &mut [i32]) -> u64 {
    for (i, slot) in grad.iter_mut().enumerate() {
        *slot = distance(&outputs, target, i);
    }
    value(outputs, target)
}

pub(super) fn value(outputs: Outputs<'_>, target: &Target<'_>) -> u64 {
    let squares = (0..outputs.codes.len()).fold(0u64, |sum, i| {
        let distance = i64::from(distance(&outputs, target, i));
        sum.saturating_add((distance * distance) as u64)
    });
    // Half of squares * 2^(2 unit), in units of 2^-16.
    let unit = grad_exponent(outputs.exponent, target);
    let left = 2 * i32::from(unit) - 1 - i32::from(LOSS_EXPONENT);
    if left >= 0 {
        squares.saturating_mul(1 << left.min(63))
    } else {
        squares >> left.unsigned_abs().min(63)
    }
}

fn distance(outputs: &Outputs<'_>, target: &Target<'_>, i: usize) -> i32 {
    let unit = grad_exponent(outputs.exponent, target);
    let wanted = match *target {
        Target::Class(class) => i32::from(usize::from(class) == i) << -ONE_EXPONENT,
        Target::Values(values, _) => values.get(i).copied().unwrap_or(0).into(),
    };
    let output = align(outputs.codes.get(i), outputs.exponent, unit);
    output.saturating_sub(align(wanted, target_exponent(target), unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Mantissas;
    use proptest::prelude::*;

    #[test]
    fn a_class_is_a_one_hot_vector() {
        let codes = [64i8, -32];
        let outputs = Outputs { codes: Mantissas::I8(&codes), exponent: -6 };
        let mut grad = [0; 2];
        let loss = row(outputs, &Target::Class(0), &mut grad);
        assert_eq!(grad_exponent(-6, &Target::Class(0)), -14);
        assert_eq!(grad, [0, -8192]);
        assert_eq!(loss, 65536 / 8);
    }

    #[test]
    fn the_largest_of_more_outputs_than_16_bits_count_is_found() {
        let mut codes = std::vec![0i8; 70_000];
        codes[300] = 9;
        let outputs = Outputs { codes: Mantissas::I8(&codes), exponent: 0 };
        assert_eq!(outputs.argmax(), 300);
    }

    proptest! {
        #[test]
        fn gradient_and_loss_equal_floating_point(
            codes in proptest::collection::vec(-128i16..128, 1..20),
            values in proptest::collection::vec(-3000i16..3000, 20),
            outputs in -12i16..4, target in -14i16..2,
        ) {
            let wanted = Target::Values(&values, target);
            let unit = f64::from(grad_exponent(outputs, &wanted)).exp2();
            let mut grad = std::vec![0; codes.len()];
            let row_outputs = Outputs { codes: Mantissas::I16(&codes), exponent: outputs };
            let loss = row(row_outputs, &wanted, &mut grad) as f64 / 65536.0;
            let limit = 1 << grad_bits(outputs, 8, &wanted);
            prop_assert!(grad.iter().all(|g| g.abs() <= limit), "{grad:?} {limit}");
            let mut exact = 0.0;
            for ((&c, &v), &g) in codes.iter().zip(&values).zip(&grad) {
                let distance =
                    f64::from(c) * f64::from(outputs).exp2() - f64::from(v) * f64::from(target).exp2();
                prop_assert!((f64::from(g) * unit - distance).abs() <= unit);
                exact += distance * distance / 2.0;
            }
            // One unit of rounding on every distance.
            let slack = unit * (2.0 * exact * codes.len() as f64).sqrt() + unit * unit * codes.len() as f64;
            prop_assert!((loss - exact).abs() <= slack + 2e-5, "{loss} {exact}");
        }
    }
}
