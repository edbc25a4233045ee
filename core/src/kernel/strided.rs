//! Depthwise convolutions on chips: sums of products along two distances in memory, without windows
//! that are gathered.

#![expect(unsafe_code, reason = "loads of numbers that were checked together, not one by one")]

use super::depthwise::{self, Depthwise, DepthwiseGrad, place_in, step_in};
use crate::tensor::{Mantissas, Patches, Under};

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
    // No weights may be read that were not counted here.
    if terms.min(fans) == 0 || weight.len() < sums.x.channels * fans * taps {
        return;
    }
    let across = usize::from(sums.x.windows.count[1]);
    let nines = sums.x.windows.size == [3; 2] && sums.x.windows.spread == [1; 2];
    let (mut rest, mut skip) = (out, 0);
    for place in sums.x.places(first) {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        if rest.len() < width {
            return;
        }
        let under = sums.x.below(place);
        // Whole windows up to the end of the row.
        let mut count = 1;
        if nines && under.count == [3; 2] {
            let end = sums.x.windows.seeing::<1>(2).end.min(across);
            count = end.saturating_sub(place[2]).min(rest.len() / width).max(1);
        }
        let Some((part, behind)) = rest.split_at_mut_checked(count * width) else { return };
        if count > 1 {
            nine_taps(sums, x, weight, under.pixel, part);
        } else {
            window(sums, x, weight, under, part);
        }
        (rest, skip) = (behind, count - 1);
    }
}

/// The sums of one window.
fn window(sums: &Depthwise<'_>, x: &[i8], weight: &[i8], under: Under, row: &mut [i32]) {
    let ([terms, fans], taps) = (sums.terms(), sums.x.windows.taps());
    let Under { tap, pixel, count, taps: down, pixels } = under;
    let [rows, cols] = count.map(|count| count.saturating_sub(1));
    let last = pixel + rows * pixels[0] + cols * pixels[1] + sums.x.channels;
    if count.contains(&0) || last > x.len() {
        return row.fill(0);
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
    for slots in row.chunks_exact_mut(fans.max(1)) {
        for slot in slots {
            let mut sum = 0i32;
            for term in 0..terms {
                // SAFETY: the last channel under the last tap is there, and the weights of all units
                // are: `chunks_exact_mut` gives as many as `width` counts.
                let part = unsafe { dot(x.wrapping_add(term), x_steps, weight, steps, count) };
                sum = sum.wrapping_add(part);
                weight = weight.wrapping_add(taps);
            }
            *slot = sum;
        }
        x = x.wrapping_add(terms);
    }
}

/// The sums of whole windows of 3 x 3 pixels side by side, of which the first begins at number `pixel`:
/// channel by channel, so that weights stay in registers.
fn nine_taps(sums: &Depthwise<'_>, x: &[i8], weight: &[i8], pixel: usize, out: &mut [i32]) {
    let Depthwise { x: Patches { windows, channels, .. }, back, .. } = *sums;
    let ([terms, fans], width) = (sums.terms(), sums.width().max(1));
    let (count, down) = (out.len() / width, usize::from(windows.from[1]) * channels);
    let step = usize::from(windows.stride[1]) * channels;
    let last = pixel + count.saturating_sub(1) * step + 2 * (down + channels) + channels;
    if last > x.len() {
        return out.fill(0);
    }
    for (unit, weights) in weight.chunks_exact(9).take(channels * fans).enumerate() {
        let Ok(mut nine) = <[i8; 9]>::try_from(weights) else { return };
        if back {
            nine.reverse();
        }
        let [a, b, c, d, e, f, g, h, i] = nine.map(i32::from);
        // The places of the channel and of the sum: one of both is `unit`.
        let channel = if fans == 1 { unit } else { place_in(unit, fans).0 };
        let (slot, term) = if terms == 1 { (unit, 0) } else { place_in(unit, terms) };
        let mut place = x.as_ptr().wrapping_add(pixel + channel);
        for slot in out.iter_mut().skip(slot).step_by(width) {
            let number = |row: usize, col: usize| {
                // SAFETY: the last channel of the last window is there.
                unsafe { i32::from(place.wrapping_add(row * down + col * channels).read()) }
            };
            let top = a * number(0, 0) + b * number(0, 1) + c * number(0, 2);
            let middle = d * number(1, 0) + e * number(1, 1) + f * number(1, 2);
            let bottom = g * number(2, 0) + h * number(2, 1) + i * number(2, 2);
            // Nine products of bytes are small.
            let sum = top + middle + bottom;
            *slot = if term == 0 { sum } else { slot.wrapping_add(sum) };
            place = place.wrapping_add(step);
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
    let DepthwiseGrad { grad, ref x, ref taps, multiplier, add: add_up, .. } = *sums;
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
    let across = usize::from(windows.size[1]);
    let [width, left] = [count[1], windows.pad[1].into()];
    // Three taps in a row at once, where those of the outer windows lie at most one pixel beside.
    let slides = across == 3 && stride[1] == 1 && left <= 1 && width < from[1] + left;
    let ends = [left == 0, width + 1 < from[1] + left];
    let (mut tap_y, mut tap_x) = place_in(taps.start, across);
    let mut done = 0;
    while done < taps.len() {
        let three = slides && tap_x == 0 && taps.len() - done >= 3;
        let (wanted, tap) = if three { (3, 1) } else { (1, tap_x) };
        let (down, along) = (windows.seeing::<0>(tap_y), windows.seeing::<1>(tap));
        let seen = [down.len(), along.len()];
        let pixel_y = windows.pixel(0, down.start, tap_y).filter(|_| !down.is_empty());
        let pixel_x = windows.pixel(1, along.start, tap).filter(|_| !along.is_empty());
        let start = pixel_y.zip(pixel_x).map(|(y, col)| {
            let window = down.start * width + along.start;
            (window * grad.row_stride, x.offset(0, y, col))
        });
        let (mut channel, mut fan) = place_in(sums.unit, multiplier);
        for (unit, out) in out.chunks_exact_mut(taps.len()).take(grad.cols).enumerate() {
            let mut parts = [0i32; 3];
            if let Some((window, pixel)) = start {
                let mut a = grads.as_ptr().wrapping_add(window + unit * grad.col_stride);
                let mut b = pixels.as_ptr().wrapping_add(pixel + channel);
                for _ in 0..pictures {
                    // SAFETY: these windows see pixels of their picture under the tap. Where three are
                    // wanted, these are all windows of a row, which see pixels under the taps beside
                    // too, but at its ends only where `ends` says so. Both slices hold all pictures,
                    // and the channel is one of them.
                    unsafe {
                        if three {
                            dot_of_three(a, grad_steps, b, pixel_steps, seen, ends, &mut parts);
                        } else {
                            let sum = dot(a, grad_steps, b, pixel_steps, seen);
                            parts[0] = parts[0].wrapping_add(sum);
                        }
                    }
                    a = a.wrapping_add(each * grad.row_stride);
                    b = b.wrapping_add(windows.pixels() * x.channels);
                }
            }
            for (slot, part) in out.iter_mut().skip(done).zip(parts).take(wanted) {
                let before = if add_up { *slot } else { 0 };
                *slot = before.saturating_add(part);
            }
            step_in(&mut channel, &mut fan, multiplier);
        }
        (0..wanted).for_each(|_| step_in(&mut tap_y, &mut tap_x, across));
        done += wanted;
    }
}

/// As [`dot`], at least one number in a row, and also with the numbers of `b` one step before and
/// behind. Before the first and behind the last of a row are zeros, but where `ends` says that there
/// are numbers.
///
/// # Safety
///
/// All numbers must be there.
#[inline(never)]
unsafe fn dot_of_three(
    mut a: *const i8,
    a_steps: Steps,
    mut b: *const i8,
    b_steps: Steps,
    [rows, count]: [usize; 2],
    ends: [bool; 2],
    sums: &mut [i32; 3],
) {
    let [mut first, mut second, mut third] = *sums;
    for _ in 0..rows {
        let (mut x, mut y) = (a, b);
        // SAFETY: the caller's word.
        let (mut before, mut here) = unsafe {
            let before = y.wrapping_offset(-b_steps.along);
            (if ends[0] { i32::from(before.read()) } else { 0 }, i32::from(y.read()))
        };
        // A number of `b` moves on from tap to tap.
        let mut add = |read: bool| {
            y = y.wrapping_offset(b_steps.along);
            // SAFETY: as above.
            let (now, behind) =
                unsafe { (i32::from(x.read()), if read { i32::from(y.read()) } else { 0 }) };
            x = x.wrapping_offset(a_steps.along);
            first = first.wrapping_add(now * before);
            second = second.wrapping_add(now * here);
            third = third.wrapping_add(now * behind);
            (before, here) = (here, behind);
        };
        for _ in 1..count {
            add(true);
        }
        add(ends[1]);
        (a, b) = (a.wrapping_offset(a_steps.down), b.wrapping_offset(b_steps.down));
    }
    *sums = [first, second, third];
}
