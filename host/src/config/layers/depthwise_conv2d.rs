//! `depthwise_conv2d: { kernel: 3, multiplier: 2 }`: a `conv2d` with as many groups as channels come
//! in.

use fixgrad::graph::DepthwiseConv2d;

use super::{Words, keys::weighted_keys};
use crate::config::windows::{PaddingEntry, Pair};

weighted_keys! {
    /// A convolution in which every channel has weights of its own.
    DepthwiseConv2dKeys, DepthwiseConv2dDefaults {
        /// Channels of the output for each of the input; 1 by default.
        multiplier: u16,
        /// Pixels of the kernel.
        kernel: Pair,
        /// Pixels from one window to the next; 1 by default.
        stride: Pair,
        /// Zeros around the picture; `valid`, which is none, by default.
        padding: PaddingEntry,
    }
}

impl Words for DepthwiseConv2d {
    type Keys = DepthwiseConv2dKeys;
    const NEEDS: &str = "a `kernel`";
    const EXAMPLE: &str = "{ kernel: 3 }";

    fn read(keys: &DepthwiseConv2dKeys) -> Option<Self> {
        Some(Self {
            multiplier: keys.multiplier.unwrap_or(1),
            kernel: keys.kernel?.0,
            stride: keys.stride.map_or([1; 2], |stride| stride.0),
            padding: keys.padding.unwrap_or_default().0,
            bias: keys.bias.unwrap_or(true),
        })
    }
}
