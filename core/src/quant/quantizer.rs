//! [`requantize`] over slices of 32-bit accumulators, written so that it vectorises; a test holds
//! the two equal.

use core::iter::repeat;

use super::{
    overflow::Overflow,
    requantize::{Format, binary, requantize},
    round::Carry,
};
use crate::{rng::Key, tensor::Mantissa};

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
    pub(super) const fn note(&mut self, saturated: bool, underflowed: bool) {
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
    /// No magnitude is larger; [`u32::MAX`] where nobody has looked.
    pub peak: u32,
}

impl Quantizer {
    /// Codes of `source`, whose first element is element `first` of the tensor.
    #[inline(always)]
    pub fn run<S, T>(&self, source: &[S], first: u32, codes: &mut [T]) -> Counts
    where
        S: Copy + Into<i32>,
        T: Mantissa,
    {
        if let Some(counts) = self.run_short(source, codes) {
            return counts;
        }
        let mut counts = Counts::default();
        let mut at = first;
        for (source, codes) in source.chunks(Self::CHUNK).zip(codes.chunks_mut(Self::CHUNK)) {
            let items = codes.iter_mut().zip(source);
            counts += self.chunk(
                items,
                at,
                |item| (*item.1).into(),
                |item, code| *item.0 = T::from_code(code),
            );
            at = at.wrapping_add(Self::CHUNK as u32);
        }
        counts
    }

    /// As [`run`](Self::run), and the codes replace the values.
    #[inline(always)]
    pub fn in_place(&self, values: &mut [i32], first: u32) -> Counts {
        let mut counts = Counts::default();
        let mut at = first;
        for values in values.chunks_mut(Self::CHUNK) {
            counts += self.chunk(values.iter_mut(), at, |v| **v, |v, code| *v = code);
            at = at.wrapping_add(Self::CHUNK as u32);
        }
        counts
    }

    /// Elements that [`chunk`](Self::chunk) takes.
    pub(crate) const CHUNK: usize = 128;

    /// Reads the `value` of each item and has its code `put`. There are at most
    /// [`CHUNK`](Self::CHUNK) items, from element `first` on.
    #[inline(always)]
    fn chunk<I>(
        &self,
        items: impl Iterator<Item = I>,
        first: u32,
        value: impl Fn(&I) -> i32,
        put: impl Fn(I, i32),
    ) -> Counts {
        let Self { shift, format, key, .. } = *self;
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

    /// Values that no rounding clips.
    fn never_clipped(&self) -> core::ops::Range<i32> {
        let Format { bits, overflow, .. } = self.format;
        let (low, high) = overflow.limits(bits);
        if bits <= 1 {
            return 0..0;
        }
        if self.shift <= 0 {
            let left = self.shift.unsigned_abs().min(31);
            return (low >> left) + 1..high >> left;
        }
        // A carry adds at most one.
        let scaled = |limit: i32| i64::from(limit) << self.shift.min(31);
        let bound = |limit| scaled(limit).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        bound(low)..bound(high)
    }

    /// Clears the bits of clipped elements in `pass`, a mask in which the first element of
    /// `source` has the bit `bit`. Other bits stay as they are.
    pub fn clear_clipped(&self, source: &[i32], first: u32, pass: &mut [u8], bit: u32) {
        const PIECE: usize = 16;
        let inside = self.never_clipped();
        for (at, piece) in source.chunks(PIECE).enumerate() {
            // Most pieces need no closer look, and this one vectorises.
            if piece.iter().fold(true, |all, v| all & inside.contains(v)) {
                continue;
            }
            for (i, &v) in piece.iter().enumerate() {
                let i = at * PIECE + i;
                let bit = bit as usize + i;
                let random = self.key.half(first.wrapping_add(i as u32));
                let code = requantize(i64::from(v), self.shift, self.format, random);
                if code.clipped
                    && let Some(byte) = pass.get_mut(bit / 8)
                {
                    *byte &= !(1 << (bit % 8));
                }
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
    use proptest::prelude::*;

    use super::*;
    use crate::{
        quant::{Round, loops::Plain},
        tensor::{MantissasMut, Source},
    };

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
            let quantizer = Quantizer { shift, format, key: Key::new(seed), peak: u32::MAX };
            let mut codes = std::vec![0i32; source.len()];
            let counts = quantizer.run(&source, first, &mut codes);
            let mut compact = source.clone();
            prop_assert_eq!(quantizer.in_place_compact(&mut compact, first), counts);
            prop_assert_eq!(&compact, &codes);
            let mut single = source.clone();
            let out = MantissasMut::I32(&mut single);
            prop_assert_eq!(quantizer.run_single(Source::I32(&source), first, out), counts);
            prop_assert_eq!(&single, &codes);
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
        fn bytes_from_sums_equal_wide_codes(
            sums in proptest::collection::vec(-70_000i32..70_000, 0..150),
            fine in 0u32..14,
            (bits, shift) in (2u8..=8, -8i32..20),
            stochastic: bool,
            (round, overflow) in (0..9usize, 0..4usize),
            first in 0u32..10,
            seed: u64,
        ) {
            let sums: std::vec::Vec<i32> = sums.into_iter().map(|v| v >> fine).collect();
            let round = if stochastic { Round::Stochastic } else { Round::ALL[round] };
            let format = Format { bits, round, overflow: Overflow::ALL[overflow] };
            let quantizer = Quantizer { shift, format, key: Key::new(seed), peak: u32::MAX };
            let mut codes = sums.clone();
            let counts = quantizer.run(&sums, first, &mut codes);
            let mut bytes = std::vec![0i8; sums.len()];
            let out = MantissasMut::I8(&mut bytes);
            prop_assert_eq!(quantizer.run_compact::<Plain>(Source::I32(&sums), first, out), counts);
            prop_assert!(bytes.iter().copied().map(i32::from).eq(codes));
            let mut single = std::vec![0i8; sums.len()];
            let out = MantissasMut::I8(&mut single);
            prop_assert_eq!(quantizer.run_single(Source::I32(&sums), first, out), counts);
            prop_assert_eq!(single, bytes);
        }

        #[test]
        fn narrow_numbers_equal_wide_ones(
            format in any_format(),
            shift in -2i32..18,
            seed: u64,
            numbers in proptest::collection::vec(any::<i16>(), 0..200),
        ) {
            fn check<S: Copy + Into<i32>>(quantizer: &Quantizer, numbers: &[S]) {
                let wide: std::vec::Vec<i32> = numbers.iter().map(|&v| v.into()).collect();
                let (mut expected, mut codes) = (wide.clone(), wide.clone());
                let counts = quantizer.run(&wide, 5, &mut expected);
                assert_eq!(quantizer.run(numbers, 5, &mut codes), counts);
                assert_eq!(codes, expected);
            }
            let quantizer = Quantizer { shift, format, key: Key::new(seed), peak: u32::MAX };
            check(&quantizer, &numbers);
            check(&quantizer, bytemuck::cast_slice::<_, i8>(&numbers));
            check(&quantizer, bytemuck::cast_slice::<_, u8>(&numbers));
            let edges = [0, 1, -1, i16::MAX, i16::MIN, 1 << 14, -(1 << 14), 127, -128];
            check(&quantizer, &edges);
        }
    }
}
