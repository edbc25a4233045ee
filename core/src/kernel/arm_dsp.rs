//! Products of bytes with the DSP instructions of Cortex-M4, M7, M33 and M55.
//!
//! `SMLAD` multiplies two pairs of 16-bit numbers and adds both products to a sum. Bytes become
//! such pairs by `SXTB16`, which widens every second byte of a word: along the depth four
//! neighbours give two pairs; across it two rows are interleaved first. Rows of `a` are widened
//! beforehand, in the order in which one instruction loads several of them.

#![expect(unsafe_code, reason = "instructions that the compiler does not choose, and their loads")]

mod loops;

use core::{cell::Cell, mem::MaybeUninit};

use super::blocked::{self, FourRows, Piece};

/// The kernel of Arm chips with the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmDsp;

by_blocks!(ArmDsp);

/// Words of four packed rows.
const PANEL: usize = 128;
type Panel = [MaybeUninit<u32>; PANEL];
/// Words of a pair of neighbours along the depth, in [`across`]: how far the two rows of `b` are
/// from the first, and the neighbours in four rows of `a`.
const WORDS: usize = 6;

impl blocked::Blocks for ArmDsp {
    const DEPTH: usize = 64;
    const COLS: usize = 2;

    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: &[Cell<i32>], cols: usize) {
        const ACROSS: usize = PANEL / WORDS * 2 - 2;
        let out = blocked::rows_of(out, cols, a.count);
        let last = (a.len.saturating_sub(1)).saturating_mul(b.row_stride);
        let last = last.saturating_add(cols.saturating_sub(1).saturating_mul(b.col_stride));
        let end = (a.len.saturating_sub(1)).saturating_mul(a.stride);
        let end = end.saturating_add(a.count.saturating_sub(1).saturating_mul(a.row_stride));
        let inside = last < b.numbers.len() && end < a.numbers.len();
        if a.len == 0 || !inside || out.iter().any(|row| row.len() != cols) {
            return;
        }
        let mut panel = [MaybeUninit::uninit(); PANEL];
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

/// How a panel is packed: of each group of numbers along the depth two, and where they go.
#[derive(Clone, Copy)]
struct Packing {
    groups: usize,
    /// The first number of the first group; from there to the second, and to the next group.
    from: usize,
    next: usize,
    step: usize,
    /// Words from group to group.
    words: usize,
}

impl Packing {
    /// Packs two numbers of each row into four words, group by group. Missing rows are zeros.
    ///
    /// # Safety
    ///
    /// All groups must lie inside `a` and behind `words`.
    unsafe fn pack(self, a: &FourRows<'_>, words: *mut u32) {
        let at = a.numbers.as_ptr().wrapping_add(self.from * a.stride);
        let groups = loops::Groups {
            at,
            other: at.wrapping_add(self.next * a.stride),
            rows: [1, 2, 3].map(|r| if r < a.count { r * a.row_stride } else { 0 }),
            words,
            count: self.groups,
            step: self.step * a.stride,
            bytes: 4 * self.words,
        };
        if self.groups == 0 {
            return;
        }
        // SAFETY: the caller vouches for it.
        unsafe { loops::pack(&groups) }
        if a.count < 4 {
            for group in 0..self.groups {
                // SAFETY: as above.
                (a.count..4).for_each(|r| unsafe { words.add(group * self.words + r).write(0) });
            }
        }
    }
}

/// By columns along which the depth is contiguous. Four numbers of every row become eight words:
/// the first and the third of each row, then the second and the fourth, as `SXTB16` gives them.
#[inline(never)]
fn along(a: &FourRows<'_>, b: &Piece<'_>, panel: &mut Panel, out: [&[Cell<i32>]; 4]) {
    let fours = (a.len / 4).min(PANEL / 8);
    let words = panel.as_mut_ptr().cast::<u32>();
    if fours > 0 {
        let first = Packing { groups: fours, from: 0, next: 2, step: 4, words: 8 };
        // SAFETY: whoever calls has looked where the rows of `a` end, and that `b` holds all
        // columns, and that each row of sums has a place for each; eight words of the panel are
        // for four of the depth.
        unsafe {
            Packing { from: 1, ..first }.pack(a, words.add(4));
            first.pack(a, words);
            loops::along(loops::Along {
                out: out.map(|row| row.as_ptr()),
                panel: words,
                end: words.add(8 * fours),
                odd: fours % 2,
                next: b.col_stride.wrapping_sub(4 * fours),
                columns: out[0].len(),
                column: b.numbers.as_ptr(),
            });
        }
    }
    if 4 * fours < a.len {
        last_numbers(a, b, 4 * fours, out);
    }
}

/// By rows of `b` whose columns are contiguous, two of these at a time.
#[inline(never)]
fn across(a: &FourRows<'_>, b: &Piece<'_>, panel: &mut Panel, out: [&[Cell<i32>]; 4]) {
    let columns = out[0].len() & !1;
    let (twos, last) = ((a.len / 2).min(PANEL / WORDS - 1), a.len % 2);
    let words = panel.as_mut_ptr().cast::<u32>();
    if columns > 0 {
        let packing = Packing { groups: twos, from: 0, next: 1, step: 2, words: WORDS };
        // SAFETY: as above; the panel says where the rows of `b` begin. Where the depth is odd, the
        // last row is read twice, once for a factor of zero.
        unsafe {
            let mut at = 0;
            let mut offsets = words;
            for _ in 0..twos {
                offsets.cast::<[u32; 2]>().write([at as u32, (at + b.row_stride) as u32]);
                at += 2 * b.row_stride;
                offsets = offsets.add(WORDS);
            }
            packing.pack(a, words.add(2));
            if last > 0 {
                let packing = Packing { groups: 1, from: 2 * twos, next: 0, ..packing };
                packing.pack(a, offsets.add(2));
                offsets.cast::<[u32; 2]>().write([at as u32; 2]);
                (2..WORDS).for_each(|w| *offsets.add(w) &= 0xffff);
            }
            let twos = twos + last;
            loops::across(loops::Across {
                out: out.map(|row| row.as_ptr()),
                odd: twos % 2,
                column: b.numbers.as_ptr(),
                panel: words.cast(),
                end: words.add(WORDS * twos).cast(),
                last: b.numbers.as_ptr().wrapping_add(columns),
            });
        }
    }
    if columns < out[0].len() {
        last_columns(a, b, columns, out);
    }
}

/// What is left over along the depth: the numbers of all columns from `depth` on.
#[inline(never)]
fn last_numbers(a: &FourRows<'_>, b: &Piece<'_>, depth: usize, out: [&[Cell<i32>]; 4]) {
    for (r, row) in out.iter().enumerate().take(a.count) {
        for k in depth..a.len {
            let factor = i32::from(a.row(r).get(k * a.stride).copied().unwrap_or(0));
            let mut at = k * b.row_stride;
            for slot in *row {
                let number = i32::from(b.numbers.get(at).copied().unwrap_or(0));
                slot.set(slot.get().wrapping_add(factor * number));
                at += b.col_stride;
            }
        }
    }
}

/// What is left over across it: the last columns from `col` on.
#[inline(never)]
fn last_columns(a: &FourRows<'_>, b: &Piece<'_>, col: usize, out: [&[Cell<i32>]; 4]) {
    for (r, row) in out.iter().enumerate().take(a.count) {
        for (slot, c) in row.get(col..).unwrap_or_default().iter().zip(col..) {
            let (numbers, factors) = (b.numbers.get(c * b.col_stride..), a.row(r));
            let numbers = numbers.unwrap_or_default();
            let (mut at, mut from, mut sum) = (0, 0, slot.get());
            for _ in 0..a.len {
                let (Some(&factor), Some(&number)) = (factors.get(from), numbers.get(at)) else {
                    break;
                };
                sum = sum.wrapping_add(i32::from(factor) * i32::from(number));
                (at, from) = (at + b.row_stride, from + a.stride);
            }
            slot.set(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{check_convolutions, check_products};

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(ArmDsp, "Arm DSP");
    }

    #[test]
    fn convolutions_equal_the_scalar_ones() {
        check_convolutions(&ArmDsp, "Arm DSP");
    }
}
