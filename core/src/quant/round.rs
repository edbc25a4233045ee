//! Rounding rules: what happens to the bits that a narrower number has no place for.
//!
//! With `k` bits to drop, `t = v >> k` (floor) and a carry of 0 or 1 is added. The seven
//! `ap_fixed` rules (AMD UG1399, "Quantization modes") decide the carry from four bits, so each
//! is one 16-entry truth table and they all share one code path.

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
    /// Bit `half << 3 | rest << 2 | negative << 1 | odd` of the table.
    Table(u16),
    Random,
    Pseudo,
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

    pub(crate) const fn carry(self) -> Carry {
        match self {
            Self::Trn => Carry::Table(0),
            // negative && (half || rest)
            Self::TrnZero => Carry::Table(0b1100_1100_1100_0000),
            // half
            Self::Rnd => Carry::Table(0b1111_1111_0000_0000),
            // half && (negative || rest)
            Self::RndZero => Carry::Table(0b1111_1100_0000_0000),
            // half && (!negative || rest)
            Self::RndInf => Carry::Table(0b1111_0011_0000_0000),
            // half && rest
            Self::RndMinInf => Carry::Table(0b1111_0000_0000_0000),
            // half && (odd || rest)
            Self::RndConv => Carry::Table(0b1111_1010_0000_0000),
            Self::Stochastic => Carry::Random,
            Self::PseudoStochastic => Carry::Pseudo,
        }
    }
}

/// The carry of a deterministic rule; `1 <= k <= 31`. `low` holds the low 32 bits of the value.
#[inline(always)]
pub(crate) const fn table_carry(table: u16, low: u32, negative: bool, k: u32) -> i32 {
    let odd = low >> k & 1;
    let half = low >> (k - 1) & 1;
    let rest = (low & ((1 << (k - 1)) - 1) != 0) as u32;
    ((table as u32 >> (half << 3 | rest << 2 | (negative as u32) << 1 | odd)) & 1) as i32
}

/// The carry of `Stochastic` from 16 random bits; `1 <= k <= 31`. Probabilities are exact to
/// 2^-16.
#[inline(always)]
pub(crate) const fn random_carry(low: u32, k: u32, random: u32) -> i32 {
    let fraction = low & ((1 << k) - 1);
    // Aligns the 16 bits below bit k: 0 <= draw < 2^k.
    let draw = ((random << 16) >> 1) >> (31 - k);
    // Both are below 2^k <= 2^31, so the sum fits 32 bits.
    ((fraction + draw) >> k) as i32
}

/// The carry of `PseudoStochastic`; `1 <= k <= 31`. The dropped bits are split: the upper half is
/// the probability, the lower half the draw. One dropped bit holds no draw: ties go to even.
#[inline(always)]
pub(crate) const fn pseudo_carry(low: u32, k: u32) -> i32 {
    let low_bits = k / 2;
    let draw = low & ((1 << low_bits) - 1);
    let chance = (low & ((1 << k) - 1)) >> (k - low_bits);
    let tie = (k == 1) as u32 & low & (low >> 1) & 1;
    ((chance > draw) as u32 | tie) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_tables_equal_the_written_rules() {
        for bits in 0..16u32 {
            let (half, rest, negative, odd) =
                (bits >> 3 & 1 == 1, bits >> 2 & 1 == 1, bits >> 1 & 1 == 1, bits & 1 == 1);
            let expected = [
                false,
                negative && (half || rest),
                half,
                half && (negative || rest),
                half && (!negative || rest),
                half && rest,
                half && (odd || rest),
            ];
            for (rule, expected) in Round::ALL.iter().zip(expected) {
                let Carry::Table(table) = rule.carry() else { panic!("{rule:?}") };
                assert_eq!(table >> bits & 1 == 1, expected, "{rule:?} {bits:04b}");
            }
        }
    }

    #[test]
    fn stochastic_rounding_has_the_right_mean() {
        let key = crate::rng::Key::new(11);
        for (k, v) in [(4, 5), (8, 200), (16, -12345), (20, 777_777), (1, 1)] {
            let n = 40_000u32;
            let ups: i32 = (0..n).map(|i| random_carry(v as u32, k, key.half(i))).sum();
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
