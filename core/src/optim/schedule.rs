//! How the learning rate changes with the step.

use serde::{Deserialize, Serialize};

use super::Lr;

/// One, in units of 2^-15.
const ONE: u16 = 1 << 15;

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
    // Position in the table with 16 fraction bits, bit by bit: once in a step, and the division of 64
    // bits would be a large part of a board's program.
    let (mut position, mut rest) = (0u32, step);
    let mut bit = 22;
    while bit > 0 {
        let double = (rest as u64) << 1;
        let fits = double >= steps as u64;
        rest = (if fits { double - steps as u64 } else { double }) as u32;
        position = position << 1 | fits as u32;
        bit -= 1;
    }
    let (index, fraction) = ((position >> 16 & 63) as usize, position as i32 & 0xffff);
    // Neighbours differ by less than 2^10.
    let (here, next) = (HALF_COSINE[index] as i32, HALF_COSINE[index + 1] as i32);
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
    fn positions_on_the_cosine_are_those_of_a_division() {
        for steps in [1, 2, 3, 32, 1_320, u32::MAX - 1, u32::MAX] {
            for step in [0, steps / 3, steps / 2, steps - 1] {
                let position = (u64::from(step) << 22) / u64::from(steps);
                let (index, fraction) = ((position >> 16) as usize, position as i64 & 0xffff);
                let [here, next] = [0, 1].map(|next| i64::from(HALF_COSINE[index + next]));
                let wave = here + (((next - here) * fraction) >> 16);
                assert_eq!(i64::from(half_cosine(step, steps)), wave, "{step} / {steps}");
            }
        }
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
