//! Products of bytes with the DSP instructions of Cortex-M4, M7, M33 and M55.
//!
//! `SMLAD` multiplies two pairs of 16-bit numbers and adds both products to a sum. Bytes become
//! such pairs by `SXTB16`, which widens every second byte of a word: along the depth four
//! neighbours give two pairs; across it two rows are interleaved first.

#![expect(unsafe_code, reason = "instructions that the compiler does not choose, and their loads")]

use super::{Kernel, blocked, scalar};
use crate::tensor::Matrix;

/// The kernel of Arm chips with the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmDsp;

impl Kernel for ArmDsp {
    // As the scalar one.
    #[inline(always)]
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        blocked::gemm(self, a, b, drop, add, out);
    }
}

impl blocked::Blocks for ArmDsp {
    #[inline(always)]
    fn two_by_two(a0: &[i8], a1: &[i8], b0: &[i8], b1: &[i8]) -> [i32; 4] {
        let (a0, a0_rest) = a0.as_chunks::<4>();
        let (a1, a1_rest) = a1.as_chunks::<4>();
        let (b0, b0_rest) = b0.as_chunks::<4>();
        let (b1, b1_rest) = b1.as_chunks::<4>();
        let mut sums = loops::along(a0, a1, b0, b1);
        for (((&a0, &a1), &b0), &b1) in a0_rest.iter().zip(a1_rest).zip(b0_rest).zip(b1_rest) {
            let (a0, a1) = (i32::from(a0), i32::from(a1));
            let (b0, b1) = (i32::from(b0), i32::from(b1));
            let [s00, s01, s10, s11] = sums;
            sums = [
                s00.wrapping_add(a0 * b0),
                s01.wrapping_add(a0 * b1),
                s10.wrapping_add(a1 * b0),
                s11.wrapping_add(a1 * b1),
            ];
        }
        sums
    }

    fn rows(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
        if b.cols < COLS {
            return scalar::bytes(a, x, b, y, false, out);
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
                across(panel, b, from == 0, upper, lower.as_deref_mut());
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
    let [mut first, mut second] = rows.map(|row| row.iter().step_by(stride.max(1)).take(len));
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

/// Two packed rows of `a`, or one, by rows of `b`. The `first` of a depth overwrites what the
/// results hold.
fn across(
    panel: &[[u32; 2]],
    b: Rows<'_>,
    first: bool,
    upper: &mut [i32],
    mut lower: Option<&mut [i32]>,
) {
    let cols = upper.len();
    let needed = b.count.saturating_sub(1).saturating_mul(b.stride).saturating_add(cols);
    let (pairs, last) = panel.split_at_checked(b.count / 2).unwrap_or_default();
    if b.numbers.len() < needed || cols < COLS || last.len() != b.count % 2 {
        return;
    }
    let mut c = 0;
    while c < cols {
        // The last block starts early where it would not be full, and some of it is known.
        let start = c.min(cols - COLS);
        let row = b.numbers.as_ptr().wrapping_add(start);
        // Where the depth is odd, the last row is read twice, once for a factor of zero.
        let last_row = row.wrapping_add(2 * pairs.len() * b.stride);
        if let Some(lower) = lower.as_deref_mut() {
            // SAFETY: `numbers` holds `cols` columns of all `count` rows, as was just checked, and
            // four of them begin at `start`.
            let [above, below] = unsafe {
                let sums = loops::two_rows([[0; COLS]; 2], pairs, row, b.stride);
                loops::two_rows(sums, last, last_row, 0)
            };
            put(above, c - start, first, upper.get_mut(start..));
            put(below, c - start, first, lower.get_mut(start..));
        } else {
            // SAFETY: as above.
            let sums = unsafe {
                let sums = loops::one_row([0; COLS], pairs, row, b.stride);
                loops::one_row(sums, last, last_row, 0)
            };
            put(sums, c - start, first, upper.get_mut(start..));
        }
        c += COLS;
    }
}

/// Stores or adds what is new of four sums.
#[inline(always)]
fn put(sums: [i32; COLS], known: usize, first: bool, out: Option<&mut [i32]>) {
    let Some(out) = out.and_then(|out| out.first_chunk_mut::<COLS>()) else { return };
    if first && known == 0 {
        *out = sums;
        return;
    }
    for (slot, sum) in out.iter_mut().zip(sums).skip(known) {
        *slot = if first { sum } else { slot.wrapping_add(sum) };
    }
}

/// The inner loops.
#[cfg(target_arch = "arm")]
mod loops {
    use core::arch::asm;

    use super::COLS;

    /// Sums of two lines with two lines, which have the same length.
    #[inline(always)]
    pub(super) fn along(
        a0: &[[i8; 4]],
        a1: &[[i8; 4]],
        b0: &[[i8; 4]],
        b1: &[[i8; 4]],
    ) -> [i32; 4] {
        let (mut s00, mut s01, mut s10, mut s11) = (0, 0, 0, 0);
        let len = a0.len().min(a1.len()).min(b0.len()).min(b1.len());
        if len == 0 {
            return [0; 4];
        }
        // SAFETY: reads `len` words from each line, at any alignment. What it changes is listed,
        // or put back. It wants 14 registers and Rust lends 12, so r6 and r7 go to the stack, as
        // does the end of the first line.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "str r10, [sp, #-8]!",
                "2:",
                "ldr r6, [r4], #4",
                "sxtb16 r7, r6",
                "sxtb16 r6, r6, ror #8",
                "ldr r10, [r5], #4",
                "sxtb16 r11, r10",
                "sxtb16 r10, r10, ror #8",
                "ldr r12, [r8], #4",
                "sxtb16 lr, r12",
                "sxtb16 r12, r12, ror #8",
                "smlad r0, r7, lr, r0",
                "smlad r2, r11, lr, r2",
                "smlad r0, r6, r12, r0",
                "smlad r2, r10, r12, r2",
                "ldr r12, [r9], #4",
                "sxtb16 lr, r12",
                "sxtb16 r12, r12, ror #8",
                "smlad r1, r7, lr, r1",
                "smlad r3, r11, lr, r3",
                "smlad r1, r6, r12, r1",
                "smlad r3, r10, r12, r3",
                "ldr lr, [sp]",
                "cmp r4, lr",
                "bne 2b",
                "add sp, #8",
                "pop {{r6, r7}}",
                inout("r0") s00, inout("r1") s01, inout("r2") s10, inout("r3") s11,
                inout("r4") a0.as_ptr() => _, inout("r5") a1.as_ptr() => _,
                inout("r8") b0.as_ptr() => _, inout("r9") b1.as_ptr() => _,
                inout("r10") a0.as_ptr().wrapping_add(len) => _,
                out("r11") _, out("r12") _, out("lr") _,
                options(readonly),
            );
        }
        [s00, s01, s10, s11]
    }

    /// Adds two packed rows of `a` by four columns of pairs of rows of `b`.
    ///
    /// # Safety
    ///
    /// Four bytes must be readable at `row` and at every `stride` behind it, two rows a pair.
    #[inline(always)]
    pub(super) unsafe fn two_rows(
        sums: [[i32; COLS]; 2],
        pairs: &[[u32; 2]],
        row: *const i8,
        stride: usize,
    ) -> [[i32; COLS]; 2] {
        if pairs.is_empty() {
            return sums;
        }
        let [[mut s00, mut s01, mut s02, mut s03], [mut s10, mut s11, mut s12, mut s13]] = sums;
        // SAFETY: reads what the caller vouches for, at any alignment, and all of `pairs`. What it
        // changes is listed, or put back: r6 and r7, which Rust does not lend, go to the stack
        // with the two numbers for which no register is left.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "push {{r12, lr}}",
                "2:",
                "ldr r12, [sp]",
                "ldr r6, [r10]",
                "ldr r7, [r10, r12]",
                "add r10, r10, r12, lsl #1",
                "pkhbt r12, r6, r7, lsl #16",
                "pkhtb r7, r7, r6, asr #16",
                "ldr lr, [r11]",
                "sxtb16 r6, r12",
                "sxtb16 r12, r12, ror #8",
                "smlad r0, lr, r6, r0",
                "smlad r1, lr, r12, r1",
                "ldr lr, [r11, #4]",
                "smlad r4, lr, r6, r4",
                "smlad r5, lr, r12, r5",
                "sxtb16 r6, r7",
                "sxtb16 r7, r7, ror #8",
                "smlad r8, lr, r6, r8",
                "smlad r9, lr, r7, r9",
                "ldr lr, [r11], #8",
                "smlad r2, lr, r6, r2",
                "smlad r3, lr, r7, r3",
                "ldr lr, [sp, #4]",
                "cmp r11, lr",
                "bne 2b",
                "add sp, #8",
                "pop {{r6, r7}}",
                inout("r0") s00, inout("r1") s01, inout("r2") s02, inout("r3") s03,
                inout("r4") s10, inout("r5") s11, inout("r8") s12, inout("r9") s13,
                inout("r10") row => _, inout("r11") pairs.as_ptr() => _,
                inout("r12") stride => _, inout("lr") pairs.as_ptr_range().end => _,
            );
        }
        [[s00, s01, s02, s03], [s10, s11, s12, s13]]
    }

    /// As [`two_rows`], with the first of them only.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(super) unsafe fn one_row(
        sums: [i32; COLS],
        pairs: &[[u32; 2]],
        row: *const i8,
        stride: usize,
    ) -> [i32; COLS] {
        if pairs.is_empty() {
            return sums;
        }
        let [mut s0, mut s1, mut s2, mut s3] = sums;
        // SAFETY: reads what the caller vouches for, at any alignment, and all of `pairs`.
        unsafe {
            asm!(
                "2:",
                "ldr {low}, [{row}]",
                "ldr {high}, [{row}, {stride}]",
                "add {row}, {row}, {stride}, lsl #1",
                "ldr {pair}, [{pairs}], #8",
                "pkhbt {left}, {low}, {high}, lsl #16",
                "pkhtb {high}, {high}, {low}, asr #16",
                "sxtb16 {low}, {left}",
                "sxtb16 {left}, {left}, ror #8",
                "smlad {s0}, {pair}, {low}, {s0}",
                "smlad {s1}, {pair}, {left}, {s1}",
                "sxtb16 {low}, {high}",
                "sxtb16 {high}, {high}, ror #8",
                "smlad {s2}, {pair}, {low}, {s2}",
                "smlad {s3}, {pair}, {high}, {s3}",
                "cmp {pairs}, {end}",
                "bne 2b",
                s0 = inout(reg) s0, s1 = inout(reg) s1, s2 = inout(reg) s2, s3 = inout(reg) s3,
                row = inout(reg) row => _, stride = in(reg) stride,
                pairs = inout(reg) pairs.as_ptr() => _, end = in(reg) pairs.as_ptr_range().end,
                low = out(reg) _, high = out(reg) _, left = out(reg) _, pair = out(reg) _,
                options(readonly, nostack),
            );
        }
        [s0, s1, s2, s3]
    }
}

/// What the loops compute, so that all around them is tested on a desktop too.
#[cfg(not(target_arch = "arm"))]
mod loops {
    use super::COLS;

    pub(super) fn along(
        a0: &[[i8; 4]],
        a1: &[[i8; 4]],
        b0: &[[i8; 4]],
        b1: &[[i8; 4]],
    ) -> [i32; 4] {
        let dot = |a: &[[i8; 4]], b: &[[i8; 4]]| {
            let each = a.as_flattened().iter().zip(b.as_flattened());
            each.fold(0i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)))
        };
        [dot(a0, b0), dot(a0, b1), dot(a1, b0), dot(a1, b1)]
    }

    pub(super) unsafe fn two_rows(
        [first, second]: [[i32; COLS]; 2],
        pairs: &[[u32; 2]],
        row: *const i8,
        stride: usize,
    ) -> [[i32; COLS]; 2] {
        // SAFETY: passed on.
        unsafe { [add(first, pairs, 0, row, stride), add(second, pairs, 1, row, stride)] }
    }

    pub(super) unsafe fn one_row(
        sums: [i32; COLS],
        pairs: &[[u32; 2]],
        row: *const i8,
        stride: usize,
    ) -> [i32; COLS] {
        // SAFETY: passed on.
        unsafe { add(sums, pairs, 0, row, stride) }
    }

    unsafe fn add(
        mut sums: [i32; COLS],
        pairs: &[[u32; 2]],
        lane: usize,
        mut row: *const i8,
        stride: usize,
    ) -> [i32; COLS] {
        for pair in pairs {
            for half in [0, 16] {
                let factor = i32::from((pair[lane] >> half) as i16);
                for (c, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller vouches for it.
                    let number = unsafe { row.add(c).read() };
                    *sum = sum.wrapping_add(factor * i32::from(number));
                }
                row = row.wrapping_add(stride);
            }
        }
        sums
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
