//! A check of the chip's kernel on the chip itself, and what its products cost.

use core::array;

use fixgrad::{
    kernel::{Depthwise, DepthwiseGrad, Kernel, Scalar, check},
    rng::Key,
    tensor::{Mantissas, Matrix, Patches, Windows},
};

use crate::{Board, report::Line};

const NUMBERS: usize = 2_048;
const SUMS: usize = 256;

/// The products of a training step, tile by tile, by name.
const TILES: [(&str, Tile); 3] = [
    ("forward", Tile { rows: 4, depth: 64, cols: 32, a_turned: false, b_turned: true }),
    ("input-grad", Tile { rows: 4, depth: 10, cols: 32, a_turned: false, b_turned: false }),
    ("weight-grad", Tile { rows: 4, depth: 32, cols: 64, a_turned: true, b_turned: false }),
];

/// A product. What is turned lies in memory as its transpose.
#[derive(Clone, Copy, Debug)]
struct Tile {
    rows: usize,
    depth: usize,
    cols: usize,
    a_turned: bool,
    b_turned: bool,
}

/// Why the check ended early.
#[derive(Debug)]
pub enum Error<E> {
    /// The kernel of the chip does not give the numbers of the scalar one.
    Fault(check::Fault),
    /// The report could not be written.
    Out(E),
}

/// Compares `kernel` and the chip's loops with the scalar kernel, and counts on tiles of a step:
///
/// ```text
/// equal products CASES
/// equal convolutions CASES
/// equal elements CASES
/// equal loops CASES
/// product KERNEL NAME MACS COUNTS      KERNEL is `device` or `scalar`
/// end
/// ```
///
/// It ends early with `failed WHAT IS WRONG`.
pub fn check<B: Board>(
    board: &mut B,
    kernel: &impl Kernel,
) -> Result<(), Error<<B::Out as embedded_io::ErrorType>::Error>> {
    compared(board, "products", check::products(kernel))?;
    compared(board, "convolutions", check::convolutions(kernel))?;
    compared(board, "elements", check::elements(kernel))?;
    compared(board, "loops", check::loops())?;
    costs(board, "device", kernel).map_err(Error::Out)?;
    costs(board, "scalar", &Scalar).map_err(Error::Out)?;
    Line::new(board.out(), "end").and_then(Line::end).map_err(Error::Out)
}

/// Tells how many comparisons found no difference, or the one that did.
fn compared<B: Board>(
    board: &mut B,
    what: &str,
    found: Result<u32, check::Fault>,
) -> Result<(), Error<<B::Out as embedded_io::ErrorType>::Error>> {
    let line = match found {
        Ok(cases) => {
            Line::new(board.out(), "equal").and_then(|l| l.text(what)?.number(cases)?.end())
        }
        Err(check::Fault { part, wrong, case }) => Line::new(board.out(), "failed")
            .and_then(|l| l.text(part)?.text(wrong.text())?.text("in case")?.number(case)?.end()),
    };
    line.map_err(Error::Out)?;
    found.map(|_| ()).map_err(Error::Fault)
}

// Not inlined: its numbers would lie on the stack under the comparisons.
#[inline(never)]
fn costs<B: Board>(
    board: &mut B,
    name_of_kernel: &str,
    kernel: &impl Kernel,
) -> Result<(), <B::Out as embedded_io::ErrorType>::Error> {
    // Some kernels are quicker where numbers are equal, or of one sign.
    let random = Key::new(0);
    let numbers: [i8; NUMBERS] = array::from_fn(|i| random.word(i as u32) as i8);
    let mut sums = [0; SUMS];
    for (name, tile) in TILES {
        let Tile { rows, depth, cols, .. } = tile;
        let a = operand(&numbers, rows, depth, tile.a_turned);
        let b = operand(&numbers, depth, cols, tile.b_turned);
        let sums = sums.get_mut(..rows * cols).unwrap_or_default();
        board.start();
        kernel.gemm(a, b, 0, false, sums);
        let counts = board.elapsed();
        let macs = (rows * depth * cols) as u32;
        Line::new(board.out(), "product").and_then(|line| {
            line.text(name_of_kernel)?.text(name)?.number(macs)?.number(counts)?.end()
        })?;
    }
    depthwise_costs(board, name_of_kernel, kernel, &numbers)
}

/// A depthwise convolution of 3 x 3 pixels over pictures of 8 x 8 pixels and 16 channels, as the
/// weights of a batch see it, and a row of its windows.
fn depthwise_costs<B: Board>(
    board: &mut B,
    name_of_kernel: &str,
    kernel: &impl Kernel,
    numbers: &[i8; NUMBERS],
) -> Result<(), <B::Out as embedded_io::ErrorType>::Error> {
    const CHANNELS: usize = 16;
    const SUMS_OF_A_ROW: usize = 8 * CHANNELS;
    let mut sums = [0; 9 * CHANNELS];
    let windows = Windows {
        from: [8; 2],
        count: [8; 2],
        size: [3; 2],
        stride: [1; 2],
        pad: [1; 2],
        spread: [1; 2],
    };
    let numbers = Mantissas::I8(numbers);
    let x = Patches::new(numbers, windows, CHANNELS);
    let grad = Matrix::new(numbers, windows.per_picture(), CHANNELS);
    for (name, back) in [("depthwise", false), ("depthwise-back", true)] {
        let x = if back { Patches { windows: windows.turned(), ..x } } else { x };
        let products = Depthwise { x, weight: numbers, multiplier: 1, back, drop: 0 };
        let row = sums.get_mut(..SUMS_OF_A_ROW).unwrap_or_default();
        board.start();
        kernel.depthwise(&products, 8, row);
        let counts = board.elapsed();
        Line::new(board.out(), "product").and_then(|line| {
            let macs = 9 * SUMS_OF_A_ROW as u32;
            line.text(name_of_kernel)?.text(name)?.number(macs)?.number(counts)?.end()
        })?;
    }
    let (taps, multiplier, drop, add) = (0..9, 1, 0, false);
    let products = DepthwiseGrad { grad, unit: 0, x, multiplier, taps, drop, add };
    board.start();
    kernel.depthwise_grad(&products, &mut sums);
    let counts = board.elapsed();
    Line::new(board.out(), "product").and_then(|line| {
        let macs = (windows.per_picture() * sums.len()) as u32;
        line.text(name_of_kernel)?.text("depthwise-grad")?.number(macs)?.number(counts)?.end()
    })
}

fn operand(numbers: &[i8], rows: usize, cols: usize, turned: bool) -> Matrix<'_> {
    let numbers = Mantissas::I8(numbers);
    if turned { Matrix::new(numbers, cols, rows).t() } else { Matrix::new(numbers, rows, cols) }
}

#[cfg(test)]
mod tests {
    use std::{borrow::ToOwned, string::String, vec::Vec};

    use fixgrad::kernel::Device;

    use super::*;
    use crate::desk::Desk;

    fn report(kernel: &impl Kernel) -> (bool, String) {
        let mut desk = Desk(Vec::new());
        let good = check(&mut desk, kernel).is_ok();
        (good, String::from_utf8(desk.0).unwrap())
    }

    #[test]
    fn a_good_kernel_is_told_with_its_costs() {
        let (good, text) = report(&Device::default());
        let start =
            "equal products 1000\nequal convolutions 900\nequal elements 6000\nequal loops 0\n";
        assert!(text.starts_with(&[start, "product device forward 8192 7\n"].concat()), "{text}");
        assert!(good && text.ends_with("end\n"), "{text}");
    }

    /// Adds to what it must not.
    struct Wrong;

    impl Kernel for Wrong {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, _: bool, out: &mut [i32]) {
            Scalar.gemm(a, b, drop, true, out);
        }
    }

    #[test]
    fn a_wrong_kernel_is_told_with_its_case() {
        let told = "failed gemm gives other numbers than the scalar kernel in case 0\n";
        assert_eq!(report(&Wrong), (false, told.to_owned()));
    }
}
