//! A depthwise convolution before its input is known.
//!
//! It is a [`Conv2d`] with as many groups as channels come in (PyTorch's `groups`), said as Keras and
//! TFLM say it: by how many channels come out for each.

use super::{Conv2d, Misfit, Padding};
use crate::tensor::Shape;

/// A convolution in which every channel has windows and weights of its own. Pairs are vertical, then
/// horizontal.
///
/// ```
/// use fixgrad::graph::{Conv2d, DepthwiseConv2d, Graph};
///
/// // A depthwise separable convolution.
/// const NET: Graph<4> = Graph::input([1, 8, 8])
///     .conv2d("conv1", Conv2d::new(16, 3).same())
///     .depthwise_conv2d("depthwise1", DepthwiseConv2d::new(3).same())
///     .conv2d("pointwise1", Conv2d::new(32, 1))
///     .expect([32, 8, 8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2d {
    /// Channels of the output for each of the input.
    pub multiplier: u16,
    /// Pixels of the kernel.
    pub kernel: [u8; 2],
    /// Pixels from one window to the next.
    pub stride: [u8; 2],
    /// Zeros around the picture.
    pub padding: Padding,
    /// True when a bias is added.
    pub bias: bool,
}

impl DepthwiseConv2d {
    /// A square kernel for every channel, without padding, with a bias: as many channels come out.
    pub const fn new(kernel: u8) -> Self {
        let Conv2d { kernel, stride, padding, bias, .. } = Conv2d::new(1, kernel);
        Self { multiplier: 1, kernel, stride, padding, bias }
    }

    /// With so many channels of the output for each of the input.
    #[must_use]
    pub const fn multiplier(self, multiplier: u16) -> Self {
        Self { multiplier, ..self }
    }

    /// With as many windows as pixels.
    #[must_use]
    pub const fn same(self) -> Self {
        self.padding(Padding::Same)
    }

    /// With these zeros around the picture.
    #[must_use]
    pub const fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// With a window every `stride` pixels.
    #[must_use]
    pub const fn stride(self, stride: u8) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// Without a bias.
    #[must_use]
    pub const fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// The layer that reads an input of this shape.
    pub const fn on(self, from: Shape) -> Result<Conv2d, Misfit> {
        let Self { multiplier, kernel, stride, padding, bias } = self;
        let [groups, ..] = from.0;
        let Some(channels) = groups.checked_mul(multiplier) else {
            return Err(Misfit::Multiplier { multiplier });
        };
        Ok(Conv2d { channels, kernel, stride, padding, groups, bias })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_convolution_with_a_group_for_every_channel() {
        let picture = Shape([6, 9, 9]);
        let conv = DepthwiseConv2d::new(3).multiplier(2).stride(2).same().without_bias();
        let expected = Conv2d::new(12, 3).groups(6).stride(2).same().without_bias();
        assert_eq!(conv.on(picture), Ok(expected));
        assert!(expected.is_depthwise(picture) && !expected.is_depthwise(Shape([12, 9, 9])));
        // Of one channel, it is a convolution like others.
        assert!(!Conv2d::new(4, 3).is_depthwise(Shape([1, 9, 9])));
        let much = DepthwiseConv2d::new(3).multiplier(10_923);
        assert_eq!(much.on(picture), Err(Misfit::Multiplier { multiplier: 10_923 }));
        assert_eq!(much.multiplier(0).on(picture).unwrap().facts(picture), Err(Misfit::Zero));
    }
}
