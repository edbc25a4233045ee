//! The sum of two outputs of one shape: the end of a residual block.
//!
//! Each has a unit of its own, a power of two. Both are brought to the finer one, exactly unless they
//! are more than 20 octaves apart, and the sum goes through the layer's point.

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, Misfit, Operator, Output, Terms, unit::shifted};
use crate::{
    kernel::Kernel,
    tensor::{Mantissa, Shape, for_width},
    uses::Uses,
};

/// The sum of two outputs of one shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Add;

impl Add {
    /// Both shapes are the same, and so is the sum's.
    pub const fn facts(self, from: Shape, other: Shape) -> Result<Facts, Misfit> {
        let ([a, b, c], [x, y, z]) = (from.0, other.0);
        if a != x || b != y || c != z {
            return Err(Misfit::Shapes { other });
        }
        Ok(Facts {
            output: Output::Sums,
            terms: Terms { forward: 2, backward: 1 },
            ..Facts::in_place(from)
        })
    }
}

impl Operator for Add {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { x, other, left: [first, second], rows, sums, .. } = run;
        let at = rows.start * (sums.len() / rows.len().max(1));
        for_width!(Mantissas, x.part(at, sums.len()), codes => {
            for (sum, code) in sums.iter_mut().zip(codes) {
                *sum = shifted(code.widen(), first);
            }
        });
        for_width!(Mantissas, other.part(at, sums.len()), codes => {
            for (sum, code) in sums.iter_mut().zip(codes) {
                *sum = sum.wrapping_add(shifted(code.widen(), second));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::Bench;

    #[test]
    fn numbers_of_two_units_are_added_in_the_finer_one() {
        let mut add = Bench::joining(Add, [2, 1, 2], [2, 1, 2]);
        add.left = [2, 0];
        assert_eq!(add.forward_both(&[1, -2, 3, 100], &[10, 20, -30, 1]), [14, 12, -18, 401]);
        assert_eq!(add.input_grad(&[5, -6, 7, 8], &[]), [5, -6, 7, 8]);
        assert_eq!(add.second_grad(&[5, -6, 7, 8]), [5, -6, 7, 8]);
    }

    #[test]
    fn unequal_shapes_are_refused() {
        let other = Shape([2, 2, 1]);
        assert_eq!(Add.facts(Shape([2, 1, 2]), other), Err(Misfit::Shapes { other }));
    }
}
