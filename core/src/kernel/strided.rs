//! Depthwise convolutions on chips: sums of products along two distances in memory, without windows
//! that are gathered.

#![expect(unsafe_code, reason = "loads of numbers that were checked together, not one by one")]

use super::depthwise::{self, Depthwise, DepthwiseGrad, place_in, step_in};
use crate::tensor::{Mantissas, Under};

/// [`Kernel::depthwise`](super::Kernel::depthwise), of bytes; others one by one.
#[inline(always)]
pub(super) fn depthwise(sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
    match (sums.x.data, sums.weight) {
        (Mantissas::I8(x), Mantissas::I8(weight)) if sums.drop == 0 => {
            bytes(sums, x, weight, first, out);
        }
        _ => depthwise::wide(sums, first, out),
    }
}

/// Numbers in rows: from one to the next, from one row to the next.
#[derive(Clone, Copy)]
struct Steps {
    along: isize,
    down: isize,
}

/// The sum of products of so many numbers in so many rows.
///
/// # Safety
///
/// All numbers must be there.
#[inline(always)]
unsafe fn dot(
    mut a: *const i8,
    a_steps: Steps,
    mut b: *const i8,
    b_steps: Steps,
    [rows, count]: [usize; 2],
) -> i32 {
    let mut sum = 0i32;
    for _ in 0..rows {
        let (mut x, mut y) = (a, b);
        // SAFETY: the caller's word.
        let mut one = || unsafe {
            sum = sum.wrapping_add(i32::from(x.read()) * i32::from(y.read()));
            (x, y) = (x.wrapping_offset(a_steps.along), y.wrapping_offset(b_steps.along));
        };
        // The kernels of three pixels that most networks have are worth a loop without a counter.
        if count == 3 {
            one();
            one();
            one();
        } else {
            for _ in 0..count {
                one();
            }
        }
        (a, b) = (a.wrapping_offset(a_steps.down), b.wrapping_offset(b_steps.down));
    }
    sum
}

#[inline(never)]
fn bytes(sums: &Depthwise<'_>, x: &[i8], weight: &[i8], first: usize, out: &mut [i32]) {
    let [terms, fans] = sums.terms();
    let (taps, width) = (sums.x.windows.taps(), sums.width().max(1));
    if terms.max(fans) == 0 || weight.len() < sums.x.channels * fans * taps {
        return;
    }
    for (place, row) in sums.x.places(first).zip(out.chunks_exact_mut(width)) {
        let Under { tap, pixel, count, taps: down, pixels } = sums.x.below(place);
        let [rows, cols] = count.map(|count| count.saturating_sub(1));
        let last = pixel + rows * pixels[0] + cols * pixels[1] + sums.x.channels;
        if count.contains(&0) || last > x.len() {
            row.fill(0);
            continue;
        }
        let x_steps = Steps { along: pixels[1].cast_signed(), down: pixels[0].cast_signed() };
        let mut steps = Steps { along: down[1].cast_signed(), down: down[0].cast_signed() };
        let mut tap = tap;
        if sums.back {
            tap = taps - 1 - tap;
            steps = Steps { along: -steps.along, down: -steps.down };
        }
        let mut x = x.as_ptr().wrapping_add(pixel);
        let mut weight = weight.as_ptr().wrapping_add(tap);
        for slots in row.chunks_exact_mut(fans) {
            for slot in slots {
                let mut sum = 0i32;
                for term in 0..terms {
                    // SAFETY: the last channel under the last tap is there, and the weights of all
                    // units are: `chunks_exact` gives as many as `width` counts.
                    let part = unsafe { dot(x.wrapping_add(term), x_steps, weight, steps, count) };
                    sum = sum.wrapping_add(part);
                    weight = weight.wrapping_add(taps);
                }
                *slot = sum;
            }
            x = x.wrapping_add(terms);
        }
    }
}

/// [`Kernel::depthwise_grad`](super::Kernel::depthwise_grad), of bytes; others one by one.
#[inline(always)]
pub(super) fn depthwise_grad(sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
    match (sums.grad.data, sums.x.data) {
        (Mantissas::I8(grad), Mantissas::I8(x)) if sums.drop == 0 => {
            bytes_grad(sums, grad, x, out);
        }
        _ => depthwise::wide_grad(sums, out),
    }
}

#[inline(never)]
fn bytes_grad(sums: &DepthwiseGrad<'_>, grads: &[i8], pixels: &[i8], out: &mut [i32]) {
    let DepthwiseGrad { grad, ref x, ref taps, multiplier, add, .. } = *sums;
    let windows = &x.windows;
    let each = windows.per_picture();
    let pictures = grad.rows.checked_div(each).unwrap_or(0);
    let len = (pictures * windows.pixels()).saturating_mul(x.channels);
    let known = sums.unit + grad.cols <= x.channels.saturating_mul(multiplier);
    // Chips have whole pictures.
    if x.skip > 0
        || pictures * each != grad.rows
        || !grad.is_whole()
        || len > pixels.len()
        || !known
    {
        return depthwise::wide_grad(sums, out);
    }
    let [count, from, stride] =
        [windows.count, windows.from, windows.stride].map(|of| of.map(usize::from));
    let grad_steps = Steps {
        along: grad.row_stride.cast_signed(),
        down: (count[1] * grad.row_stride).cast_signed(),
    };
    let pixel_steps = Steps {
        along: (stride[1] * x.channels).cast_signed(),
        down: (stride[0] * from[1] * x.channels).cast_signed(),
    };
    let (mut channel, mut fan) = place_in(sums.unit, multiplier);
    let across = windows.size[1].into();
    for (unit, out) in out.chunks_exact_mut(taps.len().max(1)).take(grad.cols).enumerate() {
        let (mut tap_y, mut tap_x) = place_in(taps.start, across);
        for slot in out {
            let (down, along) = (windows.seeing(0, tap_y), windows.seeing(1, tap_x));
            let mut sum = 0i32;
            let first =
                windows.pixel(0, down.start, tap_y).zip(windows.pixel(1, along.start, tap_x));
            if let (false, false, Some((y, x_first))) = (down.is_empty(), along.is_empty(), first) {
                let window = down.start * count[1] + along.start;
                let mut a =
                    grads.as_ptr().wrapping_add(window * grad.row_stride + unit * grad.col_stride);
                let mut b = pixels.as_ptr().wrapping_add(x.offset(0, y, x_first) + channel);
                for _ in 0..pictures {
                    let seen = [down.len(), along.len()];
                    // SAFETY: these windows see pixels of their picture; both slices hold all
                    // pictures, and the channel is one of them.
                    let part = unsafe { dot(a, grad_steps, b, pixel_steps, seen) };
                    sum = sum.wrapping_add(part);
                    a = a.wrapping_add(each * grad.row_stride);
                    b = b.wrapping_add(windows.pixels() * x.channels);
                }
            }
            let before = if add { *slot } else { 0 };
            *slot = before.saturating_add(sum);
            step_in(&mut tap_y, &mut tap_x, across);
        }
        step_in(&mut channel, &mut fan, multiplier);
    }
}
