//! Fully connected: `y = W x + b`.
//!
//! | tensor | shape |
//! |---|---|
//! | input `x` | samples by inputs |
//! | weight `W` | units by inputs |
//! | bias `b` | units |
//! | output `y`, gradient `g` | samples by units |

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Scale, Terms, WeightGrad};
use crate::{
    kernel::Kernel,
    quant::{Format, Overflow, Round, jam, requantize_word},
    tensor::{Mantissa, Mantissas, Matrix, Shape, Windows, for_width},
    uses::{Part, Uses},
};

/// Fully connected: `y = W x + b` over the flattened input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dense {
    /// Numbers in one output.
    pub units: u16,
    /// True when a bias is added.
    pub bias: bool,
}

impl Dense {
    /// With a bias.
    pub const fn new(units: u16) -> Self {
        Self { units, bias: true }
    }

    /// Without a bias.
    #[must_use]
    pub const fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// A weight for every pair of an output and an input.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let (units, inputs) = (self.units as usize, from.elements());
        if units == 0 {
            return Err(Misfit::Zero);
        }
        Ok(Facts {
            shape: Shape::vector(self.units),
            output: Output::Sums,
            weights: [units, inputs],
            biases: if self.bias { units } else { 0 },
            terms: Terms { forward: inputs, backward: units },
            windows: Windows::POINT,
            patch: 0,
            scale: Scale::Mean(1),
            memo: 0,
            steps: 0,
        })
    }
}

impl Operator for Dense {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { kernel, depth, samples, x, weight, drop, rows, sums, .. } = run;
        let x = Matrix::new(x, samples, depth).row_range(rows.start, rows.len());
        let weight = Matrix::new(weight, self.units.into(), depth);
        product::<K, U>(kernel, x, weight.t(), drop, false, sums);
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { kernel, depth, samples, grad, weight, drop, first, sums, .. } = run;
        let (units, inputs) = (self.units.into(), depth.max(1));
        let (first, rows) = (first / inputs, sums.len() / inputs);
        let grad = Matrix::new(grad, samples, units).row_range(first, rows);
        let weight = Matrix::new(weight, units, inputs);
        product::<K, U>(kernel, grad, weight, drop, false, sums);
    }

    #[inline(always)]
    fn adds<K: Kernel>(self, _: &K) -> bool {
        true
    }

    #[inline(always)]
    fn weight_grad<K: Kernel, U: Uses>(self, run: WeightGrad<'_, K>) {
        let WeightGrad { kernel, depth, samples, grad, x, drop, units, cols, add, sums, .. } = run;
        let width = self.units.into();
        let grad = Matrix::columns(grad, samples, width, units.start, units.len());
        let x = Matrix::columns(x, samples, depth, cols.start, cols.len());
        product::<K, U>(kernel, grad.t(), x, drop, add, sums);
    }
}

/// The bias on the grid of the output sums: `left` is the exponent of the bias minus that of the
/// sums. Saturates at 2^30, where the sums end too.
pub(crate) fn align_bias(bias: Mantissas<'_>, left: i32, row: &mut [i32]) {
    let format = Format { bits: 31, round: Round::Rnd, overflow: Overflow::SatSym };
    for (i, slot) in row.iter_mut().enumerate() {
        *slot = requantize_word(bias.get(i), left.saturating_neg(), format, 0).value;
    }
}

/// A product. Where wide codes are not linked there are none, and the compiler is told so.
#[inline(always)]
pub(crate) fn product<K: Kernel, U: Uses>(
    kernel: &K,
    a: Matrix<'_>,
    b: Matrix<'_>,
    drop: u8,
    add: bool,
    sums: &mut [i32],
) {
    match (a.data, b.data) {
        (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => {
            // Said again, so that the compiler sees the kernel's choice made.
            let (a, b) =
                (Matrix { data: Mantissas::I8(x), ..a }, Matrix { data: Mantissas::I8(y), ..b });
            kernel.gemm(a, b, 0, add, sums);
        }
        _ if U::uses(Part::WideCodes) => kernel.gemm(a, b, drop.into(), add, sums),
        _ => {}
    }
}

/// Adds a bias to every row of sums.
pub(crate) fn add_bias(bias: &[i32], sums: &mut [i32]) {
    if bias.is_empty() {
        return;
    }
    for row in sums.chunks_exact_mut(bias.len()) {
        // Both are within 2^30.
        row.iter_mut().zip(bias).for_each(|(sum, &b)| *sum = sum.wrapping_add(b));
    }
}

/// How far each output channel's bound lies below the tensor's, and the most that can be.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub(crate) below: &'a [i8],
    pub(crate) spread: u8,
}

impl Channels<'_> {
    /// Moves one row, an element a channel, to the unit of the finest possible channel.
    pub(crate) fn align(self, row: &mut [i32]) {
        for (value, &below) in row.iter_mut().zip(self.below) {
            *value <<= u32::from(self.spread.saturating_sub(below.unsigned_abs())).min(31);
        }
    }
}

/// The gradient of the bias: the sums of all rows, a pixel or a sample each, without their `drop`
/// lowest bits. The plan has proved that they fit then.
#[inline(always)]
pub(crate) fn bias_grad<U: Uses>(grad: Mantissas<'_>, rows: usize, drop: u8, sums: &mut [i32]) {
    let units = sums.len().max(1);
    let grad = grad.part(0, rows * units);
    // Samples of bytes are too few for that.
    if drop > 0 && (U::uses(Part::WideCodes) || U::links_windows()) {
        return jammed_bias_grad(grad, drop, sums);
    }
    for_width!(Mantissas, grad, grad => {
        for (unit, slot) in sums.iter_mut().enumerate() {
            let (mut at, mut sum) = (unit, 0i32);
            while let Some(g) = grad.get(at) {
                (sum, at) = (sum.wrapping_add(g.widen()), at + units);
            }
            *slot = sum;
        }
    });
}

/// [`bias_grad`] where 32 bits cannot hold the sums.
#[inline(never)]
fn jammed_bias_grad(grad: Mantissas<'_>, drop: u8, sums: &mut [i32]) {
    let units = sums.len().max(1);
    for (unit, slot) in sums.iter_mut().enumerate() {
        let column = (unit..grad.len()).step_by(units);
        let sum = column.fold(0i64, |sum, at| sum.wrapping_add(grad.get(at).into()));
        *slot = jam(sum, drop.into()) as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kernel::Scalar, uses::Everything};

    #[test]
    fn a_bias_lands_on_the_grid_of_the_sums() {
        let bias = [5i8, -5, 100];
        let mut row = [0; 3];
        align_bias(Mantissas::I8(&bias), 4, &mut row);
        assert_eq!(row, [80, -80, 1600]);
        align_bias(Mantissas::I8(&bias), -1, &mut row);
        assert_eq!(row, [3, -2, 50]);
        align_bias(Mantissas::I8(&bias), 60, &mut row);
        assert_eq!(row, [(1 << 30) - 1, 1 - (1 << 30), (1 << 30) - 1]);
    }

    #[test]
    fn a_bias_gradient_that_32_bits_cannot_hold_drops_low_bits() {
        let grad = std::vec![i16::MIN; 3 << 16];
        let mut sums = [0; 3];
        bias_grad::<Everything>(Mantissas::I16(&grad), 1 << 16, 1, &mut sums);
        assert_eq!(sums, [-1 << 30; 3]);
        bias_grad::<Everything>(Mantissas::I16(&grad), 1 << 15, 0, &mut sums);
        assert_eq!(sums, [-1 << 30; 3]);
        // What is dropped is kept as a last bit.
        bias_grad::<Everything>(Mantissas::I8(&[4, 1]), 2, 2, &mut sums[..1]);
        assert_eq!(sums[0], 1);
    }

    #[test]
    fn channels_with_bounds_of_their_own_meet_on_one_grid() {
        let (x, w) = ([1i8, 2], [10i8, 20, 10, 20]);
        let (x, w) = (Matrix::new(Mantissas::I8(&x), 1, 2), Matrix::new(Mantissas::I8(&w), 2, 2));
        let mut sums = [0; 2];
        Scalar.gemm(x, w.t(), 0, false, &mut sums);
        Channels { below: &[0, 2], spread: 3 }.align(&mut sums);
        add_bias(&[1, 1], &mut sums);
        // Both channels hold 10 and 20; the second counts them in quarters.
        assert_eq!(sums, [50 * 8 + 1, 50 * 2 + 1]);
    }
}
