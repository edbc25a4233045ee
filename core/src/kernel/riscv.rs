//! Products of bytes for RISC-V: four rows by four columns, with a register for each sum.

#![expect(unsafe_code, reason = "the compiler keeps half of the sums in memory")]

use core::cell::Cell;

use super::blocked::{self, FourRows, Piece};

/// The kernel of 32-bit RISC-V chips that multiply.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RiscV;

by_blocks!(RiscV);

impl blocked::Blocks for RiscV {
    const DEPTH: usize = 64;
    const COLS: usize = 1;

    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: [&[Cell<i32>]; 4]) {
        let mut panel = [[0; 4]; Self::DEPTH];
        let panel = panel.get_mut(..a.len).unwrap_or_default();
        a.each(panel, |slot, four| *slot = four);
        let [cols, ..] = out.map(<[_]>::len);
        let last = panel.len().saturating_sub(1).saturating_mul(b.row_stride);
        let last = last.saturating_add(cols.saturating_sub(1).saturating_mul(b.col_stride));
        if panel.is_empty() || last >= b.numbers.len() {
            return;
        }
        let mut next = b.numbers.as_ptr();
        for from in (0..cols).step_by(4) {
            // Where there are fewer, the last column comes again and is left out of the sums.
            let mut columns = [next; 4];
            for (column, c) in columns.iter_mut().zip(from..) {
                *column = next;
                if c + 1 < cols {
                    next = next.wrapping_add(b.col_stride);
                }
            }
            // SAFETY: the last number of the last column lies in `numbers`, so all others do.
            let sums = unsafe { block(panel, columns, b.row_stride) };
            for (row, sums) in out.into_iter().zip(sums) {
                for (slot, sum) in row.get(from..).unwrap_or_default().iter().zip(sums) {
                    slot.set(slot.get().wrapping_add(sum));
                }
            }
        }
    }
}

/// Sums of four rows with four columns.
///
/// # Safety
///
/// Each column must be readable at every `stride` for as many times as `panel`, which is not empty,
/// has factors of a row.
#[cfg(target_arch = "riscv32")]
#[inline(always)]
unsafe fn block(panel: &[[i8; 4]], columns: [*const i8; 4], stride: usize) -> [[i32; 4]; 4] {
    let [c0, c1, c2, c3] = columns;
    // No register is left for the stride; that of this becomes the end of the panel.
    let work = [stride, panel.as_ptr_range().end.addr()];
    let mut s = [[0i32; 4]; 4];
    let [[s00, s01, s02, s03], [s10, s11, s12, s13], [s20, s21, s22, s23], [s30, s31, s32, s33]] =
        &mut s;
    /// A row: its factor by four numbers.
    macro_rules! row {
        ($at:literal, $s0:literal, $s1:literal, $s2:literal, $s3:literal) => {
            concat!(
                "lb {a}, ",
                $at,
                "({panel})\n",
                "mul {p}, {a}, {b0}\nadd {",
                $s0,
                "}, {",
                $s0,
                "}, {p}\n",
                "mul {p}, {a}, {b1}\nadd {",
                $s1,
                "}, {",
                $s1,
                "}, {p}\n",
                "mul {p}, {a}, {b2}\nadd {",
                $s2,
                "}, {",
                $s2,
                "}, {p}\n",
                "mul {p}, {a}, {b3}\nadd {",
                $s3,
                "}, {",
                $s3,
                "}, {p}\n",
            )
        };
    }
    // SAFETY: reads what the caller vouches for, and all of `panel`; the stride lies on the stack,
    // because every register is in use.
    unsafe {
        core::arch::asm!(
            "addi sp, sp, -16",
            "lw {a}, 0({work})",
            "sw {a}, 0(sp)",
            "lw {work}, 4({work})",
            "2:",
            "lw {a}, 0(sp)",
            "lb {b0}, 0({c0})",
            "lb {b1}, 0({c1})",
            "lb {b2}, 0({c2})",
            "lb {b3}, 0({c3})",
            "add {c0}, {c0}, {a}",
            "add {c1}, {c1}, {a}",
            "add {c2}, {c2}, {a}",
            "add {c3}, {c3}, {a}",
            row!("0", "s00", "s01", "s02", "s03"),
            row!("1", "s10", "s11", "s12", "s13"),
            row!("2", "s20", "s21", "s22", "s23"),
            row!("3", "s30", "s31", "s32", "s33"),
            "addi {panel}, {panel}, 4",
            "bne {panel}, {work}, 2b",
            "addi sp, sp, 16",
            panel = inout(reg) panel.as_ptr() => _,
            work = inout(reg) work.as_ptr() => _,
            c0 = inout(reg) c0 => _, c1 = inout(reg) c1 => _,
            c2 = inout(reg) c2 => _, c3 = inout(reg) c3 => _,
            a = out(reg) _, p = out(reg) _, b0 = out(reg) _, b1 = out(reg) _, b2 = out(reg) _, b3 = out(reg) _,
            s00 = inout(reg) *s00, s01 = inout(reg) *s01, s02 = inout(reg) *s02, s03 = inout(reg) *s03,
            s10 = inout(reg) *s10, s11 = inout(reg) *s11, s12 = inout(reg) *s12, s13 = inout(reg) *s13,
            s20 = inout(reg) *s20, s21 = inout(reg) *s21, s22 = inout(reg) *s22, s23 = inout(reg) *s23,
            s30 = inout(reg) *s30, s31 = inout(reg) *s31, s32 = inout(reg) *s32, s33 = inout(reg) *s33,
        );
    }
    s
}

/// What the loop computes, so that all around it is tested on a desktop too.
#[cfg(not(target_arch = "riscv32"))]
unsafe fn block(panel: &[[i8; 4]], columns: [*const i8; 4], stride: usize) -> [[i32; 4]; 4] {
    [0, 1, 2, 3].map(|r| {
        columns.map(|column| {
            panel.iter().enumerate().fold(0i32, |sum, (k, factors)| {
                // SAFETY: the caller vouches for it.
                let number = unsafe { column.wrapping_add(k * stride).read() };
                sum.wrapping_add(i32::from(factors[r]) * i32::from(number))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(RiscV, "RISC-V");
    }
}
