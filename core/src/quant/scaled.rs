//! Numbers with an exponent of their own: 32 bits with the sign, whatever they are worth.
//!
//! What is worked out once for a channel, such as one over a standard deviation, spans many octaves. The
//! loops over pixels never see these numbers: they get mantissas on one common exponent.

use super::{Format, Overflow, Round, requantize_word};

/// `mantissa * 2^exponent`. The mantissa fills 32 bits, its sign included, unless it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaled {
    pub(crate) mantissa: i32,
    pub(crate) exponent: i32,
}

impl Scaled {
    /// `value * 2^exponent`. Bits beyond 32 are rounded down.
    pub(crate) const fn new(value: i64, exponent: i32) -> Self {
        if value == 0 {
            return Self { mantissa: 0, exponent: 0 };
        }
        let size = 64 - (value ^ value >> 63).leading_zeros();
        let mantissa = if size > 31 { value >> (size - 31) } else { value << (31 - size) };
        Self { mantissa: mantissa as i32, exponent: exponent.saturating_add(size as i32 - 31) }
    }

    /// As [`new`](Self::new), of a number of up to 128 bits.
    pub(crate) const fn wide(value: i128, exponent: i32) -> Self {
        let size = 128 - (value ^ value >> 127).leading_zeros();
        let down = size.saturating_sub(63);
        Self::new((value >> down) as i64, exponent.saturating_add(down as i32))
    }

    /// The product, rounded down to 32 bits.
    #[must_use]
    pub(crate) const fn times(self, other: Self) -> Self {
        let product = self.mantissa as i64 * other.mantissa as i64;
        Self::new(product, self.exponent.saturating_add(other.exponent))
    }

    /// The quotient by a count, rounded towards zero and then down to 32 bits.
    #[must_use]
    pub(crate) const fn over(self, count: u32) -> Self {
        match ((self.mantissa as i64) << 32).checked_div(count as i64) {
            Some(quotient) => Self::new(quotient, self.exponent.saturating_sub(32)),
            None => Self { mantissa: 0, exponent: 0 },
        }
    }

    /// The magnitude is at most two to this power; none for zero.
    pub(crate) const fn log(self) -> Option<i32> {
        if self.mantissa == 0 { None } else { Some(self.exponent.saturating_add(31)) }
    }

    /// In units of `2^exponent`, rounded to nearest. Saturates at 2^30.
    pub(crate) fn at(self, exponent: i32) -> i32 {
        let format = Format { bits: 31, round: Round::Rnd, overflow: Overflow::SatSym };
        requantize_word(self.mantissa, exponent.saturating_sub(self.exponent), format, 0).value
    }

    /// One over the root of `square * 2^-32`: at most one part in 2^29 too large or too small.
    /// Zero counts as one.
    pub(crate) const fn inverse_root(square: u64) -> Self {
        let square = if square == 0 { 1 } else { square };
        // The root then has 32 bits.
        let up = square.leading_zeros() & !1;
        let (square, mut root, mut bit) = (square << up, 0u64, 1u64 << 31);
        while bit > 0 {
            let larger = root | bit;
            if larger.wrapping_mul(larger) <= square {
                root = larger;
            }
            bit >>= 1;
        }
        let inverse = match (1u64 << 62).checked_div(root) {
            Some(inverse) => inverse,
            None => 0,
        };
        Self::new(inverse as i64, up as i32 / 2 - 46)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(number: Scaled) -> f64 {
        f64::from(number.mantissa) * f64::from(number.exponent).exp2()
    }

    #[test]
    fn small_numbers_are_exact() {
        for value in [-3i64, -1, 1, 7, i64::from(i32::MAX), i64::from(i32::MIN)] {
            assert_eq!(float(Scaled::new(value, 3)), 8.0 * value as f64);
            assert_eq!(
                Scaled::new(value, 3).at(3),
                value.clamp(1 - (1 << 30), (1 << 30) - 1) as i32
            );
            assert_eq!(Scaled::wide(value.into(), 3), Scaled::new(value, 3));
        }
        assert_eq!((Scaled::new(0, 9).log(), Scaled::new(0, 9).at(-40)), (None, 0));
        assert_eq!(float(Scaled::new(12, 0).over(3)), 4.0);
        assert_eq!((Scaled::new(3, 0).at(1), Scaled::new(-3, 0).at(1)), (2, -1));
    }

    #[test]
    fn roots_of_every_size_are_near() {
        let squares = (0..64).flat_map(|n| [1u64 << n, (1u64 << n) + (1 << n) / 3, u64::MAX >> n]);
        for square in squares {
            let exact = (square as f64 / 32f64.exp2()).sqrt().recip();
            let found = float(Scaled::inverse_root(square));
            let error = (found / exact - 1.0).abs();
            assert!(error <= (-29f64).exp2(), "{square}: {found} and not {exact}");
        }
        assert_eq!(float(Scaled::inverse_root(1 << 32)), 1.0);
        assert_eq!(Scaled::inverse_root(0), Scaled::inverse_root(1));
    }

    proptest! {
        #[test]
        fn products_and_quotients_are_near(a: i64, b: i64, wide: i128, count in 1..u32::MAX) {
            let near = |found: Scaled, exact: f64| {
                prop_assert!((float(found) - exact).abs() <= exact.abs() * (-28f64).exp2());
                prop_assert!(exact.abs() <= f64::from(found.log().unwrap_or(0)).exp2() || exact == 0.0);
                Ok(())
            };
            near(Scaled::new(a, 0).times(Scaled::new(b, 0)), a as f64 * b as f64)?;
            near(Scaled::new(a, 0).over(count), a as f64 / f64::from(count))?;
            near(Scaled::wide(wide, 0), wide as f64)?;
        }
    }
}
