//! The definition of every kernel, in plain safe code.

use super::Kernel;
use crate::{
    quant::jam,
    tensor::{Mantissa, Mantissas, Matrix, for_width},
};

/// Plain loops: right everywhere, fast nowhere, and the least code. For parts with little flash.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalar;

impl Kernel for Scalar {
    /// Inlined, so that whoever has bytes only links the code for bytes only.
    #[inline(always)]
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        match (a.data, b.data) {
            (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => bytes(&a, x, &b, y, add, out),
            _ => wide(&a, &b, drop, add, out),
        }
    }
}

#[inline(never)]
pub(super) fn bytes(
    a: &Matrix<'_>,
    x: &[i8],
    b: &Matrix<'_>,
    y: &[i8],
    add: bool,
    out: &mut [i32],
) {
    each(a, b, add, out, |row, col| {
        pairs(x, y, row, col)
            .fold(0i32, |sum, (x, y)| sum.wrapping_add(i32::from(x) * i32::from(y)))
    });
}

#[inline(never)]
pub(super) fn wide(a: &Matrix<'_>, b: &Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
    for_width!(Mantissas, a.data, x => for_width!(Mantissas, b.data, y => {
        each(a, b, add, out, |row, col| {
            let sum = pairs(x, y, row, col).fold(0i64, |sum, (x, y)| {
                sum.wrapping_add(i64::from(x.widen()).wrapping_mul(i64::from(y.widen())))
            });
            jam(sum, drop) as i32
        });
    }));
}

/// Calls `dot` with a row of `a` and a column of `b` for each result.
#[inline(always)]
fn each(
    a: &Matrix<'_>,
    b: &Matrix<'_>,
    add: bool,
    out: &mut [i32],
    dot: impl Fn(Line, Line) -> i32,
) {
    let len = a.cols.min(b.rows);
    let mut row = Line { start: 0, stride: a.col_stride, len };
    for sums in out.chunks_exact_mut(b.cols.max(1)).take(a.rows) {
        let mut col = Line { start: 0, stride: b.row_stride, len };
        for slot in sums {
            let sum = dot(row, col);
            *slot = if add { slot.saturating_add(sum) } else { sum };
            col.start = col.start.saturating_add(b.col_stride);
        }
        row.start = row.start.saturating_add(a.row_stride);
    }
}

/// A row or a column.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    stride: usize,
    len: usize,
}

/// The numbers of both lines, as far as both are there.
#[inline(always)]
fn pairs<A: Copy, B: Copy>(x: &[A], y: &[B], row: Line, col: Line) -> impl Iterator<Item = (A, B)> {
    let (mut i, mut j) = (row.start, col.start);
    // From an index that is inside, one that is this much larger is not, and is counted.
    let (down, right) = (row.stride.min(x.len()), col.stride.min(y.len()));
    (0..row.len).map_while(move |_| {
        let pair = (*x.get(i)?, *y.get(j)?);
        (i, j) = (i.wrapping_add(down), j.wrapping_add(right));
        Some(pair)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gemm_multiplies_adds_and_reads_transposes() {
        let a = [1i8, 2, 3, 4, 5, 6];
        let b = [1i16, 0, 2, -1, 3, 1];
        let (a, b) = (Mantissas::I8(&a), Mantissas::I16(&b));
        let mut out = [0; 4];
        Scalar.gemm(Matrix::new(a, 2, 3), Matrix::new(b, 3, 2), 0, false, &mut out);
        assert_eq!(out, [14, 1, 32, 1]);
        Scalar.gemm(Matrix::new(a, 2, 3), Matrix::new(b, 2, 3).t(), 0, true, &mut out);
        assert_eq!(out, [14 + 7, 1 + 8, 32 + 16, 1 + 17]);
        Scalar.gemm(Matrix::new(a, 2, 3), Matrix::new(b, 3, 2), 1, false, &mut out);
        assert_eq!(out, [7, 1, 16, 1], "odd sums keep a sticky last bit");
    }

    #[test]
    fn strides_beyond_the_data_read_nothing() {
        let data = [1i8, 2, 3, 4];
        let whole = Matrix::new(Mantissas::I8(&data), 2, 2);
        for stride in [5, usize::MAX / 2, usize::MAX] {
            let far = Matrix { row_stride: stride, col_stride: stride, ..whole };
            let mut out = [7; 4];
            Scalar.gemm(far, whole, 0, false, &mut out);
            assert_eq!(out, [1, 2, 0, 0], "{stride}");
            assert_eq!((far.at(0, 0), far.at(1, 1)), (1, 0));
            assert!(far.row_range(1, 1).data.is_empty());
        }
    }
}
