//! The one place where a wide integer becomes a narrow code.
//!
//! [`requantize`] is the definition, on 64-bit values.
//! [`Quantizer`](super::Quantizer) is the same rule over slices.

use super::{overflow::Overflow, round::Round};

/// How codes of a tensor are made: width and rules, without the exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// Bit width including the sign, 1..=31. One bit is binary.
    pub bits: u8,
    /// Rounding rule.
    pub round: Round,
    /// Overflow rule.
    pub overflow: Overflow,
}

/// A narrow code and whether the rounded value lay outside the representable range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code, within [`Overflow::limits`].
    pub value: i32,
    /// True when the straight-through gradient is blocked here.
    pub clipped: bool,
}

/// Shifts right and keeps in the last bit whether anything was lost ("round to odd").
///
/// A later rounding that drops two more bits or more gives what a single rounding of the exact
/// value would have given (Boldo and Melquiond, *Emulation of a FMA and correctly rounded sums*,
/// IEEE Trans. Computers 57, 2008, theorem 3).
#[inline(always)]
pub const fn jam(value: i64, shift: u32) -> i64 {
    let shift = if shift > 63 { 63 } else { shift };
    value >> shift | (value & ((1i64 << shift).wrapping_sub(1)) != 0) as i64
}

/// Rounds `value * 2^-shift` to a code of `format`. `random` holds 16 random bits, used by
/// [`Round::Stochastic`] only.
pub const fn requantize(value: i64, shift: i32, format: Format, random: u32) -> Code {
    let Format { bits, round, overflow } = format;
    let (low, high) = overflow.limits(bits);
    if bits <= 1 {
        return binary(value, shift);
    }
    let (rounded, wrapped) = if shift > 0 {
        let (value, k) =
            if shift > 31 { (jam(value, shift as u32 - 31), 31) } else { (value, shift as u32) };
        let carry = round.carry(k).of(value as u32, value < 0, k, random);
        let rounded = (value >> k) + carry as i64;
        (rounded, rounded)
    } else {
        let left = shift.unsigned_abs();
        let fits = value == 0
            || left < if value < 0 { value.leading_ones() } else { value.leading_zeros() };
        let exact = if left < 64 { value << left } else { 0 };
        let edge = if value < 0 { i64::MIN } else { i64::MAX };
        (if fits { exact } else { edge }, exact)
    };
    let clipped = rounded < low as i64 || rounded > high as i64;
    let value = match overflow {
        _ if !clipped => rounded as i32,
        Overflow::Sat | Overflow::SatSym => {
            if rounded < 0 {
                low
            } else {
                high
            }
        }
        Overflow::SatZero => 0,
        Overflow::Wrap => ((wrapped as i32) << (32 - bits)) >> (32 - bits),
    };
    Code { value, clipped }
}

/// As [`requantize`], of values and in arithmetic of 32 bits: a third of the code on a chip.
pub(crate) const fn requantize_word(value: i32, shift: i32, format: Format, random: u32) -> Code {
    let Format { bits, round, overflow } = format;
    let (low, high) = overflow.limits(bits);
    let far = shift.unsigned_abs();
    let (rounded, wrapped) = if bits <= 1 {
        return binary_word(value, shift);
    } else if shift > 0 {
        // Round to odd, as `jam`.
        let excess = if far > 62 { 31 } else { far.saturating_sub(31) };
        let k = if far > 31 { 31 } else { far };
        let value = value >> excess | (value & ((1i32 << excess).wrapping_sub(1)) != 0) as i32;
        let rounded = (value >> k) + round.carry(k).of(value as u32, value < 0, k, random);
        (rounded, rounded)
    } else {
        let exact = if far < 32 { value << far } else { 0 };
        let fits = value == 0 || far < 32 && exact >> far == value;
        let edge = if value < 0 { i32::MIN } else { i32::MAX };
        (if fits { exact } else { edge }, exact)
    };
    let clipped = rounded < low || rounded > high;
    let value = match overflow {
        _ if !clipped => rounded,
        Overflow::Sat | Overflow::SatSym if rounded < 0 => low,
        Overflow::Sat | Overflow::SatSym => high,
        Overflow::SatZero => 0,
        Overflow::Wrap => (wrapped << (32 - bits)) >> (32 - bits),
    };
    Code { value, clipped }
}

/// The sign; blocked beyond twice the magnitude of a code, as in BinaryConnect's hard tanh
/// (Courbariaux et al. 2015, section 2.4).
pub(super) const fn binary(value: i64, shift: i32) -> Code {
    let limit = match shift {
        ..-1 => 0,
        -1..=61 => 1u64 << (shift + 1),
        62.. => i64::MAX as u64,
    };
    Code { value: if value < 0 { -1 } else { 1 }, clipped: value.unsigned_abs() > limit }
}

/// As [`binary`], in arithmetic of 32 bits.
const fn binary_word(value: i32, shift: i32) -> Code {
    let limit = match shift {
        ..-1 => 0,
        -1..=30 => 1 << (shift + 1),
        31.. => u32::MAX,
    };
    Code { value: value >> 31 | 1, clipped: value.unsigned_abs() > limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{quant::Quantizer, rng::Key};
    use proptest::prelude::*;

    const HALVES: [(i64, u32); 12] = [
        (1, 2),
        (2, 2),
        (3, 2),
        (5, 2),
        (6, 2),
        (10, 2),
        (-1, 2),
        (-2, 2),
        (-3, 2),
        (-5, 2),
        (-6, 2),
        (-10, 2),
    ];

    /// The published `ap_fixed` table: 0.25 0.5 0.75 1.25 1.5 2.5 and their negatives.
    #[test]
    fn rounding_follows_the_ap_fixed_table() {
        let table: [(Round, [i32; 12]); 7] = [
            (Round::Trn, [0, 0, 0, 1, 1, 2, -1, -1, -1, -2, -2, -3]),
            (Round::TrnZero, [0, 0, 0, 1, 1, 2, 0, 0, 0, -1, -1, -2]),
            (Round::Rnd, [0, 1, 1, 1, 2, 3, 0, 0, -1, -1, -1, -2]),
            (Round::RndZero, [0, 0, 1, 1, 1, 2, 0, 0, -1, -1, -1, -2]),
            (Round::RndInf, [0, 1, 1, 1, 2, 3, 0, -1, -1, -1, -2, -3]),
            (Round::RndMinInf, [0, 0, 1, 1, 1, 2, 0, -1, -1, -1, -2, -3]),
            (Round::RndConv, [0, 0, 1, 1, 2, 2, 0, 0, -1, -1, -2, -2]),
        ];
        for (round, expected) in table {
            let format = Format { bits: 8, round, overflow: Overflow::Sat };
            for ((value, k), expected) in HALVES.into_iter().zip(expected) {
                let code = requantize(value, k as i32, format, 0);
                assert_eq!(code.value, expected, "{round:?} {value}/4");
            }
        }
    }

    /// The published overflow table for four bits: 7 8 9 19 -7 -8 -9 -19.
    #[test]
    fn overflow_follows_the_ap_fixed_table() {
        let inputs = [7, 8, 9, 19, -7, -8, -9, -19];
        let table: [(Overflow, [i32; 8]); 4] = [
            (Overflow::Wrap, [7, -8, -7, 3, -7, -8, 7, -3]),
            (Overflow::Sat, [7, 7, 7, 7, -7, -8, -8, -8]),
            (Overflow::SatSym, [7, 7, 7, 7, -7, -7, -7, -7]),
            (Overflow::SatZero, [7, 0, 0, 0, -7, -8, 0, 0]),
        ];
        for (overflow, expected) in table {
            let format = Format { bits: 4, round: Round::Trn, overflow };
            for (value, expected) in inputs.into_iter().zip(expected) {
                let code = requantize(value, 0, format, 0);
                assert_eq!(code.value, expected, "{overflow:?} {value}");
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_rounded_by_the_definition(
            value in prop_oneof![any::<i32>(), -300i32..300, Just(i32::MIN), Just(i32::MAX), Just(0)],
            shift in prop_oneof![-70i32..70, -3i32..12, Just(i32::MIN), Just(i32::MAX)],
            bits in 1u8..=31, rule in 0usize..9, overflow in 0usize..4, random in 0u32..65536,
        ) {
            use Overflow::{Sat, SatSym, SatZero, Wrap};
            let overflow = [Sat, SatSym, SatZero, Wrap][overflow];
            let format = Format { bits, round: Round::ALL[rule], overflow };
            let expected = requantize(value.into(), shift, format, random);
            prop_assert_eq!(requantize_word(value, shift, format, random), expected);
        }
    }

    /// Quantisation comes first, then overflow: 7.75 into 4 bits.
    #[test]
    fn rounding_happens_before_overflow() {
        let code =
            |round, overflow| requantize(31, 2, Format { bits: 4, round, overflow }, 0).value;
        assert_eq!(code(Round::Rnd, Overflow::Sat), 7);
        assert_eq!(code(Round::Rnd, Overflow::Wrap), -8);
        assert_eq!(code(Round::Trn, Overflow::Wrap), 7);
    }

    /// Rounds with 128-bit integers, from the words of the rules and not from their tables.
    fn wide_reference(value: i64, k: u32, format: Format) -> Code {
        let (value, unit) = (i128::from(value), 1i128 << k);
        let floor = value.div_euclid(unit);
        let twice_rest = 2 * value.rem_euclid(unit);
        let up = match format.round {
            Round::Trn => false,
            Round::TrnZero => value < 0 && twice_rest != 0,
            Round::Rnd => twice_rest >= unit,
            Round::RndMinInf => twice_rest > unit,
            Round::RndZero if value < 0 => twice_rest >= unit,
            Round::RndZero => twice_rest > unit,
            Round::RndInf if value < 0 => twice_rest > unit,
            Round::RndInf => twice_rest >= unit,
            Round::RndConv => twice_rest > unit || (twice_rest == unit && floor % 2 != 0),
            Round::Stochastic | Round::PseudoStochastic => unreachable!(),
        };
        let rounded = floor + i128::from(up);
        let low = -(1i128 << (format.bits - 1)) + i128::from(format.overflow == Overflow::SatSym);
        let high = (1i128 << (format.bits - 1)) - 1;
        let modulus = 1i128 << format.bits;
        let clipped = rounded < low || rounded > high;
        let value = match format.overflow {
            Overflow::Wrap => (rounded - high - 1).rem_euclid(modulus) - high - 1,
            Overflow::SatZero if clipped => 0,
            _ => rounded.clamp(low, high),
        };
        Code { value: value as i32, clipped }
    }

    /// Every value of a 14-bit source, every rule, every width from 2 to 12 and every shift.
    #[test]
    fn all_rules_equal_wide_integers_exhaustively() {
        let source: std::vec::Vec<i32> = (-8192..8192).collect();
        let mut codes = std::vec![0i32; source.len()];
        for bits in 2..=12u8 {
            for round in &Round::ALL[..7] {
                for overflow in Overflow::ALL {
                    let format = Format { bits, round: *round, overflow };
                    for shift in 0..14 {
                        let quantizer =
                            Quantizer { shift, format, key: Key::new(0), peak: u32::MAX };
                        let counts = quantizer.run(&source, 0, &mut codes);
                        let mut saturated = 0;
                        for (&v, &code) in source.iter().zip(&codes) {
                            let expected = wide_reference(i64::from(v), shift as u32, format);
                            assert_eq!(code, expected.value, "{v} >> {shift} {format:?}");
                            saturated += u32::from(expected.clipped);
                        }
                        assert_eq!(counts.saturated, saturated);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn jammed_values_round_like_exact_ones(
            v in -(1i64 << 46)..1i64 << 46, drop in 0u32..16, more in 2i32..20,
            round in 0..7usize, overflow in 0..4usize,
        ) {
            let format =
                Format { bits: 16, round: Round::ALL[round], overflow: Overflow::ALL[overflow] };
            let direct = requantize(v, drop as i32 + more, format, 0);
            prop_assert_eq!(requantize(jam(v, drop), more, format, 0), direct);
        }
    }
}
