//! Products of bytes in blocks of registers, for 32-bit cores without vector units.
//!
//! Where both operands are contiguous along the depth (the forward pass), two rows by two columns
//! are summed at a time, so that a loaded number is used twice. Where the rows of `b` are
//! contiguous (both gradients), four of them are added to a row of results at a time, so that a
//! result is loaded and stored once for four products. Nothing is packed: tiles are too small for
//! that to pay.

use super::{Kernel, Scalar, added};
use crate::tensor::{Mantissas, Matrix};

/// [`Scalar`] with products that load and store less. In safe code, for every machine.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Blocked;

impl Kernel for Blocked {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        let (Mantissas::I8(x), Mantissas::I8(y), true) = (a.data, b.data, drop == 0) else {
            return Scalar.gemm(a, b, drop, add, out);
        };
        if !a.is_whole() || !b.is_whole() {
            Scalar.gemm(a, b, drop, add, out);
        } else if add {
            added(self, a, b, out);
        } else if a.col_stride == 1 && b.row_stride == 1 {
            dots(&a, x, &b, y, out);
        } else if b.col_stride == 1 {
            rows(&a, x, &b, y, out);
        } else {
            Scalar.gemm(a, b, drop, add, out);
        }
    }
}

/// Rows of `a` by columns of `b`, both contiguous.
fn dots(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
    let depth = a.cols.min(b.rows);
    // The last of an odd number comes alone, in both places.
    let lanes = |data, stride: usize, i: usize, len: usize| {
        [i, (i + 1).min(len - 1)].map(|i| part(data, i * stride, depth))
    };
    let count = a.rows.min(out.len() / b.cols);
    for (i, out) in out.chunks_mut(2 * b.cols).take(count.div_ceil(2)).enumerate() {
        let (upper, lower) = out.split_at_mut_checked(b.cols).unwrap_or_default();
        let two = lanes(x, a.row_stride, 2 * i, count);
        for (j, upper) in upper.chunks_mut(2).enumerate() {
            let sums = two_by_two(two, lanes(y, b.col_stride, 2 * j, b.cols));
            upper.iter_mut().zip(sums[0]).for_each(|(slot, sum)| *slot = sum);
            // An incomplete row of results is left as it is.
            if 2 * i + 1 < count {
                let lower = lower.iter_mut().skip(2 * j).take(2);
                lower.zip(sums[1]).for_each(|(slot, sum)| *slot = sum);
            }
        }
    }
}

/// Sums over the depth of two lines with two lines.
#[inline(always)]
fn two_by_two([a0, a1]: [&[i8]; 2], [b0, b1]: [&[i8]; 2]) -> [[i32; 2]; 2] {
    let mut sums = [[0i32; 2]; 2];
    let mut note = |a0: i8, a1: i8, b0: i8, b1: i8| {
        let [a0, a1, b0, b1] = [a0, a1, b0, b1].map(i32::from);
        let [[s00, s01], [s10, s11]] = sums;
        sums = [
            [s00.wrapping_add(a0 * b0), s01.wrapping_add(a0 * b1)],
            [s10.wrapping_add(a1 * b0), s11.wrapping_add(a1 * b1)],
        ];
    };
    let (a0, a0_rest) = a0.as_chunks::<4>();
    let (a1, a1_rest) = a1.as_chunks::<4>();
    let (b0, b0_rest) = b0.as_chunks::<4>();
    let (b1, b1_rest) = b1.as_chunks::<4>();
    for (((a0, a1), b0), b1) in a0.iter().zip(a1).zip(b0).zip(b1) {
        note(a0[0], a1[0], b0[0], b1[0]);
        note(a0[1], a1[1], b0[1], b1[1]);
        note(a0[2], a1[2], b0[2], b1[2]);
        note(a0[3], a1[3], b0[3], b1[3]);
    }
    for (((&a0, &a1), &b0), &b1) in a0_rest.iter().zip(a1_rest).zip(b0_rest).zip(b1_rest) {
        note(a0, a1, b0, b1);
    }
    sums
}

/// Any `a` by contiguous rows of `b`.
fn rows(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
    let depth = a.cols.min(b.rows);
    for (r, out) in out.chunks_exact_mut(b.cols).take(a.rows).enumerate() {
        out.fill(0);
        for k in (0..depth).step_by(4) {
            let at = |i: usize| (k + i).min(depth - 1);
            // Rows beyond the last take no part.
            let factor = |i: usize| {
                let value = x.get(r * a.row_stride + at(i) * a.col_stride);
                if k + i < depth { value.map_or(0, |&v| i32::from(v)) } else { 0 }
            };
            let row = |i: usize| part(y, at(i) * b.row_stride, b.cols);
            let factors = [factor(0), factor(1), factor(2), factor(3)];
            add_four(factors, [row(0), row(1), row(2), row(3)], out);
        }
    }
}

/// Adds four rows, each times a number.
#[inline(always)]
fn add_four([f0, f1, f2, f3]: [i32; 4], [b0, b1, b2, b3]: [&[i8]; 4], out: &mut [i32]) {
    for ((((sum, &b0), &b1), &b2), &b3) in out.iter_mut().zip(b0).zip(b1).zip(b2).zip(b3) {
        let [b0, b1, b2, b3] = [b0, b1, b2, b3].map(i32::from);
        let two = sum.wrapping_add(f0 * b0).wrapping_add(f1 * b1);
        *sum = two.wrapping_add(f2 * b2).wrapping_add(f3 * b3);
    }
}

fn part(data: &[i8], from: usize, len: usize) -> &[i8] {
    data.get(from..from + len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(Blocked, "blocked");
    }
}
