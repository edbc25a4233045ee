//! Products of bytes with the DSP instructions of Cortex-M4, M7, M33 and M55.
//!
//! `SMLAD` multiplies two pairs of 16-bit numbers and adds both products to a sum. Bytes become
//! such pairs by `SXTB16`, which widens every second byte of a word: along the depth four
//! neighbours give two pairs; across it two rows are interleaved first.

#![expect(unsafe_code, reason = "instructions that the compiler does not choose, and their loads")]

use super::{Kernel, Scalar, blocked};
use crate::tensor::Matrix;
use instruction::{smlad, sxtb16, sxtb16_ror8};

/// The kernel of Arm chips with the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmDsp;

impl Kernel for ArmDsp {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        blocked::gemm(self, a, b, drop, add, out);
    }
}

impl blocked::Blocks for ArmDsp {
    #[inline(always)]
    fn two_by_two(a0: &[i8], a1: &[i8], b0: &[i8], b1: &[i8]) -> [i32; 4] {
        let (mut s00, mut s01, mut s10, mut s11) = (0, 0, 0, 0);
        let (a0, a0_rest) = a0.as_chunks::<4>();
        let (a1, a1_rest) = a1.as_chunks::<4>();
        let (b0, b0_rest) = b0.as_chunks::<4>();
        let (b1, b1_rest) = b1.as_chunks::<4>();
        let mut add = |a0: u32, a1: u32, b0: u32, b1: u32| {
            let (a0, a0_odd) = (sxtb16(a0), sxtb16_ror8(a0));
            let (a1, a1_odd) = (sxtb16(a1), sxtb16_ror8(a1));
            let (b0, b0_odd) = (sxtb16(b0), sxtb16_ror8(b0));
            s00 = smlad(a0_odd, b0_odd, smlad(a0, b0, s00));
            s10 = smlad(a1_odd, b0_odd, smlad(a1, b0, s10));
            let (b1, b1_odd) = (sxtb16(b1), sxtb16_ror8(b1));
            s01 = smlad(a0_odd, b1_odd, smlad(a0, b1, s01));
            s11 = smlad(a1_odd, b1_odd, smlad(a1, b1, s11));
        };
        for (((a0, a1), b0), b1) in a0.iter().zip(a1).zip(b0).zip(b1) {
            add(word(a0), word(a1), word(b0), word(b1));
        }
        if !a0_rest.is_empty() {
            add(short(a0_rest), short(a1_rest), short(b0_rest), short(b1_rest));
        }
        [s00, s01, s10, s11]
    }

    fn rows(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
        if b.cols < COLS {
            return Scalar.gemm(*a, *b, 0, false, out);
        }
        let depth = a.cols.min(b.rows);
        let mut panel = [[0; 2]; PANEL / 2];
        let mut outs = out.chunks_exact_mut(b.cols).take(a.rows);
        let mut r = 0;
        while let Some(upper) = outs.next() {
            let mut lower = outs.next();
            for from in (0..depth).step_by(PANEL) {
                let len = PANEL.min(depth - from);
                let start = r * a.row_stride + from * a.col_stride;
                let first = x.get(start..).unwrap_or_default();
                let second = x.get(start + a.row_stride..).filter(|_| lower.is_some());
                let panel =
                    pack([first, second.unwrap_or_default()], a.col_stride, len, &mut panel);
                let b = Rows {
                    numbers: y.get(from * b.row_stride..).unwrap_or_default(),
                    stride: b.row_stride,
                    count: len,
                };
                match &mut lower {
                    Some(lower) => across(panel, b, from == 0, [&mut *upper, &mut **lower]),
                    None => across(panel, b, from == 0, [&mut *upper]),
                }
            }
            r += 2;
        }
    }
}

/// Depth of what is packed at a time.
const PANEL: usize = 64;
/// Columns of a block.
const COLS: usize = 4;

/// Packs two rows: neighbours along the depth in one word, the rows side by side.
fn pack<'a>(
    rows: [&[i8]; 2],
    stride: usize,
    len: usize,
    panel: &'a mut [[u32; 2]; PANEL / 2],
) -> &'a [[u32; 2]] {
    let [mut first, mut second] = rows.map(|row| row.iter().step_by(stride).take(len));
    let panel = panel.get_mut(..len.div_ceil(2)).unwrap_or_default();
    for [low, high] in &mut *panel {
        *low = next_pair(&mut first);
        *high = next_pair(&mut second);
    }
    panel
}

/// The next two numbers, or zeros, as halves of a word.
#[inline(always)]
fn next_pair<'a>(numbers: &mut impl Iterator<Item = &'a i8>) -> u32 {
    let low = i32::from(numbers.next().copied().unwrap_or(0));
    let high = i32::from(numbers.next().copied().unwrap_or(0));
    (low & 0xffff | high << 16).cast_unsigned()
}

/// Rows of `b`, `stride` apart.
#[derive(Clone, Copy)]
struct Rows<'a> {
    numbers: &'a [i8],
    stride: usize,
    count: usize,
}

/// Packed rows of `a` by rows of `b`: the `first` of a depth overwrites what `outs` hold.
#[inline(always)]
fn across<const R: usize>(panel: &[[u32; 2]], b: Rows<'_>, first: bool, outs: [&mut [i32]; R]) {
    let cols = outs.first().map_or(0, |out| out.len());
    let mut outs = outs.map(|out| out.iter_mut());
    for c in (0..cols).step_by(COLS) {
        // The last block starts early where it would not be full, and some of it is known.
        let start = c.min(cols - COLS);
        let numbers = b.numbers.get(start..).unwrap_or_default();
        let sums = block::<R>(panel, Rows { numbers, ..b });
        for (out, sums) in outs.iter_mut().zip(sums) {
            for (sum, slot) in sums.into_iter().skip(c - start).zip(out) {
                *slot = if first { sum } else { slot.wrapping_add(sum) };
            }
        }
    }
}

/// `R` packed rows of `a` by the first four columns of `b`.
#[inline(always)]
fn block<const R: usize>(panel: &[[u32; 2]], b: Rows<'_>) -> [[i32; COLS]; R] {
    let mut sums = [[0; COLS]; R];
    let mut add = |pairs: &[u32; 2], low: u32, high: u32| {
        let (left, right) = ((low & 0xffff) | (high << 16), (low >> 16) | (high & 0xffff_0000));
        let columns = [sxtb16(left), sxtb16_ror8(left), sxtb16(right), sxtb16_ror8(right)];
        for (sums, &pair) in sums.iter_mut().zip(pairs) {
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = smlad(pair, column, *sum);
            }
        }
    };
    let (pairs, last) = panel.split_at_checked(b.count / 2).unwrap_or_default();
    let needed = b.count.saturating_sub(1).saturating_mul(b.stride).saturating_add(COLS);
    if b.numbers.len() < needed {
        return sums;
    }
    let mut row = b.numbers.as_ptr();
    for pair in pairs {
        let next = row.wrapping_add(b.stride);
        // SAFETY: `numbers` holds four columns of all `count` rows, as was just checked, and
        // there are no more than `count / 2` pairs.
        let (low, high) =
            unsafe { (row.cast::<u32>().read_unaligned(), next.cast::<u32>().read_unaligned()) };
        add(pair, low, high);
        row = next.wrapping_add(b.stride);
    }
    if let ([pair], 1) = (last, b.count % 2) {
        let from = (b.count - 1) * b.stride;
        add(pair, short(b.numbers.get(from..from + COLS).unwrap_or_default()), 0);
    }
    sums
}

/// Four bytes as a word, the first lowest.
#[inline(always)]
fn word(bytes: &[i8; 4]) -> u32 {
    let &[a, b, c, d] = bytes;
    u32::from_le_bytes([a, b, c, d].map(i8::cast_unsigned))
}

/// Up to four bytes as a word; those missing are zero.
fn short(bytes: &[i8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |word, byte| word << 8 | u32::from(byte.cast_unsigned()))
}

/// The instructions themselves.
#[cfg(target_arch = "arm")]
mod instruction {
    use core::arch::asm;

    /// Bytes 0 and 2, widened to halves of a word.
    #[inline(always)]
    pub(super) fn sxtb16(word: u32) -> u32 {
        let wide;
        // SAFETY: computes a register from a register. An assembler that does not know the
        // instruction for this chip refuses it.
        unsafe {
            asm!("sxtb16 {}, {}", lateout(reg) wide, in(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        wide
    }

    /// Bytes 1 and 3, widened to halves of a word.
    #[inline(always)]
    pub(super) fn sxtb16_ror8(word: u32) -> u32 {
        let wide;
        // SAFETY: as above.
        unsafe {
            asm!("sxtb16 {}, {}, ror #8", lateout(reg) wide, in(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        wide
    }

    /// Both products of halves of `a` and `b`, added to `sum` modulo 2^32.
    #[inline(always)]
    pub(super) fn smlad(a: u32, b: u32, mut sum: i32) -> i32 {
        // SAFETY: as above. It may set the flag Q, so flags are not preserved.
        unsafe {
            asm!("smlad {0}, {1}, {2}, {0}", inout(reg) sum, in(reg) a, in(reg) b, options(pure, nomem, nostack));
        }
        sum
    }
}

/// What the instructions do, so that the rest is tested on a desktop too.
#[cfg(not(target_arch = "arm"))]
mod instruction {
    pub(super) fn sxtb16(word: u32) -> u32 {
        let [low, _, high, _] = word.to_le_bytes().map(|byte| i16::from(byte.cast_signed()));
        u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16
    }

    pub(super) fn sxtb16_ror8(word: u32) -> u32 {
        sxtb16(word.rotate_right(8))
    }

    pub(super) fn smlad(a: u32, b: u32, sum: i32) -> i32 {
        let [low, high] =
            [0, 16].map(|at| i32::from((a >> at) as i16) * i32::from((b >> at) as i16));
        sum.wrapping_add(low).wrapping_add(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(ArmDsp, "Arm DSP");
    }
}
