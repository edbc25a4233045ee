//! `x` where it is positive, and a part of it where it is negative.
//!
//! The part is a power of two, and what a shift leaves is rounded down: so a negative number stays
//! negative, and the sign of an output tells the way back which slope it was.

use serde::{Deserialize, Serialize};

use super::{Facts, Misfit, Operator, unit::shifted};
use crate::tensor::{Mantissa, Mantissas, MantissasMut, Shape, for_width};

/// `x` where it is positive, else `x * 2^-shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LeakyRelu {
    /// The slope of negative numbers is two to minus this.
    pub shift: u8,
}

impl LeakyRelu {
    /// With a slope of `2^-shift` where numbers are negative.
    pub const fn new(shift: u8) -> Self {
        Self { shift }
    }

    /// The shape stays.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        if self.shift == 0 || self.shift > 15 {
            return Err(Misfit::Slope { shift: self.shift });
        }
        Ok(Facts::in_place(from))
    }

    #[inline(always)]
    fn bend<T: Mantissa>(self, values: &mut [T]) {
        for value in values {
            let x = value.widen();
            *value = T::from_code(if x < 0 { x >> (self.shift & 15) } else { x });
        }
    }
}

impl Operator for LeakyRelu {
    #[inline(always)]
    fn apply(self, codes: MantissasMut<'_>, _: i16) {
        for_width!(MantissasMut, codes, codes => self.bend(codes));
    }

    #[inline(always)]
    fn apply_sums(self, sums: &mut [i32], _: i16) {
        self.bend(sums);
    }

    #[inline(always)]
    fn pass_back(self, grad: &mut [i32], output: Mantissas<'_>, _: i16) {
        for_width!(Mantissas, output, output => {
            for (g, &y) in grad.iter_mut().zip(output) {
                *g = if y.widen() < 0 { shifted(*g, -i32::from(self.shift)) } else { *g };
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_numbers_shrink_and_stay_negative() {
        let mut codes = [-128i8, -9, -8, -1, 0, 1, 127];
        LeakyRelu::new(3).apply(MantissasMut::I8(&mut codes), 0);
        assert_eq!(codes, [-16, -2, -1, -1, 0, 1, 127]);
        let mut grad = [80, -80, 1, 0, 5, 6, -7];
        LeakyRelu::new(3).pass_back(&mut grad, Mantissas::I8(&codes), 0);
        // What is shifted out leaves a trace for the rounding that follows.
        assert_eq!(grad, [10, -10, 1, 0, 5, 6, -7]);
        let mut sums = [-1000, 1000];
        LeakyRelu::new(1).apply_sums(&mut sums, 0);
        assert_eq!(sums, [-500, 1000]);
    }

    #[test]
    fn a_slope_is_a_part() {
        for shift in [0, 16] {
            let refused = LeakyRelu::new(shift).facts(Shape::vector(3));
            assert_eq!(refused, Err(Misfit::Slope { shift }));
        }
    }
}
