//! The one place where a wide integer becomes a narrow code.
//!
//! [`requantize`] is the definition, on 64-bit values. [`Quantizer::run`] is the same rule over
//! slices of 32-bit accumulators, written so that it vectorises; a test holds the two equal.

use core::iter::repeat;

use super::{
    overflow::Overflow,
    round::{Carry, Round},
};
use crate::{rng::Key, tensor::Mantissa};

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

/// The sign; blocked beyond twice the magnitude of a code, as in BinaryConnect's hard tanh
/// (Courbariaux et al. 2015, section 2.4).
const fn binary(value: i64, shift: i32) -> Code {
    let limit = if shift < -1 {
        0
    } else if shift >= 62 {
        i64::MAX
    } else {
        1i64 << (shift + 1)
    };
    Code {
        value: if value < 0 { -1 } else { 1 },
        clipped: value > limit || value < limit.wrapping_neg(),
    }
}

/// What happened to the values of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Values outside the representable range.
    pub saturated: u32,
    /// Values that were not zero and became zero.
    pub underflowed: u32,
}

impl Counts {
    #[inline(always)]
    const fn note(&mut self, saturated: bool, underflowed: bool) {
        self.saturated = self.saturated.wrapping_add(saturated as u32);
        self.underflowed = self.underflowed.wrapping_add(underflowed as u32);
    }
}

impl core::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.saturated = self.saturated.saturating_add(other.saturated);
        self.underflowed = self.underflowed.saturating_add(other.underflowed);
    }
}

/// Requantizes slices of one tensor.
#[derive(Clone, Copy, Debug)]
pub struct Quantizer {
    /// Bits to drop: exponent of the codes minus exponent of the source.
    pub shift: i32,
    /// Width and rules.
    pub format: Format,
    /// Random numbers of this tensor in this step.
    pub key: Key,
}

impl Quantizer {
    /// Codes of `source`, whose first element is element `first` of the tensor.
    #[inline(always)]
    pub fn run<T: Mantissa>(&self, source: &[i32], first: u32, codes: &mut [T]) -> Counts {
        let mut counts = Counts::default();
        let mut at = first;
        for (source, codes) in source.chunks(Self::CHUNK).zip(codes.chunks_mut(Self::CHUNK)) {
            let items = codes.iter_mut().zip(source);
            counts +=
                self.chunk(items, at, |item| *item.1, |item, code| *item.0 = T::from_code(code));
            at = at.wrapping_add(Self::CHUNK as u32);
        }
        counts
    }

    /// Elements that [`chunk`](Self::chunk) takes.
    pub(crate) const CHUNK: usize = 128;

    /// Reads the `value` of each item and has its code `put`. There are at most
    /// [`CHUNK`](Self::CHUNK) items, from element `first` on.
    #[inline(always)]
    pub(crate) fn chunk<I>(
        &self,
        items: impl Iterator<Item = I>,
        first: u32,
        value: impl Fn(&I) -> i32,
        put: impl Fn(I, i32),
    ) -> Counts {
        let Self { shift, format, key } = *self;
        match shift {
            _ if format.bits <= 1 => each(items, value, put, |v, _| {
                let code = binary(i64::from(v), shift);
                (code.value, code.clipped)
            }),
            ..=0 => each(items, value, put, self.widen()),
            1..=31 if format.overflow != Overflow::SatZero => {
                match format.round.carry(shift as u32) {
                    Carry::Bias(bias) => {
                        self.narrow(Carry::Bias(bias), items.zip(repeat(0)), value, put)
                    }
                    Carry::Pseudo => self.narrow(Carry::Pseudo, items.zip(repeat(0)), value, put),
                    Carry::Random => {
                        let mut random = [0u16; Self::CHUNK];
                        key.halves(first, &mut random);
                        self.narrow(Carry::Random, items.zip(random.iter().copied()), value, put)
                    }
                }
            }
            // A rare rule: the definition itself.
            1..=31 => each(items, value, put, |v, i| {
                let random = key.half(first.wrapping_add(i));
                let code = requantize(i64::from(v), shift, format, random);
                (code.value, code.clipped)
            }),
            _ => self.narrow_far(items, first, value, put),
        }
    }

    /// Drops more bits than a value has. Minus one, zero and one are codes at any width, so
    /// nothing overflows.
    #[inline(always)]
    fn narrow_far<I>(
        &self,
        items: impl Iterator<Item = I>,
        first: u32,
        value: impl Fn(&I) -> i32,
        put: impl Fn(I, i32),
    ) -> Counts {
        let carry = self.format.round.carry(31);
        let excess = self.shift.saturating_sub(31).clamp(0, 31) as u32;
        let lost = (1u32 << excess).wrapping_sub(1) as i32;
        let mut counts = Counts::default();
        for (item, i) in items.zip(0u32..) {
            let v = value(&item);
            // As `jam`: whether anything is lost stays in the last bit.
            let jammed = v >> excess | i32::from(v & lost != 0);
            let random = self.key.half(first.wrapping_add(i));
            let rounded = (jammed >> 31) + carry.of(jammed as u32, v < 0, 31, random);
            counts.note(false, (v != 0) & (rounded == 0));
            put(item, rounded);
        }
        counts
    }

    /// Drops 1 to 31 bits of fewer than 2^16 values, without branches. `carry` is a constant where
    /// this is called, so that the loop is compiled once for each kind.
    #[inline(always)]
    fn narrow<I>(
        &self,
        carry: Carry,
        items: impl Iterator<Item = (I, u16)>,
        value: impl Fn(&I) -> i32,
        put: impl Fn(I, i32),
    ) -> Counts {
        let Format { bits, overflow, .. } = self.format;
        let k = self.shift as u32;
        let (low, high) = overflow.limits(bits);
        // Codes that wrap lose their high bits here, and are within the limits afterwards.
        let spare = if overflow == Overflow::Wrap { 32 - u32::from(bits) } else { 0 };
        // Saturated values in the lower half, underflowed ones in the upper.
        let mut packed = 0u32;
        for (item, random) in items {
            let v = value(&item);
            let rounded = (v >> k) + carry.of(v as u32, v < 0, k, u32::from(random));
            let kept = ((rounded << spare) >> spare).max(low).min(high);
            let clipped = kept != rounded;
            let underflowed = (v != 0) & (rounded == 0);
            packed = packed.wrapping_add(u32::from(clipped) | u32::from(underflowed) << 16);
            put(item, kept);
        }
        Counts { saturated: packed & 0xffff, underflowed: packed >> 16 }
    }

    /// No bits to drop: shifts left, exactly.
    #[inline(always)]
    fn widen(&self) -> impl Fn(i32, u32) -> (i32, bool) + use<> {
        let Format { bits, overflow, .. } = self.format;
        let (low, high) = overflow.limits(bits);
        let left = self.shift.unsigned_abs().min(31);
        let (least, most) = (-(low.wrapping_neg() >> left), high >> left);
        let spare = 32 - u32::from(bits);
        move |v, _| {
            let clipped = v < least || v > most;
            let exact = v << left;
            let out = match overflow {
                Overflow::Wrap => (exact << spare) >> spare,
                Overflow::SatZero if clipped => 0,
                _ if v > most => high,
                _ if v < least => low,
                _ => exact,
            };
            (out, clipped)
        }
    }

    /// Clears the bits of clipped elements in `pass`, a mask in which the first element of
    /// `source` has the bit `bit`. Other bits stay as they are.
    pub fn clear_clipped(&self, source: &[i32], first: u32, pass: &mut [u8], bit: u32) {
        let Format { bits, overflow, .. } = self.format;
        let (low, high) = overflow.limits(bits);
        let (low, high) = (i64::from(low), i64::from(high));
        let (right, left) = (self.shift.clamp(0, 31), self.shift.clamp(-31, 0).unsigned_abs());
        // Rounding adds at most one, so few values need a closer look.
        let is_far_inside = |v: i32| {
            let floor = (i64::from(v) << left) >> right;
            bits > 1 && floor >= low && floor < high
        };
        for (i, &v) in source.iter().enumerate().filter(|(_, v)| !is_far_inside(**v)) {
            let index = first.wrapping_add(i as u32);
            let bit = bit as usize + i;
            let random = self.key.half(index);
            let code = requantize(i64::from(v), self.shift, self.format, random);
            if code.clipped
                && let Some(byte) = pass.get_mut(bit / 8)
            {
                *byte &= !(1 << (bit % 8));
            }
        }
    }
}

#[inline(always)]
fn each<I>(
    items: impl Iterator<Item = I>,
    value: impl Fn(&I) -> i32,
    put: impl Fn(I, i32),
    code: impl Fn(i32, u32) -> (i32, bool),
) -> Counts {
    let mut counts = Counts::default();
    for (item, i) in items.zip(0u32..) {
        let v = value(&item);
        let (code, clipped) = code(v, i);
        counts.note(clipped, (v != 0) & (code == 0) & !clipped);
        put(item, code);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
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
                        let quantizer = Quantizer { shift, format, key: Key::new(0) };
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

    fn any_format() -> impl Strategy<Value = Format> {
        (1u8..=24, 0..9usize, 0..4usize).prop_map(|(bits, round, overflow)| Format {
            bits,
            round: Round::ALL[round],
            overflow: Overflow::ALL[overflow],
        })
    }

    proptest! {
        #[test]
        fn slices_equal_the_definition(
            format in any_format(),
            shift in -40i32..80,
            seed: u64,
            first in 0u32..1000,
            mut source in proptest::collection::vec(any::<i32>(), 0..40),
        ) {
            source.extend([0, 1, -1, i32::MAX, i32::MIN, 1 << 30, -(1 << 30)]);
            let quantizer = Quantizer { shift, format, key: Key::new(seed) };
            let mut codes = std::vec![0i32; source.len()];
            let counts = quantizer.run(&source, first, &mut codes);
            let mut pass = std::vec![0xffu8; (first as usize + source.len()).div_ceil(8)];
            quantizer.clear_clipped(&source, first, &mut pass, first);
            let mut saturated = 0;
            for (i, (&v, &code)) in source.iter().zip(&codes).enumerate() {
                let random = quantizer.key.half(first + i as u32);
                let expected = requantize(i64::from(v), shift, format, random);
                prop_assert_eq!(code, expected.value, "{} {:?}", v, quantizer);
                let at = first as usize + i;
                prop_assert_eq!(pass[at / 8] >> (at % 8) & 1 == 0, expected.clipped);
                let (low, high) = format.overflow.limits(format.bits);
                prop_assert!((low..=high).contains(&code));
                saturated += u32::from(expected.clipped);
            }
            prop_assert_eq!(counts.saturated, saturated);
        }

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
