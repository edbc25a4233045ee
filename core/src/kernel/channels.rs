//! Work over the channels of every pixel, which lie side by side.

use core::ops::Range;

use crate::{
    layer::{ChannelSums, Columns},
    tensor::{Mantissa, Mantissas, for_width},
};

/// Plain loops over pixels, which the compiler turns into vector code where there is a unit for it.
#[derive(Debug)]
pub struct ChannelWork<'w>(pub(crate) Work<'w>);

/// What is done.
#[derive(Debug)]
pub(crate) enum Work<'w> {
    /// Adds the sums of some rows.
    Sums(&'w Columns<'w>, Range<usize>, &'w mut ChannelSums),
    /// `factor * x`.
    Scale { x: Mantissas<'w>, factors: &'w [i32], sums: &'w mut [i32] },
    /// `p * g + q * x + r`.
    Blend { grad: Mantissas<'w>, x: Mantissas<'w>, factors: [&'w [i32]; 3], sums: &'w mut [i32] },
}

impl ChannelWork<'_> {
    /// Does it.
    #[inline(always)]
    pub(crate) fn run(self) {
        match self.0 {
            Work::Sums(columns, rows, sums) => columns.add_up(rows, sums),
            Work::Scale { x, factors, sums } => {
                for_width!(Mantissas, x, x => scale(x, factors, sums));
            }
            Work::Blend { grad, x, factors, sums } => {
                for_width!(Mantissas, grad, grad => {
                    for_width!(Mantissas, x, x => blend(grad, x, factors, sums));
                });
            }
        }
    }
}

/// The numbers of a pixel.
#[inline(always)]
fn pixel<T>(numbers: &[T], at: usize, width: usize) -> &[T] {
    numbers.get(at..at + width).unwrap_or_default()
}

#[inline(always)]
fn scale<A: Mantissa>(x: &[A], factors: &[i32], sums: &mut [i32]) {
    let width = factors.len().max(1);
    let mut at = 0;
    for sums in sums.chunks_exact_mut(width) {
        for ((sum, x), factor) in sums.iter_mut().zip(pixel(x, at, width)).zip(factors) {
            *sum = x.widen().wrapping_mul(*factor);
        }
        at += width;
    }
}

#[inline(always)]
fn blend<A: Mantissa, B: Mantissa>(grad: &[A], x: &[B], [p, q, r]: [&[i32]; 3], sums: &mut [i32]) {
    let width = p.len().max(1);
    let mut at = 0;
    for sums in sums.chunks_exact_mut(width) {
        let numbers = pixel(grad, at, width).iter().zip(pixel(x, at, width));
        let factors = p.iter().zip(q).zip(r);
        for ((sum, (g, x)), ((p, q), r)) in sums.iter_mut().zip(numbers).zip(factors) {
            let grad = g.widen().wrapping_mul(*p);
            *sum = grad.wrapping_add(x.widen().wrapping_mul(*q)).wrapping_add(*r);
        }
        at += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_factors() {
        let mut sums = [7; 4];
        scale(&[1i8, 2, -3, 4], &[10, 100], &mut sums);
        assert_eq!(sums, [10, 200, -30, 400]);
        blend(&[1i8, 2, -3, 4], &[5i16, 6, 7, 8], [&[10, 100], &[1, -1], &[1000, 0]], &mut sums);
        assert_eq!(sums, [1015, 194, 977, 392]);
    }
}
