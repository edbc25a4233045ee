//! Products of bytes for Arm chips without the DSP extension.

#![expect(unsafe_code, reason = "loops that use every register")]

use core::cell::Cell;

use super::{
    blocked::{self, FourRows, Piece},
    neighbours,
    pairs::{self, Pairs, Strip},
};
use crate::tensor::{MantissasMut, Patches, Taps};

/// The kernel of Arm chips without the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmBase;

by_blocks!(ArmBase);

impl blocked::Blocks for ArmBase {
    const DEPTH: usize = pairs::DEPTH;
    const COLS: usize = <Self as Pairs>::COLS;

    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: &[Cell<i32>], cols: usize) {
        pairs::four_rows::<Self>(a, b, out, cols);
    }

    #[inline(always)]
    fn convolve(
        x: &Patches<'_>,
        weight: &Taps<'_>,
        drop: u32,
        first: usize,
        out: &mut [i32],
        room: MantissasMut<'_>,
    ) {
        neighbours::convolve::<Self>(x, weight, drop, first, out, room);
    }
}

/// Column after column. The sums live in the upper half of the registers, which few instructions
/// but additions reach, and in the lower half two factors, which one instruction loads and a
/// product may overwrite.
#[cfg(all(target_arch = "arm", not(target_has_atomic = "8")))]
impl Pairs for ArmBase {
    const COLS: usize = 1;
    const UNROLLED: usize = 4;

    #[inline(never)]
    unsafe fn columns(strip: &mut Strip) {
        /// A number of a column by the factors.
        macro_rules! number {
            () => {
                "ldrsb r4, [r7, r5]
                ldm r6!, {{r0, r1}}
                muls r0, r4, r0
                add r8, r0
                muls r1, r4, r1
                add r9, r1
                add r5, r12"
            };
        }
        // SAFETY: reads and writes what the caller vouches for, and puts back the registers that
        // Rust does not lend here: r6 to r10, and r12.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "mov r1, r8",
                "mov r2, r9",
                "mov r3, r10",
                "mov r4, r12",
                "push {{r1, r2, r3, r4}}",
                "mov r10, r0",
                "ldr r1, [r0, #20]",
                "mov r12, r1",
                // A column.
                "2:",
                "mov r0, r10",
                "movs r5, #0",
                "mov r8, r5",
                "mov r9, r5",
                "ldm r0!, {{r2, r3, r6, r7}}",
                "cmp r6, r2",
                "beq 4f",
                "3:",
                number!(),
                "cmp r6, r2",
                "bne 3b",
                "cmp r6, r3",
                "beq 5f",
                "4:",
                number!(),
                number!(),
                number!(),
                number!(),
                "cmp r6, r3",
                "bne 4b",
                // The sums, one row after the other.
                "5:",
                "mov r0, r10",
                "ldr r1, [r0, #16]",
                "adds r7, r7, r1",
                "str r7, [r0, #12]",
                "ldr r7, [r0, #32]",
                "ldr r5, [r0, #24]",
                "mov r1, r8",
                "movs r2, r1",
                "lsls r2, r5",
                "asrs r2, r5",
                "subs r1, r1, r2",
                "asrs r1, r1, #16",
                "ldr r3, [r7]",
                "adds r3, r3, r2",
                "stm r7!, {{r3}}",
                "str r7, [r0, #32]",
                "ldr r4, [r0, #36]",
                "ldr r3, [r7, r4]",
                "adds r3, r3, r1",
                "str r3, [r7, r4]",
                "mov r1, r9",
                "movs r2, r1",
                "lsls r2, r5",
                "asrs r2, r5",
                "subs r1, r1, r2",
                "asrs r1, r1, #16",
                "ldr r4, [r0, #40]",
                "ldr r3, [r7, r4]",
                "adds r3, r3, r2",
                "str r3, [r7, r4]",
                "ldr r4, [r0, #44]",
                "ldr r3, [r7, r4]",
                "adds r3, r3, r1",
                "str r3, [r7, r4]",
                "ldr r1, [r0, #28]",
                "subs r1, r1, #1",
                "str r1, [r0, #28]",
                "bne 2b",
                "pop {{r1, r2, r3, r4}}",
                "mov r8, r1",
                "mov r9, r2",
                "mov r10, r3",
                "mov r12, r4",
                "pop {{r6, r7}}",
                inout("r0") &raw mut *strip => _,
                out("r1") _,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
            );
        }
    }
}

/// Two columns at a time.
#[cfg(all(target_arch = "arm", target_has_atomic = "8"))]
impl Pairs for ArmBase {
    const COLS: usize = 2;
    const UNROLLED: usize = 4;

    #[inline(never)]
    unsafe fn columns(strip: &mut Strip) {
        /// A number of each column by the factors.
        macro_rules! number {
            () => {
                "ldrsb r4, [r10]
                ldrsb r5, [r10, r11]
                add r10, lr
                ldm r9!, {{r6, r12}}
                mla r0, r6, r4, r0
                mla r1, r12, r4, r1
                mla r2, r6, r5, r2
                mla r3, r12, r5, r3"
            };
        }
        // SAFETY: reads and writes what the caller vouches for. What it changes is listed, or put
        // back: r6 and r7, which Rust does not lend.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "mov r7, r0",
                // Two columns.
                "2:",
                "ldm r7, {{r4, r8, r9, r10, r11, lr}}",
                "add r5, r10, r11, lsl #1",
                "str r5, [r7, #12]",
                "movs r0, #0",
                "movs r1, #0",
                "movs r2, #0",
                "movs r3, #0",
                "cmp r9, r4",
                "beq 4f",
                "3:",
                number!(),
                "ldr r4, [r7]",
                "cmp r9, r4",
                "bne 3b",
                "cmp r9, r8",
                "beq 5f",
                "4:",
                number!(),
                number!(),
                number!(),
                number!(),
                "cmp r9, r8",
                "bne 4b",
                // The sums, one row after the other.
                "5:",
                "add r8, r7, #24",
                "ldm r8, {{r6, r8, r9, r10, r11, r12}}",
                "ldrd r4, r5, [r9]",
                "cbz r6, 6f",
                "sxth r6, r0",
                "sub r0, r0, r6",
                "add r4, r4, r6",
                "sxth r6, r2",
                "sub r2, r2, r6",
                "add r5, r5, r6",
                "strd r4, r5, [r9], #8",
                "add r10, r9",
                "ldrd r4, r5, [r10]",
                "add r4, r4, r0, asr #16",
                "add r5, r5, r2, asr #16",
                "strd r4, r5, [r10]",
                "add r11, r9",
                "ldrd r4, r5, [r11]",
                "sxth r6, r1",
                "sub r1, r1, r6",
                "add r4, r4, r6",
                "sxth r6, r3",
                "sub r3, r3, r6",
                "add r5, r5, r6",
                "strd r4, r5, [r11]",
                "add r12, r9",
                "ldrd r4, r5, [r12]",
                "add r4, r4, r1, asr #16",
                "add r5, r5, r3, asr #16",
                "strd r4, r5, [r12]",
                "7:",
                "subs r8, #1",
                "strd r8, r9, [r7, #28]",
                "bne 2b",
                "b 8f",
                // Words of one row.
                "6:",
                "add r4, r0",
                "add r5, r2",
                "strd r4, r5, [r9], #8",
                "add r11, r9",
                "ldrd r4, r5, [r11]",
                "add r4, r1",
                "add r5, r3",
                "strd r4, r5, [r11]",
                "b 7b",
                "8:",
                "pop {{r6, r7}}",
                inout("r0") &raw mut *strip => _,
                out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
                out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            );
        }
    }
}

/// Shapes of both, on a desktop.
#[cfg(not(target_arch = "arm"))]
impl Pairs for ArmBase {
    const COLS: usize = 2;
    const UNROLLED: usize = 4;

    unsafe fn columns(strip: &mut Strip) {
        // SAFETY: the caller vouches for it.
        unsafe { pairs::columns::<Self>(strip) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{check_convolutions, check_products};

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(ArmBase, "Arm");
    }

    #[test]
    fn convolutions_equal_the_scalar_ones() {
        check_convolutions(&ArmBase, "Arm");
    }
}
