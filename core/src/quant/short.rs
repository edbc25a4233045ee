//! The most frequent case of [`Quantizer::run`] in 16-bit lanes, of which a wide register holds
//! twice as many: narrow numbers, and a rounding that adds a constant.

use super::{
    Overflow,
    quantizer::{Counts, Quantizer},
    round::{Bias, Carry},
};
use crate::tensor::Mantissa;

/// Counters of 16 bits do not overflow over so many numbers.
const CHUNK: usize = 1 << 15;

impl Quantizer {
    /// Codes of numbers of at most 16 bits, if these settings are the frequent ones.
    #[inline(always)]
    pub(super) fn run_short<S, T>(&self, source: &[S], codes: &mut [T]) -> Option<Counts>
    where
        S: Copy + Into<i32>,
        T: Mantissa,
    {
        let fits = size_of::<S>() <= 2
            && (2..16).contains(&self.format.bits)
            && (1..16).contains(&self.shift)
            && self.format.overflow != Overflow::SatZero;
        if !fits {
            return None;
        }
        let Carry::Bias(bias) = self.format.round.carry(self.shift as u32) else { return None };
        let mut counts = Counts::default();
        for (source, codes) in source.chunks(CHUNK).zip(codes.chunks_mut(CHUNK)) {
            counts += self.short_chunk(bias, source, codes);
        }
        Some(counts)
    }

    /// As `narrow`, in 16 bits: a fraction and what is added to it are below 2^15 both.
    #[inline(always)]
    fn short_chunk<S, T>(&self, bias: Bias, source: &[S], codes: &mut [T]) -> Counts
    where
        S: Copy + Into<i32>,
        T: Mantissa,
    {
        let bits = u32::from(self.format.bits);
        let (low, high) = self.format.overflow.limits(self.format.bits);
        let (low, high) = (low as i16, high as i16);
        let wraps = self.format.overflow == Overflow::Wrap;
        let spare = if wraps { 16 - bits } else { 0 };
        let k = self.shift as u32;
        let mask = (1u16 << k) - 1;
        let Bias { always, negative, odd } = bias;
        let (always, negative, odd) = (always as u16, negative as u16, odd as u16);
        let (mut saturated, mut underflowed) = (0u16, 0u16);
        for (code, &number) in codes.iter_mut().zip(source) {
            let v: i16 = number.into() as i16;
            let shifted = v >> k;
            let added =
                always.wrapping_add((v >> 15) as u16 & negative).wrapping_add(shifted as u16 & odd);
            let carry = (v as u16 & mask).wrapping_add(added) >> k;
            let rounded = shifted.wrapping_add(carry as i16);
            let kept = ((rounded << spare) >> spare).max(low).min(high);
            saturated = saturated.wrapping_add(u16::from(kept != rounded));
            underflowed = underflowed.wrapping_add(u16::from((v != 0) & (rounded == 0)));
            *code = T::from_code(kept.into());
        }
        Counts { saturated: saturated.into(), underflowed: underflowed.into() }
    }
}
