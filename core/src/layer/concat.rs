//! The channels of two outputs side by side.
//!
//! Each output has a unit of its own, a power of two. Both are brought to the finer one, and go
//! through the layer's point.

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Terms, unit::shifted};
use crate::{
    kernel::Kernel,
    tensor::{Mantissa, Shape, for_width},
    uses::Uses,
};

/// The channels of two outputs side by side, those of the first one first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Concat;

impl Concat {
    /// As many channels as both have; the same pixels.
    pub const fn facts(self, from: Shape, other: Shape) -> Result<Facts, Misfit> {
        let ([a, height, width], [b, rows, cols]) = (from.0, other.0);
        if height != rows || width != cols {
            return Err(Misfit::Pixels { other });
        }
        let Some(channels) = a.checked_add(b) else { return Err(Misfit::Sum { channels: b }) };
        Ok(Facts {
            shape: Shape([channels, height, width]),
            output: Output::Sums,
            terms: Terms { forward: 1, backward: 1 },
            ..Facts::in_place(from)
        })
    }
}

impl Operator for Concat {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { from, x, other, left: [up, other_up], rows, sums, .. } = run;
        let (channels, row) = (usize::from(from.0[0]), sums.len() / rows.len().max(1));
        let others = row.saturating_sub(channels);
        for (at, sums) in rows.zip(sums.chunks_exact_mut(row.max(1))) {
            let (first, second) = sums.split_at_mut(channels.min(row));
            for (sums, codes, left) in [
                (first, x.part(at * channels, channels), up),
                (second, other.part(at * others, others), other_up),
            ] {
                for_width!(Mantissas, codes, codes => {
                    for (sum, code) in sums.iter_mut().zip(codes) {
                        *sum = shifted(code.widen(), left);
                    }
                });
            }
        }
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { from, channels, second, grad, first, sums, .. } = run;
        let mine = usize::from(from.0[0]);
        let (from, mine) = if second { (mine, channels.saturating_sub(mine)) } else { (0, mine) };
        let rows = first / mine.max(1)..;
        for (row, sums) in rows.zip(sums.chunks_exact_mut(mine.max(1))) {
            grad.part(row * channels + from, mine).widen_into(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::Bench;

    #[test]
    fn channels_lie_side_by_side_in_every_pixel() {
        let mut concat = Bench::joining(Concat, [2, 1, 2], [1, 1, 2]);
        assert_eq!(concat.facts.shape, Shape([3, 1, 2]));
        concat.left = [0, 3];
        assert_eq!(concat.forward_both(&[1, 2, 3, 4], &[5, -6]), [1, 2, 40, 3, 4, -48]);
        let grad = [10, 20, 30, 40, 50, 60];
        assert_eq!(concat.input_grad(&grad, &[]), [10, 20, 40, 50]);
        assert_eq!(concat.second_grad(&grad), [30, 60]);
    }

    #[test]
    fn other_pixels_and_too_many_channels_are_refused() {
        let other = Shape([1, 2, 1]);
        assert_eq!(Concat.facts(Shape([1, 1, 2]), other), Err(Misfit::Pixels { other }));
        let many = Shape([40_000, 1, 1]);
        assert_eq!(Concat.facts(many, many), Err(Misfit::Sum { channels: 40_000 }));
    }
}
