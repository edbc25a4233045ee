//! The learning rate: a fixed-point number, and how it changes with the step.

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

/// One, in units of 2^-15.
const ONE: u16 = 1 << 15;

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
        Self::normalise(divide((numerator as u64) << up, denominator), -(up as i16))
    }

    /// This times `factor / 2^15`, rounded to nearest.
    #[must_use]
    pub const fn scaled(self, factor: u16) -> Self {
        Self::normalise(self.mantissa as u64 * factor as u64, self.exponent.saturating_sub(15))
    }

    /// The product of two, rounded to nearest.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        let product = self.mantissa as u64 * other.mantissa as u64;
        Self::normalise(product, self.exponent.saturating_add(other.exponent))
    }

    pub(crate) const fn normalise(value: u64, exponent: i16) -> Self {
        let (mantissa, up) = keep_bits(value, 15);
        if mantissa == 0 {
            return Self::ZERO;
        }
        Self { mantissa: mantissa as u16, exponent: exponent.saturating_add(up as i16) }
    }

    /// This times `(factor / 2^15)^power`, rounded to 32 bits on the way and to 15 in the end;
    /// zero below 2^-64.
    const fn decayed(self, factor: u16, power: u32) -> Self {
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

/// `numerator / denominator`, bit by bit: once in a step, and the division of 64 bits would be a
/// large part of a board's program. The denominator is not zero.
#[inline(never)]
const fn divide(numerator: u64, denominator: u32) -> u64 {
    let (mut quotient, mut rest) = (0, 0u64);
    let mut bit = 64 - numerator.leading_zeros();
    while bit > 0 {
        bit -= 1;
        rest = rest << 1 | numerator >> bit & 1;
        quotient <<= 1;
        if rest >= denominator as u64 {
            rest -= denominator as u64;
            quotient |= 1;
        }
    }
    quotient
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

/// How the learning rate changes with the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Times `factor / 2^15` after every `every` steps.
    Step {
        /// Steps between two changes, at least 1.
        every: u32,
        /// In units of 2^-15.
        factor: u16,
    },
    /// Half a cosine from the base rate down to `floor / 2^15` of it over `steps` steps.
    Cosine {
        /// Steps from the top to the floor, at least 1.
        steps: u32,
        /// In units of 2^-15.
        floor: u16,
    },
}

impl Schedule {
    /// Bytes of the constant table that the schedule reads.
    pub const fn table_bytes(self) -> usize {
        match self {
            Self::Constant | Self::Step { .. } => 0,
            Self::Cosine { .. } => size_of_val(&HALF_COSINE),
        }
    }

    /// The rate at `step`, counted from 0.
    pub const fn at(self, base: Lr, step: u32) -> Lr {
        match self {
            Self::Constant => base,
            Self::Step { every, factor } => {
                let every = if every == 0 { 1 } else { every };
                base.decayed(if factor > ONE { ONE } else { factor }, step / every)
            }
            Self::Cosine { steps, floor } => {
                let floor = if floor > ONE { ONE } else { floor };
                let wave = if step < steps { half_cosine(step, steps) } else { 0 };
                let above = (wave as u32 * (ONE - floor) as u32) >> 15;
                base.scaled(floor + above as u16)
            }
        }
    }

    /// True when every step has a rate by the words of the rule.
    pub(crate) const fn is_valid(self) -> bool {
        match self {
            Self::Constant => true,
            Self::Step { every, factor } => every > 0 && factor <= ONE,
            Self::Cosine { steps, floor } => steps > 0 && floor <= ONE,
        }
    }
}

/// The wave at `step < steps`, in units of 2^-15.
#[expect(clippy::indexing_slicing, reason = "the index is masked: 64 of 65 entries, and the next")]
const fn half_cosine(step: u32, steps: u32) -> u16 {
    // Position in the table with 16 fraction bits.
    let position = divide((step as u64 * 64) << 16, steps);
    let (index, fraction) = ((position >> 16 & 63) as usize, position as i64 & 0xffff);
    let (here, next) = (HALF_COSINE[index] as i64, HALF_COSINE[index + 1] as i64);
    (here + (((next - here) * fraction) >> 16)) as u16
}

/// `(1 + cos(pi * i / 64)) / 2` in units of 2^-15, rounded to nearest.
const HALF_COSINE: [u16; 65] = [
    32_768, 32_748, 32_689, 32_591, 32_453, 32_277, 32_063, 31_810, 31_521, 31_195, 30_833, 30_437,
    30_007, 29_544, 29_049, 28_524, 27_969, 27_387, 26_778, 26_144, 25_486, 24_807, 24_107, 23_389,
    22_654, 21_904, 21_140, 20_365, 19_580, 18_788, 17_990, 17_188, 16_384, 15_580, 14_778, 13_980,
    13_188, 12_403, 11_628, 10_864, 10_114, 9379, 8661, 7961, 7282, 6624, 5990, 5381, 4799, 4244,
    3719, 3224, 2761, 2331, 1935, 1573, 1247, 958, 705, 491, 315, 177, 79, 20, 0,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn value(lr: Lr) -> f64 {
        f64::from(lr.mantissa) * f64::from(lr.exponent).exp2()
    }

    #[test]
    fn quotients_are_those_of_the_machine() {
        for n in [0, 1, 5, 1 << 32, u64::MAX, 0x1234_5678_9abc_def0] {
            for d in [1, 2, 3, 32, 1_320, u32::MAX - 1, u32::MAX] {
                assert_eq!(divide(n, d), n / u64::from(d), "{n} / {d}");
            }
        }
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
    fn the_cosine_table_is_the_rounded_cosine() {
        for (i, &entry) in HALF_COSINE.iter().enumerate() {
            let exact = (1.0 + (core::f64::consts::PI * i as f64 / 64.0).cos()) * 16384.0;
            assert!((f64::from(entry) - exact).abs() <= 0.5 + 1e-6, "{i}");
        }
    }

    #[test]
    fn schedules_end_where_they_say() {
        let base = Lr::ratio(1, 2);
        let cosine = Schedule::Cosine { steps: 1000, floor: 0 };
        assert_eq!(cosine.at(base, 0), base);
        assert!((value(cosine.at(base, 500)) - 0.25).abs() < 1e-4);
        assert_eq!(cosine.at(base, 1000), Lr::ZERO);
        assert_eq!(cosine.at(base, u32::MAX), Lr::ZERO);
        let floor = Schedule::Cosine { steps: 10, floor: 1 << 14 };
        assert!((value(floor.at(base, 10)) - 0.25).abs() < 1e-4);
        let halving = Schedule::Step { every: 10, factor: 1 << 14 };
        assert_eq!(value(halving.at(base, 35)), 0.0625);
        assert_eq!(halving.at(base, u32::MAX), Lr::ZERO);
    }

    #[test]
    fn rates_by_steps_follow_the_power_for_any_number_of_them() {
        let base = Lr::ratio(1, 3);
        for (factor, steps) in [(32_767, 5000), (31_130, 300), (20_000, 7), (1 << 15, u32::MAX)] {
            let rate = value(Schedule::Step { every: 1, factor }.at(base, steps));
            let exact = value(base) * (f64::from(factor) / 32768.0).powf(f64::from(steps));
            assert!((rate / exact - 1.0).abs() <= 0.6 / 16384.0, "{factor} {steps}: {rate}");
        }
        let never = Schedule::Step { every: 1, factor: 32_767 };
        assert_eq!(never.at(base, u32::MAX), Lr::ZERO);
        assert_eq!(Schedule::Step { every: 1, factor: 0 }.at(base, 1), Lr::ZERO);
    }

    #[test]
    fn no_number_at_all_overflows() {
        let rates = [0, 1, 1 << 14, u16::MAX].into_iter().flat_map(|mantissa| {
            [i16::MIN, -64, 0, i16::MAX].map(|exponent| Lr { mantissa, exponent })
        });
        for base in rates {
            for number in [0, 1, 3, 1 << 15, u32::MAX] {
                let (every, factor) = (number, number as u16);
                for step in [0, 1, 99, u32::MAX] {
                    let _ = Schedule::Step { every, factor }.at(base, step);
                    let _ = Schedule::Cosine { steps: every, floor: factor }.at(base, step);
                }
            }
            let _ = (base.times(base), base.scaled(u16::MAX));
        }
    }

    #[test]
    fn cosine_never_rises() {
        let schedule = Schedule::Cosine { steps: 5000, floor: 100 };
        let rates: std::vec::Vec<f64> =
            (0..5001).map(|s| value(schedule.at(Lr::ratio(1, 10), s))).collect();
        assert!(rates.windows(2).all(|w| w[1] <= w[0]));
    }
}
