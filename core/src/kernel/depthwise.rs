//! Depthwise convolutions (Sifre 2014; Howard et al. 2017, section 3.1): every channel has windows
//! and weights of its own. Here is the definition in plain code, which asks each window once for
//! the taps that have a pixel under them.
//!
//! Products of windows and weights would have the depth of a window and few columns, and their
//! windows would have to be gathered channel by channel: so these are functions of their own.

use core::ops::Range;

use crate::{
    quant::jam,
    tensor::{Mantissas, Matrix, Patches, Under},
};

/// What [`Kernel::depthwise`](super::Kernel::depthwise) is asked for.
///
/// A channel of the input has `multiplier` channels of the output, side by side, each with a row of
/// weights for the taps of a window.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a> {
    /// Pictures, through whole pixels: inputs, or gradients of outputs through turned windows.
    pub x: Patches<'a>,
    /// The weights: a row for every channel of the output.
    pub weight: Mantissas<'a>,
    /// Channels of the output for each of the input, at least one.
    pub multiplier: usize,
    /// True on the way back: outputs and inputs change places, and taps go from the last to the
    /// first.
    pub back: bool,
    /// Bits that the sums are jammed by.
    pub drop: u32,
}

impl Depthwise<'_> {
    /// Sums of a window.
    pub fn width(&self) -> usize {
        let (channels, multiplier) = (self.x.channels, self.multiplier);
        if self.back {
            channels.checked_div(multiplier).unwrap_or(0)
        } else {
            channels.saturating_mul(multiplier)
        }
    }

    /// Products in a sum, and so many sums of a window that have a channel of `x` in common.
    pub(super) const fn terms(&self) -> [usize; 2] {
        if self.back { [self.multiplier, 1] } else { [1, self.multiplier] }
    }
}

/// What [`Kernel::depthwise_grad`](super::Kernel::depthwise_grad) is asked for.
#[derive(Clone, Debug)]
pub struct DepthwiseGrad<'a> {
    /// Gradients: a row for every window, and a column for every channel of the output that is
    /// wanted.
    pub grad: Matrix<'a>,
    /// The first of these channels.
    pub unit: usize,
    /// The windows of the input, through whole pixels.
    pub x: Patches<'a>,
    /// Channels of the output for each of the input, at least one.
    pub multiplier: usize,
    /// The taps that are wanted.
    pub taps: Range<usize>,
    /// Bits that the sums are jammed by.
    pub drop: u32,
    /// True when sums are added to what is there: the caller has proved that all of them together
    /// fit 32 bits.
    pub add: bool,
}

/// [`Kernel::depthwise`](super::Kernel::depthwise) sum by sum.
#[inline(always)]
pub(super) fn plain(sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
    match (sums.x.data, sums.weight) {
        (Mantissas::I8(x), Mantissas::I8(weight)) if sums.drop == 0 => {
            bytes(sums, x, weight, first, out);
        }
        _ => wide(sums, first, out),
    }
}

#[inline(never)]
fn bytes(sums: &Depthwise<'_>, x: &[i8], weight: &[i8], first: usize, out: &mut [i32]) {
    let taps = sums.x.windows.taps();
    each(sums, first, out, |under, channel, unit| {
        let x = x.get(channel..).unwrap_or_default();
        let weight = weight.get(unit * taps..).and_then(|row| row.get(..taps)).unwrap_or_default();
        let mut sum = 0i32;
        under.each(|tap, pixel| {
            let tap = if sums.back { (taps - 1).saturating_sub(tap) } else { tap };
            let pair = x.get(pixel).zip(weight.get(tap));
            let product = pair.map_or(0, |(&x, &weight)| i32::from(x) * i32::from(weight));
            sum = sum.wrapping_add(product);
        });
        sum.into()
    });
}

#[inline(never)]
pub(super) fn wide(sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
    let taps = sums.x.windows.taps();
    each(sums, first, out, |under, channel, unit| {
        let mut sum = 0i64;
        under.each(|tap, pixel| {
            let tap = if sums.back { (taps - 1).saturating_sub(tap) } else { tap };
            let weight = i64::from(sums.weight.get(unit * taps + tap));
            sum = sum.wrapping_add(i64::from(sums.x.data.get(pixel + channel)) * weight);
        });
        sum
    });
}

/// Calls `sum` with a window, a channel of the pictures, and a row of weights.
#[inline(always)]
fn each(
    sums: &Depthwise<'_>,
    first: usize,
    out: &mut [i32],
    sum: impl Fn(&Under, usize, usize) -> i64,
) {
    let [terms, fans] = sums.terms();
    let Depthwise { ref x, drop, .. } = *sums;
    for (place, row) in x.places(first).zip(out.chunks_exact_mut(sums.width().max(1))) {
        let under = x.below(place);
        for (channel, slots) in row.chunks_mut(fans.max(1)).enumerate() {
            for (fan, slot) in slots.iter_mut().enumerate() {
                let whole = (0..terms).fold(0i64, |whole, term| {
                    let unit = channel * terms * fans + term + fan;
                    let channel = channel * terms + term;
                    whole.wrapping_add(sum(&under, channel, unit))
                });
                *slot = jam(whole, drop) as i32;
            }
        }
    }
}

/// [`Kernel::depthwise_grad`](super::Kernel::depthwise_grad) sum by sum.
#[inline(always)]
pub(super) fn plain_grad(sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
    match (sums.grad.data, sums.x.data) {
        (Mantissas::I8(grad), Mantissas::I8(x)) if sums.drop == 0 => {
            bytes_grad(sums, grad, x, out);
        }
        _ => wide_grad(sums, out),
    }
}

#[inline(never)]
fn bytes_grad(sums: &DepthwiseGrad<'_>, grad: &[i8], x: &[i8], out: &mut [i32]) {
    each_grad(sums, out, |at, pixel| {
        let pair = grad.get(at).zip(x.get(pixel));
        i64::from(pair.map_or(0, |(&grad, &x)| i32::from(grad) * i32::from(x)))
    });
}

#[inline(never)]
pub(super) fn wide_grad(sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
    each_grad(sums, out, |at, pixel| {
        i64::from(sums.grad.data.get(at)) * i64::from(sums.x.data.get(pixel))
    });
}

/// Calls `product` with the places of a gradient and of a pixel.
#[inline(always)]
fn each_grad(sums: &DepthwiseGrad<'_>, out: &mut [i32], product: impl Fn(usize, usize) -> i64) {
    let DepthwiseGrad { grad, ref x, ref taps, multiplier, drop, add, .. } = *sums;
    let across = x.windows.size[1].into();
    let (mut channel, mut fan) = place_in(sums.unit, multiplier);
    for (unit, out) in out.chunks_exact_mut(taps.len().max(1)).take(grad.cols).enumerate() {
        let (mut tap_y, mut tap_x) = place_in(taps.start, across);
        for slot in out {
            let mut sum = 0i64;
            each_run(x, grad.rows, |[picture, y, from], row, len| {
                let Some(pixel_y) = x.windows.pixel(0, y, tap_y) else { return };
                let seeing = x.windows.seeing::<1>(tap_x);
                for window in seeing.start.max(from)..seeing.end.min(from + len) {
                    let Some(pixel_x) = x.windows.pixel(1, window, tap_x) else { return };
                    let at = (row + window - from) * grad.row_stride + unit * grad.col_stride;
                    let pixel = x.offset(picture, pixel_y, pixel_x) + channel;
                    sum = sum.wrapping_add(product(at, pixel));
                }
            });
            let before = if add { *slot } else { 0 };
            *slot = before.saturating_add(jam(sum, drop) as i32);
            step_in(&mut tap_y, &mut tap_x, across);
        }
        step_in(&mut channel, &mut fan, multiplier);
    }
}

/// Which group of `len` a place is in, and where in it.
pub(super) fn place_in(place: usize, len: usize) -> (usize, usize) {
    let group = place.checked_div(len).unwrap_or(0);
    (group, place - group * len)
}

/// One place further.
pub(super) fn step_in(group: &mut usize, at: &mut usize, len: usize) {
    *at += 1;
    if *at >= len {
        (*group, *at) = (*group + 1, 0);
    }
}

/// Calls `take` with windows side by side: the place of the first, its row among all windows, and how
/// many they are.
#[inline(always)]
pub(super) fn each_run(
    x: &Patches<'_>,
    rows: usize,
    mut take: impl FnMut([usize; 3], usize, usize),
) {
    let [down, across] = x.windows.count.map(usize::from);
    let [mut picture, mut y, mut from] = x.place(0);
    let mut row = 0;
    while row < rows {
        let len = across.saturating_sub(from).max(1).min(rows - row);
        take([picture, y, from], row, len);
        (row, from, y) = (row + len, 0, y + 1);
        if y >= down {
            (picture, y) = (picture + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kernel::{Scalar, testing::check_depthwise};

    #[test]
    fn plain_sums_are_those_of_groups() {
        check_depthwise(&Scalar, "scalar");
    }
}
