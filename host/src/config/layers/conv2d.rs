//! `conv2d: { channels: 16, kernel: 3 }`.

use fixgrad::graph::Conv2d;

use super::{Words, Writes, keys::weighted_keys};
use crate::config::windows::{PaddingEntry, Pair};

weighted_keys! {
    /// A convolution over pictures.
    Conv2dKeys, Conv2dDefaults {
        /// Channels of the output.
        channels: u16,
        /// Pixels of the kernel.
        kernel: Pair,
        /// Pixels from one window to the next; 1 by default.
        stride: Pair,
        /// Zeros around the picture; `valid`, which is none, by default.
        padding: PaddingEntry,
        /// Groups of channels that are convolved apart; 1 by default.
        groups: u16,
    }
}

impl Words for Conv2d {
    type Keys = Conv2dKeys;
    const NEEDS: &str = "`channels` and a `kernel`";
    const EXAMPLE: &str = "{ channels: 16, kernel: 3 }";

    fn read(keys: &Conv2dKeys) -> Option<Self> {
        Some(Self {
            channels: keys.channels?,
            kernel: keys.kernel?.0,
            stride: keys.stride.map_or([1; 2], |stride| stride.0),
            padding: keys.padding.unwrap_or_default().0,
            groups: keys.groups.unwrap_or(1),
            bias: keys.bias.unwrap_or(true),
        })
    }
}

impl Writes for Conv2d {
    fn write(self) -> Conv2dKeys {
        Conv2dKeys {
            channels: Some(self.channels),
            kernel: Some(Pair(self.kernel)),
            stride: Some(Pair(self.stride)),
            padding: Some(PaddingEntry(self.padding)),
            groups: Some(self.groups),
            bias: Some(self.bias),
            ..Conv2dKeys::default()
        }
    }
}
