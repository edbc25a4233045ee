//! Products of bytes for RISC-V: four columns at a time, with a register for all that they need.

#![expect(unsafe_code, reason = "the compiler keeps half of the sums in memory")]

use core::cell::Cell;

use super::{
    blocked::{self, FourRows, Piece},
    pairs::{self, Pairs, Strip},
};

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
}

impl Pairs for RiscV {
    const COLS: usize = 4;
    const UNROLLED: usize = 2;

    #[cfg(target_arch = "riscv32")]
    #[inline(never)]
    unsafe fn columns(strip: &mut Strip) {
        /// Numbers of four columns by the factors.
        macro_rules! number {
            ($low:literal, $high:literal) => {
                concat!(
                    "lw {x}, ",
                    $low,
                    "({panel})\n",
                    "lw {y}, ",
                    $high,
                    "({panel})\n",
                    "lb {b0}, 0({c0})\nlb {b1}, 0({c1})\nlb {b2}, 0({c2})\nlb {b3}, 0({c3})\n",
                    "add {c0}, {c0}, {stride}\nadd {c1}, {c1}, {stride}\n",
                    "add {c2}, {c2}, {stride}\nadd {c3}, {c3}, {stride}\n",
                    "mul {p}, {x}, {b0}\nadd {s0}, {s0}, {p}\n",
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
        /// Sums of a column, in one word, go to two rows.
        macro_rules! sums {
            ($at:literal, $sum:literal) => {
                concat!(
                    "sll {x}, {",
                    $sum,
                    "}, {head}\nsra {x}, {x}, {head}\n",
                    "sub {",
                    $sum,
                    "}, {",
                    $sum,
                    "}, {x}\nsrai {",
                    $sum,
                    "}, {",
                    $sum,
                    "}, 16\n",
                    "lw {y}, ",
                    $at,
                    "({c0})\nadd {y}, {y}, {x}\nsw {y}, ",
                    $at,
                    "({c0})\n",
                    "lw {y}, ",
                    $at,
                    "({c1})\nadd {y}, {y}, {",
                    $sum,
                    "}\n",
                    "sw {y}, ",
                    $at,
                    "({c1})\n",
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
                number!("0", "4"),
                "addi {panel}, {panel}, 8",
                "beq {panel}, {end}, 5f",
                "4:",
                number!("0", "4"),
                number!("8", "12"),
                "addi {panel}, {panel}, 16",
                "bne {panel}, {end}, 4b",
                // The sums, two rows at a time.
                "5:",
                "lw {head}, 24({work})",
                "lw {c0}, 32({work})",
                "lw {c1}, 36({work})",
                "lw {c2}, 40({work})",
                "lw {c3}, 44({work})",
                "addi {x}, {c0}, 16",
                "sw {x}, 32({work})",
                "add {c1}, {x}, {c1}",
                "add {c2}, {x}, {c2}",
                "add {c3}, {x}, {c3}",
                sums!("0", "s0"), sums!("4", "s1"), sums!("8", "s2"), sums!("12", "s3"),
                "mv {c0}, {c2}",
                "mv {c1}, {c3}",
                sums!("0", "t0"), sums!("4", "t1"), sums!("8", "t2"), sums!("12", "t3"),
                "lw {x}, 28({work})",
                "addi {x}, {x}, -1",
                "sw {x}, 28({work})",
                "bnez {x}, 2b",
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
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(RiscV, "RISC-V");
    }
}
