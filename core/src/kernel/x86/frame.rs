//! Pictures with room around them, so that every window of a depthwise convolution is whole.

use crate::tensor::{Mantissa, Patches, Windows, for_width};

/// Pictures and the zeros that windows see around them.
pub(super) struct Frame {
    /// Zeros before the first pixel, and pixels with all zeros. Pairs are vertical, then horizontal.
    pub(super) before: [usize; 2],
    pub(super) size: [usize; 2],
}

impl Frame {
    pub(super) fn of(windows: &Windows) -> Self {
        let axis = |i: usize| {
            let [count, size, stride, pad, spread] =
                [windows.count, windows.size, windows.stride, windows.pad, windows.spread]
                    .map(|of| usize::from(of[i]));
            let before = pad / spread;
            (before, before + ((count - 1) * stride + size - 1 - pad) / spread + 1)
        };
        let (down, across) = (axis(0), axis(1));
        Self { before: [down.0, across.0], size: [down.1, across.1] }
    }

    /// The pixel of the frame under a tap, along one axis; none between pixels.
    pub(super) fn pixel(
        &self,
        windows: &Windows,
        axis: usize,
        window: usize,
        tap: usize,
    ) -> Option<usize> {
        let spread = usize::from(windows.spread[axis]);
        let place = window * usize::from(windows.stride[axis]) + tap + self.before[axis] * spread;
        let place = place.checked_sub(windows.pad[axis].into())?;
        place.is_multiple_of(spread).then_some(place / spread)
    }

    /// The rows of the frame under some rows of windows.
    pub(super) fn rows(&self, windows: &Windows, [first, last]: [usize; 2]) -> [usize; 2] {
        let [stride, size, pad, spread] =
            [windows.stride, windows.size, windows.pad, windows.spread]
                .map(|of| usize::from(of[0]));
        let start = (first * stride + self.before[0] * spread).saturating_sub(pad) / spread;
        let end = (last * stride + size - 1 + self.before[0] * spread - pad) / spread + 1;
        [start, end.min(self.size[0])]
    }

    /// Copies `lanes` channels from `channel` on of some rows of a picture.
    #[inline(always)]
    pub(super) fn fill<T: Mantissa>(
        &self,
        x: &Patches<'_>,
        picture: usize,
        [start, end]: [usize; 2],
        [channel, lanes]: [usize; 2],
        out: &mut [T],
    ) {
        out.fill(T::from_code(0));
        let [height, width] = x.windows.from.map(usize::from);
        let [top, left] = self.before;
        let width = width.min(self.size[1] - left);
        for row in start.max(top)..end.min(top + height) {
            let out = &mut out[((row - start) * self.size[1] + left) * lanes..][..width * lanes];
            let from = x.offset(picture, row - top, 0);
            for_width!(Mantissas, x.data, data => {
                let data = &data[from..][..width * x.channels];
                if lanes == x.channels {
                    copy(data, out);
                } else {
                    for (pixel, out) in data.chunks_exact(x.channels).zip(out.chunks_exact_mut(lanes)) {
                        copy(&pixel[channel..], out);
                    }
                }
            });
        }
    }
}

#[inline(always)]
pub(super) fn copy<A: Mantissa, B: Mantissa>(from: &[A], to: &mut [B]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = B::from_code(from.widen()));
}
