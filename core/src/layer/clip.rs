//! Numbers cut at two borders: `relu6` and `hardtanh`.
//!
//! Borders are whole numbers. In codes they depend on the exponent of the tensor; where a border is no
//! code, the next one towards zero takes its place. As in PyTorch no gradient passes where an output
//! lies at a border.

use serde::{Deserialize, Serialize};

use super::{Facts, Misfit, Operator};
use crate::tensor::{Mantissa, Mantissas, MantissasMut, Shape, for_width};

/// `min(max(x, 0), 6)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Relu6;

impl Relu6 {
    /// The shape stays.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        Ok(Facts::in_place(from))
    }
}

/// `min(max(x, low), high)`: PyTorch's `Hardtanh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hardtanh {
    /// The lower border.
    pub low: i8,
    /// The upper one.
    pub high: i8,
}

impl Hardtanh {
    /// From -1 to 1.
    pub const fn new() -> Self {
        Self { low: -1, high: 1 }
    }

    /// The shape stays. Zero is one of the numbers that pass.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let Self { low, high } = self;
        if low > 0 || high < 0 || low == high {
            return Err(Misfit::Borders { low, high });
        }
        Ok(Facts::in_place(from))
    }
}

impl Default for Hardtanh {
    fn default() -> Self {
        Self::new()
    }
}

/// Two borders as codes.
#[derive(Clone, Copy)]
struct Borders {
    low: i32,
    high: i32,
}

impl Borders {
    /// In units of `2^exponent`.
    #[inline(always)]
    fn new(low: i8, high: i8, exponent: i16) -> Self {
        Self { low: in_units(low, exponent), high: in_units(high, exponent) }
    }

    #[inline(always)]
    fn cut<T: Mantissa>(self, values: &mut [T]) {
        for value in values {
            // Zero lies between the borders, so what comes is no larger than what was.
            *value = T::from_code(value.widen().max(self.low).min(self.high));
        }
    }

    #[inline(always)]
    fn block(self, grad: &mut [i32], output: Mantissas<'_>) {
        for_width!(Mantissas, output, output => {
            for (g, &y) in grad.iter_mut().zip(output) {
                *g &= -i32::from(y.widen() > self.low && y.widen() < self.high);
            }
        });
    }
}

/// A whole number in units of `2^exponent`, rounded towards zero. Sums end before 2^30.
#[inline(always)]
fn in_units(border: i8, exponent: i16) -> i32 {
    let (size, by) = (i32::from(border).abs(), u32::from(exponent.unsigned_abs()));
    let size = match (exponent, size) {
        (_, 0) => 0,
        (0.., _) => size >> by.min(8),
        _ if by > 22 => 1 << 30,
        _ => size << by,
    };
    if border < 0 { -size } else { size }
}

macro_rules! clips {
    ($($layer:ty: |$it:ident| $low:expr, $high:expr;)*) => {
        $(impl Operator for $layer {
            #[inline(always)]
            fn apply(self, codes: MantissasMut<'_>, exponent: i16) {
                let $it = self;
                let borders = Borders::new($low, $high, exponent);
                for_width!(MantissasMut, codes, codes => borders.cut(codes));
            }

            #[inline(always)]
            fn apply_sums(self, sums: &mut [i32], exponent: i16) {
                let $it = self;
                Borders::new($low, $high, exponent).cut(sums);
            }

            #[inline(always)]
            fn pass_back(self, grad: &mut [i32], output: Mantissas<'_>, exponent: i16) {
                let $it = self;
                Borders::new($low, $high, exponent).block(grad, output);
            }
        })*
    };
}
clips! {
    Relu6: |_it| 0, 6;
    Hardtanh: |it| it.low, it.high;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_follow_the_exponent() {
        let mut codes = [-100i8, -1, 0, 23, 24, 25, 127];
        Relu6.apply(MantissasMut::I8(&mut codes), -2);
        assert_eq!(codes, [0, 0, 0, 23, 24, 24, 24]);
        let mut grad = [1; 7];
        Relu6.pass_back(&mut grad, Mantissas::I8(&codes), -2);
        assert_eq!(grad, [0, 0, 0, 1, 0, 0, 0]);
        let mut codes = [-9i16, -8, -7, 7, 8, 9];
        Hardtanh::new().apply(MantissasMut::I16(&mut codes), -3);
        assert_eq!(codes, [-8, -8, -7, 7, 8, 8]);
        let mut grad = [5; 6];
        Hardtanh::new().pass_back(&mut grad, Mantissas::I16(&codes), -3);
        assert_eq!(grad, [0, 0, 5, 5, 0, 0]);
        let mut sums = [-50, 50];
        Hardtanh { low: -3, high: 2 }.apply_sums(&mut sums, -4);
        assert_eq!(sums, [-48, 32]);
    }

    #[test]
    fn a_border_that_is_no_code_is_the_next_one_towards_zero() {
        assert_eq!([in_units(6, 2), in_units(-6, 2), in_units(6, 3)], [1, -1, 0]);
        assert_eq!([in_units(0, -40), in_units(-1, -23), in_units(1, 90)], [0, -1 << 30, 0]);
        assert_eq!(in_units(-128, -22), -1 << 29);
    }

    #[test]
    fn borders_have_zero_between_them() {
        let from = Shape::vector(3);
        for (low, high) in [(1, 2), (-2, -1), (0, 0)] {
            let refused = Hardtanh { low, high }.facts(from);
            assert_eq!(refused, Err(Misfit::Borders { low, high }));
        }
        assert!(Hardtanh { low: 0, high: 1 }.facts(from).is_ok());
    }
}
