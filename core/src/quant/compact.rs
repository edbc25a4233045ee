//! [`requantize`] over slices for cores without vectors: one small copy of the code serves every
//! storage, and what a branch can skip is skipped. A test holds it equal to the definition.

use super::{
    Code, Counts, Format, Quantizer, jam, requantize,
    round::{Carry, draw},
};
use crate::tensor::{MantissasMut, Source};

/// Numbers that are widened at a time; they lie on the stack.
const PIECE: usize = 32;

impl Quantizer {
    /// As [`run`](Self::run), from and into whichever storage there is.
    pub fn run_compact(
        &self,
        source: Source<'_>,
        first: u32,
        mut codes: MantissasMut<'_>,
    ) -> Counts {
        let mut counts = Counts::default();
        let mut piece = [0i32; PIECE];
        let mut from = 0;
        while from < source.len() {
            let len = PIECE.min(source.len() - from);
            let piece = piece.get_mut(..len).unwrap_or_default();
            source.part(from, len).copy_to(piece);
            counts += self.in_place_compact(piece, first.wrapping_add(from as u32));
            codes.part(from, len).store(piece);
            from += len;
        }
        counts
    }

    /// As [`in_place`](Self::in_place).
    #[inline(never)]
    pub(crate) fn in_place_compact(&self, values: &mut [i32], first: u32) -> Counts {
        let Self { shift, format: Format { bits, round, overflow }, key } = *self;
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
        requantize(v.into(), self.shift, self.format, self.key.half(element))
    }
}

/// Floor and carry in one shift; `None` where the sum of value and bias does not fit.
#[inline(always)]
const fn shifted(v: i32, bias: u32, k: u32) -> Option<i32> {
    let sum = v.wrapping_add(bias as i32);
    if sum < v { None } else { Some(sum >> k) }
}
