//! Products of bytes for Arm chips without the DSP extension: four rows, column after column.
//!
//! On Cortex-M0 and M0+ the compiler leaves the upper half of the registers idle there, because most
//! instructions do not reach it. Additions do: so four sums live in the upper half, and in the lower
//! half four factors, which one instruction loads and a product may overwrite.

#![expect(unsafe_code, reason = "loops that use every register")]

use core::cell::Cell;

use super::blocked::{self, FourRows, Piece};

/// The kernel of Arm chips without the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmBase;

by_blocks!(ArmBase);

impl blocked::Blocks for ArmBase {
    const DEPTH: usize = 32;
    const COLS: usize = 1;

    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: [&[Cell<i32>]; 4]) {
        let mut panel = [[0; 4]; Self::DEPTH];
        let panel = panel.get_mut(..a.len).unwrap_or_default();
        a.each(panel, |slot, four| *slot = four.map(i32::from));
        let [cols, ..] = out.map(<[_]>::len);
        let last_row = panel.len().saturating_sub(1).saturating_mul(b.row_stride);
        let last_col = cols.saturating_sub(1).saturating_mul(b.col_stride);
        let same = out.iter().all(|row| row.len() == cols);
        let inside = last_row.saturating_add(last_col) < b.numbers.len();
        if panel.is_empty() || cols == 0 || !same || !inside {
            return;
        }
        let strip = Strip {
            row_stride: b.row_stride,
            panel: panel.as_ptr(),
            end: panel.as_ptr_range().end,
            column: b.numbers.as_ptr(),
            odd: panel.len() % 2,
            col_stride: b.col_stride,
            out: out.map(|row| row.as_ptr()),
            at: 0,
            bytes: 4 * cols,
        };
        // SAFETY: the last number of the last column lies in `numbers`, so all others do; every
        // row of sums has a place for each column.
        unsafe { columns(strip) }
    }
}

/// What the loop works on, in the order of its offsets.
#[repr(C)]
struct Strip {
    row_stride: usize,
    panel: *const [i32; 4],
    end: *const [i32; 4],
    column: *const i8,
    odd: usize,
    col_stride: usize,
    out: [*const Cell<i32>; 4],
    /// Where the sum of a column is in its row, in bytes, and where the rows end.
    at: usize,
    bytes: usize,
}

/// Adds four rows by all columns.
///
/// # Safety
///
/// There must be one column at least, and a number in each at every `row_stride` for as many times
/// as there are factors from `panel` to `end`, two columns `col_stride` apart; and as many sums in
/// each row of `out`.
#[cfg(all(target_arch = "arm", not(target_has_atomic = "8")))]
#[inline(never)]
unsafe fn columns(mut strip: Strip) {
    /// A number of a column by four factors.
    macro_rules! number {
        () => {
            "ldrsb r4, [r7, r5]
            ldm r6!, {{r0, r1, r2, r3}}
            muls r0, r4, r0
            add r8, r0
            muls r1, r4, r1
            add r9, r1
            muls r2, r4, r2
            add r10, r2
            muls r3, r4, r3
            add r11, r3
            add r5, r12"
        };
    }
    // SAFETY: reads and writes what the caller vouches for, and puts back the registers that Rust
    // does not lend here: all above r5.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "mov r2, r8",
            "mov r3, r9",
            "mov r4, r10",
            "mov r5, r11",
            "push {{r2, r3, r4, r5}}",
            "mov r2, r12",
            "mov r3, lr",
            "push {{r0, r2, r3}}",
            // A column: the sums begin at zero.
            "2:",
            "movs r5, #0",
            "mov r8, r5",
            "mov r9, r5",
            "mov r10, r5",
            "mov r11, r5",
            "ldr r3, [r0]",
            "ldr r6, [r0, #4]",
            "ldr r4, [r0, #8]",
            "ldr r7, [r0, #12]",
            "ldr r1, [r0, #16]",
            "mov r12, r3",
            "mov lr, r4",
            "cmp r1, #0",
            "bne 4f",
            "3:",
            number!(),
            "4:",
            number!(),
            "cmp r6, lr",
            "bne 3b",
            // The sums, one row after the other.
            "ldr r0, [sp]",
            "ldr r1, [r0, #40]",
            "ldr r2, [r0, #24]",
            "ldr r3, [r2, r1]",
            "add r3, r8",
            "str r3, [r2, r1]",
            "ldr r2, [r0, #28]",
            "ldr r3, [r2, r1]",
            "add r3, r9",
            "str r3, [r2, r1]",
            "ldr r2, [r0, #32]",
            "ldr r3, [r2, r1]",
            "add r3, r10",
            "str r3, [r2, r1]",
            "ldr r2, [r0, #36]",
            "ldr r3, [r2, r1]",
            "add r3, r11",
            "str r3, [r2, r1]",
            "ldr r2, [r0, #20]",
            "adds r7, r7, r2",
            "str r7, [r0, #12]",
            "adds r1, r1, #4",
            "str r1, [r0, #40]",
            "ldr r2, [r0, #44]",
            "cmp r1, r2",
            "bne 2b",
            "pop {{r0, r2, r3}}",
            "mov r12, r2",
            "mov lr, r3",
            "pop {{r2, r3, r4, r5}}",
            "mov r8, r2",
            "mov r9, r3",
            "mov r10, r4",
            "mov r11, r5",
            "pop {{r6, r7}}",
            inout("r0") &raw mut strip => _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
        );
    }
}

/// As for Armv6-M, with the registers and instructions of Armv7-M.
#[cfg(all(target_arch = "arm", target_has_atomic = "8"))]
#[inline(never)]
unsafe fn columns(mut strip: Strip) {
    /// A number of a column by four factors.
    macro_rules! number {
        () => {
            "ldrsb r4, [r11]
            add r11, r8
            ldm r9!, {{r5, r6, r12, lr}}
            mla r0, r5, r4, r0
            mla r1, r6, r4, r1
            mla r2, r12, r4, r2
            mla r3, lr, r4, r3"
        };
    }
    // SAFETY: reads and writes what the caller vouches for. What it changes is listed, or put back:
    // r6 and r7, which Rust does not lend.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "mov r7, r0",
            // A column: the sums begin at zero.
            "2:",
            "ldm r7, {{r8, r9, r10, r11}}",
            "ldr r12, [r7, #16]",
            "movs r0, #0",
            "movs r1, #0",
            "movs r2, #0",
            "movs r3, #0",
            "cmp r12, #0",
            "bne 4f",
            "3:",
            number!(),
            "4:",
            number!(),
            "cmp r9, r10",
            "bne 3b",
            // The sums, one row after the other.
            "ldr r12, [r7, #40]",
            "ldr r4, [r7, #24]",
            "ldr r5, [r4, r12]",
            "add r5, r0",
            "str r5, [r4, r12]",
            "ldr r4, [r7, #28]",
            "ldr r5, [r4, r12]",
            "add r5, r1",
            "str r5, [r4, r12]",
            "ldr r4, [r7, #32]",
            "ldr r5, [r4, r12]",
            "add r5, r2",
            "str r5, [r4, r12]",
            "ldr r4, [r7, #36]",
            "ldr r5, [r4, r12]",
            "add r5, r3",
            "str r5, [r4, r12]",
            "ldr r4, [r7, #12]",
            "ldr r5, [r7, #20]",
            "add r4, r5",
            "str r4, [r7, #12]",
            "add r12, #4",
            "str r12, [r7, #40]",
            "ldr r5, [r7, #44]",
            "cmp r12, r5",
            "bne 2b",
            "pop {{r6, r7}}",
            inout("r0") &raw mut strip => _,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}

/// What the loop computes, so that all around it is tested on a desktop too.
#[cfg(not(target_arch = "arm"))]
unsafe fn columns(strip: Strip) {
    // SAFETY: both belong to one slice, which the caller vouches for.
    let depth = unsafe { strip.end.offset_from_unsigned(strip.panel) };
    assert_eq!((strip.odd, strip.at), (depth % 2, 0));
    for c in 0..strip.bytes / 4 {
        for (r, row) in strip.out.into_iter().enumerate() {
            let sum = (0..depth).fold(0i32, |sum, k| {
                // SAFETY: the caller vouches for both.
                let (a, b) = unsafe {
                    (
                        (*strip.panel.add(k))[r],
                        *strip.column.add(c * strip.col_stride + k * strip.row_stride),
                    )
                };
                sum.wrapping_add(a * i32::from(b))
            });
            // SAFETY: as above.
            let slot = unsafe { &*row.add(c) };
            slot.set(slot.get().wrapping_add(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(ArmBase, "Arm");
    }
}
