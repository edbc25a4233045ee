//! Products of wider operands, and with dropped bits: plain loops over contiguous numbers, which
//! the compiler turns into vector code for the unit at hand.

use crate::{
    kernel::{Kernel, Scalar},
    quant::jam,
    tensor::{Mantissa, Matrix, Width, for_width},
};

/// [`Kernel::gemm`] of whole matrices.
#[inline(always)]
pub(super) fn gemm(a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
    if b.col_stride == 1 {
        for_width!(Mantissas, a.data, x => for_width!(Mantissas, b.data, y => {
            across(&a, x, &b, y, out, Last { drop, add });
        }));
    } else if a.col_stride == 1 && b.row_stride == 1 {
        for_width!(Mantissas, a.data, x => for_width!(Mantissas, b.data, y => {
            along(&a, x, &b, y, out, Last { drop, add });
        }));
    } else {
        Scalar.gemm(a, b, drop, add, out);
    }
}

/// What is done with a finished sum.
#[derive(Clone, Copy)]
struct Last {
    drop: u32,
    add: bool,
}

impl Last {
    #[inline(always)]
    fn store(self, slot: &mut i32, sum: i64) {
        let sum = jam(sum, self.drop) as i32;
        *slot = if self.add { slot.saturating_add(sum) } else { sum };
    }
}

/// Columns whose sums are kept in registers.
const BLOCK: usize = 64;

/// Rows of `b` are contiguous: each is scaled and added to a row of sums.
#[inline(always)]
fn across<A: Mantissa, B: Mantissa>(
    a: &Matrix<'_>,
    x: &[A],
    b: &Matrix<'_>,
    y: &[B],
    out: &mut [i32],
    last: Last,
) {
    for (r, row) in out.chunks_exact_mut(b.cols).take(a.rows).enumerate() {
        for (i, slots) in row.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0i64; BLOCK];
            for k in 0..a.cols {
                let scale = x[r * a.row_stride + k * a.col_stride];
                let column = &y[k * b.row_stride + i * BLOCK..][..slots.len()];
                if let Ok(column) = <&[B; BLOCK]>::try_from(column) {
                    accumulate(&mut sums, scale, column);
                } else {
                    accumulate(&mut sums, scale, column);
                }
            }
            for (slot, sum) in slots.iter_mut().zip(sums) {
                last.store(slot, sum);
            }
        }
    }
}

#[inline(always)]
fn accumulate<A: Mantissa, B: Mantissa>(sums: &mut [i64; BLOCK], scale: A, row: &[B]) {
    for (sum, &y) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(product(scale, y));
    }
}

/// Rows of `a` and columns of `b` are contiguous: plain inner products.
#[inline(always)]
fn along<A: Mantissa, B: Mantissa>(
    a: &Matrix<'_>,
    x: &[A],
    b: &Matrix<'_>,
    y: &[B],
    out: &mut [i32],
    last: Last,
) {
    for (r, slots) in out.chunks_exact_mut(b.cols).take(a.rows).enumerate() {
        let x = &x[r * a.row_stride..][..a.cols];
        for (c, slot) in slots.iter_mut().enumerate() {
            let y = &y[c * b.col_stride..][..a.cols];
            let sum = x.iter().zip(y).fold(0i64, |sum, (&x, &y)| sum.wrapping_add(product(x, y)));
            last.store(slot, sum);
        }
    }
}

/// Exact; narrow operands multiply in 32 bits, where vectors hold twice as many.
#[inline(always)]
fn product<A: Mantissa, B: Mantissa>(x: A, y: B) -> i64 {
    if A::WIDTH == Width::I32 || B::WIDTH == Width::I32 {
        i64::from(x.widen()).wrapping_mul(i64::from(y.widen()))
    } else {
        i64::from(x.widen() * y.widen())
    }
}
