//! Windows of pictures as rows of a matrix ("im2col"), of which a few are gathered at a time.
//!
//! Pictures lie pixel after pixel, the channels of a pixel side by side. A window is a row: its
//! pixels from left to right and from top to bottom, each with its channels.

use core::ops::Range;

use super::{
    Mantissa, Mantissas, MantissasMut, for_width,
    windows::{Under, Windows},
};

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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::{super::windows::tests::windows, *};

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
}
