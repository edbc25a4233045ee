//! What a layer makes of an input of some shape, and what that takes: all that a graph, a plan and
//! a trainer know of it.

use serde::{Deserialize, Serialize};

use crate::{
    message::Message,
    tensor::{Shape, Windows},
};

/// What a layer makes of an input of some shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Shape of one output.
    pub shape: Shape,
    /// What the numbers of the output are.
    pub output: Output,
    /// Rows of the weight, and numbers in a row. Zero without weights.
    pub weights: [usize; 2],
    /// Numbers of the bias. Zero without one.
    pub biases: usize,
    /// Terms of sums.
    pub terms: Terms,
    /// Windows that the layer sees its input through.
    pub windows: Windows,
    /// Numbers of a window, or zero where windows are not gathered.
    pub patch: usize,
    /// What sums are worth that are no products with weights.
    pub scale: Scale,
    /// Bytes that the layer keeps for each number of the output until the gradient comes back.
    pub memo: usize,
    /// Steps that the layer takes through one input, or zero where it sees an input at once.
    pub steps: usize,
}

/// What the numbers of an output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Output {
    /// New ones, on a grid of their own.
    Sums,
    /// Codes of the input, in another place.
    Codes,
    /// The codes of the input where they lie.
    InPlace,
}

/// What sums are worth that are no products with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Codes and gradients, divided by so many.
    Mean(usize),
    /// In training, codes and gradients divided by the probability that one is kept. This is that of
    /// being left out, in units of 2^-15.
    Kept(u16),
    /// Outputs are parts of one. Gradients are multiplied by bytes.
    Curve {
        /// Binary places that the bytes have behind the point.
        back: u8,
    },
}

/// Terms of sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Products in one output.
    pub forward: usize,
    /// Products in the gradient of one input, at most.
    pub backward: usize,
}

impl Facts {
    /// A layer without parameters that leaves codes where they lie.
    pub(super) const fn in_place(shape: Shape) -> Self {
        Self {
            shape,
            output: Output::InPlace,
            weights: [0; 2],
            biases: 0,
            terms: Terms { forward: 1, backward: 1 },
            windows: Windows::POINT,
            patch: 0,
            scale: Scale::Mean(1),
            memo: 0,
            steps: 0,
        }
    }

    /// Numbers of the weight.
    pub const fn weights(&self) -> usize {
        self.weights[0].saturating_mul(self.weights[1])
    }

    /// Multiply-adds by weights for one output.
    pub const fn macs(&self) -> usize {
        match self.weights[0] {
            0 => 0,
            _ if self.steps > 0 => self.steps.saturating_mul(self.weights()),
            _ => self.shape.elements().saturating_mul(self.weights[1]),
        }
    }
}

/// Why a layer cannot read an input of some shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Misfit {
    /// A window, a stride, or a number of outputs is zero.
    Zero,
    /// The window does not fit into the padded input.
    Window {
        /// Its height and width.
        size: [u16; 2],
    },
    /// More windows side by side than a shape can count.
    Windows,
    /// More pixels in a window than a byte can tell apart.
    Taps {
        /// Its height and width.
        size: [u16; 2],
    },
    /// Padding as large as the window: some windows would see nothing.
    Padding {
        /// Zeros above and to the left.
        pad: [u16; 2],
    },
    /// The last rows or columns are in no window.
    Dropped {
        /// How many rows and columns.
        pixels: [u16; 2],
        /// The stride that leaves them out.
        stride: [u16; 2],
    },
    /// Groups do not divide the channels that come in, or those that go out.
    Groups {
        /// How many groups.
        groups: u16,
        /// The channels that they do not divide.
        channels: u16,
    },
    /// More channels than a shape can count, of two inputs side by side.
    Sum {
        /// Channels of the second one.
        channels: u16,
    },
    /// More channels than a shape can count, of a multiple of those of the input.
    Multiplier {
        /// Channels of the output for each of the input.
        multiplier: u16,
    },
    /// Rows, where lines are wanted.
    Lines {
        /// Rows of the input.
        height: u16,
        /// Rows of the kernel.
        down: u8,
    },
    /// More numbers than a vector has.
    Length,
    /// The second input has another shape.
    Shapes {
        /// Its shape.
        other: Shape,
    },
    /// The second input has other pixels.
    Pixels {
        /// Its shape.
        other: Shape,
    },
    /// Borders without zero between them.
    Borders {
        /// The lower one.
        low: i8,
        /// The upper one.
        high: i8,
    },
    /// A slope that is no part of one, or too small a part.
    Slope {
        /// It is two to minus this.
        shift: u8,
    },
    /// Too many numbers are left out.
    Probability {
        /// With which probability, in units of 2^-15.
        p: u16,
    },
    /// A momentum or an epsilon that is no power of two within reach.
    Norm {
        /// They are two to minus these.
        shifts: [u8; 2],
    },
    /// Channels that the input does not have.
    Channels {
        /// The first of those that are wanted.
        first: u16,
        /// How many.
        channels: u16,
    },
    /// A vector, where a sequence is wanted.
    Steps,
}

impl Misfit {
    /// The rest of a sentence that begins with the input.
    pub(crate) const fn explain(self, m: Message) -> Message {
        const fn pair(m: Message, [a, b]: [u16; 2]) -> Message {
            m.number(a as usize).text(" x ").number(b as usize)
        }
        match self {
            Self::Zero => m.text(": sizes, strides, groups and outputs must be at least 1"),
            Self::Window { size } => {
                let m = pair(m.text(" has no window of "), size);
                m.text(" pixels; make the kernel smaller or the padding larger")
            }
            Self::Windows => {
                m.text(" has more than 65,535 windows side by side; pad less, or take a stride")
            }
            Self::Taps { size } => {
                let m = pair(m.text(" cannot have windows of "), size);
                m.text(" pixels, whose largest is remembered by a byte; take 255 pixels at most, in two pools perhaps")
            }
            Self::Padding { pad } => {
                let m = pair(m.text(" with a padding of "), pad);
                m.text(" pixels has windows that see nothing; pad by less than the kernel")
            }
            Self::Dropped { pixels, stride } => {
                let m = pair(m.text(" loses its last "), pixels);
                let m = pair(m.text(" rows and columns to a stride of "), stride);
                m.text("; pad it, or change kernel or stride")
            }
            Self::Groups { groups, channels } => m
                .text(": ")
                .number(groups as usize)
                .text(" groups do not divide ")
                .number(channels as usize)
                .text(
                    " channels; choose groups that divide those that come in and those that go out",
                ),
            Self::Multiplier { multiplier } => m
                .text(" has more than 65,535 channels times ")
                .number(multiplier as usize)
                .text("; choose a smaller multiplier"),
            Self::Lines { height, down } => m
                .text(" has ")
                .number(height as usize)
                .text(" rows and the kernel ")
                .number(down as usize)
                .text(
                    "; a conv1d reads lines, of a shape [channels, 1, length], by a kernel of one row: \
                     change the input, or take a conv2d",
                ),
            Self::Sum { channels } => m
                .text(" and ")
                .number(channels as usize)
                .text(" channels beside it are more than 65,535; take fewer"),
            Self::Length => m.text(
                " has more than the 65,535 numbers of a vector; leave the flatten out, since a dense layer \
                 reads pictures, or pool first",
            ),
            Self::Shapes { other } => m.text(" and one of ").shape(other).text(
                " cannot be added; bring both to one shape, by a convolution of 1 x 1 pixels perhaps",
            ),
            Self::Pixels { other } => m.text(" and one of ").shape(other).text(
                " have not the same pixels; bring both to one height and width, by a pool perhaps",
            ),
            Self::Borders { low, high } => m
                .text(" cannot be cut at ")
                .signed(low as i32)
                .text(" and ")
                .signed(high as i32)
                .text("; two borders must have zero between them, or one must be zero"),
            Self::Slope { shift } => m
                .text(" cannot have a slope of 2^-")
                .number(shift as usize)
                .text("; the exponent must be 1 to 15"),
            Self::Probability { p } => m
                .text(" cannot lose ")
                .number(p as usize)
                .text(" parts of 32,768; leave out 32,256 (98.4 %) at most"),
            Self::Norm { shifts: [momentum, eps] } => m
                .text(" cannot be normalised with a momentum of 2^-")
                .number(momentum as usize)
                .text(" and an epsilon of 2^-")
                .number(eps as usize)
                .text("; the exponents must be 0 to 15 and 1 to 24"),
            Self::Steps => m.text(
                " is no sequence; an lstm reads lines, of a shape [features, 1, steps], or the rows of a \
                 picture",
            ),
            Self::Channels { first, channels } => m
                .text(" has no ")
                .number(channels as usize)
                .text(" channels from channel ")
                .number(first as usize)
                .text(" on; the first is channel 0"),
        }
    }
}

/// Zeros around a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// None: windows stay inside.
    #[default]
    Valid,
    /// As many as it takes for as many windows as pixels, or pixels by stride, rounded up; where
    /// the number is odd, the one more is below and to the right (as TensorFlow has it).
    Same,
    /// Above and below, left and right.
    Explicit([u8; 2]),
}

/// The windows of a kernel over a picture, or why there are none.
pub(super) const fn windows(
    from: Shape,
    size: [u16; 2],
    stride: [u16; 2],
    padding: Padding,
) -> Result<Windows, Misfit> {
    let [_, height, width] = from.0;
    let from = [height, width];
    let (mut count, mut pad, mut dropped) = ([0; 2], [0; 2], [0; 2]);
    let mut i = 0;
    while i < 2 {
        let (len, taps, stride) = (from[i] as u32, size[i] as u32, stride[i] as u32);
        if taps == 0 || stride == 0 || len == 0 {
            return Err(Misfit::Zero);
        }
        let (before, both) = match padding {
            Padding::Valid => (0, 0),
            Padding::Same => {
                let both = (ceil_div(len, stride) - 1) * stride + taps;
                let both = both.saturating_sub(len);
                (both / 2, both)
            }
            Padding::Explicit(pad) => (pad[i] as u32, 2 * pad[i] as u32),
        };
        let Some(room) = (len + both).checked_sub(taps) else {
            return Err(Misfit::Window { size });
        };
        if room / stride >= u16::MAX as u32 {
            return Err(Misfit::Windows);
        }
        let covered = room / stride * stride + taps;
        let left = (before + len).saturating_sub(covered);
        // Strides wider than a window leave pixels out everywhere.
        let left = left.saturating_sub(stride.saturating_sub(taps));
        count[i] = (room / stride + 1) as u16;
        (pad[i], dropped[i]) = (before as u16, left as u16);
        i += 1;
    }
    if pad[0] >= size[0] || pad[1] >= size[1] {
        return Err(Misfit::Padding { pad });
    }
    if dropped[0] > 0 || dropped[1] > 0 {
        return Err(Misfit::Dropped { pixels: dropped, stride });
    }
    Ok(Windows { from, count, size, stride, pad, spread: [1; 2] })
}

/// `a / b`, rounded up. Of numbers of 16 bits; never by zero, which the compiler need not find out.
const fn ceil_div(a: u32, b: u32) -> u32 {
    match (a + b).saturating_sub(1).checked_div(b) {
        Some(quotient) => quotient,
        None => 0,
    }
}

/// Windows of one kind that a pixel is in, at most.
pub(super) const fn overlap(windows: &Windows) -> usize {
    let ([down, across], [below, right]) = (windows.size, windows.stride);
    if below == 0 || right == 0 {
        return 0;
    }
    (ceil_div(down as u32, below as u32) * ceil_div(across as u32, right as u32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: u16, size: u16, stride: u16, padding: Padding) -> Result<(u16, u16), Misfit> {
        let found = windows(Shape([1, from, from]), [size; 2], [stride; 2], padding)?;
        assert_eq!((found.count[0], found.pad[0]), (found.count[1], found.pad[1]));
        Ok((found.count[0], found.pad[0]))
    }

    #[test]
    fn windows_are_those_of_pytorch_and_tensorflow() {
        assert_eq!(of(28, 5, 1, Padding::Valid), Ok((24, 0)));
        assert_eq!(of(28, 3, 1, Padding::Same), Ok((28, 1)));
        // One zero more below than above.
        assert_eq!(of(32, 3, 2, Padding::Same), Ok((16, 0)));
        // PyTorch's way: the last padded row is in no window, but it holds no pixel.
        assert_eq!(of(32, 3, 2, Padding::Explicit([1, 1])), Ok((16, 1)));
        assert_eq!(of(8, 2, 2, Padding::Valid), Ok((4, 0)));
        assert_eq!(of(8, 8, 8, Padding::Valid), Ok((1, 0)));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let one = |from, padding| windows(Shape([1, 1, from]), [1, 255], [1; 2], padding);
        let all = one(65_535, Padding::Same).unwrap();
        assert_eq!((all.count, all.pad), ([1, 65_535], [0, 127]));
        assert_eq!(one(65_535, Padding::Explicit([0, 254])), Err(Misfit::Windows));
        assert_eq!(one(9, Padding::Valid), Err(Misfit::Window { size: [1, 255] }));
        assert_eq!(of(4, 5, 1, Padding::Valid), Err(Misfit::Window { size: [5; 2] }));
        assert_eq!(of(4, 0, 1, Padding::Valid), Err(Misfit::Zero));
        assert_eq!(of(4, 2, 0, Padding::Valid), Err(Misfit::Zero));
        assert_eq!(of(9, 3, 1, Padding::Explicit([3, 3])), Err(Misfit::Padding { pad: [3; 2] }));
        let dropped = Misfit::Dropped { pixels: [1; 2], stride: [2; 2] };
        assert_eq!(of(9, 2, 2, Padding::Valid), Err(dropped));
        // The shortcut of a residual block: every second pixel, the last one left out.
        assert_eq!(of(8, 1, 2, Padding::Valid), Ok((4, 0)));
    }
}
