//! Rounding rules: what happens to the bits that a narrower number has no place for.
//!
//! With `k` bits to drop, `t = v >> k` (floor) and a carry of 0 or 1 is added: the carry of the
//! dropped bits plus something below `2^k`. For the seven `ap_fixed` rules (AMD UG1399,
//! "Quantization modes") that is a bias of three terms, so they all share one code path; for
//! `Stochastic` it is a random number.

use serde::{Deserialize, Serialize};

/// A rounding rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Round {
    /// Toward minus infinity (`AP_TRN`): drops the bits.
    Trn,
    /// Toward zero (`AP_TRN_ZERO`).
    TrnZero,
    /// To nearest, ties toward plus infinity (`AP_RND`).
    Rnd,
    /// To nearest, ties toward zero (`AP_RND_ZERO`).
    RndZero,
    /// To nearest, ties away from zero (`AP_RND_INF`).
    RndInf,
    /// To nearest, ties toward minus infinity (`AP_RND_MIN_INF`).
    RndMinInf,
    /// To nearest, ties to even (`AP_RND_CONV`).
    RndConv,
    /// Up with a probability equal to the dropped fraction, from keyed random bits.
    Stochastic,
    /// As `Stochastic`, with the lower half of the dropped bits as the random number
    /// (NITI, Wang et al. 2020, section 3.3): no generator needed.
    PseudoStochastic,
}

/// How a carry is found; the loops over tensors are compiled once for each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carry {
    Bias(Bias),
    Random,
    Pseudo,
}

/// What a deterministic rule adds to the dropped bits, modulo 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bias {
    pub(super) always: u32,
    /// Below zero.
    pub(super) negative: u32,
    /// Where the kept bits are odd; 0 or 1.
    pub(super) odd: u32,
}

impl Round {
    /// All rules, in the order of the documentation's table.
    pub const ALL: [Self; 9] = [
        Self::Trn,
        Self::TrnZero,
        Self::Rnd,
        Self::RndZero,
        Self::RndInf,
        Self::RndMinInf,
        Self::RndConv,
        Self::Stochastic,
        Self::PseudoStochastic,
    ];

    /// The rule that inference uses in place of this one: results must not depend on a key.
    #[must_use]
    pub const fn deterministic(self) -> Self {
        match self {
            Self::Stochastic | Self::PseudoStochastic => Self::RndConv,
            other => other,
        }
    }

    /// The rule for `k` dropped bits, `1 <= k <= 31`.
    pub(crate) const fn carry(self, k: u32) -> Carry {
        let half = 1 << (k - 1);
        let (always, negative, odd) = match self {
            Self::Trn => (0, 0, 0),
            Self::TrnZero => (0, 2 * half - 1, 0),
            Self::Rnd => (half, 0, 0),
            Self::RndZero => (half - 1, 1, 0),
            Self::RndInf => (half, u32::MAX, 0),
            Self::RndMinInf => (half - 1, 0, 0),
            Self::RndConv => (half - 1, 0, 1),
            Self::Stochastic => return Carry::Random,
            Self::PseudoStochastic => return Carry::Pseudo,
        };
        Carry::Bias(Bias { always, negative, odd })
    }
}

impl Carry {
    /// The carry of a value whose low 32 bits are `low`; `random` holds 16 random bits.
    #[inline(always)]
    pub(crate) const fn of(self, low: u32, negative: bool, k: u32, random: u32) -> i32 {
        match self {
            Self::Bias(bias) => {
                let fraction = low & ((1 << k) - 1);
                let sign = (negative as u32).wrapping_neg();
                (fraction.wrapping_add(bias.of(low, sign, k)) >> k) as i32
            }
            Self::Random => {
                let fraction = low & ((1 << k) - 1);
                // Both are below 2^k <= 2^31, so the sum fits 32 bits.
                ((fraction + draw(k, random)) >> k) as i32
            }
            Self::Pseudo => pseudo_carry(low, k),
        }
    }
}

impl Bias {
    /// What is added to every value, and what to odd ones besides; none where negative ones get
    /// more. Below 2^k where `k` bits are dropped.
    pub(crate) const fn even(self) -> Option<[i32; 2]> {
        if self.negative == 0 { Some([self.always as i32, self.odd as i32]) } else { None }
    }

    /// What is added to the dropped bits of a value, less than 2^31. `low` holds its low bits, and
    /// all bits of `sign` are its sign.
    #[inline(always)]
    pub(crate) const fn of(self, low: u32, sign: u32, k: u32) -> u32 {
        let negative = sign & self.negative;
        // The same shift as for `t`, so that it is done once.
        let odd = (low as i32 >> k) as u32 & self.odd;
        self.always.wrapping_add(negative).wrapping_add(odd)
    }
}

/// What `Stochastic` adds to the dropped bits: 16 random bits, aligned below bit `k`, so that
/// `0 <= draw < 2^k`; `1 <= k <= 31`. Probabilities are exact to 2^-16.
#[inline(always)]
pub(crate) const fn draw(k: u32, random: u32) -> u32 {
    ((random << 16) >> 1) >> (31 - k)
}

/// The carry of `PseudoStochastic`; `1 <= k <= 31`. The dropped bits are split: the upper half is
/// the probability, the lower half the draw. One dropped bit holds no draw: ties go to even.
#[inline(always)]
const fn pseudo_carry(low: u32, k: u32) -> i32 {
    let low_bits = k / 2;
    let draw = low & ((1 << low_bits) - 1);
    let chance = (low & ((1 << k) - 1)) >> (k - low_bits);
    let tie = (k == 1) as u32 & low & (low >> 1) & 1;
    ((chance > draw) as u32 | tie) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The carry depends on four bits: the first dropped one, whether one below it is set, the
    /// sign, and the last kept one.
    #[test]
    fn biases_carry_as_the_written_rules_say() {
        for (k, bits) in (1..=31u32).flat_map(|k| (0..16u32).map(move |bits| (k, bits))) {
            let [half, rest, negative, odd] = [8, 4, 2, 1].map(|bit| bits & bit != 0);
            if rest && k == 1 {
                continue;
            }
            let expected = [
                false,
                negative && (half || rest),
                half,
                half && (negative || rest),
                half && (!negative || rest),
                half && rest,
                half && (odd || rest),
            ];
            let rests = if rest { [1, (1 << (k - 1)) - 1] } else { [0, 0] };
            for rest in rests {
                let low = u32::from(odd) << k | u32::from(half) << (k - 1) | rest;
                for (rule, expected) in Round::ALL.iter().zip(expected) {
                    let carry = rule.carry(k).of(low, negative, k, 0);
                    assert_eq!(carry, i32::from(expected), "{rule:?} {k} {bits:04b}");
                }
            }
        }
    }

    #[test]
    fn stochastic_rounding_has_the_right_mean() {
        let key = crate::rng::Key::new(11);
        for (k, v) in [(4, 5), (8, 200), (16, -12345), (20, 777_777), (1, 1)] {
            let n = 40_000u32;
            let ups: i32 = (0..n).map(|i| Carry::Random.of(v as u32, v < 0, k, key.half(i))).sum();
            let mean = f64::from(v >> k) + f64::from(ups) / f64::from(n);
            let exact = f64::from(v) / f64::from(1u32 << k);
            assert!((mean - exact).abs() < 0.015, "{v} >> {k}: {mean} against {exact}");
        }
    }

    #[test]
    fn pseudo_stochastic_rounding_is_unbiased_over_all_fractions() {
        for k in 1..=12u32 {
            let sum: i64 = (0..1i64 << k)
                .chain(1 << k..2 << k)
                .map(|v| ((v as i32 >> k) + pseudo_carry(v as u32, k)) as i64)
                .sum();
            let exact: i64 = (0..2i64 << k).sum::<i64>() >> k;
            let error = (sum - exact) as f64 / f64::from(2 << k);
            // The halves have 2^(k/2) levels, so a tie of chance and draw costs half of one.
            assert!(error.abs() <= 0.5 / f64::from(1 << (k / 2)) + 1e-9, "k {k}: {error}");
        }
    }
}
