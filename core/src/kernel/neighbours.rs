//! Convolutions of bytes by [`Pairs`], of windows that no one gathers.
//!
//! Four windows side by side share all but three of their columns. Numbers of two pixels side by side
//! share a word here, so that a row of pixels, packed once, is what four windows need of it tap by
//! tap; and so it is for the windows above and below, each with weights of another row of taps.

#![expect(unsafe_code, reason = "calls of loops in assembly, and loads that were checked before")]

use core::{cell::Cell, mem::MaybeUninit, ops::Range};

use super::{
    blocked::Blocks,
    convolve,
    pairs::{self, Factors, Pairs, Strip},
    proven::Proven,
};
use crate::tensor::{Mantissas, MantissasMut, Patches, Taps, Windows};

/// Windows side by side.
const GROUP: usize = 4;
/// Most factors at a time: those of all taps in a row of a window, or of some channels of them.
const PANEL: usize = 48;
/// The widest window.
const WIDEST: usize = 8;
/// Rows of windows with fewer numbers are gathered in less time.
const FEW: usize = 8;

/// What lies beside a picture.
static ZEROS: [i8; PANEL] = [0; PANEL];

/// [`Kernel::convolve`](super::Kernel::convolve).
#[inline(never)]
pub(super) fn convolve<B: Blocks + Pairs>(
    x: &Patches<'_>,
    weight: &Taps<'_>,
    drop: u32,
    first: usize,
    out: &mut [i32],
    mut room: MantissasMut<'_>,
) {
    let cols = weight.cols[0].max(1);
    let count = out.len() / cols;
    let mut gathered = |windows: Range<usize>, out: &mut [i32]| {
        let first = first + windows.start;
        let out = out.get_mut(windows.start * cols..windows.end * cols).unwrap_or_default();
        if !out.is_empty() {
            let proven = Proven::<B>::new();
            convolve::convolve(&proven, x, weight, drop, first, out, room.reborrow());
        }
    };
    let Some(groups) = Groups::of::<B>(x, weight).filter(|_| drop == 0) else {
        return gathered(0..count, out);
    };
    groups.sums::<B>(first, out);
    // Windows that are in no group, on the left and on the right.
    let across: usize = x.windows.count[1].into();
    let [_, _, mut begin] = x.place(first);
    let mut at = 0;
    while at < count {
        let end = across.min(begin + count - at);
        let [left, right] = [begin.next_multiple_of(GROUP), end / GROUP * GROUP];
        let left = left.min(end);
        gathered(at..at + left - begin, out);
        gathered(at + right.max(left) - begin..at + end - begin, out);
        (at, begin) = (at + end - begin, 0);
    }
}

/// Pictures and weights that groups of windows can be added up from.
struct Groups<'a> {
    x: &'a Patches<'a>,
    pixels: &'a [i8],
    weight: &'a Taps<'a>,
    weights: &'a [i8],
}

impl<'a> Groups<'a> {
    /// None where gathered windows are faster, or needed.
    fn of<P: Pairs>(x: &'a Patches<'a>, weight: &'a Taps<'a>) -> Option<Self> {
        let (Mantissas::I8(pixels), Mantissas::I8(weights)) = (x.data, weight.data) else {
            return None;
        };
        let Windows { count, size, stride, spread, .. } = x.windows;
        let [across, width] = [count, size].map(|of| usize::from(of[1]));
        let Taps { taps, depth, cols, .. } = *weight;
        let dense = stride == [1; 2] && spread == [1; 2] && x.group == [0, x.channels];
        // Most windows must be in groups.
        let wide = across >= GROUP && 3 * (across % GROUP) <= across;
        let deep = (2..=WIDEST).contains(&width) && width.saturating_mul(x.channels) >= FEW;
        let last = [taps, depth, cols].iter().fold(0usize, |last, [len, stride]| {
            last.saturating_add(len.saturating_sub(1).saturating_mul(*stride))
        });
        let whole = taps[0] == x.windows.taps()
            && depth[0] == x.channels
            && cols[0] >= P::COLS
            && (depth[1] == 1 || cols[1] == 1)
            && last < weights.len();
        (dense && wide && deep && whole).then_some(Self { x, pixels, weight, weights })
    }

    /// The sums of the windows in groups, and zeros for others. Not inlined: its panel would lie under
    /// the windows that are gathered.
    #[inline(never)]
    fn sums<P: Pairs>(&self, first: usize, out: &mut [i32]) {
        let Self { x, pixels, weight, weights } = *self;
        let [[down, across], [height, width], [rows, taps], [top, left]] =
            [x.windows.count, x.windows.from, x.windows.size, x.windows.pad]
                .map(|of| of.map(usize::from));
        let (cols, line) = (weight.cols[0].max(1), width * x.channels);
        let count = out.len() / cols;
        out.fill(0);
        let out = Cell::from_mut(out).as_slice_of_cells();
        let limit = 1 << (15 - pairs::bits(weights));
        let most = PANEL.checked_div(taps).unwrap_or(0).min(x.channels);
        let mut panel = [const { MaybeUninit::uninit() }; PANEL];
        let [mut picture, y, begin] = x.place(first);
        // The first window of the picture, counted from the first of all sums.
        let mut base = 0usize.wrapping_sub(y * across + begin);
        while base.cast_signed() < count.cast_signed() {
            for pixel_y in 0..height {
                let row = pixels.get(x.offset(picture, pixel_y, 0)..);
                let Some(row) = row.and_then(|row| row.get(..line)) else { continue };
                let mut window = 0;
                while window + GROUP <= across {
                    // The sums of the windows that have the row under a row of their taps.
                    let seeing = |tap_y: usize| {
                        let y = (pixel_y + top).wrapping_sub(tap_y);
                        let at = base.wrapping_add(y.wrapping_mul(across) + window);
                        let sums = if y < down && at < count { at * cols } else { out.len() };
                        out.get(sums..sums + GROUP * cols)
                    };
                    let seen = (0..rows).any(|tap_y| seeing(tap_y).is_some());
                    let (mut channel, mut len) = (0, most);
                    while seen && channel < x.channels {
                        len = len.min(x.channels - channel);
                        let run = Run { x: window.wrapping_sub(left), channel, len, taps };
                        let [tap_fits, row_fits] =
                            run.pack(row, [width, x.channels], limit, &mut panel);
                        if !tap_fits && len > 1 {
                            len /= 2;
                            continue;
                        }
                        let row_fits = row_fits && len == x.channels;
                        for tap_y in 0..rows {
                            if let Some(sums) = seeing(tap_y) {
                                self.add::<P>(&run, row_fits, tap_y, &panel, sums);
                            }
                        }
                        channel += len;
                    }
                    window += GROUP;
                }
            }
            (picture, base) = (picture + 1, base.wrapping_add(down * across));
        }
    }

    /// Adds the products of what is packed and a row of taps to the sums of a group.
    fn add<P: Pairs>(
        &self,
        run: &Run,
        row_fits: bool,
        tap_y: usize,
        panel: &[MaybeUninit<Factors>; PANEL],
        sums: &[Cell<i32>],
    ) {
        let Taps { taps, depth, cols: [cols, col_stride], turned, .. } = *self.weight;
        let whole = row_fits && !turned && taps[1] == depth[0] * depth[1];
        let (pieces, len) = if whole { (1, run.taps * run.len) } else { (run.taps, run.len) };
        let row = |r: usize, width: usize| (4 * r * width).wrapping_sub(4 * P::COLS);
        let rows = |width| [row(1, width), row(2, width), row(3, width)];
        let mut factors = panel.as_ptr().cast::<Factors>();
        let first = tap_y * run.taps;
        for tap in first..first + pieces {
            let tap = if turned { (taps[0] - 1).wrapping_sub(tap) } else { tap };
            let column = self.weights.as_ptr().wrapping_add(tap * taps[1] + run.channel * depth[1]);
            let end = factors.wrapping_add(len);
            let mut strip = Strip {
                head: factors.wrapping_add(len % P::UNROLLED),
                end,
                panel: factors,
                column,
                col_stride,
                row_stride: depth[1],
                shift: 16,
                groups: cols / P::COLS,
                sums: sums.as_ptr(),
                rows: rows(cols),
            };
            // SAFETY: `of` found the weights of all taps, channels and columns; there are sums for
            // four windows, and the factors are packed.
            unsafe { P::columns(&mut strip) }
            if !cols.is_multiple_of(P::COLS) {
                strip.column = column.wrapping_add((cols - P::COLS) * col_stride);
                strip.rows = rows(P::COLS);
                // SAFETY: as above.
                unsafe { pairs::last_columns::<P>(&mut strip, sums, cols, GROUP) }
            }
            factors = end;
        }
    }
}

/// Numbers of a row of pixels that all taps in a row of four windows see.
struct Run {
    /// The first pixel, which may lie beside the picture.
    x: usize,
    channel: usize,
    /// Channels.
    len: usize,
    taps: usize,
}

impl Run {
    /// Packs them from a row of pixels. Whether what a tap adds to a sum stays in half a word, as it
    /// does where magnitudes add up to less than `limit`, and whether what all taps add together does.
    #[inline(never)]
    fn pack(
        &self,
        row: &[i8],
        [width, channels]: [usize; 2],
        limit: u32,
        panel: &mut [MaybeUninit<Factors>; PANEL],
    ) -> [bool; 2] {
        let Self { x, channel, len, taps } = *self;
        if len.saturating_mul(taps) > PANEL || taps < 2 {
            return [false; 2];
        }
        let Some(zeros) = ZEROS.get(..len) else { return [false; 2] };
        let words = panel.as_mut_ptr().cast::<i32>();
        let word = |tap: usize, half: usize| words.wrapping_add(2 * tap * len + half);
        let mut sizes = [0; WIDEST + GROUP - 1];
        let mut lower = ZEROS.as_ptr();
        for (i, size) in sizes.iter_mut().enumerate().take(taps + GROUP - 1) {
            let pixel = x.wrapping_add(i);
            let numbers = if pixel < width { row.get(pixel * channels + channel..) } else { None };
            let upper = numbers.and_then(|row| row.get(..len)).unwrap_or(zeros);
            // Words of the pixel before and this one: of the first two windows under one tap, of the
            // others under a tap before. The first pixel makes none; those that follow write over it.
            let tap = i.saturating_sub(1);
            let others = tap.checked_sub(2).map_or(words, |tap| word(tap, 1));
            let first = if tap < taps { word(tap, 0) } else { others };
            let others = if tap < 2 { first } else { others };
            // SAFETY: there are `len` numbers of both pixels, and places for as many words under each
            // of the taps, of which these are two.
            *size = unsafe { pair_up([lower, upper.as_ptr()], len, [first, others]) };
            lower = upper.as_ptr();
        }
        let row_fits =
            sizes.windows(taps).take(GROUP).all(|sizes| sizes.iter().sum::<u32>() < limit);
        [sizes.iter().all(|&size| size < limit), row_fits]
    }
}

/// Stores words of two pixels' numbers at two places, every second word there. The magnitudes of the
/// upper pixel's numbers.
///
/// # Safety
///
/// There must be `len` numbers, and room for as many words at both places.
#[inline(always)]
unsafe fn pair_up(
    [mut lower, mut upper]: [*const i8; 2],
    len: usize,
    [mut first, mut second]: [*mut i32; 2],
) -> u32 {
    let end = upper.wrapping_add(len);
    let mut size = len as i32;
    while upper != end {
        // SAFETY: the caller vouches for it.
        unsafe {
            let (low, high) = (i32::from(lower.read()), i32::from(upper.read()));
            // A negative number counts one too little, so `len` is counted too.
            size += high ^ (high >> 31);
            let word = low.wrapping_add(high << 16);
            first.write(word);
            second.write(word);
        }
        (lower, upper) = (lower.wrapping_add(1), upper.wrapping_add(1));
        (first, second) = (first.wrapping_add(2), second.wrapping_add(2));
    }
    size.cast_unsigned()
}
