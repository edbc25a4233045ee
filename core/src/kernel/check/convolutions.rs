//! Convolutions of bytes, plain and depthwise: forward, and the gradients by input and weights.

use super::{Fault, Wrong, products::fill};
use crate::{
    kernel::{Depthwise, DepthwiseGrad, Kernel, Scalar, WindowGrad},
    rng::Key,
    tensor::{Mantissas, MantissasMut, Matrix, Patches, Taps, Windows},
};

/// Convolutions that are compared, of each kind.
const CASES: u32 = 150;
pub(super) const NUMBERS: usize = 2_048;
const SUMS: usize = 256;
/// Numbers of windows on their way.
const ROOM: usize = 300;
const CHANNELS: u32 = 8;
const FANS: u32 = 3;

/// Compares convolutions of `kernel` with those of [`Scalar`], plain ones and those in which every
/// channel has weights of its own. Gives how many sums of products were compared, in calls.
// Not inlined: its operands would lie on the stack under whatever comes later.
#[inline(never)]
pub fn convolutions(kernel: &impl Kernel) -> Result<u32, Fault> {
    let mut numbers = [[0; NUMBERS]; 2];
    let mut sums = [[0; SUMS]; 2];
    for case in 0..CASES {
        let key = Key::new(case.into()).child(6);
        fill(&mut numbers, key);
        let shape = Convolution::of(key);
        for (part, run) in PARTS {
            for (sums, i) in sums.iter_mut().flatten().zip((0..SUMS as u32).cycle()) {
                // Such that nothing saturates when products are added.
                *sums = key.word(i).cast_signed() >> 4;
            }
            let [ours, right] = &mut sums;
            run.of(&shape, kernel, &numbers, ours);
            run.of(&shape, &Scalar, &numbers, right);
            if ours != right {
                return Err(Fault { part, wrong: Wrong::Numbers, case });
            }
        }
    }
    Ok(CASES * PARTS.len() as u32)
}

/// What is called, by the name of the function.
const PARTS: [(&str, Run); 6] = [
    ("convolve", Run::Forward),
    ("convolve", Run::Back),
    ("convolve_grad", Run::Grad),
    ("depthwise", Run::DepthwiseForward),
    ("depthwise", Run::DepthwiseBack),
    ("depthwise_grad", Run::DepthwiseGrad),
];

#[derive(Clone, Copy)]
enum Run {
    Forward,
    Back,
    Grad,
    DepthwiseForward,
    DepthwiseBack,
    DepthwiseGrad,
}

/// Shapes, and the parts that are wanted.
struct Convolution {
    windows: Windows,
    pictures: usize,
    channels: usize,
    /// Channels of the output, for each of the input.
    fans: usize,
    /// Windows gathered at once.
    room: usize,
    /// The first window.
    first: usize,
    add: bool,
}

impl Convolution {
    fn of(key: Key) -> Self {
        let size = |index, most| 1 + key.below(index, most) as u16;
        let pair = |first: u32, most| [size(first, most), size(first + 1, most)];
        let (from, kernel) = (pair(0, 6), pair(2, 3));
        let stride = if key.below(13, 2) == 0 { [1; 2] } else { pair(4, 2) };
        let [pad_y, pad_x] = [6, 7].map(|index| key.below(index, 2) as u16);
        let [ky, kx] = kernel;
        let pad = [pad_y * (ky / 2), pad_x * (kx / 2)];
        let count = |from: u16, pad: u16, kernel: u16, stride: u16| {
            (from + 2 * pad).saturating_sub(kernel).checked_div(stride).unwrap_or(0) + 1
        };
        let ([fy, fx], [sy, sx], [py, px]) = (from, stride, pad);
        let count = [count(fy, py, ky, sy), count(fx, px, kx, sx)];
        Self {
            windows: Windows { from, count, size: kernel, stride, pad, spread: [1; 2] },
            pictures: size(8, 2).into(),
            channels: size(9, CHANNELS).into(),
            fans: size(10, FANS).into(),
            room: key.below(11, 6) as usize,
            add: key.below(12, 2) == 1,
            first: key.below(14, 5) as usize,
        }
    }

    const fn units(&self) -> usize {
        self.channels * self.fans
    }

    /// The windows of the input, or of the output on the way back.
    fn patches<'a>(&self, numbers: &'a [i8], back: bool) -> Patches<'a> {
        let (windows, channels) = if back {
            (self.windows.turned(), self.units())
        } else {
            (self.windows, self.channels)
        };
        let len = self.pictures * windows.pixels() * channels;
        let numbers = numbers.get(..len).unwrap_or_default();
        Patches::new(Mantissas::I8(numbers), windows, channels)
    }

    /// The gradient of the output.
    fn grad<'a>(&self, numbers: &'a [i8]) -> Matrix<'a> {
        let rows = self.pictures * self.windows.per_picture();
        Matrix::new(Mantissas::I8(numbers), rows, self.units())
    }
}

impl Run {
    fn of(
        self,
        shape: &Convolution,
        kernel: &impl Kernel,
        [pictures, weights]: &[[i8; NUMBERS]; 2],
        sums: &mut [i32; SUMS],
    ) {
        let back = matches!(self, Self::Back | Self::DepthwiseBack);
        let x = shape.patches(pictures, back);
        let (taps, units, add) = (shape.windows.taps(), shape.units(), shape.add);
        let width = if back { shape.channels } else { units };
        let all = shape.pictures * x.windows.per_picture();
        let first = shape.first.min(all.saturating_sub(1));
        let rows = (all - first).min(SUMS / width.max(1));
        let out = sums.get_mut(..rows * width).unwrap_or_default();
        let mut room = [0; ROOM];
        let windows = (shape.room * x.cols()).min(ROOM);
        let room = MantissasMut::I8(room.get_mut(..windows).unwrap_or_default());
        // Weights begin at any address.
        let weights = weights.get(shape.room..).unwrap_or_default();
        let grad = shape.grad(weights);
        let weight = Mantissas::I8(weights);
        let multiplier = shape.fans;
        match self {
            Self::Forward | Self::Back => {
                let forward = Taps::new(weight, taps, shape.channels, units);
                let weight = if back { forward.back() } else { forward };
                kernel.convolve(&x, &weight, 0, first, out, room);
            }
            Self::DepthwiseForward | Self::DepthwiseBack => {
                let sums = Depthwise { x, weight, multiplier, back, drop: 0 };
                kernel.depthwise(&sums, first, out);
            }
            Self::Grad => {
                let cols = x.cols() / 3..x.cols();
                let units = units.min(SUMS / cols.len().max(1));
                let out = sums.get_mut(..units * cols.len()).unwrap_or_default();
                let grad = grad.col_range(0, units);
                kernel.convolve_grad(&WindowGrad { grad, x, cols, drop: 0, add }, out, room);
            }
            Self::DepthwiseGrad => {
                let (unit, taps) = (units / 3, taps / 3..taps);
                let grad = grad.col_range(unit, units - unit);
                let out = sums.get_mut(..grad.cols * taps.len()).unwrap_or_default();
                let sums = DepthwiseGrad { grad, unit, x, multiplier, taps, drop: 0, add };
                kernel.depthwise_grad(&sums, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Device;

    #[test]
    fn the_kernel_of_this_machine_is_right() {
        assert_eq!(convolutions(&Device::default()), Ok(900));
    }

    #[test]
    fn operands_fit_their_room_and_every_kind_of_shape_comes_up() {
        let (mut strided, mut padded, mut fanned) = (0, 0, 0);
        for case in 0..CASES {
            let shape = Convolution::of(Key::new(case.into()).child(6));
            let windows = shape.windows;
            let numbers =
                [windows.pixels() * shape.channels, windows.per_picture() * shape.units()];
            assert!(numbers.iter().all(|count| shape.pictures * count <= NUMBERS - 8), "{case}");
            let cols = shape.channels * windows.taps();
            assert!(cols * shape.units() <= NUMBERS - 8);
            assert!(shape.units() * windows.taps() <= SUMS);
            strided += u32::from(windows.stride != [1; 2]);
            padded += u32::from(windows.pad != [0; 2]);
            fanned += u32::from(shape.fans > 1);
        }
        assert!(strided > 20 && padded > 20 && fanned > 20, "{strided} {padded} {fanned}");
    }

    /// Forgets the last sum of what it leaves to another one.
    struct Forgetful(&'static str);

    impl Kernel for Forgetful {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
            Scalar.gemm(a, b, drop, add, out);
        }
        fn depthwise(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
            Scalar.depthwise(sums, first, out);
            if self.0 == "depthwise" {
                out[0] = 77;
            }
        }
        fn depthwise_grad(&self, sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
            Scalar.depthwise_grad(sums, out);
            if self.0 == "depthwise_grad" {
                out[0] = 77;
            }
        }
        fn convolve_grad(&self, sums: &WindowGrad<'_>, out: &mut [i32], room: MantissasMut<'_>) {
            Scalar.convolve_grad(sums, out, room);
            if self.0 == "convolve_grad" {
                out[0] = 77;
            }
        }
        fn convolve(
            &self,
            x: &Patches<'_>,
            weight: &Taps<'_>,
            drop: u32,
            first: usize,
            out: &mut [i32],
            room: MantissasMut<'_>,
        ) {
            Scalar.convolve(x, weight, drop, first, out, room);
            if self.0 == "convolve" {
                out[0] = 77;
            }
        }
    }

    #[test]
    fn a_wrong_sum_is_found_in_its_function() {
        for (part, _) in PARTS {
            let fault = convolutions(&Forgetful(part)).unwrap_err();
            assert_eq!((fault.part, fault.wrong), (part, Wrong::Numbers));
        }
    }
}
