//! Curves between two ends: `sigmoid`, `tanh` and `hardsigmoid`.
//!
//! Outputs are in units of 2^-15. Beside each lies its slope as a byte, which the gradient is
//! multiplied with. Powers come from the [tables](crate::tables).

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Scale};
use crate::{
    kernel::Kernel,
    tables::{Below, logistic},
    tensor::{Mantissa, Shape, for_width},
    uses::Uses,
};

/// One, in the units of outputs.
const ONE: i32 = 1 << 15;
/// The exponent of that unit.
pub(crate) const EXPONENT: i16 = -15;

/// `1 / (1 + exp(-x))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sigmoid;

/// `(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tanh;

/// `relu6(x + 3) / 6`, as in PyTorch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hardsigmoid;

/// An output and its slope.
type Point = (i32, u8);

impl Sigmoid {
    /// Its slope is a quarter at most, and a byte counts it in units of 2^-9.
    const BACK: u8 = 9;

    fn at(x: Below, code: i32) -> Point {
        let y = logistic(x, code);
        (y, ((y * (ONE - y) + (1 << 20)) >> 21) as u8)
    }
}

impl Tanh {
    /// Its slope is one at most, and a byte counts it in units of 2^-7.
    const BACK: u8 = 7;

    fn at(twice: Below, code: i32) -> Point {
        let y = 2 * logistic(twice, code) - ONE;
        let rest = (1 << 30) - y * y;
        (y, ((rest + (1 << 22)) >> 23) as u8)
    }
}

impl Hardsigmoid {
    /// Its slope is a sixth or nothing, and a byte counts it in units of 2^-10.
    const BACK: u8 = 10;
    const SIXTH: u8 = 171;
    /// Three in units of 2^-13.
    const END: i32 = 3 << 13;

    fn at(left: i32, code: i32) -> Point {
        let x = match u32::try_from(left) {
            // Any number that is not zero lies outside.
            Ok(16..) => code.signum() * Self::END,
            Ok(left) => code << left,
            Err(_) => {
                let right = left.unsigned_abs().min(31);
                (code + (1 << (right - 1))) >> right
            }
        };
        let inside = x.abs() < Self::END;
        let x = x.clamp(-Self::END, Self::END) + Self::END;
        // A sixth of 2^-13 is two thirds of 2^-15.
        let y = (2 * x + 1) / 3;
        (y, if inside { Self::SIXTH } else { 0 })
    }
}

/// Makes layers of curves: what to know of the exponent of `x`, and the curve.
macro_rules! curves {
    ($($layer:ident: |$exponent:ident| $argument:expr;)*) => {
        $(
            impl $layer {
                /// The shape stays. Numbers are new, and every one keeps a byte.
                pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
                    let scale = Scale::Curve { back: Self::BACK };
                    Ok(Facts { output: Output::Sums, scale, memo: 1, ..Facts::in_place(from) })
                }
            }

            impl Operator for $layer {
                #[inline(always)]
                fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
                    let $exponent = run.exponent;
                    let argument = $argument;
                    forward(run, |code| Self::at(argument, code));
                }

                #[inline(always)]
                fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
                    input_grad(run);
                }
            }
        )*
    };
}
curves! {
    Sigmoid: |exponent| Below::of(0, exponent);
    Tanh: |exponent| Below::of(0, exponent.saturating_add(1));
    Hardsigmoid: |exponent| i32::from(exponent) + 13;
}

#[inline(always)]
fn forward<K>(run: Forward<'_, K>, curve: impl Fn(i32) -> Point) {
    let Forward { x, rows, sums, memo, .. } = run;
    let first = rows.start * (sums.len() / rows.len().max(1));
    for_width!(Mantissas, x.part(first, sums.len()), codes => {
        for ((sum, slope), code) in sums.iter_mut().zip(memo).zip(codes) {
            let (y, by) = curve(code.widen());
            (*sum, *slope) = (y, by.cast_signed());
        }
    });
}

fn input_grad<K>(run: InputGrad<'_, K>) {
    let InputGrad { grad, first, sums, memo, .. } = run;
    let memo = memo.get(first..).unwrap_or_default();
    for_width!(Mantissas, grad.part(first, sums.len()), codes => {
        for ((sum, slope), code) in sums.iter_mut().zip(memo).zip(codes) {
            *sum = code.widen() * i32::from(slope.cast_unsigned());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::Bench;

    fn check(at: impl Fn(i16, i32) -> Point, curve: fn(f64) -> f64, back: u8, units: f64) {
        for exponent in [-20i16, -15, -12, -7, -4, -1, 0, 3, 20] {
            for code in (-32_768..32_768).step_by(41).chain([-1, 0, 1, 127, -128, 32_767]) {
                let x = f64::from(code) * f64::from(exponent).exp2();
                let (y, slope) = at(exponent, code);
                let error = f64::from(y) - 32_768.0 * curve(x);
                assert!(error.abs() <= units, "{code} * 2^{exponent}: {y}, {error} off");
                let exact = (curve(x + 1e-4) - curve(x - 1e-4)) / 2e-4;
                let unit = f64::from(-i16::from(back)).exp2();
                let error = f64::from(slope) * unit - exact;
                let corner = (x.abs() - 3.0).abs() < 1e-3;
                assert!(corner || error.abs() <= 0.6 * unit, "{code} * 2^{exponent}: {error}");
            }
        }
    }

    #[test]
    fn curves_are_near_the_real_ones_and_so_are_their_slopes() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        check(|e, code| Sigmoid::at(Below::of(0, e), code), logistic, Sigmoid::BACK, 1.5);
        check(|e, code| Tanh::at(Below::of(0, e + 1), code), f64::tanh, Tanh::BACK, 3.0);
        let hard = |x: f64| (x / 6.0 + 0.5).clamp(0.0, 1.0);
        let at = |e: i16, code| Hardsigmoid::at(i32::from(e) + 13, code);
        check(at, hard, Hardsigmoid::BACK, 1.0);
    }

    #[test]
    fn ends_and_middles_are_exact() {
        let sigmoid = |code| Sigmoid::at(Below::of(0, 0), code);
        assert_eq!([0, 100, -100].map(sigmoid), [(ONE / 2, 128), (ONE, 0), (0, 0)]);
        let tanh = |code| Tanh::at(Below::of(0, 1), code);
        assert_eq!([0, 100, -100].map(tanh), [(0, 128), (ONE, 0), (-ONE, 0)]);
        let hard = |code| Hardsigmoid::at(13, code);
        assert_eq!([0, 3, -3, 5].map(hard), [(ONE / 2, 171), (ONE, 0), (0, 0), (ONE, 0)]);
    }

    #[test]
    fn gradients_are_multiplied_with_the_slopes() {
        let mut tanh = Bench::new(Tanh, [3, 1, 1]);
        assert_eq!(tanh.forward(&[0, 20, 0], &[]), [0, ONE, 0]);
        assert_eq!(tanh.input_grad(&[5, 6, -7], &[]), [5 * 128, 0, -7 * 128]);
    }
}
