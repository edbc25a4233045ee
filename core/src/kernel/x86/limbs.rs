//! Convolutions of wide codes by those of bytes, which multiply many times faster: a code of 16 bits is
//! `high * 2^8 + low`, so a product is the sum of two or four, each shifted to its place.

use std::{borrow::Cow, vec, vec::Vec};

use super::{X86, at_level};
use crate::{
    kernel::WindowGrad,
    quant::jam,
    tensor::{Mantissas, Matrix, Patches, Taps},
};

/// Bytes whose products are added up in 32 bits: each is at most 2^14.
const DEPTH: usize = 1 << 16;
/// Sums that are held in 64 bits at a time: a part of the second-level cache.
const SUMS: usize = 1 << 16;
/// Windows that the weights are packed for, at least.
const WINDOWS: usize = 16;

/// A byte of every code; a code is the sum of its bytes, each times `2^shift`.
struct Limb<'a> {
    bytes: Cow<'a, [i8]>,
    shift: u32,
}

/// The bytes of codes, without those that are all zero; none of codes wider than 16 bits.
fn limbs(codes: Mantissas<'_>) -> Option<Vec<Limb<'_>>> {
    let codes = match codes {
        Mantissas::I8(bytes) => return Some(vec![Limb { bytes: bytes.into(), shift: 0 }]),
        Mantissas::I16(codes) => codes,
        Mantissas::I32(_) => return None,
    };
    // The last byte has a sign, so what is above it may be 128, which is 127 and one more.
    let low = |code: i16| code as i8;
    let above = |code: i16| (i32::from(code) - i32::from(low(code))) >> 8;
    let limbs = [
        limb(codes, 0, low),
        limb(codes, 8, |code| above(code).min(127) as i8),
        limb(codes, 8, |code| (above(code) == 128).into()),
    ];
    Some(limbs.into_iter().flatten().collect())
}

/// A byte of every code, unless all are zero.
#[inline(always)]
fn limb(codes: &[i16], shift: u32, byte: impl Fn(i16) -> i8) -> Option<Limb<'static>> {
    let bytes: Vec<i8> = codes.iter().map(|&code| byte(code)).collect();
    let any = bytes.iter().fold(0, |any, byte| any | byte);
    (any != 0).then(|| Limb { bytes: bytes.into(), shift })
}

/// Sums of the products of all pairs of limbs.
struct Sums {
    totals: Vec<i64>,
    /// Of one pair.
    part: Vec<i32>,
}

impl Sums {
    fn new(len: usize) -> Self {
        Self { totals: vec![0; len], part: vec![0; len] }
    }

    /// Adds what `multiply` makes of every pair. False where it cannot.
    fn add(
        &mut self,
        a: &[Limb<'_>],
        b: &[Limb<'_>],
        mut multiply: impl FnMut(Mantissas<'_>, Mantissas<'_>, &mut [i32]) -> bool,
    ) -> bool {
        for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
            if !multiply(Mantissas::I8(&a.bytes), Mantissas::I8(&b.bytes), &mut self.part) {
                return false;
            }
            for (total, &part) in self.totals.iter_mut().zip(&self.part) {
                *total = total.wrapping_add(i64::from(part) << (a.shift + b.shift));
            }
        }
        true
    }

    /// Writes the totals, and forgets them.
    fn finish(&mut self, drop: u32, add: bool, out: &mut [i32]) {
        for (slot, total) in out.iter_mut().zip(&mut self.totals) {
            let sum = jam(*total, drop) as i32;
            *slot = if add { slot.saturating_add(sum) } else { sum };
            *total = 0;
        }
    }
}

/// The pictures that `rows` windows from `first` on look at, with these windows as the first ones.
fn pictures<'a>(x: &Patches<'a>, first: usize, rows: usize) -> Patches<'a> {
    let (each, pixels) = (x.windows.per_picture().max(1), x.windows.pixels() * x.channels);
    let (begin, end) = ((x.skip + first) / each, (x.skip + first + rows).div_ceil(each));
    let [from, to] = [begin, end].map(|picture| (picture * pixels).min(x.data.len()));
    Patches { data: x.data.part(from, to - from), skip: x.skip + first - begin * each, ..*x }
}

impl X86 {
    /// [`Kernel::convolve`](crate::kernel::Kernel::convolve). False where it is not for panels.
    pub(super) fn convolve_limbs(
        self,
        x: &Patches<'_>,
        weight: &Taps<'_>,
        drop: u32,
        first: usize,
        out: &mut [i32],
    ) -> bool {
        let width = weight.cols[0];
        let Some(weights) = limbs(weight.data).filter(|_| width > 0 && x.cols() <= DEPTH) else {
            return false;
        };
        let rows = (SUMS / width).max(WINDOWS);
        let mut sums = Sums::new(out.len().min(rows * width));
        for (out, first) in out.chunks_mut(rows * width).zip((first..).step_by(rows)) {
            let x = pictures(x, first, out.len() / width);
            let Some(codes) = limbs(x.data) else { return false };
            let done = sums.add(&codes, &weights, |data, weights, part| {
                let (x, weight) = (Patches { data, ..x }, Taps { data: weights, ..*weight });
                at_level!(self, convolve(&x, &weight, 0, &mut part[..out.len()]))
            });
            if !done {
                return false;
            }
            sums.finish(drop, false, out);
        }
        true
    }

    /// [`Kernel::convolve_grad`](crate::kernel::Kernel::convolve_grad). False where it is not for
    /// panels.
    pub(super) fn convolve_grad_limbs(self, sums: &WindowGrad<'_>, out: &mut [i32]) -> bool {
        let WindowGrad { grad, ref x, ref cols, drop, add } = *sums;
        let mut sums = Sums::new(out.len());
        for first in (0..grad.rows).step_by(DEPTH) {
            let grad = grad.row_range(first, DEPTH);
            let x = pictures(x, first, grad.rows);
            let Some((grads, codes)) = limbs(grad.data).zip(limbs(x.data)) else { return false };
            let done = sums.add(&grads, &codes, |grads, data, part| {
                let (grad, x) = (Matrix { data: grads, ..grad }, Patches { data, ..x });
                at_level!(self, convolve_grad(&grad, &x, cols.clone(), part))
            });
            if !done {
                return false;
            }
        }
        sums.finish(drop, add, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_the_sum_of_its_bytes() {
        let codes: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let limbs = limbs(Mantissas::I16(&codes)).unwrap();
        for (i, &code) in codes.iter().enumerate() {
            let sum: i32 = limbs.iter().map(|limb| i32::from(limb.bytes[i]) << limb.shift).sum();
            assert_eq!(sum, i32::from(code));
        }
    }

    #[test]
    fn bytes_that_are_all_zero_are_left_out() {
        let shifts = |codes: &[i16]| -> Vec<u32> {
            limbs(Mantissas::I16(codes)).unwrap().iter().map(|limb| limb.shift).collect()
        };
        assert_eq!(shifts(&[0, 0]), []);
        assert_eq!(shifts(&[-128, 127]), [0]);
        assert_eq!(shifts(&[256, -512]), [8]);
        assert_eq!(shifts(&[128]), [0, 8]);
        assert_eq!(shifts(&[i16::MAX]), [0, 8, 8]);
        assert!(limbs(Mantissas::I32(&[1])).is_none());
    }
}
