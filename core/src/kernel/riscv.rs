//! Products of bytes for RISC-V: four columns at a time, with a register for all that they need.

#![expect(unsafe_code, reason = "the compiler keeps half of the sums in memory")]

use core::cell::Cell;

use super::{
    blocked::{self, FourRows, Piece},
    neighbours,
    pairs::{self, Pairs, Strip},
};
use crate::tensor::{MantissasMut, Patches, Taps};

/// The kernel of 32-bit RISC-V chips that multiply.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RiscV;

by_blocks!(RiscV);

impl blocked::Blocks for RiscV {
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

impl Pairs for RiscV {
    const COLS: usize = 4;
    const UNROLLED: usize = 4;

    #[cfg(target_arch = "riscv32")]
    #[inline(never)]
    unsafe fn columns(strip: &mut Strip) {
        /// Numbers of four columns, which are at `b0` to `b3`, by the factors at `low` and `high`.
        macro_rules! number {
            ($low:literal, $high:literal, $b0:expr, $b1:expr, $b2:expr, $b3:expr) => {
                concat!(
                    "lw {x}, ",
                    $low,
                    "({panel})\nlw {y}, ",
                    $high,
                    "({panel})\nlb {b0}, ",
                    $b0,
                    "\nlb {b1}, ",
                    $b1,
                    "\nlb {b2}, ",
                    $b2,
                    "\nlb {b3}, ",
                    $b3,
                    "\nmul {p}, {x}, {b0}\nadd {s0}, {s0}, {p}\n",
                    "mul {p}, {y}, {b0}\nadd {t0}, {t0}, {p}\n",
                    "mul {p}, {x}, {b1}\nadd {s1}, {s1}, {p}\n",
                    "mul {p}, {y}, {b1}\nadd {t1}, {t1}, {p}\n",
                    "mul {p}, {x}, {b2}\nadd {s2}, {s2}, {p}\n",
                    "mul {p}, {y}, {b2}\nadd {t2}, {t2}, {p}\n",
                    "mul {p}, {x}, {b3}\nadd {s3}, {s3}, {p}\n",
                    "mul {p}, {y}, {b3}\nadd {t3}, {t3}, {p}\n",
                )
            };
        }
        /// The same from the next numbers of columns along which the depth is contiguous.
        macro_rules! along {
            ($low:literal, $high:literal, $at:literal) => {
                number!(
                    $low,
                    $high,
                    concat!($at, "({c0})"),
                    concat!($at, "({c1})"),
                    concat!($at, "({c2})"),
                    concat!($at, "({c3})")
                )
            };
        }
        /// The same from the next row of columns that lie side by side.
        macro_rules! across {
            ($low:literal, $high:literal) => {
                concat!(
                    number!($low, $high, "0({c0})", "1({c0})", "2({c0})", "3({c0})"),
                    "add {c0}, {c0}, {stride}\n"
                )
            };
        }
        /// Adds a sum to a row.
        macro_rules! add {
            ($at:literal, $row:literal, $sum:literal) => {
                concat!(
                    "lw {y}, ",
                    $at,
                    "({",
                    $row,
                    "})\nadd {y}, {y}, {",
                    $sum,
                    "}\nsw {y}, ",
                    $at,
                    "({",
                    $row,
                    "})\n",
                )
            };
        }
        /// Sums of a column, in one word, go to two rows.
        macro_rules! sums {
            ($at:literal, $low:literal, $high:literal, $sum:literal) => {
                concat!(
                    "slli {x}, {",
                    $sum,
                    "}, 16\nsrai {x}, {x}, 16\nsub {",
                    $sum,
                    "}, {",
                    $sum,
                    "}, {x}\nsrai {",
                    $sum,
                    "}, {",
                    $sum,
                    "}, 16\n",
                    add!($at, $low, "x"),
                    add!($at, $high, $sum),
                )
            };
        }
        // SAFETY: reads and writes what the caller vouches for, and changes what is listed.
        unsafe {
            core::arch::asm!(
                "lw {stride}, 20({work})",
                "lw {end}, 4({work})",
                "2:",
                "lw {x}, 16({work})",
                "lw {panel}, 8({work})",
                "lw {head}, 0({work})",
                "lw {c0}, 12({work})",
                "add {c1}, {c0}, {x}",
                "add {c2}, {c1}, {x}",
                "add {c3}, {c2}, {x}",
                "add {x}, {c3}, {x}",
                "sw {x}, 12({work})",
                "mv {s0}, zero", "mv {s1}, zero", "mv {s2}, zero", "mv {s3}, zero",
                "mv {t0}, zero", "mv {t1}, zero", "mv {t2}, zero", "mv {t3}, zero",
                "beq {panel}, {head}, 4f",
                "3:",
                along!("0", "4", "0"),
                "add {c0}, {c0}, {stride}",
                "add {c1}, {c1}, {stride}",
                "add {c2}, {c2}, {stride}",
                "add {c3}, {c3}, {stride}",
                "addi {panel}, {panel}, 8",
                "bne {panel}, {head}, 3b",
                "beq {panel}, {end}, 7f",
                "4:",
                "addi {x}, {stride}, -1",
                "beqz {x}, 6f",
                "5:",
                across!("0", "4"),
                across!("8", "12"),
                across!("16", "20"),
                across!("24", "28"),
                "addi {panel}, {panel}, 32",
                "bne {panel}, {end}, 5b",
                "j 7f",
                "6:",
                along!("0", "4", "0"),
                along!("8", "12", "1"),
                along!("16", "20", "2"),
                along!("24", "28", "3"),
                "addi {c0}, {c0}, 4",
                "addi {c1}, {c1}, 4",
                "addi {c2}, {c2}, 4",
                "addi {c3}, {c3}, 4",
                "addi {panel}, {panel}, 32",
                "bne {panel}, {end}, 6b",
                // The sums.
                "7:",
                "lw {head}, 24({work})",
                "lw {c0}, 32({work})",
                "lw {c1}, 36({work})",
                "lw {c2}, 40({work})",
                "lw {c3}, 44({work})",
                "addi {x}, {c0}, 16",
                "sw {x}, 32({work})",
                "add {c2}, {x}, {c2}",
                "beqz {head}, 8f",
                "add {c1}, {x}, {c1}",
                "add {c3}, {x}, {c3}",
                sums!("0", "c0", "c1", "s0"), sums!("4", "c0", "c1", "s1"),
                sums!("8", "c0", "c1", "s2"), sums!("12", "c0", "c1", "s3"),
                sums!("0", "c2", "c3", "t0"), sums!("4", "c2", "c3", "t1"),
                sums!("8", "c2", "c3", "t2"), sums!("12", "c2", "c3", "t3"),
                "9:",
                "lw {x}, 28({work})",
                "addi {x}, {x}, -1",
                "sw {x}, 28({work})",
                "bnez {x}, 2b",
                "j 10f",
                // Words of one row.
                "8:",
                add!("0", "c0", "s0"), add!("4", "c0", "s1"),
                add!("8", "c0", "s2"), add!("12", "c0", "s3"),
                add!("0", "c2", "t0"), add!("4", "c2", "t1"),
                add!("8", "c2", "t2"), add!("12", "c2", "t3"),
                "j 9b",
                "10:",
                work = in(reg) &raw mut *strip,
                panel = out(reg) _, end = out(reg) _, head = out(reg) _, stride = out(reg) _,
                c0 = out(reg) _, c1 = out(reg) _, c2 = out(reg) _, c3 = out(reg) _,
                x = out(reg) _, y = out(reg) _, p = out(reg) _,
                b0 = out(reg) _, b1 = out(reg) _, b2 = out(reg) _, b3 = out(reg) _,
                s0 = out(reg) _, s1 = out(reg) _, s2 = out(reg) _, s3 = out(reg) _,
                t0 = out(reg) _, t1 = out(reg) _, t2 = out(reg) _, t3 = out(reg) _,
            );
        }
    }

    #[cfg(not(target_arch = "riscv32"))]
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
        check_products(RiscV, "RISC-V");
    }

    #[test]
    fn convolutions_equal_the_scalar_ones() {
        check_convolutions(&RiscV, "RISC-V");
    }
}
