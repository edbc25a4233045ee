//! Products of bytes: random shapes at any alignment, as stored and transposed.

use super::{Fault, Wrong, case::one_of};
use crate::{
    kernel::{Kernel, Scalar},
    rng::Key,
    tensor::{Mantissas, Matrix},
};

/// Products that are compared.
const CASES: u32 = 1_000;
const NUMBERS: usize = 2_048;
const SUMS: usize = 256;

/// Compares products of `kernel` with those of [`Scalar`]. Gives how many.
// Not inlined: its operands would lie on the stack under whatever comes later.
#[inline(never)]
pub fn products(kernel: &impl Kernel) -> Result<u32, Fault> {
    let mut numbers = [[0; NUMBERS]; 2];
    let mut sums = [[0; SUMS]; 2];
    for case in 0..CASES {
        let key = Key::new(case.into());
        let size = |index, most| 1 + key.below(index, most) as usize;
        let coin = |index| key.below(index, 2) == 1;
        let (rows, depth, cols) = (size(0, 7), size(1, 80), size(2, 20));
        let (from, add) = (key.below(5, 4) as usize, coin(6));
        fill(&mut numbers, key);
        let [a, b] = &numbers;
        let a = within(a, rows, depth, coin(3), from);
        let b = within(b, depth, cols, coin(4), from);
        let [ours, right] = &mut sums;
        for (sums, i) in
            [&mut *ours, &mut *right].into_iter().flatten().zip((0..SUMS as u32).cycle())
        {
            *sums = key.word(i).cast_signed();
        }
        // Room for less than a row more.
        let len = rows * cols + case as usize % 3;
        kernel.gemm(a, b, 0, add, ours.get_mut(..len).unwrap_or_default());
        Scalar.gemm(a, b, 0, add, right.get_mut(..len).unwrap_or_default());
        if ours != right {
            return Err(Fault { part: "gemm", wrong: Wrong::Numbers, case });
        }
    }
    Ok(CASES)
}

/// Anything, extremes only, or small ones in the first operand: many of these may share a sum of 16 bits.
pub(super) fn fill(numbers: &mut [[i8; NUMBERS]; 2], key: Key) {
    const EXTREMES: [i8; 4] = [i8::MIN, i8::MAX, i8::MIN, -1];
    let kind = key.below(7, 3);
    for (number, word) in numbers.as_flattened_mut().iter_mut().zip(0..) {
        let [low, high, ..] = key.word(word).to_le_bytes();
        let low = low.cast_signed();
        *number = match kind {
            0 => one_of(&EXTREMES, high.into(), low),
            1 if word < NUMBERS as u32 => low >> 4,
            _ => low,
        };
    }
}

/// A matrix that starts somewhere in memory: at any alignment, with anything between its rows.
fn within(numbers: &[i8], rows: usize, cols: usize, turned: bool, from: usize) -> Matrix<'_> {
    let (rows, cols) = if turned { (cols, rows) } else { (rows, cols) };
    let whole = Matrix::new(Mantissas::I8(numbers), rows + from, cols + from);
    let matrix = whole.row_range(from, rows).col_range(from, cols);
    if turned { matrix.t() } else { matrix }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Device;

    #[test]
    fn the_kernel_of_this_machine_is_right() {
        assert_eq!(products(&Device::default()), Ok(CASES));
    }

    /// Forgets what lies in `out` before the last sum.
    struct Forgetful;

    impl Kernel for Forgetful {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
            let last = out.len() - 1;
            if add && a.rows * b.cols == out.len() {
                out[last] = 0;
            }
            Scalar.gemm(a, b, drop, add, out);
        }
    }

    #[test]
    fn a_wrong_sum_is_found() {
        let fault = products(&Forgetful).unwrap_err();
        assert_eq!((fault.part, fault.wrong), ("gemm", Wrong::Numbers));
    }
}
