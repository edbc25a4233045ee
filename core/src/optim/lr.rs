//! The learning rate: a fixed-point number, and how it changes with the step.

use serde::{Deserialize, Serialize};

/// A positive fixed-point number `mantissa * 2^exponent`, mantissa below 2^15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lr {
    /// Normalised to `2^14..2^15`; zero is zero.
    pub mantissa: u16,
    /// Exponent of the mantissa's unit.
    pub exponent: i16,
}

const TOP: u64 = 1 << 15;

impl Lr {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// The number nearest to `numerator / denominator` with 15 bits; zero when either is zero.
    pub const fn ratio(numerator: u32, denominator: u32) -> Self {
        if numerator == 0 || denominator == 0 {
            return Self::ZERO;
        }
        // 32 bits more than needed, then rounded once.
        let quotient = ((numerator as u64) << 32) / denominator as u64;
        Self::normalise(quotient, -32)
    }

    /// This times `factor / 2^15`, rounded to nearest.
    #[must_use]
    pub const fn scaled(self, factor: u16) -> Self {
        Self::normalise(self.mantissa as u64 * factor as u64, self.exponent - 15)
    }

    /// The product of two, rounded to nearest.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        let product = self.mantissa as u64 * other.mantissa as u64;
        Self::normalise(product, self.exponent.saturating_add(other.exponent))
    }

    const fn normalise(mut value: u64, mut exponent: i16) -> Self {
        if value == 0 {
            return Self::ZERO;
        }
        while value < TOP / 2 {
            value <<= 1;
            exponent -= 1;
        }
        let excess = (64 - value.leading_zeros()).saturating_sub(15);
        if excess > 0 {
            value = (value >> excess) + (value >> (excess - 1) & 1);
            exponent += excess as i16;
            if value == TOP {
                value >>= 1;
                exponent += 1;
            }
        }
        Self { mantissa: value as u16, exponent }
    }
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
                let mut lr = base;
                let every = if every == 0 { 1 } else { every };
                let mut left = step / every;
                while left > 0 && lr.mantissa != 0 {
                    lr = lr.scaled(factor);
                    left -= 1;
                    if lr.exponent < -64 {
                        return Lr::ZERO;
                    }
                }
                lr
            }
            Self::Cosine { steps, floor } => {
                let steps = if steps == 0 { 1 } else { steps };
                let step = if step > steps { steps } else { step };
                // Position in the table with 16 fraction bits.
                let position = ((step as u64 * 64) << 16) / steps as u64;
                let (index, fraction) = ((position >> 16) as usize, (position & 0xffff) as i64);
                let here = HALF_COSINE[index] as i64;
                let next = HALF_COSINE[if index < 64 { index + 1 } else { 64 }] as i64;
                let wave = here + (((next - here) * fraction) >> 16);
                let floor = if floor > 1 << 15 { 1 << 15 } else { floor as i64 };
                base.scaled((floor + ((wave * ((1 << 15) - floor)) >> 15)) as u16)
            }
        }
    }
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
    fn ratios_are_the_nearest_15_bit_numbers() {
        for (n, d) in [(1, 2), (5, 1000), (1, 3), (7, 9), (1, 100_000), (500, 1), (u32::MAX, 1)] {
            let lr = Lr::ratio(n, d);
            let exact = f64::from(n) / f64::from(d);
            assert!((1 << 14..1 << 15).contains(&lr.mantissa), "{lr:?}");
            assert!((value(lr) / exact - 1.0).abs() <= 1.0 / 32768.0, "{n}/{d}: {lr:?}");
        }
        assert_eq!(Lr::ratio(1, 2), Lr { mantissa: 1 << 14, exponent: -15 });
        assert_eq!(Lr::ratio(0, 5), Lr::ZERO);
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
    fn cosine_never_rises() {
        let schedule = Schedule::Cosine { steps: 5000, floor: 100 };
        let rates: std::vec::Vec<f64> =
            (0..5001).map(|s| value(schedule.at(Lr::ratio(1, 10), s))).collect();
        assert!(rates.windows(2).all(|w| w[1] <= w[0]));
    }
}
