//! [`requantize`] over slices for cores without vectors: one small copy of the code serves every
//! storage, and what a branch can skip is skipped. A test holds it equal to the definition.

use super::{
    Code, Counts, Format, Overflow, Quantizer, ceil_log2, jam,
    loops::Loops,
    requantize_word,
    round::{Carry, draw},
};
use crate::tensor::{MantissasMut, Source, for_source};

/// Numbers that are widened at a time; they lie on the stack. An even number, because two neighbours
/// share a random number.
const PIECE: usize = 32;

/// All ones of the numbers, where a negative number counts as its complement: each lies in
/// `-ones - 1 ..= ones`.
#[inline(always)]
fn ones<S: Copy + Into<i32>>(values: &[S]) -> u32 {
    let size = |v: S| {
        let v: i32 = v.into();
        v ^ (v >> 31)
    };
    // Four at a time, which a build for size would not do by itself.
    let (fours, rest) = values.as_chunks::<4>();
    let mut all = 0;
    for &[a, b, c, d] in fours {
        all |= size(a) | size(b) | size(c) | size(d);
    }
    rest.iter().fold(all, |all, &v| all | size(v)).cast_unsigned()
}

/// As [`ones`], of sums.
#[inline(never)]
fn ones_of_sums(sums: &[i32]) -> u32 {
    ones(sums)
}

/// As the larger one of `known` and the largest magnitude, as far as [`ceil_log2`] can tell: it
/// takes a second look only where the bound grows.
#[inline(never)]
pub(crate) fn peak_beyond(source: Source<'_>, known: u32) -> u32 {
    let ones = match source {
        Source::I32(sums) => ones_of_sums(sums),
        _ => for_source!(source, values => ones(values)),
    };
    let bound = ceil_log2(known).unwrap_or(0);
    if known > 0 && ones.checked_shr(bound.into()).unwrap_or(0) == 0 {
        return known;
    }
    // Beyond a power of two, or none.
    let power = ones.checked_ilog2().map_or(0, |bit| 1 << bit);
    let beyond = for_source!(source, values => any_beyond(values, power));
    known.max(power.saturating_add(beyond.into()))
}

fn any_beyond<S: Copy + Into<i32>>(values: &[S], magnitude: u32) -> bool {
    values.iter().any(|&v| v.into().unsigned_abs() > magnitude)
}

/// The quick way through a quantiser: `k` bits are dropped, of which carries are known beforehand,
/// and overflow saturates.
#[derive(Clone, Copy)]
pub(crate) struct Quick {
    pub(crate) k: u32,
    pub(crate) carry: QuickCarry,
    pub(crate) limits: Limits,
}

/// What is added before bits are dropped.
#[derive(Clone, Copy)]
pub(crate) enum QuickCarry {
    /// The same for every value, and `odd` besides where the code would be odd.
    Bias { always: i32, odd: i32 },
    /// A random number.
    Random,
}

/// The range of codes.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    low: i32,
    room: u32,
}

impl Limits {
    /// Those of a signed byte, which chips know.
    pub(crate) const fn are_a_byte(self) -> bool {
        self.low == i8::MIN as i32 && self.room == u8::MAX as u32
    }

    /// The nearest code in the range, and one more in `saturated` where it is another one.
    #[inline(always)]
    pub(crate) fn clip(self, code: i32, saturated: &mut u32) -> i32 {
        if code.wrapping_sub(self.low).cast_unsigned() <= self.room {
            return code;
        }
        core::hint::cold_path();
        *saturated += 1;
        if code < self.low { self.low } else { self.low.wrapping_add_unsigned(self.room) }
    }
}

/// The part of a word that a value draws, as [`draw`] has it: for an even element, and for the odd
/// one behind it.
#[inline(always)]
pub(crate) const fn draws(word: u32, k: u32) -> [i32; 2] {
    [((word << 16) >> (32 - k)) as i32, ((word & 0xffff_0000) >> (32 - k)) as i32]
}

/// How many of `len` elements from `first` on are whole pairs; an element without its neighbour
/// comes alone.
pub(crate) const fn pairs_or_one(first: u32, len: usize) -> usize {
    if first % 2 == 1 || len == 1 { 1 } else { len & !1 }
}

/// What an element without its neighbour draws. It is an even one behind pairs, and an odd one
/// where it comes first.
#[inline(always)]
pub(crate) const fn draw_alone(word: u32, k: u32, first: u32) -> i32 {
    let [even, odd] = draws(word, k);
    if first.is_multiple_of(2) { even } else { odd }
}

impl Quantizer {
    /// The quick way for `sums`, where there is one.
    #[inline(always)]
    pub(crate) fn quick(&self, sums: &[i32]) -> Option<Quick> {
        let Self { shift, format: Format { bits, round, overflow }, .. } = *self;
        let k = u32::try_from(shift).ok().filter(|k| (1..=30).contains(k) && bits > 1)?;
        // Sums of values below 2^30 and carries fit 32 bits.
        let fits = self.peak < 1 << 30 || ones_of_sums(sums) < 1 << 30;
        if !fits || !matches!(overflow, Overflow::Sat | Overflow::SatSym) {
            return None;
        }
        let carry = match round.carry(k) {
            Carry::Bias(bias) => {
                let [always, odd] = bias.even()?;
                QuickCarry::Bias { always, odd }
            }
            Carry::Random => QuickCarry::Random,
            Carry::Pseudo => return None,
        };
        let (low, high) = overflow.limits(bits);
        let limits = Limits { low, room: high.wrapping_sub(low).cast_unsigned() };
        Some(Quick { k, carry, limits })
    }

    /// As [`run`](Self::run), from and into whichever storage there is.
    pub(crate) fn run_compact<L: Loops>(
        &self,
        source: Source<'_>,
        first: u32,
        mut codes: MantissasMut<'_>,
    ) -> Counts {
        let mut counts = Counts::default();
        let (mut from, mut most) = (0, usize::MAX);
        while from < source.len() {
            let first = first.wrapping_add(from as u32);
            let len = pairs_or_one(first, most.min(source.len() - from));
            let (source, mut codes) = (source.part(from, len), codes.part(from, len));
            let quick = match (source, &mut codes) {
                (Source::I32(sums), MantissasMut::I8(codes)) => {
                    self.quick(sums).map(|quick| self.swiftly::<L>(quick, sums, first, codes))
                }
                (Source::U8(bytes), MantissasMut::I8(codes)) => self.bytes(bytes, codes),
                _ => None,
            };
            counts += match quick {
                Some(counts) => counts,
                None if len > PIECE => {
                    most = PIECE;
                    continue;
                }
                None => self.piece(source, first, codes),
            };
            from += len;
        }
        counts
    }

    /// At most [`PIECE`] numbers, by way of the stack.
    #[inline(never)]
    fn piece(&self, source: Source<'_>, first: u32, mut codes: MantissasMut<'_>) -> Counts {
        let mut piece = [0i32; PIECE];
        let piece = piece.get_mut(..source.len()).unwrap_or_default();
        source.copy_to(piece);
        let counts = self.in_place_compact(piece, first);
        codes.store(piece);
        counts
    }

    /// Codes of sums from an even element on, or of a single one.
    #[inline(never)]
    pub(crate) fn swiftly<L: Loops>(
        &self,
        quick: Quick,
        sums: &[i32],
        first: u32,
        codes: &mut [i8],
    ) -> Counts {
        let Quick { k, carry, limits } = quick;
        if limits.are_a_byte()
            && let (sums, []) = sums.as_chunks()
        {
            let codes = codes.as_chunks_mut().0;
            let counts = match carry {
                QuickCarry::Random => L::codes(self.key, first >> 1, k, sums, codes),
                QuickCarry::Bias { always, odd } => L::biased([always, odd], k, sums, codes),
            };
            if let Some(counts) = counts {
                return counts;
            }
        }
        let mut counts = Counts::default();
        let mut code = |v: i32, carry: i32| {
            let code = limits.clip((v + carry) >> k, &mut counts.saturated);
            if code == 0 && v != 0 {
                core::hint::cold_path();
                counts.underflowed += 1;
            }
            code as i8
        };
        match carry {
            QuickCarry::Bias { always, odd } => {
                for (&v, slot) in sums.iter().zip(codes) {
                    *slot = code(v, always + ((v >> k) & odd));
                }
            }
            QuickCarry::Random => {
                let mut index = first >> 1;
                let (pairs, last) = sums.as_chunks::<2>();
                let (slots, last_slot) = codes.as_chunks_mut::<2>();
                for (&[v0, v1], slots) in pairs.iter().zip(slots) {
                    let [low, high] = draws(self.key.word(index), k);
                    index = index.wrapping_add(1);
                    *slots = [code(v0, low), code(v1, high)];
                }
                for (&v, slot) in last.iter().zip(last_slot) {
                    *slot = code(v, draw_alone(self.key.word(index), k, first));
                }
            }
        }
        counts
    }

    /// Codes of pixels that are not rounded, where overflow saturates.
    #[inline(never)]
    fn bytes(&self, pixels: &[u8], codes: &mut [i8]) -> Option<Counts> {
        let Format { bits, overflow, .. } = self.format;
        let left = self.shift.checked_neg().filter(|left| (0..=8).contains(left))?;
        if bits <= 1 || !matches!(overflow, Overflow::Sat | Overflow::SatSym) {
            return None;
        }
        let (_, high) = overflow.limits(bits);
        let mut saturated = 0;
        for (&pixel, slot) in pixels.iter().zip(codes) {
            let exact = i32::from(pixel) << left;
            saturated += u32::from(exact > high);
            *slot = exact.min(high) as i8;
        }
        Some(Counts { saturated, underflowed: 0 })
    }

    /// As [`in_place`](Self::in_place).
    #[inline(never)]
    pub(crate) fn in_place_compact(&self, values: &mut [i32], first: u32) -> Counts {
        let Self { shift, format: Format { bits, round, overflow }, key, .. } = *self;
        if shift > 31 {
            // As the definition: what lies so far down only tells whether it was there.
            let excess = shift.abs_diff(31);
            values.iter_mut().for_each(|v| *v = jam((*v).into(), excess) as i32);
            return Self { shift: 31, ..*self }.in_place_compact(values, first);
        }
        let k = shift.clamp(1, 31) as u32;
        let carry = if bits <= 1 { None } else { Some(round.carry(k)) };
        match carry {
            // The sign. It has no quick way.
            None => self.each(values, first, |_, _| None),
            Some(_) if shift <= 0 => {
                let left = shift.unsigned_abs().min(31);
                let (low, high) = overflow.limits(bits);
                let (least, most) = (-(low.wrapping_neg() >> left), high >> left);
                let room = most.wrapping_sub(least) as u32;
                self.each(values, first, move |v, _| {
                    (v.wrapping_sub(least) as u32 <= room).then_some(v << left)
                })
            }
            Some(Carry::Bias(bias)) => self
                .each(values, first, |v, _| shifted(v, bias.of(v as u32, (v >> 31) as u32, k), k)),
            Some(Carry::Random) => {
                let mut word = key.word(first >> 1);
                self.each(values, first, move |v, element| {
                    let random = if element & 1 == 0 {
                        word = key.word(element >> 1);
                        word & 0xffff
                    } else {
                        word >> 16
                    };
                    shifted(v, draw(k, random), k)
                })
            }
            Some(Carry::Pseudo) => self.each(values, first, move |v, _| {
                Some((v >> k) + Carry::Pseudo.of(v as u32, v < 0, k, 0))
            }),
        }
    }

    /// Every value's code: the definition's where there is no `quick` one. Not inlined, so that
    /// each loop has all registers.
    #[inline(never)]
    fn each(
        &self,
        values: &mut [i32],
        first: u32,
        mut quick: impl FnMut(i32, u32) -> Option<i32>,
    ) -> Counts {
        let (low, high) = self.format.overflow.limits(self.format.bits);
        let room = high.wrapping_sub(low) as u32;
        let mut counts = Counts::default();
        for (value, i) in values.iter_mut().zip(0u32..) {
            let (v, element) = (*value, first.wrapping_add(i));
            *value = match quick(v, element) {
                Some(code) if code.wrapping_sub(low) as u32 <= room => {
                    if code == 0 {
                        counts.note(false, v != 0);
                    }
                    code
                }
                _ => {
                    let Code { value, clipped } = self.rarely(v, element);
                    counts.note(clipped, !clipped & (v != 0) & (value == 0));
                    value
                }
            };
        }
        counts
    }

    #[cold]
    #[inline(never)]
    fn rarely(&self, v: i32, element: u32) -> Code {
        requantize_word(v, self.shift, self.format, self.key.half(element))
    }
}

/// Floor and carry in one shift; `None` where the sum of value and bias does not fit.
#[inline(always)]
const fn shifted(v: i32, bias: u32, k: u32) -> Option<i32> {
    let sum = v.wrapping_add(bias as i32);
    if sum < v { None } else { Some(sum >> k) }
}
