//! Convolution over pictures.
//!
//! | tensor | shape |
//! |---|---|
//! | input `x` | samples by height by width by channels |
//! | weight `W` | output channels by kernel height by kernel width by channels of a group |
//! | bias `b` | output channels |
//! | output `y`, gradient `g` | samples by height by width by output channels |
//!
//! As in PyTorch and TensorFlow it is a cross-correlation: the kernel is not turned. Windows become
//! rows of a product a few at a time (Chellapilla, Puri and Simard 2006, without the whole copy),
//! and the gradient by the input is a convolution of the output's gradient with the turned kernel
//! (Dumoulin and Visin 2016, section 4). Where every channel is a group ("depthwise"), kernels have
//! functions that need no windows of their own.

use serde::{Deserialize, Serialize};

use super::{
    Facts, Forward, InputGrad, Misfit, Operator, Output, Padding, Scale, Terms, WeightGrad, facts,
};
use crate::{
    kernel::{Depthwise, DepthwiseGrad, Kernel, WindowGrad},
    tensor::{Mantissas, Matrix, Patches, Shape, Taps, Windows},
    uses::{Part, Uses},
};

/// A convolution over pictures. Pairs are vertical, then horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conv2d {
    /// Channels of the output.
    pub channels: u16,
    /// Pixels of the kernel.
    pub kernel: [u8; 2],
    /// Pixels from one window to the next.
    pub stride: [u8; 2],
    /// Zeros around the picture.
    pub padding: Padding,
    /// Groups of channels that are convolved apart.
    pub groups: u16,
    /// True when a bias is added.
    pub bias: bool,
}

impl Conv2d {
    /// `channels` channels through a square kernel, without padding, with a bias.
    pub const fn new(channels: u16, kernel: u8) -> Self {
        Self {
            channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: Padding::Valid,
            groups: 1,
            bias: true,
        }
    }

    /// `channels` channels over lines of numbers, as a sensor gives them: inputs of a shape
    /// `[channels, 1, length]` ("conv1d"). Without padding, with a bias.
    ///
    /// ```
    /// use fixgrad::graph::{Conv2d, Graph, Kind, MaxPool2d};
    ///
    /// const NET: Graph<4> = Graph::input([6, 1, 128])
    ///     .conv1d("conv1", Conv2d::along(16, 5).stride(2).same())
    ///     .relu()
    ///     .layer("pool1", Kind::MaxPool2d(MaxPool2d::along(4)))
    ///     .expect([16, 1, 16]);
    /// ```
    pub const fn along(channels: u16, kernel: u8) -> Self {
        Self { kernel: [1, kernel], ..Self::new(channels, kernel) }
    }

    /// As it is, where the input is lines: one row, and windows along it.
    pub const fn over_lines(self, from: Shape) -> Result<Self, Misfit> {
        let ([_, height, _], [down, _]) = (from.0, self.kernel);
        if height != 1 || down != 1 { Err(Misfit::Lines { height, down }) } else { Ok(self) }
    }

    /// Whether each of several channels of such an input has weights of its own.
    pub const fn is_depthwise(self, from: Shape) -> bool {
        let [channels, ..] = from.0;
        channels > 1 && self.groups == channels
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

    /// With channels in groups.
    #[must_use]
    pub const fn groups(self, groups: u16) -> Self {
        Self { groups, ..self }
    }

    /// Without a bias.
    #[must_use]
    pub const fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// A picture with other channels, and as many pixels as windows.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let [channels, ..] = from.0;
        let Self { channels: units, groups, .. } = self;
        if units == 0 || groups == 0 {
            return Err(Misfit::Zero);
        }
        if !channels.is_multiple_of(groups) {
            return Err(Misfit::Groups { groups, channels });
        }
        if !units.is_multiple_of(groups) {
            return Err(Misfit::Groups { groups, channels: units });
        }
        let [height, width] = self.kernel;
        let [down, right] = self.stride;
        let size = [height as u16, width as u16];
        let stride = [down as u16, right as u16];
        let windows = match facts::windows(from, size, stride, self.padding) {
            Ok(windows) => windows,
            Err(misfit) => return Err(misfit),
        };
        let patch = windows.taps() * (channels / groups) as usize;
        let back = facts::overlap(&windows) * (units / groups) as usize;
        let [height, width] = windows.count;
        // The gradient by the input looks through windows of the output. Those of channels that have
        // weights of their own are not gathered.
        let room = windows.taps() * (units / groups) as usize;
        let room = if patch > room { patch } else { room };
        Ok(Facts {
            shape: Shape([units, height, width]),
            output: Output::Sums,
            weights: [units as usize, patch],
            biases: if self.bias { units as usize } else { 0 },
            terms: Terms { forward: patch, backward: back },
            windows,
            patch: if self.is_depthwise(from) { 0 } else { room },
            scale: Scale::Mean(1),
            memo: 0,
            steps: 0,
        })
    }

    /// Groups, of which there is one at least: a graph without is refused.
    fn parts(self) -> usize {
        usize::from(self.groups).max(1)
    }

    /// Channels of the output for each of the input.
    fn fans(self, facts: &Facts) -> usize {
        facts.weights[0].checked_div(self.parts()).unwrap_or(0)
    }

    /// Windows of a group of channels, and the columns that they make.
    fn group<'a>(
        self,
        of: usize,
        data: Mantissas<'a>,
        windows: Windows,
        channels: usize,
    ) -> Patches<'a> {
        let some = channels / self.parts();
        Patches { group: [of * some, some], ..Patches::new(data, windows, channels) }
    }

    /// The weights of a group.
    fn taps<'a>(self, of: usize, weight: Mantissas<'a>, facts: &Facts, from: Shape) -> Taps<'a> {
        let groups = self.parts();
        let (units, channels) = (facts.weights[0] / groups, usize::from(from.0[0]) / groups);
        let each = units * facts.weights[1];
        Taps::new(weight.part(of * each, each), facts.windows.taps(), channels, units)
    }
}

/// Convolves row by row where several groups lie side by side in a row, else all at once.
macro_rules! by_groups {
    ($self:ident, $rows:expr, $sums:expr, $numbers:expr, |$group:ident, $first:ident, $out:ident| $body:expr) => {
        let groups = $self.parts();
        let each = $numbers / groups;
        if groups == 1 {
            let ($group, $first, $out) = (0, $rows.start, $sums);
            $body
        } else {
            for ($first, row) in $rows.zip($sums.chunks_exact_mut($numbers.max(1))) {
                for ($group, $out) in row.chunks_exact_mut(each.max(1)).enumerate() {
                    $body
                }
            }
        }
    };
}

impl Operator for Conv2d {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { kernel, from, x, weight, drop, rows, sums, mut room, .. } = run;
        let Ok(facts) = self.facts(from) else { return };
        let channels = from.0[0].into();
        if U::uses(Part::Depthwise) && self.is_depthwise(from) {
            let x = Patches::new(x, facts.windows, channels);
            let (multiplier, drop) = (self.fans(&facts), drop.into());
            let products = Depthwise { x, weight, multiplier, back: false, drop };
            return kernel.depthwise(&products, rows.start, sums);
        }
        by_groups!(self, rows, sums, facts.weights[0], |group, first, out| {
            let x = self.group(group, x, facts.windows, channels);
            let weight = self.taps(group, weight, &facts, from);
            kernel.convolve(&x, &weight, drop.into(), first, out, room.reborrow());
        });
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { kernel, from, grad, weight, drop, first, sums, mut room, .. } = run;
        let Ok(facts) = self.facts(from) else { return };
        let rows = first / usize::from(from.0[0]).max(1)..;
        if U::uses(Part::Depthwise) && self.is_depthwise(from) {
            let x = Patches::new(grad, facts.windows.turned(), facts.weights[0]);
            let (multiplier, drop) = (self.fans(&facts), drop.into());
            let products = Depthwise { x, weight, multiplier, back: true, drop };
            return kernel.depthwise(&products, rows.start, sums);
        }
        by_groups!(self, rows, sums, usize::from(from.0[0]), |group, first, out| {
            let grad = self.group(group, grad, facts.windows.turned(), facts.weights[0]);
            let weight = self.taps(group, weight, &facts, from).back();
            kernel.convolve(&grad, &weight, drop.into(), first, out, room.reborrow());
        });
    }

    #[inline(always)]
    fn adds<K: Kernel>(self, kernel: &K) -> bool {
        kernel.adds_convolutions()
    }

    #[inline(always)]
    fn weight_grad<K: Kernel, U: Uses>(self, run: WeightGrad<'_, K>) {
        let WeightGrad {
            kernel, from, samples, grad, x, drop, units, cols, add, sums, room, ..
        } = run;
        let Ok(facts) = self.facts(from) else { return };
        let (width, groups) = (facts.weights[0], self.parts());
        let each = (width / groups).max(1);
        let rows = samples * facts.windows.per_picture();
        if U::uses(Part::Depthwise) && self.is_depthwise(from) {
            let grad = Matrix::columns(grad, rows, width, units.start, units.len());
            let x = Patches::new(x, facts.windows, from.0[0].into());
            let (unit, taps, drop) = (units.start, cols, drop.into());
            let sums_of = DepthwiseGrad { grad, unit, x, multiplier: each, taps, drop, add };
            return kernel.depthwise_grad(&sums_of, sums);
        }
        let (mut room, mut rest, mut unit) = (room, sums, units.start);
        // Rows of the weight that belong to one group are one product.
        while unit < units.end {
            let group = unit / each;
            let len = ((group + 1) * each).min(units.end) - unit;
            let Some((out, behind)) = rest.split_at_mut_checked(len * cols.len()) else { return };
            let grad = Matrix::columns(grad, rows, width, unit, len);
            let x = self.group(group, x, facts.windows, from.0[0].into());
            let sums = WindowGrad { grad, x, cols: cols.clone(), drop: drop.into(), add };
            kernel.convolve_grad(&sums, out, room.reborrow());
            (rest, unit) = (behind, unit + len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{DepthwiseConv2d, testing::Bench};

    const PICTURE: [i8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const KERNEL: [i8; 4] = [1, 2, 3, 4];

    #[test]
    fn a_kernel_of_two_by_two_over_nine_pixels() {
        let mut conv = Bench::new(Conv2d::new(1, 2), [1, 3, 3]);
        // 37 is 1 * 1 + 2 * 2 + 3 * 4 + 4 * 5: the kernel is not turned.
        assert_eq!(conv.forward(&PICTURE, &KERNEL), [37, 47, 67, 77]);
        // The first and the last window, the last one twice; both have the pixel in the middle.
        let grad = [1, 0, 0, 2];
        assert_eq!(conv.input_grad(&grad, &KERNEL), [1, 2, 0, 3, 4 + 2, 4, 0, 6, 8]);
        assert_eq!(conv.weight_grad(&grad, &PICTURE), [1 + 10, 2 + 12, 4 + 16, 5 + 18]);
    }

    #[test]
    fn zeros_lie_around_the_picture() {
        let mut conv = Bench::new(Conv2d::new(1, 3).same(), [1, 2, 2]);
        let ones = [1; 9];
        assert_eq!(conv.forward(&[1, 2, 3, 4], &ones), [10; 4]);
        assert_eq!(conv.input_grad(&[1, 2, 3, 4], &ones), [10; 4]);
        // Of an even kernel, the one zero more is below and to the right.
        let mut conv = Bench::new(Conv2d::new(1, 2).same(), [1, 2, 2]);
        assert_eq!(conv.forward(&[1, 2, 3, 4], &KERNEL), [30, 2 + 12, 3 + 8, 4]);
    }

    #[test]
    fn a_stride_leaves_pixels_between_the_gradients() {
        let mut conv = Bench::new(Conv2d::new(1, 1).stride(2), [1, 3, 3]);
        assert_eq!(conv.forward(&PICTURE, &[2]), [2, 6, 14, 18]);
        assert_eq!(conv.input_grad(&[1, 2, 3, 4], &[2]), [2, 0, 4, 0, 0, 0, 6, 0, 8]);
        assert_eq!(conv.weight_grad(&[1, 2, 3, 4], &PICTURE), [1 + 6 + 21 + 36]);
    }

    #[test]
    fn groups_see_their_own_channels() {
        // Two pixels of four channels. The first group is the first two channels of each.
        let x = [1, 2, 30, 40, 5, 6, 70, 80];
        let mut conv = Bench::new(Conv2d::new(4, 1).groups(2), [4, 1, 2]);
        assert_eq!(conv.facts.weights, [4, 2]);
        let weight = [1, 0, 0, 1, 1, 1, 1, -1];
        assert_eq!(conv.forward(&x, &weight), [1, 2, 70, -10, 5, 6, 150, -10]);
        let grad = [1, 2, 3, 4, 0, 0, 0, 1];
        assert_eq!(conv.input_grad(&grad, &weight), [1, 2, 3 + 4, 3 - 4, 0, 0, 1, -1]);
        let expected = [1, 2, 2, 4, 90, 120, 120 + 70, 160 + 80];
        assert_eq!(conv.weight_grad(&grad, &x), expected);
    }

    #[test]
    fn every_channel_has_weights_of_its_own() {
        // One row of two pixels of three channels, and two outputs for each: a kernel of two pixels.
        let conv = DepthwiseConv2d { kernel: [1, 2], ..DepthwiseConv2d::new(2) }.multiplier(2);
        let conv = conv.on(Shape([3, 1, 2])).unwrap();
        let mut conv = Bench::new(conv, [3, 1, 2]);
        assert_eq!((conv.facts.weights, conv.facts.patch), ([6, 2], 0));
        let x = [1, 2, 3, 10, 20, 30];
        let weight = [1, 0, 0, 1, 1, 1, 2, 0, 1, -1, 0, 5];
        assert_eq!(conv.forward(&x, &weight), [1, 10, 22, 4, -27, 150]);
        let grad = [1, 2, 3, 4, 5, 6];
        assert_eq!(conv.input_grad(&grad, &weight), [1, 3 + 8, 5, 2, 3, 30 - 5]);
        let expected = [1, 10, 2, 20, 6, 60, 8, 80, 15, 150, 18, 180];
        assert_eq!(conv.weight_grad(&grad, &x), expected);
    }

    #[test]
    fn several_pictures_are_one_after_the_other() {
        let mut conv = Bench::new(Conv2d::new(2, 2), [1, 2, 2]);
        let (x, weight) = ([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 1, 1, 0, 0, 0, 1]);
        assert_eq!(conv.forward(&x, &weight), [10, 4, 26, 8]);
        assert_eq!(conv.weight_grad(&[1, 0, 0, 1], &x), x.map(i32::from));
    }
}
