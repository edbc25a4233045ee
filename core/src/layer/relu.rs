//! `max(x, 0)`.

use serde::{Deserialize, Serialize};

use super::{Facts, Misfit, Operator};
use crate::tensor::{Mantissa, Mantissas, MantissasMut, Shape, for_width};

/// `max(x, 0)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Relu;

impl Relu {
    /// The shape stays.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        Ok(Facts::in_place(from))
    }
}

impl Operator for Relu {
    #[inline(always)]
    fn apply(self, codes: MantissasMut<'_>, _: i16) {
        forward(codes);
    }

    #[inline(always)]
    fn apply_sums(self, sums: &mut [i32], _: i16) {
        rectify(sums);
    }

    #[inline(always)]
    fn pass_back(self, grad: &mut [i32], output: Mantissas<'_>, _: i16) {
        backward(grad, output);
    }
}

/// In place over codes; the grid stays.
fn forward(codes: MantissasMut<'_>) {
    match codes {
        MantissasMut::I8(codes) => {
            // Four at a time, where they share a word.
            let (head, words, tail) = bytemuck::pod_align_to_mut::<i8, u32>(codes);
            head.iter_mut().chain(tail).for_each(|code| *code = (*code).max(0));
            for word in words {
                let signs = *word & 0x8080_8080;
                *word &= !((signs << 1).wrapping_sub(signs >> 7));
            }
        }
        MantissasMut::I16(codes) => rectify(codes),
        MantissasMut::I32(codes) => rectify(codes),
    }
}

fn rectify<T: Mantissa>(values: &mut [T]) {
    for value in values {
        *value = T::from_code(value.widen().max(0));
    }
}

/// The gradient passes where the output is positive.
fn backward(grad: &mut [i32], output: Mantissas<'_>) {
    for_width!(Mantissas, output, output => {
        for (g, &y) in grad.iter_mut().zip(output.iter()) {
            *g &= -i32::from(y.widen() > 0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_numbers_stop_and_so_do_their_gradients() {
        let mut codes = [3i8, -4, 0, 127];
        forward(MantissasMut::I8(&mut codes));
        assert_eq!(codes, [3, 0, 0, 127]);
        let mut grad = [10, 20, -30, -40];
        backward(&mut grad, Mantissas::I8(&codes));
        assert_eq!(grad, [10, 0, 0, -40]);
    }
}
