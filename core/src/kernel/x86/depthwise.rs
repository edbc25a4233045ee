//! Depthwise convolutions in lanes of channels: pictures get their zeros, so that every window is
//! whole, and windows that lie side by side are one line of numbers.

use std::{vec, vec::Vec};

use super::super::{Depthwise, DepthwiseGrad, depthwise::each_run};
use super::{
    frame::{Frame, copy},
    lanes::Lanes,
};
use crate::{
    quant::jam,
    tensor::{Mantissa, for_width},
};

/// Vectors whose sums are kept in registers.
const VECTORS: usize = 4;

/// [`Kernel::depthwise`](crate::kernel::Kernel::depthwise). False where data are missing.
#[inline(always)]
pub(super) fn depthwise<L: Lanes>(sums: &Depthwise<'_>, first: usize, out: &mut [i32]) -> bool {
    let Depthwise { ref x, weight, back, drop, .. } = *sums;
    let (windows, lanes, width) = (&x.windows, x.channels, sums.width());
    let (taps, [terms, passes]) = (windows.taps(), sums.terms());
    let [down, across] = windows.count.map(usize::from);
    let rows = out.len() / width.max(1);
    let pictures = x.data.len() / (windows.pixels() * lanes).max(1);
    if rows == 0
        || weight.len() < lanes * passes * taps
        || x.skip + first + rows > pictures * windows.per_picture()
    {
        return false;
    }
    let (frame, block) = (Frame::of(windows), VECTORS * L::LANES);
    // Weights lie as the channels of a line do, over and over.
    let period = lanes + block;
    let mut weights = vec![L::Sum::default(); passes * taps * period];
    for (row, at) in weights.chunks_exact_mut(period).zip(0..) {
        let (pass, tap) = (at / taps, at % taps);
        let tap = if back { taps - 1 - tap } else { tap };
        for (lane, slot) in row[..lanes].iter_mut().enumerate() {
            *slot = L::weight(weight.get((lane * passes + pass) * taps + tap));
        }
        for lane in lanes..period {
            row[lane] = row[lane - lanes];
        }
    }
    let [stride, spread] = [windows.stride[1], windows.spread[1]].map(usize::from);
    let mut pixels = Vec::new();
    let mut line = vec![L::Sum::default(); across * lanes + block];
    let mut piece = vec![L::Sum::default(); lanes + block];
    let mut under: Vec<Vec<(usize, usize)>> = vec![Vec::new(); spread];
    let [mut picture, mut y, mut from] = x.place(first);
    let mut rest = out;
    while rest.len() >= width {
        // All windows of a picture.
        let count = (rest.len() / width).min((down - y) * across - from);
        let (part, behind) = rest.split_at_mut(count * width);
        let band = frame.rows(windows, [y, y + (from + count - 1) / across]);
        let len = (band[1] - band[0]) * frame.size[1] * lanes + block;
        pixels.resize(len, L::Number::from_code(0));
        frame.fill(x, picture, band, [0, lanes], &mut pixels);
        let mut part = part;
        while !part.is_empty() {
            let count = (part.len() / width).min(across - from);
            let (row, others) = part.split_at_mut(count * width);
            for (phase, under) in under.iter_mut().enumerate() {
                under.clear();
                for tap in 0..taps {
                    let [ty, tx] =
                        [tap / usize::from(windows.size[1]), tap % usize::from(windows.size[1])];
                    let pixel_y = frame.pixel(windows, 0, y, ty);
                    let pixel_x = frame.pixel(windows, 1, phase, tx);
                    if let Some((y, x)) = pixel_y.zip(pixel_x) {
                        let pixel = (y - band[0]) * frame.size[1] + x;
                        under.push((pixel * lanes, tap * period));
                    }
                }
            }
            for pass in 0..passes {
                let weights = &weights[pass * taps * period..];
                if stride == 1 && spread == 1 {
                    let pixels = &pixels[from * lanes..];
                    sum::<L>(pixels, &under[0], weights, lanes, count * lanes, &mut line);
                } else {
                    for window in 0..count {
                        let (to, place) = (window * lanes, from + window);
                        let under = &under[place % spread];
                        let pixels = &pixels[place / spread * stride * lanes..];
                        sum::<L>(pixels, under, weights, lanes, lanes, &mut piece);
                        line[to..to + lanes].copy_from_slice(&piece[..lanes]);
                    }
                }
                finish(&line[..count * lanes], [terms, passes], pass, drop, row);
            }
            (part, from, y) = (others, 0, y + 1);
        }
        (rest, picture, y) = (behind, picture + 1, 0);
    }
    true
}

/// Sums of `len` numbers side by side. `under` are the first numbers of pixels and of weights; there is
/// a block of anything behind the last ones.
#[inline(always)]
fn sum<L: Lanes>(
    pixels: &[L::Number],
    under: &[(usize, usize)],
    weights: &[L::Sum],
    lanes: usize,
    len: usize,
    out: &mut [L::Sum],
) {
    let (mut at, mut lane) = (0, 0);
    while at < len {
        let vectors = (len - at).div_ceil(L::LANES).min(VECTORS);
        let (pixels, weights, out) = (&pixels[at..], &weights[lane..], &mut out[at..]);
        match vectors {
            1 => sum_block::<L, 1>(pixels, under, weights, out),
            2 => sum_block::<L, 2>(pixels, under, weights, out),
            _ => sum_block::<L, VECTORS>(pixels, under, weights, out),
        }
        at += VECTORS * L::LANES;
        lane = (lane + VECTORS * L::LANES) % lanes;
    }
}

#[inline(always)]
fn sum_block<L: Lanes, const V: usize>(
    pixels: &[L::Number],
    under: &[(usize, usize)],
    weights: &[L::Sum],
    out: &mut [L::Sum],
) {
    let mut sums = [L::load(&[L::Sum::default(); 16]); V];
    for &(pixel, weight) in under {
        let pixels = &pixels[pixel..][..V * L::LANES];
        let weights = &weights[weight..][..V * L::LANES];
        for (v, sums) in sums.iter_mut().enumerate() {
            let weights = L::load(&weights[v * L::LANES..]);
            *sums = L::add(*sums, L::widen(&pixels[v * L::LANES..]), weights);
        }
    }
    for (v, sums) in sums.into_iter().enumerate() {
        L::store(sums, &mut out[v * L::LANES..]);
    }
}

/// Sums of a line as sums of windows: some together, or one of several.
#[inline(always)]
fn finish<S: Copy + Into<i64>>(
    line: &[S],
    [terms, passes]: [usize; 2],
    pass: usize,
    drop: u32,
    out: &mut [i32],
) {
    let last = |sum: i64| if drop == 0 { sum as i32 } else { jam(sum, drop) as i32 };
    if terms == 1 && passes == 1 {
        out.iter_mut().zip(line).for_each(|(out, &sum)| *out = last(sum.into()));
    } else if terms == 1 {
        let slots = out.iter_mut().skip(pass).step_by(passes);
        slots.zip(line).for_each(|(out, &sum)| *out = last(sum.into()));
    } else {
        for (out, sums) in out.iter_mut().zip(line.chunks_exact(terms)) {
            *out = last(sums.iter().fold(0i64, |sum, &part| sum.wrapping_add(part.into())));
        }
    }
}

/// Windows whose products of bytes 32 bits hold the sum of.
const LONG: usize = 1 << 16;

/// [`Kernel::depthwise_grad`](crate::kernel::Kernel::depthwise_grad). False where data are missing.
#[inline(always)]
pub(super) fn depthwise_grad<L: Lanes>(sums: &DepthwiseGrad<'_>, out: &mut [i32]) -> bool {
    let DepthwiseGrad { grad, unit, ref x, multiplier, ref taps, drop, add } = *sums;
    let units = grad.cols;
    let pictures = x.data.len() / (x.windows.pixels() * x.channels).max(1);
    if grad.rows == 0
        || multiplier == 0
        || taps.is_empty()
        || grad.col_stride != 1
        || !grad.is_whole()
        || unit + units > x.channels * multiplier
        || out.len() < units * taps.len()
        || x.skip + grad.rows > pictures * x.windows.per_picture()
    {
        return false;
    }
    for pass in 0..multiplier {
        // Channels of the input whose output of this pass is wanted.
        let start = unit.saturating_sub(pass).div_ceil(multiplier);
        let end = (unit + units).saturating_sub(pass).div_ceil(multiplier);
        if start >= end {
            continue;
        }
        let column = start * multiplier + pass - unit;
        let whole = one_pass::<L>(sums, [start, end - start], column);
        for (lane, sums) in whole.chunks_exact(taps.len()).enumerate() {
            let out = &mut out[(column + lane * multiplier) * taps.len()..][..taps.len()];
            for (slot, &sum) in out.iter_mut().zip(sums) {
                let before = if add { *slot } else { 0 };
                *slot = before.saturating_add(jam(sum, drop) as i32);
            }
        }
    }
    true
}

/// The sums of some channels, each with every `multiplier`th column of the gradient from `column` on:
/// a row of taps for every channel.
#[inline(always)]
fn one_pass<L: Lanes>(
    sums: &DepthwiseGrad<'_>,
    [channel, lanes]: [usize; 2],
    column: usize,
) -> Vec<i64> {
    let DepthwiseGrad { grad, ref x, multiplier, ref taps, .. } = *sums;
    let windows = &x.windows;
    let (frame, stride) = (Frame::of(windows), usize::from(windows.stride[1]));
    // Windows that are one as wide as a register, where channels are few.
    let together = if stride == 1 { (2 * L::LANES / lanes).max(1) } else { 1 };
    let wide = together * lanes;
    let (block, period) = (2 * L::LANES, wide.next_multiple_of(2 * L::LANES));
    let mut totals = vec![L::Sum::default(); taps.len() * period];
    let mut whole = vec![0i64; lanes * taps.len()];
    let mut seen = 0;
    let across = usize::from(windows.count[1]);
    let mut grads = vec![L::Number::from_code(0); across * lanes + wide + block];
    let mut pixels = Vec::new();
    let mut under = Vec::with_capacity(taps.len());
    each_run(x, grad.rows, |[picture, y, from], row, count| {
        let groups = count.div_ceil(together);
        let (now, behind) = grads.split_at_mut(count * lanes);
        for (i, now) in now.chunks_exact_mut(lanes).enumerate() {
            let at = (row + i) * grad.row_stride + column;
            for_width!(Mantissas, grad.data, grad => {
                if multiplier == 1 {
                    copy(&grad[at..][..lanes], now);
                } else {
                    let grad = grad[at..].iter().step_by(multiplier);
                    now.iter_mut().zip(grad).for_each(|(now, grad)| {
                        *now = L::Number::from_code(grad.widen());
                    });
                }
            });
        }
        let end = behind.len().min(wide + block);
        behind[..end].fill(L::Number::from_code(0));
        let band = frame.rows(windows, [y, y]);
        let len = (band[1] - band[0]) * frame.size[1] * lanes;
        pixels.resize(len + wide + block, L::Number::from_code(0));
        frame.fill(x, picture, band, [channel, lanes], &mut pixels);
        under.clear();
        under.extend(taps.clone().map(|tap| {
            let across = usize::from(windows.size[1]);
            let row = tap / across * frame.size[1];
            (row + from * stride + tap % across) * lanes
        }));
        for first in (0..wide).step_by(block) {
            let grads = &grads[first..];
            let pixels = &pixels[first..];
            let lines = Lines { groups, grad: wide, pixel: wide * stride };
            for (i, under) in under.chunks(3).enumerate() {
                let totals = &mut totals[3 * i * period + first..];
                match *under {
                    [a, b, c] => lines.add::<L, 3>(grads, pixels, [a, b, c], totals, period),
                    [a, b] => lines.add::<L, 2>(grads, pixels, [a, b], totals, period),
                    [a] => lines.add::<L, 1>(grads, pixels, [a], totals, period),
                    _ => {}
                }
            }
        }
        seen += count;
        if seen + across > LONG || row + count == grad.rows {
            for (tap, totals) in totals.chunks_exact_mut(period).enumerate() {
                for group in totals[..wide].chunks_exact(lanes) {
                    for (lane, &sum) in group.iter().enumerate() {
                        let slot = &mut whole[lane * taps.len() + tap];
                        *slot = slot.wrapping_add(sum.into());
                    }
                }
                totals.fill(L::Sum::default());
            }
            seen = 0;
        }
    });
    whole
}

/// Gradients and pixels in groups, and the numbers from one group to the next.
#[derive(Clone, Copy)]
struct Lines {
    groups: usize,
    grad: usize,
    pixel: usize,
}

impl Lines {
    /// Adds the products under some taps to their totals, which are `period` apart: two registers wide.
    #[inline(always)]
    fn add<L: Lanes, const T: usize>(
        self,
        grads: &[L::Number],
        pixels: &[L::Number],
        under: [usize; T],
        totals: &mut [L::Sum],
        period: usize,
    ) {
        let mut sums = core::array::from_fn::<_, T, _>(|t| {
            [0, 1].map(|v| L::load(&totals[t * period + v * L::LANES..]))
        });
        for group in 0..self.groups {
            let grads = &grads[group * self.grad..][..2 * L::LANES];
            let grads = [0, 1].map(|v| L::as_weights(L::widen(&grads[v * L::LANES..])));
            for (sums, under) in sums.iter_mut().zip(under) {
                let pixels = &pixels[under + group * self.pixel..][..2 * L::LANES];
                for (v, sums) in sums.iter_mut().enumerate() {
                    *sums = L::add(*sums, L::widen(&pixels[v * L::LANES..]), grads[v]);
                }
            }
        }
        for (t, sums) in sums.into_iter().enumerate() {
            for (v, sums) in sums.into_iter().enumerate() {
                L::store(sums, &mut totals[t * period + v * L::LANES..]);
            }
        }
    }
}
