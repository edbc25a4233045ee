//! Products of bytes for Cortex-M0 and M0+.
//!
//! The compiler leaves the upper half of the registers idle there, because most instructions do not
//! reach it. Additions do: so sums live in the upper half, and in the lower half are four pointers
//! into `b`, which share one offset. With that, any strides are alike.

#![expect(unsafe_code, reason = "registers that the compiler does not use")]

use super::{Kernel, added, scalar};
use crate::tensor::{Mantissas, Matrix};

/// The kernel of Armv6-M.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArmV6M;

impl Kernel for ArmV6M {
    // As the scalar one.
    #[inline(always)]
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        match (a.data, b.data) {
            (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => {
                if !a.is_whole() || !b.is_whole() || b.cols < COLS {
                    scalar::bytes(&a, x, &b, y, add, out);
                } else if add {
                    added(self, a, b, out);
                } else {
                    products(&a, x, &b, y, out);
                }
            }
            _ => scalar::wide(&a, &b, drop, add, out),
        }
    }
}

/// Columns of a block.
const COLS: usize = 4;
/// Depth of what is widened at a time.
const PANEL: usize = 64;

#[inline(never)]
fn products(a: &Matrix<'_>, x: &[i8], b: &Matrix<'_>, y: &[i8], out: &mut [i32]) {
    let depth = a.cols.min(b.rows);
    let mut panel = [0; PANEL];
    for (r, out) in out.chunks_exact_mut(b.cols.max(1)).take(a.rows).enumerate() {
        for from in (0..depth).step_by(PANEL) {
            let panel = panel.get_mut(..PANEL.min(depth - from)).unwrap_or_default();
            let row = x.get(r * a.row_stride + from * a.col_stride..).unwrap_or_default();
            let numbers = row.iter().step_by(a.col_stride.max(1));
            panel.iter_mut().zip(numbers).for_each(|(slot, &v)| *slot = v.into());
            let mut c = 0;
            while c < b.cols {
                // The last block starts early where it would not be full; some is known then.
                let start = c.min(b.cols - COLS);
                let first = from * b.row_stride + start * b.col_stride;
                let sums = four_columns(panel, y.get(first..).unwrap_or_default(), b);
                let new = sums.into_iter().skip(c - start);
                for (slot, sum) in out.get_mut(c..).unwrap_or_default().iter_mut().zip(new) {
                    *slot = if from == 0 { sum } else { slot.wrapping_add(sum) };
                }
                c += COLS;
            }
        }
    }
}

/// Numbers times four columns, of which the first begins where `y` does.
fn four_columns(factors: &[i32], y: &[i8], b: &Matrix<'_>) -> [i32; COLS] {
    let last = factors.len().saturating_sub(1).saturating_mul(b.row_stride);
    let last = last.saturating_add((COLS - 1).saturating_mul(b.col_stride));
    if factors.is_empty() || last >= y.len() {
        return [0; COLS];
    }
    let column = |c: usize| y.as_ptr().wrapping_add(c * b.col_stride);
    let work = Work {
        columns: [column(0), column(1), column(2), column(3)],
        factors: factors.as_ptr(),
        end: factors.as_ptr_range().end,
        stride: b.row_stride,
    };
    // SAFETY: the last number of the last column lies in `y`, so all others do.
    unsafe { inner_loop(&work) }
}

/// What the loop reads before it begins, in this order.
#[repr(C)]
struct Work {
    columns: [*const i8; COLS],
    factors: *const i32,
    end: *const i32,
    stride: usize,
}

/// # Safety
///
/// `columns` must be readable at every `stride` for as many times as there are factors from
/// `factors` to `end`, one at least.
#[cfg(target_arch = "arm")]
unsafe fn inner_loop(work: &Work) -> [i32; COLS] {
    let mut sums = [0; COLS];
    // SAFETY: reads what the caller vouches for, writes `sums`, and puts back the registers that
    // Rust does not lend here: all above r5.
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
            "push {{r1, r2, r3}}",
            "movs r4, #0",
            "mov r8, r4",
            "mov r9, r4",
            "mov r10, r4",
            "mov r11, r4",
            "ldr r6, [r0, #16]",
            "ldr r2, [r0, #20]",
            "mov lr, r2",
            "ldr r2, [r0, #24]",
            "mov r12, r2",
            "ldm r0, {{r0, r1, r2, r3}}",
            "2:",
            "ldm r6!, {{r5}}",
            "ldrsb r7, [r0, r4]",
            "muls r7, r5, r7",
            "add r8, r7",
            "ldrsb r7, [r1, r4]",
            "muls r7, r5, r7",
            "add r9, r7",
            "ldrsb r7, [r2, r4]",
            "muls r7, r5, r7",
            "add r10, r7",
            "ldrsb r7, [r3, r4]",
            "muls r7, r5, r7",
            "add r11, r7",
            "add r4, r12",
            "cmp r6, lr",
            "bne 2b",
            "pop {{r1, r2, r3}}",
            "mov r12, r2",
            "mov lr, r3",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "stm r1!, {{r4, r5, r6, r7}}",
            "pop {{r2, r3, r4, r5}}",
            "mov r8, r2",
            "mov r9, r3",
            "mov r10, r4",
            "mov r11, r5",
            "pop {{r6, r7}}",
            inout("r0") work => _,
            inout("r1") sums.as_mut_ptr() => _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
        );
    }
    sums
}

/// What the loop computes, so that all around it is tested on a desktop too.
#[cfg(not(target_arch = "arm"))]
unsafe fn inner_loop(work: &Work) -> [i32; COLS] {
    // SAFETY: both belong to one slice, which the caller vouches for.
    let count = unsafe { work.end.offset_from_unsigned(work.factors) };
    work.columns.map(|column| {
        (0..count).fold(0i32, |sum, k| {
            // SAFETY: the caller vouches for both.
            let (a, b) = unsafe { (*work.factors.add(k), *column.add(k * work.stride)) };
            sum.wrapping_add(a * i32::from(b))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::check_products;

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(ArmV6M, "Armv6-M");
    }
}
