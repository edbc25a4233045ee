//! Numbers left out at random, so that none is relied on (Srivastava et al. 2014).
//!
//! What stays is multiplied by `1 / (1 - p)`; inference leaves nothing out. Which numbers go is a
//! function of step, layer and number, so it is drawn again on the way back and not kept.

use serde::{Deserialize, Serialize};

use super::{Average, Draws, Facts, Forward, InputGrad, Misfit, Operator, Output, Scale};
use crate::{
    kernel::Kernel,
    tensor::{Mantissa, Mantissas, Shape, for_width},
    uses::Uses,
};

/// Leaves numbers out at random in training, like PyTorch's `Dropout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dropout {
    /// The probability that a number is left out, in units of 2^-15.
    pub p: u16,
}

impl Dropout {
    /// The largest probability: one number of 64 stays.
    pub const MOST: u16 = (1 << 15) - (1 << 9);

    /// A probability of `part / of`.
    pub const fn new(part: u16, of: u16) -> Self {
        let of = if of == 0 { 1 } else { of as u32 };
        let p = (((part as u32) << 15) + of / 2) / of;
        Self { p: if p > u16::MAX as u32 { u16::MAX } else { p as u16 } }
    }

    /// The shape stays, and numbers go through a point.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        if self.p > Self::MOST {
            return Err(Misfit::Probability { p: self.p });
        }
        let scale = Scale::Kept(self.p);
        Ok(Facts { output: Output::Sums, scale, ..Facts::in_place(from) })
    }

    #[inline(always)]
    fn leave_out(
        self,
        codes: Mantissas<'_>,
        draws: Draws,
        first: usize,
        by: Average,
        sums: &mut [i32],
    ) {
        let factor = i32::from(by.factor);
        let first = draws.first.wrapping_add(first as u32);
        for_width!(Mantissas, codes, codes => {
            for ((sum, code), i) in sums.iter_mut().zip(codes).zip(0u32..) {
                let stays = draws.key.half(first.wrapping_add(i)) >= u32::from(self.p) << 1;
                *sum = if stays { code.widen() * factor } else { 0 };
            }
        });
    }
}

impl Average {
    /// A multiplication by `1 / (1 - p)`, for a `p` in units of 2^-15: exact where it is a power of two,
    /// else with 15 bits.
    pub(crate) const fn of_kept(p: u16) -> Self {
        let kept = (1u32 << 15).saturating_sub(p as u32);
        if kept == 0 {
            return Self::NONE;
        }
        if kept.is_power_of_two() {
            return Self { factor: (1 << 15) / kept as u16, shift: 0 };
        }
        let shift = kept.ilog2();
        Self { factor: (((1 << 15 << shift) + kept / 2) / kept) as u16, shift: shift as u8 }
    }
}

impl Operator for Dropout {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { x, rows, sums, average, draws, .. } = run;
        let first = rows.start * (sums.len() / rows.len().max(1));
        let x = x.part(first, sums.len());
        match draws {
            Some(draws) => self.leave_out(x, draws, first, average, sums),
            None => x.widen_into(sums),
        }
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { grad, first, sums, average, draws, .. } = run;
        let grad = grad.part(first, sums.len());
        self.leave_out(grad, draws, first, average, sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layer::testing::Bench, rng::Key};
    use std::vec::Vec;

    #[test]
    fn what_is_left_out_has_no_gradient_and_the_rest_is_doubled() {
        let mut dropout = Bench::new(Dropout::new(1, 2), [8, 1, 1]);
        dropout.average = Average::of_kept(1 << 14);
        let out = dropout.forward(&[1, 2, 3, 4, 5, 6, 7, 8], &[]);
        let grad = dropout.input_grad(&[1; 8], &[]);
        for ((i, y), g) in (1..).zip(&out).zip(&grad) {
            assert!((*y, *g) == (0, 0) || (*y, *g) == (2 * i, 2), "{out:?} {grad:?}");
        }
        assert!(out.contains(&0) && out.iter().any(|&y| y > 0));
    }

    #[test]
    fn as_many_are_left_out_as_p_says_wherever_pieces_begin() {
        let dropout = Dropout::new(1, 5);
        let draws = Draws { key: Key::new(3), first: 7 };
        let (ones, mut all) = (std::vec![1i8; 10_000], std::vec![0; 10_000]);
        dropout.leave_out(Mantissas::I8(&ones), draws, 0, Average::NONE, &mut all);
        let stay: i32 = all.iter().sum();
        assert!((stay - 8000).abs() < 120, "{stay}");
        let mut parts = Vec::new();
        for first in [0, 4000] {
            let mut some = std::vec![0; if first == 0 { 4000 } else { 6000 }];
            dropout.leave_out(Mantissas::I8(&ones), draws, first, Average::NONE, &mut some);
            parts.extend(some);
        }
        assert_eq!(parts, all);
    }

    #[test]
    fn the_factor_is_near_and_fits() {
        for p in [0, 1, 100, 3277, 6554, 1 << 14, 20_000, 24_576, 30_000, Dropout::MOST] {
            let Average { factor, shift } = Average::of_kept(p);
            let exact = 32_768.0 / (32_768.0 - f64::from(p));
            let error = f64::from(factor) * f64::from(-i16::from(shift)).exp2() / exact - 1.0;
            assert!(error.abs() < 1e-4, "{p}: {error}");
        }
        assert_eq!(Average::of_kept(1 << 14), Average { factor: 2, shift: 0 });
        assert_eq!(Average::of_kept(0), Average::NONE);
    }

    #[test]
    fn one_number_of_64_stays_at_least() {
        let from = Shape::vector(3);
        assert!(Dropout { p: Dropout::MOST }.facts(from).is_ok());
        assert_eq!(Dropout::new(1, 1).facts(from), Err(Misfit::Probability { p: 1 << 15 }));
        assert_eq!(Dropout::new(9, 0).p, u16::MAX);
    }
}
