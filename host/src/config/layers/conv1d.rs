//! `conv1d: { channels: 16, kernel: 5 }`: a `conv2d` over lines.

use fixgrad::graph::{Conv2d, Padding};

use super::{Words, keys::weighted_keys};
use crate::config::windows::PaddingEntry;

weighted_keys! {
    /// A convolution over lines of numbers: inputs of a shape `[channels, 1, length]`.
    Conv1dKeys, Conv1dDefaults {
        /// Channels of the output.
        channels: u16,
        /// Numbers of the kernel.
        kernel: u8,
        /// Numbers from one window to the next; 1 by default.
        stride: u8,
        /// Zeros at both ends; `valid`, which is none, by default.
        padding: PaddingEntry,
        /// Groups of channels that are convolved apart; 1 by default.
        groups: u16,
    }
}

/// A convolution over lines.
pub(in crate::config) struct Conv1d(pub(in crate::config) Conv2d);

impl Words for Conv1d {
    type Keys = Conv1dKeys;
    const NEEDS: &str = "`channels` and a `kernel`";
    const EXAMPLE: &str = "{ channels: 16, kernel: 5 }";

    fn refuse(keys: &Conv1dKeys) -> Option<[String; 2]> {
        match keys.padding?.0 {
            Padding::Explicit([above, ends]) if above != ends => Some([
                format!("a conv1d layer with a padding of [{above}, {ends}]"),
                "a line has as many zeros before it as behind it: write one number".into(),
            ]),
            _ => None,
        }
    }

    fn read(keys: &Conv1dKeys) -> Option<Self> {
        let padding = match keys.padding.unwrap_or_default().0 {
            // Zeros lie at the ends only.
            Padding::Explicit([_, ends]) => Padding::Explicit([0, ends]),
            padding => padding,
        };
        Some(Self(Conv2d {
            stride: [1, keys.stride.unwrap_or(1)],
            groups: keys.groups.unwrap_or(1),
            bias: keys.bias.unwrap_or(true),
            ..Conv2d::along(keys.channels?, keys.kernel?).padding(padding)
        }))
    }
}
