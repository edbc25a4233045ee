//! Products of windows with weights and with gradients: the definition, and how they become plain
//! products of a few gathered windows at a time.

use core::ops::Range;

use super::{Kernel, gather::gather};
use crate::{
    quant::jam,
    tensor::{MantissasMut, Matrix, Patches, Taps},
};

/// [`Kernel::convolve`] by gathered windows.
#[inline(always)]
pub(super) fn convolve<K: Kernel + ?Sized>(
    kernel: &K,
    x: &Patches<'_>,
    weight: &Taps<'_>,
    drop: u32,
    first: usize,
    out: &mut [i32],
    mut room: MantissasMut<'_>,
) {
    let (cols, room_len) = (weight.cols[0].max(1), room.as_ref().len());
    let [taps, channels] = [weight.taps[0], weight.depth[0]];
    let whole = whole(weight);
    // Taps that are gathered together: all, or as many rows of them as leave room for four windows.
    let line = usize::from(x.windows.size[1]).max(1);
    let lines = room_len.checked_div(ROWS * line * channels).unwrap_or(0).max(1);
    let together = if whole.is_some() { taps } else { (lines * line).min(taps) };
    let rows = match room_len.checked_div(together * channels).unwrap_or(0) {
        rows @ ROWS.. => rows / ROWS * ROWS,
        rows => rows,
    };
    // What is jammed is jammed once, so sums must be whole.
    if rows == 0 || drop > 0 && whole.is_none() {
        return convolve_single(x, weight, drop, first, out);
    }
    let pieces = out.chunks_mut(rows.saturating_mul(cols).max(1));
    for (out, first) in pieces.zip((first..).step_by(rows)) {
        let count = out.len() / cols;
        for from in (0..taps).step_by(together.max(1)) {
            let some = from..taps.min(from + together);
            let depth = some.len() * channels;
            let mut windows = room.part(0, count * depth);
            gather(x, first, from * channels..some.end * channels, windows.part(0, count * depth));
            let windows = Matrix::new(windows.as_ref(), count, depth);
            if let Some(weight) = whole {
                kernel.gemm(windows, weight, drop, false, out);
                continue;
            }
            for tap in some {
                let windows = windows.col_range((tap - from) * channels, channels);
                kernel.gemm(windows, one(weight, tap), 0, tap > 0, out);
            }
        }
    }
}

/// Rows that kernels take at a time.
const ROWS: usize = 4;

/// All weights as one matrix, where they are one.
fn whole<'a>(weight: &Taps<'a>) -> Option<Matrix<'a>> {
    let Taps { data, taps: [taps, tap], depth: [depth, stride], cols: [cols, col], turned } =
        *weight;
    let one = taps == 1 || !turned && tap == depth * stride;
    let (rows, row_stride, col_stride) = (taps * depth, stride, col);
    one.then_some(Matrix { data, rows, cols, row_stride, col_stride })
}

/// The weights of one tap.
fn one<'a>(weight: &Taps<'a>, tap: usize) -> Matrix<'a> {
    let Taps { data, taps: [taps, stride], depth, cols, turned } = *weight;
    let tap = if turned { (taps - 1).saturating_sub(tap) } else { tap };
    let skip = tap * stride;
    Matrix {
        data: data.part(skip, data.len().saturating_sub(skip)),
        rows: depth[0],
        cols: cols[0],
        row_stride: depth[1],
        col_stride: cols[1],
    }
}

/// [`Kernel::convolve`] element by element.
#[inline(never)]
pub(super) fn convolve_single(
    x: &Patches<'_>,
    weight: &Taps<'_>,
    drop: u32,
    first: usize,
    out: &mut [i32],
) {
    let [taps, depth] = [weight.taps[0], weight.depth[0]];
    for (row, out) in (first..).zip(out.chunks_exact_mut(weight.cols[0].max(1))) {
        for (col, slot) in out.iter_mut().enumerate() {
            let mut sum = 0i64;
            for tap in 0..taps {
                for channel in 0..depth {
                    let x = x.at(row, tap * depth + channel);
                    let product = i64::from(x) * i64::from(weight.at(tap, channel, col));
                    sum = sum.wrapping_add(product);
                }
            }
            *slot = jam(sum, drop) as i32;
        }
    }
}

/// What [`Kernel::convolve_grad`] is asked for.
#[derive(Clone, Debug)]
pub struct WindowGrad<'a> {
    /// Gradients: a row for every window.
    pub grad: Matrix<'a>,
    /// The windows.
    pub x: Patches<'a>,
    /// The numbers of a window that are wanted.
    pub cols: Range<usize>,
    /// Bits that the sums are jammed by.
    pub drop: u32,
    /// True when sums are added to what is there, as for micro-batches: the caller has proved that
    /// all of them together fit 32 bits.
    pub add: bool,
}

/// [`Kernel::convolve_grad`] by gathered windows.
#[inline(always)]
pub(super) fn convolve_grad<K: Kernel + ?Sized>(
    kernel: &K,
    sums: &WindowGrad<'_>,
    out: &mut [i32],
    mut room: MantissasMut<'_>,
) {
    let WindowGrad { grad, ref x, ref cols, drop, add } = *sums;
    let width = cols.len();
    let rows = room.as_ref().len() / width.max(1);
    // No windows are sums of zero, which no product would write.
    if drop > 0 || rows == 0 || grad.rows == 0 {
        return convolve_grad_single(sums, out);
    }
    for first in (0..grad.rows).step_by(rows) {
        let grad = grad.row_range(first, rows);
        let mut windows = room.part(0, grad.rows * width);
        gather(x, first, cols.clone(), windows.part(0, grad.rows * width));
        let windows = Matrix::new(windows.as_ref(), grad.rows, width);
        kernel.gemm(grad.t(), windows, 0, add || first > 0, out);
    }
}

/// [`Kernel::convolve_grad`] element by element.
#[inline(never)]
pub(super) fn convolve_grad_single(sums: &WindowGrad<'_>, out: &mut [i32]) {
    let WindowGrad { grad, ref x, ref cols, drop, add } = *sums;
    for (unit, out) in out.chunks_exact_mut(cols.len().max(1)).enumerate() {
        for (col, slot) in cols.clone().zip(out) {
            let sum = (0..grad.rows).fold(0i64, |sum, row| {
                let product = i64::from(grad.at(row, unit)) * i64::from(x.at(row, col));
                sum.wrapping_add(product)
            });
            let before = if add { *slot } else { 0 };
            *slot = before.saturating_add(jam(sum, drop) as i32);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kernel::{Scalar, testing::check_convolutions};

    #[test]
    fn gathered_windows_give_the_sums_of_single_ones() {
        check_convolutions(&Scalar, "scalar");
    }
}
