//! Products of bytes in blocks of registers, for 32-bit cores without vector units.
//!
//! Where both operands are contiguous along the depth (the forward pass), two rows by two columns
//! are summed at a time, so that a loaded number is used twice. Where the rows of `b` are
//! contiguous (both gradients), some columns are summed at a time, so that a number of `a`, widened
//! beforehand, is used for each. `b` is not packed: tiles have too few rows for that to pay.

use super::{Kernel, added, scalar};
use crate::tensor::{Mantissas, Matrix};

/// [`Scalar`](super::Scalar) with products that load and store less. In safe code, for every machine.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Blocked;

impl Kernel for Blocked {
    // As the scalar one.
    #[inline(always)]
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        gemm(self, a, b, drop, add, out);
    }
}

/// What a chip does its own way. Operands are whole.
pub(super) trait Blocks: Kernel {
    /// Sums over the depth of two lines of the same length with two lines: `a0` with both, then
    /// `a1` with both.
    fn two_by_two(a0: &[i8], a1: &[i8], b0: &[i8], b1: &[i8]) -> [i32; 4];
    /// Any `a`, with the numbers `x`, by contiguous rows of `b`, with the numbers `y`.
    fn rows(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]);
}

/// [`Kernel::gemm`] by blocks, or by the scalar kernel where there are none for it.
#[inline(always)]
pub(super) fn gemm<B: Blocks>(
    kernel: &B,
    a: Matrix<'_>,
    b: Matrix<'_>,
    drop: u32,
    add: bool,
    out: &mut [i32],
) {
    match (a.data, b.data) {
        (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => bytes(kernel, a, x, b, y, add, out),
        _ => scalar::wide(&a, &b, drop, add, out),
    }
}

#[inline(never)]
fn bytes<'m, B: Blocks>(
    kernel: &B,
    a: Matrix<'m>,
    x: &'m [i8],
    b: Matrix<'m>,
    y: &'m [i8],
    add: bool,
    out: &mut [i32],
) {
    if !a.is_whole() || !b.is_whole() {
        scalar::bytes(&a, x, &b, y, add, out);
    } else if add {
        added(kernel, a, b, out);
    } else if a.col_stride == 1 && b.row_stride == 1 {
        dots::<B>(&a, x, &b, y, out);
    } else if b.col_stride == 1 {
        B::rows(&a, x, &b, y, out);
    } else {
        scalar::bytes(&a, x, &b, y, add, out);
    }
}

/// Rows of `a` by columns of `b`, both contiguous.
fn dots<B: Blocks>(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
    let depth = a.cols.min(b.rows);
    let count = a.rows.min(out.len() / b.cols.max(1));
    let mut out = out.chunks_exact_mut(b.cols.max(1));
    let mut r = 0;
    while r < count {
        // The last of an odd number comes alone, in both places.
        let (upper, lower) = (out.next().unwrap_or_default(), out.next().unwrap_or_default());
        let a0 = line(x, r * a.row_stride, depth);
        let a1 = if r + 1 < count { line(x, (r + 1) * a.row_stride, depth) } else { a0 };
        r += 2;
        let lower = if r > count { &mut [] } else { lower };
        let (mut upper, mut lower) = (upper.iter_mut(), lower.iter_mut());
        let mut at = 0;
        while let Some(slot) = upper.next() {
            let b0 = line(y, at, depth);
            let second = upper.next();
            let b1 = if second.is_some() { line(y, at + b.col_stride, depth) } else { b0 };
            at += 2 * b.col_stride;
            let [s00, s01, s10, s11] = B::two_by_two(a0, a1, b0, b1);
            *slot = s00;
            lower.next().into_iter().for_each(|slot| *slot = s10);
            if let Some(slot) = second {
                *slot = s01;
                lower.next().into_iter().for_each(|slot| *slot = s11);
            }
        }
    }
}

#[inline(always)]
fn line(data: &[i8], from: usize, len: usize) -> &[i8] {
    data.get(from..from + len).unwrap_or_default()
}

impl Blocks for Blocked {
    #[inline(always)]
    fn two_by_two(a0: &[i8], a1: &[i8], b0: &[i8], b1: &[i8]) -> [i32; 4] {
        let (mut s00, mut s01, mut s10, mut s11) = (0i32, 0i32, 0i32, 0i32);
        // A macro, because optimising for size would leave a closure as a call.
        macro_rules! add {
            ($a0:expr, $a1:expr, $b0:expr, $b1:expr) => {
                let (a0, a1) = (i32::from($a0), i32::from($a1));
                let b0 = i32::from($b0);
                s00 = s00.wrapping_add(a0 * b0);
                s10 = s10.wrapping_add(a1 * b0);
                let b1 = i32::from($b1);
                s01 = s01.wrapping_add(a0 * b1);
                s11 = s11.wrapping_add(a1 * b1);
            };
        }
        let (a0, a0_rest) = a0.as_chunks::<4>();
        let (a1, a1_rest) = a1.as_chunks::<4>();
        let (b0, b0_rest) = b0.as_chunks::<4>();
        let (b1, b1_rest) = b1.as_chunks::<4>();
        for (((a0, a1), b0), b1) in a0.iter().zip(a1).zip(b0).zip(b1) {
            add!(a0[0], a1[0], b0[0], b1[0]);
            add!(a0[1], a1[1], b0[1], b1[1]);
            add!(a0[2], a1[2], b0[2], b1[2]);
            add!(a0[3], a1[3], b0[3], b1[3]);
        }
        for (((&a0, &a1), &b0), &b1) in a0_rest.iter().zip(a1_rest).zip(b0_rest).zip(b1_rest) {
            add!(a0, a1, b0, b1);
        }
        [s00, s01, s10, s11]
    }

    fn rows(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
        if b.cols < COLS || b.row_stride < b.cols {
            return scalar::bytes(a, x, b, y, false, out);
        }
        let depth = a.cols.min(b.rows);
        for (r, out) in out.chunks_exact_mut(b.cols).take(a.rows).enumerate() {
            for from in (0..depth).step_by(PANEL) {
                let mut panel = [0; PANEL];
                let panel = panel.get_mut(..PANEL.min(depth - from)).unwrap_or_default();
                let start = r * a.row_stride + from * a.col_stride;
                let factors =
                    x.get(start..).unwrap_or_default().iter().step_by(a.col_stride.max(1));
                panel.iter_mut().zip(factors).for_each(|(slot, &v)| *slot = v.into());
                let mut c = 0;
                while c < b.cols {
                    // The last block starts early where it would not be full; some is known then.
                    let start = c.min(b.cols - COLS);
                    let y = y.get(from * b.row_stride + start..).unwrap_or_default();
                    let sums = one_row(panel, y, b.row_stride);
                    let slots = out.get_mut(c..).unwrap_or_default();
                    if let (Some(slots), true) = (slots.first_chunk_mut(), from == 0) {
                        *slots = sums;
                    } else {
                        let new = sums.into_iter().skip(c - start);
                        let old = |slot: i32| if from == 0 { 0 } else { slot };
                        slots
                            .iter_mut()
                            .zip(new)
                            .for_each(|(slot, sum)| *slot = old(*slot).wrapping_add(sum));
                    }
                    c += COLS;
                }
            }
        }
    }
}

/// Depth of what is widened at a time.
const PANEL: usize = 64;

/// Numbers times the first columns of rows that are `stride` apart. One variable a column, because
/// an array would be kept in memory when the build optimises for size.
macro_rules! columns {
    ($($sum:ident $number:ident),*) => {
        /// Columns of a block across the depth: as many sums as there are registers for.
        const COLS: usize = [$(stringify!($sum)),*].len();

        #[inline(never)]
        fn one_row(factors: &[i32], rows: &[i8], stride: usize) -> [i32; COLS] {
            // Callers have no shorter ones; said here, it spares a check in each row.
            let stride = stride.max(COLS);
            $(let mut $sum = 0i32;)*
            let Some((&last, factors)) = factors.split_last() else { return [0; COLS] };
            // The last row may end before its stride does.
            let last_row = rows.get(factors.len() * stride..).unwrap_or_default();
            for (&factor, row) in factors.iter().zip(rows.chunks_exact(stride)) {
                if let Some(&[$($number),*]) = row.first_chunk() {
                    $($sum = $sum.wrapping_add(factor * i32::from($number));)*
                }
            }
            if let Some(&[$($number),*]) = last_row.first_chunk() {
                $($sum = $sum.wrapping_add(last * i32::from($number));)*
            }
            [$($sum),*]
        }
    };
}
#[cfg(target_arch = "arm")]
columns!(s0 b0, s1 b1, s2 b2, s3 b3);
#[cfg(not(target_arch = "arm"))]
columns!(s0 b0, s1 b1, s2 b2, s3 b3, s4 b4, s5 b5, s6 b6, s7 b7);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(Blocked, "blocked");
    }
}
