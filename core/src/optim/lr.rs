//! A learning rate: a fixed-point number.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// A positive fixed-point number `mantissa * 2^exponent`, mantissa below 2^15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lr {
    /// Normalised to `2^14..2^15`; zero is zero.
    pub mantissa: u16,
    /// Exponent of the mantissa's unit.
    pub exponent: i16,
}

impl Lr {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// The number nearest to `numerator / denominator` with 15 bits, the larger one on a tie.
    ///
    /// # Panics
    ///
    /// When the denominator is zero; in a `const` that stops the build.
    pub const fn ratio(numerator: u32, denominator: u32) -> Self {
        assert!(denominator != 0, "a rate of n / 0: the denominator must be at least 1");
        Self::quotient(numerator, denominator)
    }

    /// As [`ratio`](Self::ratio), for a step, where nothing may panic: zero when either is zero.
    pub(crate) const fn quotient(numerator: u32, denominator: u32) -> Self {
        if numerator == 0 || denominator == 0 {
            return Self::ZERO;
        }
        // As many bits as 64 hold: at least 31 of the quotient, of which 15 are kept.
        let up = (numerator as u64).leading_zeros();
        let quotient = ((numerator as u64) << up) / denominator as u64;
        let spare = 32u32.saturating_sub(quotient.leading_zeros());
        Self::normalise((quotient >> spare) as u32, spare as i16 - up as i16)
    }

    /// This times `factor / 2^15`, rounded to nearest.
    #[must_use]
    pub const fn scaled(self, factor: u16) -> Self {
        Self::normalise(self.mantissa as u32 * factor as u32, self.exponent.saturating_sub(15))
    }

    /// The product of two, rounded to nearest.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        let product = self.mantissa as u32 * other.mantissa as u32;
        Self::normalise(product, self.exponent.saturating_add(other.exponent))
    }

    /// This in the first of `steps` steps, over which a rate rises to itself: times
    /// `(step + 1) / steps` (Goyal et al. 2017, section 2.2). From then on, and with no steps, this.
    #[must_use]
    pub const fn warm_up(self, step: u32, steps: u32) -> Self {
        let next = step.saturating_add(1);
        if next < steps { self.times(Self::quotient(next, steps)) } else { self }
    }

    /// The number nearest to `value * 2^exponent` with 15 bits, the larger one on a tie.
    // In 32 bits, which is little code for a chip; not inlined for the same reason.
    #[inline(never)]
    pub(crate) const fn normalise(value: u32, exponent: i16) -> Self {
        if value == 0 {
            return Self::ZERO;
        }
        // One bit more than is kept, which rounds up or not.
        let zeros = value.leading_zeros();
        let kept = (((value << zeros) >> 16) + 1) >> 1;
        let up = 17 - zeros as i16 + (kept >> 15) as i16;
        Self { mantissa: (kept >> (kept >> 15)) as u16, exponent: exponent.saturating_add(up) }
    }

    /// This times `(factor / 2^15)^power`, rounded to 32 bits on the way and to 15 in the end;
    /// zero below 2^-64.
    pub(super) const fn decayed(self, factor: u16, power: u32) -> Self {
        /// A mantissa and its exponent.
        const fn times(a: (u64, i32), b: (u64, i32)) -> (u64, i32) {
            let (mantissa, up) = keep_bits(a.0 * b.0, 32);
            (mantissa, a.1.saturating_add(b.1).saturating_add(up))
        }
        let mut square = (factor as u64, -15);
        let mut product = (self.mantissa as u64, self.exponent as i32);
        let mut left = power;
        while left > 0 {
            if left & 1 == 1 {
                product = times(product, square);
            }
            square = times(square, square);
            left >>= 1;
        }
        let (mantissa, up) = keep_bits(product.0, 15);
        let exponent = product.1.saturating_add(up);
        if mantissa == 0 || exponent < -64 {
            return Self::ZERO;
        }
        // Only a rate that came in so large is cut here.
        let exponent = if exponent > i16::MAX as i32 { i16::MAX } else { exponent as i16 };
        Self { mantissa: mantissa as u16, exponent }
    }
}

/// `value` with its highest `bits` bits, rounded to nearest, ties up; the exponent rises by the
/// second number. Fewer bits are filled up with zeros.
const fn keep_bits(value: u64, bits: u32) -> (u64, i32) {
    if value == 0 {
        return (0, 0);
    }
    let found = 64 - value.leading_zeros();
    if found <= bits {
        return (value << (bits - found), found as i32 - bits as i32);
    }
    let drop = found - bits;
    let rounded = (value >> drop) + (value >> (drop - 1) & 1);
    // All ones may have become one bit more.
    if rounded >> bits == 0 { (rounded, drop as i32) } else { (rounded >> 1, drop as i32 + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(lr: Lr) -> f64 {
        f64::from(lr.mantissa) * f64::from(lr.exponent).exp2()
    }

    #[test]
    fn ratios_are_the_nearest_15_bit_numbers() {
        for (n, d) in [
            (1, 2),
            (5, 1000),
            (1, 3),
            (7, 9),
            (1, 100_000),
            (500, 1),
            (u32::MAX, 1),
            (3, u32::MAX),
            (1, u32::MAX),
            (7, 4_000_000_001),
            (10, 3_000_017),
        ] {
            let lr = Lr::ratio(n, d);
            let exact = f64::from(n) / f64::from(d);
            assert!((1 << 14..1 << 15).contains(&lr.mantissa), "{lr:?}");
            let unit = f64::from(lr.exponent).exp2();
            assert!((value(lr) - exact).abs() <= 0.5 * unit * (1.0 + 1e-9), "{n}/{d}: {lr:?}");
        }
        assert_eq!(Lr::ratio(1, 2), Lr { mantissa: 1 << 14, exponent: -15 });
        assert_eq!(Lr::ratio(0, 5), Lr::ZERO);
        assert!(std::panic::catch_unwind(|| Lr::ratio(1, 0)).is_err());
    }

    #[test]
    fn a_rate_warms_up_in_equal_steps() {
        let rate = Lr::ratio(1, 2);
        let rates: [f64; 6] = std::array::from_fn(|step| value(rate.warm_up(step as u32, 4)));
        assert_eq!(rates, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
        for steps in [0, 1] {
            assert_eq!(rate.warm_up(0, steps), rate);
        }
        let third = value(Lr::ratio(1, 3).warm_up(0, 3));
        assert!((third * 9.0 - 1.0).abs() < 1.0 / 16384.0, "{third}");
        assert_eq!(rate.warm_up(u32::MAX, u32::MAX), rate);
        let slowest = value(rate.warm_up(0, u32::MAX));
        assert!((slowest * 2f64.powi(33) - 1.0).abs() < 1.0 / 16384.0, "{slowest}");
    }
}
