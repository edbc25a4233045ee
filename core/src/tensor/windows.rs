//! How windows lie in a picture, and which pixels lie under their taps.

use core::ops::Range;

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
    pub(super) fn span<const AXIS: usize>(&self, window: usize) -> Span {
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
pub(super) struct Span {
    pub(super) tap: usize,
    pub(super) pixel: usize,
    pub(super) count: usize,
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

#[cfg(test)]
pub(super) mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    pub(in crate::tensor) fn windows() -> impl Strategy<Value = Windows> {
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
