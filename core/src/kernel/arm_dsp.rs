//! Products of bytes with the DSP instructions of Cortex-M4, M7, M33 and M55.
//!
//! `SMLAD` multiplies two pairs of 16-bit numbers and adds both products to a sum. Bytes become
//! such pairs by `SXTB16`, which widens every second byte of a word: along the depth four
//! neighbours give two pairs; across it two rows are interleaved first. Rows of `a` are widened
//! beforehand, in the order in which one instruction loads several of them.

#![expect(unsafe_code, reason = "instructions that the compiler does not choose, and their loads")]

mod loops;

use core::cell::Cell;

use super::blocked::{self, FourRows, Piece};

/// The kernel of Arm chips with the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmDsp;

by_blocks!(ArmDsp);

/// Words of four packed rows.
const PANEL: usize = 128;
/// Words of a pair of neighbours along the depth, in [`across`]: how far the two rows of `b` are
/// from the first, and the neighbours in four rows of `a`.
const WORDS: usize = 6;

impl blocked::Blocks for ArmDsp {
    const DEPTH: usize = 64;
    const COLS: usize = 2;

    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: &[Cell<i32>], cols: usize) {
        const ACROSS: usize = PANEL / WORDS * 2;
        let out = blocked::rows_of(out, cols, a.count);
        let last = (a.len.saturating_sub(1)).saturating_mul(b.row_stride);
        let last = last.saturating_add(cols.saturating_sub(1).saturating_mul(b.col_stride));
        if a.len == 0 || last >= b.numbers.len() || out.iter().any(|row| row.len() != cols) {
            return;
        }
        let mut panel = [0; PANEL];
        if b.col_stride == 1 {
            for from in (0..a.len).step_by(ACROSS) {
                let a = a.part(from, ACROSS.min(a.len - from));
                let numbers = b.numbers.get(from * b.row_stride..).unwrap_or_default();
                across(&a, &Piece { numbers, ..*b }, &mut panel, out);
            }
        } else {
            along(a, b, &mut panel, out);
        }
    }
}

/// Two numbers as halves of a word.
#[inline(always)]
fn pair(low: i8, high: i8) -> u32 {
    (i32::from(low) & 0xffff | i32::from(high) << 16).cast_unsigned()
}

/// By columns along which the depth is contiguous. Four numbers of every row become eight words:
/// the first and the third of each row, then the second and the fourth, as `SXTB16` gives them.
fn along(a: &FourRows<'_>, b: &Piece<'_>, panel: &mut [u32; PANEL], out: [&[Cell<i32>]; 4]) {
    let fours = a.len / 4;
    let panel = panel.get_mut(..8 * fours).unwrap_or_default();
    if a.stride == 1 {
        for r in 0..a.count {
            for (words, four) in panel.as_chunks_mut::<8>().0.iter_mut().zip(a.row(r).as_chunks().0)
            {
                let [first, second, third, fourth] = *four;
                words[r % 4] = pair(first, third);
                words[4 + r % 4] = pair(second, fourth);
            }
        }
    } else {
        for (i, words) in panel.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut four = [[0; 4]; 4];
            a.part(4 * i, 4).each(&mut four, |slot, four| *slot = four);
            for r in 0..4 {
                words[r] = pair(four[0][r], four[2][r]);
                words[4 + r] = pair(four[1][r], four[3][r]);
            }
        }
    }
    if !panel.is_empty() {
        // SAFETY: the caller has made sure that `b` holds all columns, and that each row of sums
        // has a place for each; eight words of the panel are for four of the depth.
        unsafe {
            loops::along(loops::Along {
                out: out.map(|row| row.as_ptr()),
                panel: panel.as_ptr(),
                end: panel.as_ptr_range().end,
                odd: fours % 2,
                next: b.col_stride.wrapping_sub(4 * fours),
                columns: out[0].len(),
                column: b.numbers.as_ptr(),
            });
        }
    }
    if 4 * fours < a.len {
        one_by_one(a, b, 4 * fours, 0, out);
    }
}

/// By rows of `b` whose columns are contiguous, two of these at a time.
fn across(a: &FourRows<'_>, b: &Piece<'_>, panel: &mut [u32; PANEL], out: [&[Cell<i32>]; 4]) {
    let columns = out[0].len() & !1;
    let panel = panel.get_mut(..a.len.div_ceil(2) * WORDS).unwrap_or_default();
    let mut at = 0;
    let words = panel.as_chunks_mut::<WORDS>().0;
    for (words, k) in words.iter_mut().zip((0..).step_by(2)) {
        // Where the depth is odd, the last row is read twice, once for a factor of zero.
        let mut two = [[0; 4]; 2];
        let len = (a.len - k).min(2);
        a.part(k, len).each(two.get_mut(..len).unwrap_or_default(), |slot, four| *slot = four);
        let [low, high] = two;
        *words = [
            at,
            if len == 2 { at + b.row_stride as u32 } else { at },
            pair(low[0], high[0]),
            pair(low[1], high[1]),
            pair(low[2], high[2]),
            pair(low[3], high[3]),
        ];
        at += 2 * b.row_stride as u32;
    }
    if columns > 0 {
        // SAFETY: as above; the panel says where the rows of `b` begin.
        unsafe {
            loops::across(loops::Across {
                out: out.map(|row| row.as_ptr()),
                odd: words.len() % 2,
                column: b.numbers.as_ptr(),
                panel: words.as_ptr(),
                end: words.as_ptr_range().end,
                last: b.numbers.as_ptr().wrapping_add(columns),
            });
        }
    }
    one_by_one(a, b, 0, columns, out);
}

/// What is left over: the numbers of all columns from `depth` on, or those of the last columns.
fn one_by_one(a: &FourRows<'_>, b: &Piece<'_>, depth: usize, col: usize, out: [&[Cell<i32>]; 4]) {
    for (r, row) in out.iter().enumerate().take(a.count) {
        for (slot, c) in row.get(col..).unwrap_or_default().iter().zip(col..) {
            for k in depth..a.len {
                let factor = a.row(r).get(k * a.stride).copied().unwrap_or(0);
                let at = k * b.row_stride + c * b.col_stride;
                let number = b.numbers.get(at).copied().unwrap_or(0);
                slot.set(slot.get().wrapping_add(i32::from(factor) * i32::from(number)));
            }
        }
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
