//! A check of the chip's kernel on the chip itself: its products against those of the scalar one,
//! and what they cost.

use fixgrad::{
    kernel::{Kernel, Scalar},
    rng::Key,
    tensor::{Mantissas, Matrix},
};

use crate::{Board, report::Line};

/// Products that are compared.
const CASES: u32 = 1_000;
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

impl Tile {
    fn random(key: Key) -> Self {
        let size = |index, most| 1 + key.below(index, most) as usize;
        let coin = |index| key.below(index, 2) == 1;
        let (rows, depth, cols) = (size(0, 7), size(1, 80), size(2, 20));
        Self { rows, depth, cols, a_turned: coin(3), b_turned: coin(4) }
    }
}

/// Why the check ended early.
#[derive(Debug)]
pub enum Error<E> {
    /// In this case the kernel of the chip does not give the sums of the scalar one.
    Differs(u32),
    /// The report could not be written.
    Out(E),
}

/// Compares `kernel` with the scalar one, and counts on tiles of a step:
///
/// ```text
/// equal CASES
/// product NAME MACS COUNTS
/// end
/// ```
// Not inlined: its operands would lie on the stack under the whole training.
#[inline(never)]
pub fn check<B: Board>(
    board: &mut B,
    kernel: &impl Kernel,
) -> Result<(), Error<<B::Out as embedded_io::ErrorType>::Error>> {
    let mut numbers = [[0; NUMBERS]; 2];
    let mut sums = [[0; SUMS]; 2];
    for case in 0..CASES {
        let key = Key::new(case.into());
        let tile = Tile::random(key);
        let (from, add) = (key.below(5, 4) as usize, key.below(6, 2) == 1);
        fill(&mut numbers, key);
        let [a, b] = operands(&numbers, tile, from);
        let [ours, scalar] = &mut sums;
        for (sums, i) in [&mut *ours, &mut *scalar].into_iter().flatten().zip((0..256).cycle()) {
            *sums = key.word(i).cast_signed();
        }
        let len = tile.rows * tile.cols + case as usize % 3;
        kernel.gemm(a, b, 0, add, ours.get_mut(..len).unwrap_or_default());
        Scalar.gemm(a, b, 0, add, scalar.get_mut(..len).unwrap_or_default());
        if ours != scalar {
            return Err(Error::Differs(case));
        }
    }
    Line::new(board.out(), "equal").and_then(|l| l.number(CASES)?.end()).map_err(Error::Out)?;
    for (name, tile) in TILES {
        let [a, b] = operands(&numbers, tile, 0);
        let sums = sums.as_flattened_mut().get_mut(..tile.rows * tile.cols).unwrap_or_default();
        board.start();
        kernel.gemm(a, b, 0, false, sums);
        let counts = board.elapsed();
        let macs = (tile.rows * tile.depth * tile.cols) as u32;
        Line::new(board.out(), "product")
            .and_then(|line| line.text(name)?.number(macs)?.number(counts)?.end())
            .map_err(Error::Out)?;
    }
    Line::new(board.out(), "end").and_then(Line::end).map_err(Error::Out)
}

/// Anything, or extremes only.
fn fill(numbers: &mut [[i8; NUMBERS]; 2], key: Key) {
    const EXTREMES: [i8; 4] = [i8::MIN, i8::MAX, i8::MIN, -1];
    let extreme = key.below(7, 2) == 1;
    for (number, word) in numbers.as_flattened_mut().iter_mut().zip(0..) {
        let [low, high, ..] = key.word(word).to_le_bytes().map(u8::cast_signed);
        *number = if extreme { EXTREMES[usize::from(high as u8 % 4)] } else { low };
    }
}

/// Both operands, which start somewhere in memory: at any alignment, with anything between rows.
fn operands(numbers: &[[i8; NUMBERS]; 2], tile: Tile, from: usize) -> [Matrix<'_>; 2] {
    let view = |numbers, rows, cols, turned| {
        let (rows, cols) = if turned { (cols, rows) } else { (rows, cols) };
        let inner = Matrix::new(Mantissas::I8(numbers), rows + from, cols + from);
        let inner = inner.row_range(from, rows).col_range(from, cols);
        if turned { inner.t() } else { inner }
    };
    let [a, b] = numbers;
    [view(a, tile.rows, tile.depth, tile.a_turned), view(b, tile.depth, tile.cols, tile.b_turned)]
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use fixgrad::kernel::Device;

    use super::*;
    use crate::desk::Desk;

    #[test]
    fn the_kernel_of_a_board_gives_the_sums_of_the_scalar_one() {
        let mut desk = Desk(Vec::new());
        check(&mut desk, &Device::default()).unwrap();
        let text = String::from_utf8(desk.0).unwrap();
        assert!(text.starts_with("equal 1000\nproduct forward 8192 7\n"), "{text}");
        assert!(text.ends_with("end\n"), "{text}");
    }
}
