//! Windows of pictures as rows of a matrix ("im2col"), of which a few are gathered at a time.
//!
//! Pictures lie pixel after pixel, the channels of a pixel side by side. A window is a row: its
//! pixels from left to right and from top to bottom, each with its channels.

use core::ops::Range;

use super::{Mantissa, Mantissas, MantissasMut, for_width};

/// How windows lie in a picture. Pairs are vertical, then horizontal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Windows {
    /// Pixels of the picture.
    pub from: [u16; 2],
    /// Windows.
    pub count: [u16; 2],
    /// Pixels of a window.
    pub size: [u16; 2],
    /// Pixels from one window to the next.
    pub stride: [u16; 2],
    /// Zeros before the first pixel.
    pub pad: [u16; 2],
    /// From one pixel to the next as windows see the picture: there are zeros between. One, but
    /// for gradients of windows that lie further apart.
    pub spread: [u16; 2],
}

impl Windows {
    /// One window on one pixel.
    pub const POINT: Self = Self {
        from: [1; 2],
        count: [1; 2],
        size: [1; 2],
        stride: [1; 2],
        pad: [0; 2],
        spread: [1; 2],
    };

    /// Windows of a picture.
    pub const fn per_picture(&self) -> usize {
        self.count[0] as usize * self.count[1] as usize
    }

    /// Pixels of a picture.
    pub const fn pixels(&self) -> usize {
        self.from[0] as usize * self.from[1] as usize
    }

    /// Pixels of a window.
    pub const fn taps(&self) -> usize {
        self.size[0] as usize * self.size[1] as usize
    }

    /// The windows of gradients that every pixel of the picture looks back through: their taps are
    /// those of the weights from the last to the first.
    #[must_use]
    pub const fn turned(&self) -> Self {
        let Self { from, count, size, stride, pad, .. } = *self;
        let [top, left] = pad;
        let pad = [
            size[0].saturating_sub(1).saturating_sub(top),
            size[1].saturating_sub(1).saturating_sub(left),
        ];
        Self { from: count, count: from, size, stride: [1; 2], pad, spread: stride }
    }

    /// The pixel under a tap of a window, along one axis; none where there are zeros.
    #[expect(clippy::indexing_slicing, reason = "an axis is 0 or 1")]
    pub const fn pixel(&self, axis: usize, window: usize, tap: usize) -> Option<usize> {
        let place = window * self.stride[axis] as usize + tap;
        let spread = self.spread[axis] as usize;
        match place.checked_sub(self.pad[axis] as usize) {
            Some(place) if spread == 1 && place < self.from[axis] as usize => Some(place),
            Some(place)
                if spread > 1
                    && place.is_multiple_of(spread)
                    && place / spread < self.from[axis] as usize =>
            {
                Some(place / spread)
            }
            _ => None,
        }
    }

    /// The taps of a window that have a pixel under them, along one axis: they are `spread` apart, and
    /// their pixels lie side by side.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "an axis is 0 or 1")]
    fn span<const AXIS: usize>(&self, window: usize) -> Span {
        let [from, size, stride, pad, spread] =
            [self.from, self.size, self.stride, self.pad, self.spread]
                .map(|of| usize::from(of[AXIS]));
        let place = window * stride;
        let (mut tap, mut pixel) = (pad.saturating_sub(place), place.saturating_sub(pad));
        let mut taps = size.saturating_sub(tap);
        let mut step = |spread: usize| {
            // The next pixel that is one.
            let next = ceil_div(pixel, spread);
            let skip = next * spread - pixel;
            (tap, pixel) = (tap + skip, next);
            taps = ceil_div(taps.saturating_sub(skip), spread);
        };
        match spread {
            0 | 1 => {}
            // A shift, where a division is a long call on small chips.
            2 => step(2),
            _ => step(spread),
        }
        Span { tap, pixel, count: taps.min(from.saturating_sub(pixel)) }
    }

    /// The windows that have a pixel under a tap, along one axis, where pixels have no zeros between.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "an axis is 0 or 1")]
    pub(crate) fn seeing<const AXIS: usize>(&self, tap: usize) -> Range<usize> {
        let [from, count, stride, pad] =
            [self.from, self.count, self.stride, self.pad].map(|of| usize::from(of[AXIS]));
        let first = |pixel: usize| match stride {
            1 => pixel.saturating_sub(tap),
            // A shift, where a division is a long call on small chips.
            2 => ceil_div(pixel.saturating_sub(tap), 2),
            _ => ceil_div(pixel.saturating_sub(tap), stride),
        };
        first(pad)..first(pad + from).min(count)
    }
}

/// `a / b`, rounded up; never by zero, which the compiler need not find out.
#[inline(always)]
fn ceil_div(a: usize, b: usize) -> usize {
    (a + b).saturating_sub(1).checked_div(b).unwrap_or(0)
}

/// Taps with pixels under them: the first of both, and how many.
struct Span {
    tap: usize,
    pixel: usize,
    count: usize,
}

/// The taps of a window that have a pixel under them. Pairs are vertical, then horizontal.
#[derive(Clone, Copy)]
pub(crate) struct Under {
    /// The first tap, and the first number of the pixel under it.
    pub(crate) tap: usize,
    pub(crate) pixel: usize,
    pub(crate) count: [usize; 2],
    /// From one tap to the next, and from one pixel to the next in numbers.
    pub(crate) taps: [usize; 2],
    pub(crate) pixels: [usize; 2],
}

impl Under {
    /// Calls `take` with all taps and the first numbers of their pixels.
    #[inline(always)]
    pub(crate) fn each(&self, mut take: impl FnMut(usize, usize)) {
        let (mut tap, mut pixel) = (self.tap, self.pixel);
        for _ in 0..self.count[0] {
            for i in 0..self.count[1] {
                take(tap + i * self.taps[1], pixel + i * self.pixels[1]);
            }
            tap += self.taps[0];
            pixel += self.pixels[0];
        }
    }
}

/// The windows of some pictures as a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Patches<'a> {
    /// The pictures, one after the other.
    pub data: Mantissas<'a>,
    /// How windows lie in each.
    pub windows: Windows,
    /// Channels of a pixel.
    pub channels: usize,
    /// The first channel of a window, and how many it has.
    pub group: [usize; 2],
    /// Windows before the first row.
    pub skip: usize,
}

impl<'a> Patches<'a> {
    /// Windows of whole pixels.
    pub const fn new(data: Mantissas<'a>, windows: Windows, channels: usize) -> Self {
        Self { data, windows, channels, group: [0, channels], skip: 0 }
    }

    /// Numbers of a window.
    pub const fn cols(&self) -> usize {
        self.windows.taps() * self.group[1]
    }

    /// Element `col` of window `row`; zero beside the picture.
    pub fn at(&self, row: usize, col: usize) -> i32 {
        let [first, channels] = self.group;
        let across = usize::from(self.windows.size[1]).max(1);
        let (tap, channel) = (col / channels.max(1), first + col % channels.max(1));
        let [picture, y, x] = self.place(row);
        let y = self.windows.pixel(0, y, tap / across);
        let x = self.windows.pixel(1, x, tap % across);
        let Some((y, x)) = y.zip(x) else { return 0 };
        self.data.get(self.offset(picture, y, x) + channel)
    }

    /// Picture, row and column of a window.
    pub(crate) fn place(&self, row: usize) -> [usize; 3] {
        let across = usize::from(self.windows.count[1]).max(1);
        let each = self.windows.per_picture().max(1);
        let row = self.skip + row;
        [row / each, row % each / across, row % across]
    }

    /// The first number of a pixel.
    pub(crate) fn offset(&self, picture: usize, y: usize, x: usize) -> usize {
        ((picture * self.windows.pixels()) + y * usize::from(self.windows.from[1]) + x)
            * self.channels
    }

    /// Calls `take` with the taps of a window that have a pixel under them, and the first number of
    /// that pixel.
    #[inline(always)]
    pub(crate) fn under(&self, place: [usize; 3], take: impl FnMut(usize, usize)) {
        self.below(place).each(take);
    }

    /// The taps of a window that have a pixel under them.
    #[inline(always)]
    pub(crate) fn below(&self, [picture, y, x]: [usize; 3]) -> Under {
        let Windows { size, spread, from, .. } = self.windows;
        let [row, col] = [self.windows.span::<0>(y), self.windows.span::<1>(x)];
        let across = usize::from(size[1]);
        Under {
            tap: row.tap * across + col.tap,
            pixel: self.offset(picture, row.pixel, col.pixel),
            count: [row.count, col.count],
            taps: [across * usize::from(spread[0]), spread[1].into()],
            pixels: [usize::from(from[1]) * self.channels, self.channels],
        }
    }

    /// The places of the windows from `first` on.
    #[inline(always)]
    pub(crate) fn places(&self, first: usize) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [down, across] = self.windows.count.map(usize::from);
        let mut next = self.place(first);
        core::iter::from_fn(move || {
            let place = next;
            let [picture, y, x] = &mut next;
            *x += 1;
            if *x == across {
                (*x, *y) = (0, *y + 1);
                if *y == down {
                    (*y, *picture) = (0, *picture + 1);
                }
            }
            Some(place)
        })
    }

    /// What lies [`below`](Self::below) the windows from `first` on. Whole windows of a row differ in
    /// their pixel alone.
    #[inline(always)]
    pub(crate) fn unders(&self, first: usize) -> impl Iterator<Item = Under> + use<> {
        let Windows { from, size, stride, pad, spread, .. } = self.windows;
        let [across, size, stride, pad] = [from, size, stride, pad].map(|of| usize::from(of[1]));
        let (patches, step) =
            (Patches { data: Mantissas::I8(&[]), ..*self }, stride * self.channels);
        let mut last: Option<Under> = None;
        self.places(first).map(move |place| {
            let start = place[2] * stride;
            let whole = start >= pad && start + size <= pad + across && spread[1] == 1;
            let under = match last {
                Some(under) if whole && place[2] > 0 => {
                    Under { pixel: under.pixel + step, ..under }
                }
                _ => patches.below(place),
            };
            last = whole.then_some(under);
            under
        })
    }

    /// Copies columns `cols` of the windows from `first` on, as many as `out` holds.
    pub fn gather(&self, first: usize, cols: Range<usize>, out: MantissasMut<'_>) {
        match (self.data, out) {
            (Mantissas::I8(data), MantissasMut::I8(out)) => self.copy(data, first, &cols, out),
            (Mantissas::I16(data), MantissasMut::I16(out)) => self.copy(data, first, &cols, out),
            // Widths that differ have no windows.
            (_, out) => for_width!(MantissasMut, out, out => out.fill(Mantissa::from_code(0))),
        }
    }

    #[inline(always)]
    fn copy<T: Mantissa>(&self, data: &[T], first: usize, cols: &Range<usize>, out: &mut [T]) {
        for (place, out) in self.places(first).zip(out.chunks_exact_mut(cols.len().max(1))) {
            self.copy_window(data, place, cols, out);
        }
    }

    /// One window. Taps that lie side by side in the picture are copied together.
    #[inline(always)]
    fn copy_window<T: Mantissa>(
        &self,
        data: &[T],
        [picture, y, x]: [usize; 3],
        cols: &Range<usize>,
        out: &mut [T],
    ) {
        let Windows { from, size, stride, pad, spread, .. } = self.windows;
        let [down, across] = size.map(usize::from);
        let [first, channels] = self.group;
        let width = usize::from(from[1]);
        // Runs of taps that are one piece of the picture: a row of the window, or one tap.
        let together = spread[1] == 1 && channels == self.channels;
        let run = if together { across } else { 1 };
        let mut rest = out;
        for tap_y in 0..down {
            let row = self.windows.pixel(0, y, tap_y);
            let row = row.and_then(|row| data.get(self.offset(picture, row, 0)..));
            let row = row.and_then(|row| row.get(..width * self.channels)).unwrap_or_default();
            for tap_x in (0..across).step_by(run.max(1)) {
                let begin = (tap_y * across + tap_x) * channels;
                let (from, to) = (begin.max(cols.start), (begin + run * channels).min(cols.end));
                let Some(len) = to.checked_sub(from).filter(|&len| len > 0) else { continue };
                let Some((part, behind)) = rest.split_at_mut_checked(len) else { return };
                rest = behind;
                let pixel = if together {
                    Some((x * usize::from(stride[1]) + tap_x).wrapping_sub(pad[1].into()))
                } else {
                    self.windows.pixel(1, x, tap_x)
                };
                let row = if pixel.is_some() { row } else { &[] };
                let pixel = pixel.unwrap_or(0).cast_signed() * self.channels.cast_signed();
                clipped(row, pixel + (first + from - begin).cast_signed(), part);
            }
        }
    }
}

/// Numbers of a row from `start` on, and zeros beside the row.
#[inline(always)]
fn clipped<T: Mantissa>(row: &[T], start: isize, out: &mut [T]) {
    let before = start.min(0).unsigned_abs();
    let Some((head, rest)) = out.split_at_mut_checked(before) else {
        return out.fill(T::from_code(0));
    };
    head.fill(T::from_code(0));
    let row = row.get(start.max(0).unsigned_abs()..).unwrap_or_default();
    let inside = row.len().min(rest.len());
    let Some((middle, tail)) = rest.split_at_mut_checked(inside) else { return };
    middle.iter_mut().zip(row).for_each(|(out, &number)| *out = number);
    tail.fill(T::from_code(0));
}

/// The weights of a window as a matrix: a row for every number of a window, a column for every
/// number that comes out.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    /// The weights.
    pub data: Mantissas<'a>,
    /// Pixels of a window, and from one to the next.
    pub taps: [usize; 2],
    /// Channels of a pixel, and from one to the next.
    pub depth: [usize; 2],
    /// Columns, and from one to the next.
    pub cols: [usize; 2],
    /// True when taps go from the last to the first.
    pub turned: bool,
}

impl<'a> Taps<'a> {
    /// Weights of `cols` numbers, each with a row of weights for all taps and channels.
    pub const fn new(data: Mantissas<'a>, taps: usize, depth: usize, cols: usize) -> Self {
        Self {
            data,
            taps: [taps, depth],
            depth: [depth, 1],
            cols: [cols, taps * depth],
            turned: false,
        }
    }

    /// The same weights for gradients that go back: outputs and inputs change places.
    #[must_use]
    pub const fn back(self) -> Self {
        Self { depth: self.cols, cols: self.depth, turned: !self.turned, ..self }
    }

    /// Element of tap `tap`, channel `channel`, column `col`.
    pub fn at(&self, tap: usize, channel: usize, col: usize) -> i32 {
        let [taps, stride] = self.taps;
        let tap = if self.turned { (taps - 1).saturating_sub(tap) } else { tap };
        self.data.get(tap * stride + channel * self.depth[1] + col * self.cols[1])
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn windows() -> impl Strategy<Value = Windows> {
        let pair = |range: core::ops::Range<u16>| (range.clone(), range).prop_map(<[u16; 2]>::from);
        (pair(1..7), pair(1..5), pair(1..4), pair(0..4), any::<bool>()).prop_map(
            |(from, size, stride, pad, turned)| {
                let pad = [0, 1].map(|i| pad[i].min(size[i] - 1));
                let room = [0, 1].map(|i| (from[i] + 2 * pad[i]).saturating_sub(size[i]));
                let count = [0, 1].map(|i| room[i] / stride[i] + 1);
                let windows = Windows { from, count, size, stride, pad, spread: [1; 2] };
                if turned { windows.turned() } else { windows }
            },
        )
    }

    proptest! {
        #[test]
        fn gathered_windows_are_those_of_the_definition(
            windows in windows(),
            (channels, first, some) in (1..5usize).prop_flat_map(|c| (Just(c), 0..c, 1..=c)),
            cut in any::<[prop::sample::Index; 3]>(),
        ) {
            let len = 2 * windows.pixels() * channels;
            let data: Vec<i8> = (1..=len).map(|i| (i % 127 + 1) as i8).collect();
            let group = [first, some.min(channels - first)];
            let patches =
                Patches { group, ..Patches::new(Mantissas::I8(&data), windows, channels) };
            let rows = 2 * windows.per_picture();
            let [row, col, end] = cut;
            let (row, col) = (row.index(rows), col.index(patches.cols()));
            let cols = col..col + 1 + end.index(patches.cols() - col);
            let mut out = std::vec![77i8; (rows - row) * cols.len()];
            patches.gather(row, cols.clone(), MantissasMut::I8(&mut out));
            for (r, out) in (row..).zip(out.chunks(cols.len())) {
                for (c, &found) in cols.clone().zip(out) {
                    prop_assert_eq!(i32::from(found), patches.at(r, c), "row {} column {}", r, c);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pixels_under_windows_are_those_of_the_definition(windows in windows()) {
            let data = std::vec![0i8; 2 * windows.pixels()];
            let patches = Patches::new(Mantissas::I8(&data), windows, 1);
            for (row, place) in patches.places(0).enumerate().take(2 * windows.per_picture()) {
                prop_assert_eq!(place, patches.place(row));
                let [picture, y, x] = place;
                let mut found = Vec::new();
                patches.under(place, |tap, pixel| found.push((tap, pixel)));
                let mut expected = Vec::new();
                let across = usize::from(windows.size[1]);
                for tap in 0..windows.taps() {
                    let y = windows.pixel(0, y, tap / across);
                    let x = windows.pixel(1, x, tap % across);
                    expected.extend(y.zip(x).map(|(y, x)| (tap, patches.offset(picture, y, x))));
                }
                prop_assert_eq!(found, expected);
            }
        }
    }

    proptest! {
        #[test]
        fn windows_that_see_a_pixel_are_those_of_the_definition(windows in windows()) {
            prop_assume!(windows.spread == [1; 2]);
            for axis in 0..2 {
                for tap in 0..usize::from(windows.size[axis]) {
                    let all = 0..usize::from(windows.count[axis]);
                    let expected: Vec<_> =
                        all.filter(|&window| windows.pixel(axis, window, tap).is_some()).collect();
                    let found: Vec<_> = match axis {
                        0 => windows.seeing::<0>(tap),
                        _ => windows.seeing::<1>(tap),
                    }
                    .collect();
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn a_window_at_the_edge_sees_zeros() {
        let data = [1i8, 2, 3, 4];
        let windows =
            Windows { from: [2; 2], count: [2; 2], size: [3; 2], pad: [1; 2], ..Windows::POINT };
        let patches = Patches::new(Mantissas::I8(&data), windows, 1);
        let mut out = [9i8; 18];
        patches.gather(0, 0..9, MantissasMut::I8(&mut out));
        assert_eq!(out[..9], [0, 0, 0, 0, 1, 2, 0, 3, 4]);
        assert_eq!(out[9..], [0, 0, 0, 1, 2, 0, 3, 4, 0]);
    }

    #[test]
    fn gradients_look_back_through_turned_windows() {
        // Every tap of every window is a pair of a window and a pixel; turned windows have the same.
        for (size, stride, pad, from) in [(3, 1, 1, 5), (3, 2, 1, 5), (2, 2, 0, 6), (1, 2, 0, 5)] {
            let count = (from + 2 * pad - size) / stride + 1;
            let windows = Windows {
                from: [from; 2],
                count: [count; 2],
                size: [size; 2],
                stride: [stride; 2],
                pad: [pad; 2],
                spread: [1; 2],
            };
            let pairs = |windows: Windows, turned: bool| {
                let mut pairs = Vec::new();
                for window in 0..windows.count[0].into() {
                    for tap in 0..size.into() {
                        if let Some(pixel) = windows.pixel(0, window, tap) {
                            let tap = if turned { usize::from(size) - 1 - tap } else { tap };
                            let (window, pixel) =
                                if turned { (pixel, window) } else { (window, pixel) };
                            pairs.push((window, pixel, tap));
                        }
                    }
                }
                pairs.sort_unstable();
                pairs
            };
            assert_eq!(pairs(windows, false), pairs(windows.turned(), true));
        }
    }
}
