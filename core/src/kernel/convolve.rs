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
    let (cols, depth) = (weight.cols[0].max(1), x.cols());
    let rows = room.as_ref().len() / depth.max(1);
    // What is jammed is jammed once, so sums must be whole.
    if rows == 0 || drop > 0 && whole(weight).is_none() {
        return convolve_single(x, weight, drop, first, out);
    }
    let pieces = out.chunks_mut(rows.saturating_mul(cols).max(1));
    for (out, first) in pieces.zip((first..).step_by(rows)) {
        let count = out.len() / cols;
        let mut windows = room.part(0, count * depth);
        gather(x, first, 0..depth, windows.part(0, count * depth));
        let windows = Matrix::new(windows.as_ref(), count, depth);
        if let Some(weight) = whole(weight) {
            kernel.gemm(windows, weight, drop, false, out);
            continue;
        }
        let [taps, channels] = [weight.taps[0], weight.depth[0]];
        for tap in 0..taps {
            let windows = windows.col_range(tap * channels, channels);
            kernel.gemm(windows, one(weight, tap), 0, tap > 0, out);
        }
    }
}

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

/// [`Kernel::convolve_grad`] by gathered windows.
#[inline(always)]
pub(super) fn convolve_grad<K: Kernel + ?Sized>(
    kernel: &K,
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    drop: u32,
    out: &mut [i32],
    room: MantissasMut<'_>,
) {
    if grad.rows == 0 || drop > 0 || room.as_ref().len() < cols.len() {
        return convolve_grad_single(grad, x, cols, drop, out);
    }
    gradients(kernel, grad, x, cols, false, out, room);
}

/// [`Kernel::add_convolve_grad`] by gathered windows.
#[inline(always)]
pub(super) fn add_convolve_grad<K: Kernel + ?Sized>(
    kernel: &K,
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    drop: u32,
    out: &mut [i32],
    room: MantissasMut<'_>,
) {
    if drop > 0 || room.as_ref().len() < cols.len() {
        return add_convolve_grad_single(grad, x, cols, drop, out);
    }
    gradients(kernel, grad, x, cols, true, out, room);
}

/// Without bits to drop, and with room for one window at least.
#[inline(always)]
fn gradients<K: Kernel + ?Sized>(
    kernel: &K,
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    add: bool,
    out: &mut [i32],
    mut room: MantissasMut<'_>,
) {
    let width = cols.len();
    let rows = room.as_ref().len() / width.max(1);
    for first in (0..grad.rows).step_by(rows.max(1)) {
        let grad = grad.row_range(first, rows);
        let mut windows = room.part(0, grad.rows * width);
        gather(x, first, cols.clone(), windows.part(0, grad.rows * width));
        let windows = Matrix::new(windows.as_ref(), grad.rows, width);
        kernel.gemm(grad.t(), windows, 0, add || first > 0, out);
    }
}

/// [`Kernel::convolve_grad`] element by element.
#[inline(never)]
pub(super) fn convolve_grad_single(
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    drop: u32,
    out: &mut [i32],
) {
    single_gradients(grad, x, cols, drop, out, |slot, sum| *slot = sum);
}

/// [`Kernel::add_convolve_grad`] element by element.
#[inline(never)]
pub(super) fn add_convolve_grad_single(
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    drop: u32,
    out: &mut [i32],
) {
    single_gradients(grad, x, cols, drop, out, |slot, sum| *slot = slot.saturating_add(sum));
}

#[inline(always)]
fn single_gradients(
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    drop: u32,
    out: &mut [i32],
    put: impl Fn(&mut i32, i32),
) {
    for (unit, out) in out.chunks_exact_mut(cols.len().max(1)).enumerate() {
        for (col, slot) in cols.clone().zip(out) {
            let sum = (0..grad.rows).fold(0i64, |sum, row| {
                let product = i64::from(grad.at(row, unit)) * i64::from(x.at(row, col));
                sum.wrapping_add(product)
            });
            put(slot, jam(sum, drop) as i32);
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
