//! Weights of windows as a matrix.

use super::Mantissas;

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
