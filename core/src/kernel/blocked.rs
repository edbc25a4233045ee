//! Products of bytes in blocks of registers, for 32-bit cores without vector units.
//!
//! Four rows of `a` are taken at a time, a piece of the depth after the other, and copied in the
//! order in which they are needed. A number of `b` is then loaded once for four products, and `b`
//! needs no copy, which tiles of few rows would not pay for.

use core::cell::Cell;

use super::{convolve, proven::Proven, scalar};
use crate::tensor::{Mantissas, MantissasMut, Matrix, Patches, Taps};

/// [`Scalar`](super::Scalar) with products that load and store less. In safe code, for every machine.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Blocked;

/// Makes a [`Kernel`](super::Kernel) of a type with [`Blocks`].
macro_rules! by_blocks {
    ($kernel:ty) => {
        impl $crate::kernel::Kernel for $kernel {
            // As the scalar one.
            #[inline(always)]
            fn gemm(
                &self,
                a: $crate::tensor::Matrix<'_>,
                b: $crate::tensor::Matrix<'_>,
                drop: u32,
                add: bool,
                out: &mut [i32],
            ) {
                $crate::kernel::blocked::gemm::<Self>(a, b, drop, add, out);
            }

            #[inline(always)]
            fn convolve(
                &self,
                x: &$crate::tensor::Patches<'_>,
                weight: &$crate::tensor::Taps<'_>,
                drop: u32,
                first: usize,
                out: &mut [i32],
                room: $crate::tensor::MantissasMut<'_>,
            ) {
                use $crate::kernel::blocked::Blocks;
                <Self as Blocks>::convolve(x, weight, drop, first, out, room);
            }

            #[inline(always)]
            fn convolve_grad(
                &self,
                sums: &$crate::kernel::WindowGrad<'_>,
                out: &mut [i32],
                room: $crate::tensor::MantissasMut<'_>,
            ) {
                let proven = $crate::kernel::proven::Proven::<Self>::new();
                $crate::kernel::convolve::convolve_grad(&proven, sums, out, room);
            }

            #[inline(always)]
            fn depthwise(
                &self,
                sums: &$crate::kernel::Depthwise<'_>,
                first: usize,
                out: &mut [i32],
            ) {
                $crate::kernel::strided::depthwise(sums, first, out);
            }

            #[inline(always)]
            fn depthwise_grad(&self, sums: &$crate::kernel::DepthwiseGrad<'_>, out: &mut [i32]) {
                $crate::kernel::strided::depthwise_grad(sums, out);
            }

            #[inline(always)]
            fn adds_convolutions(&self) -> bool {
                true
            }

            fn peak_beyond(&self, source: $crate::tensor::Source<'_>, known: u32) -> u32 {
                $crate::quant::compact::peak_beyond(source, known)
            }

            fn quantize(
                &self,
                quantizer: &$crate::quant::Quantizer,
                source: $crate::tensor::Source<'_>,
                first: u32,
                codes: $crate::tensor::MantissasMut<'_>,
            ) -> $crate::quant::Counts {
                quantizer.run_compact::<$crate::kernel::ChipLoops>(source, first, codes)
            }

            #[inline(always)]
            fn descend(
                &self,
                descend: &$crate::optim::Descend,
                grad: &[i32],
                first: u32,
                pass: &[u8],
                velocity: $crate::tensor::MantissasMut<'_>,
                master: $crate::tensor::MantissasMut<'_>,
            ) -> $crate::optim::Descent {
                type Loops = $crate::kernel::ChipLoops;
                descend.run_compact::<Loops>(grad, first, pass, velocity, master)
            }
        }
    };
}
by_blocks!(Blocked);

/// What a chip does its own way.
pub(super) trait Blocks: Sized {
    /// Depth of a piece.
    const DEPTH: usize;
    /// Fewer columns are left to the scalar kernel.
    const COLS: usize;

    /// Adds four rows of `a` by all columns of `b` to as many rows of sums, which have a place for
    /// each of the `cols` columns.
    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: &[Cell<i32>], cols: usize);

    /// [`Kernel::convolve`](super::Kernel::convolve).
    fn convolve(
        x: &Patches<'_>,
        weight: &Taps<'_>,
        drop: u32,
        first: usize,
        out: &mut [i32],
        room: MantissasMut<'_>,
    ) {
        convolve::convolve(&Proven::<Self>::new(), x, weight, drop, first, out, room);
    }
}

/// The rows of `out`. Missing rows share the place of the first, which is to be stored last.
pub(super) fn rows_of(out: &[Cell<i32>], cols: usize, count: usize) -> [&[Cell<i32>]; 4] {
    [0, 1, 2, 3].map(|r| {
        let from = if r < count { r * cols } else { 0 };
        out.get(from..from + cols).unwrap_or_default()
    })
}

/// Four rows of `a`, or fewer and then zeros, in a piece of the depth.
#[derive(Clone, Copy)]
pub(super) struct FourRows<'a> {
    /// From the first number of the piece on.
    pub(super) numbers: &'a [i8],
    /// Rows that are not zeros.
    pub(super) count: usize,
    /// Distance between rows.
    pub(super) row_stride: usize,
    /// Distance between the numbers of a row.
    pub(super) stride: usize,
    /// Depth of the piece: 1 to [`Blocks::DEPTH`].
    pub(super) len: usize,
}

impl<'a> FourRows<'a> {
    /// A shorter piece of the same rows.
    #[cfg(any(test, target_arch = "arm", target_arch = "riscv32"))]
    pub(super) fn part(self, from: usize, len: usize) -> Self {
        let numbers = self.numbers.get(from * self.stride..).unwrap_or_default();
        Self { numbers, len, ..self }
    }

    /// A row and those behind it.
    pub(super) fn row(&self, r: usize) -> &'a [i8] {
        self.numbers.get(r * self.row_stride..).unwrap_or_default()
    }

    /// Has `put` store number `k` of every row.
    #[inline(always)]
    pub(super) fn each<T>(&self, slots: &mut [T], put: impl Fn(&mut T, [i8; 4])) {
        if self.row_stride == 1 && self.count == 4 {
            // Neighbours, as in the gradient of a weight.
            let mut rest = self.numbers;
            for slot in slots {
                let Some(&four) = rest.first_chunk() else { return };
                put(slot, four);
                rest = rest.get(self.stride..).unwrap_or_default();
            }
        } else {
            let row = |r| if r < self.count { self.row(r) } else { &[] };
            let rows = [row(0), row(1), row(2), row(3)];
            let mut at = 0;
            for slot in slots {
                put(slot, rows.map(|row| row.get(at).copied().unwrap_or(0)));
                at += self.stride;
            }
        }
    }
}

/// A piece of the depth of `b`, which holds all its numbers.
pub(super) struct Piece<'a> {
    /// From the first number on.
    pub(super) numbers: &'a [i8],
    /// Distance along the depth.
    pub(super) row_stride: usize,
    /// Distance between columns.
    pub(super) col_stride: usize,
}

/// [`Kernel::gemm`](super::Kernel::gemm) by blocks, or by the scalar kernel where there are none for it.
#[inline(always)]
pub(super) fn gemm<B: Blocks>(a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
    match (a.data, b.data) {
        (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => bytes::<B>(a, x, b, y, add, out),
        _ => scalar::wide(&a, &b, drop, add, out),
    }
}

#[inline(never)]
fn bytes<'m, B: Blocks>(
    a: Matrix<'m>,
    x: &'m [i8],
    b: Matrix<'m>,
    y: &'m [i8],
    add: bool,
    out: &mut [i32],
) {
    if !in_blocks::<B>(&a, &b) {
        return scalar::bytes(&a, x, &b, y, add, out);
    }
    let rows = a.rows.min(out.len() / b.cols.max(1));
    let out = out.get_mut(..rows * b.cols).unwrap_or_default();
    if add {
        added::<B>(a, b, out);
    } else {
        out.fill(0);
        products::<B>(&a, x, &b, y, out);
    }
}

/// Whether a product can be made by blocks.
#[inline(always)]
pub(super) fn in_blocks<B: Blocks>(a: &Matrix<'_>, b: &Matrix<'_>) -> bool {
    b.cols >= B::COLS && (b.row_stride == 1 || b.col_stride == 1) && a.is_whole() && b.is_whole()
}

/// A product on top of what `out` holds, which saturates. Not inlined: its piece would lie under
/// every product.
#[inline(never)]
fn added<B: Blocks>(a: Matrix<'_>, b: Matrix<'_>, out: &mut [i32]) {
    const ROWS: usize = 4;
    const COLS: usize = 16;
    let mut piece = [0; ROWS * COLS];
    for (r, rows) in out.chunks_mut((ROWS * b.cols).max(1)).enumerate() {
        let a = a.row_range(r * ROWS, ROWS);
        for c in (0..b.cols).step_by(COLS) {
            let b_part = b.col_range(c, COLS);
            let sums = piece.get_mut(..a.rows * b_part.cols).unwrap_or_default();
            if let (Mantissas::I8(x), Mantissas::I8(y)) = (a.data, b_part.data) {
                bytes::<B>(a, x, b_part, y, false, sums);
            }
            for (row, sums) in rows.chunks_mut(b.cols.max(1)).zip(sums.chunks(b_part.cols.max(1))) {
                for (slot, &sum) in row.iter_mut().skip(c).zip(sums) {
                    *slot = slot.saturating_add(sum);
                }
            }
        }
    }
}

/// Adds a product to what `out` holds.
pub(super) fn products<B: Blocks>(
    a: &Matrix<'_>,
    x: &[i8],
    b: &Matrix<'_>,
    y: &[i8],
    out: &mut [i32],
) {
    let depth = a.cols.min(b.rows);
    let out = Cell::from_mut(out).as_slice_of_cells();
    for (group, sums) in out.chunks((4 * b.cols).max(1)).enumerate() {
        let count = sums.len() / b.cols.max(1);
        for from in (0..depth).step_by(B::DEPTH) {
            let start = 4 * group * a.row_stride + from * a.col_stride;
            let four = FourRows {
                numbers: x.get(start..).unwrap_or_default(),
                count,
                row_stride: a.row_stride,
                stride: a.col_stride,
                len: B::DEPTH.min(depth - from),
            };
            let piece = Piece {
                numbers: y.get(from * b.row_stride..).unwrap_or_default(),
                row_stride: b.row_stride,
                col_stride: b.col_stride,
            };
            B::four_rows(&four, &piece, sums, b.cols);
        }
    }
}

impl Blocks for Blocked {
    const DEPTH: usize = 64;
    const COLS: usize = COLS;

    fn four_rows(a: &FourRows<'_>, b: &Piece<'_>, out: &[Cell<i32>], cols: usize) {
        let mut panel = [[0; 4]; Self::DEPTH];
        let panel = panel.get_mut(..a.len).unwrap_or_default();
        a.each(panel, |slot, four| *slot = four.map(Factor::from));
        // Missing rows are zeros, and leave the first as it is.
        let out = rows_of(out, cols, a.count);
        for c in (0..cols).step_by(COLS) {
            // The last block starts early where it would not be full; some is known then.
            let start = c.min(cols.saturating_sub(COLS));
            let numbers = b.numbers.get(start * b.col_stride..).unwrap_or_default();
            let sums = if b.col_stride == 1 {
                across(panel, numbers, b.row_stride)
            } else {
                along(panel, numbers, b.col_stride)
            };
            for (row, sums) in out.into_iter().zip(sums) {
                let slots = row.get(start..).unwrap_or_default().iter();
                for (slot, sum) in slots.zip(sums).skip(c - start) {
                    slot.set(slot.get().wrapping_add(sum));
                }
            }
        }
    }
}

/// Loops over blocks of four rows. One variable a sum, because an array would be kept in memory
/// when the build optimises for size.
macro_rules! block {
    ($($b:ident: $s0:ident $s1:ident $s2:ident $s3:ident),*) => {
        /// Columns of a block: as many as there are registers for.
        const COLS: usize = [$(stringify!($b)),*].len();

        /// Columns that lie side by side, in rows that are `stride` apart.
        #[inline(never)]
        fn across(panel: &[[Factor; 4]], rows: &[i8], stride: usize) -> [[i32; COLS]; 4] {
            // Callers have no shorter ones; said here, it spares a check in each row.
            let stride = stride.max(COLS);
            $(let (mut $s0, mut $s1, mut $s2, mut $s3) = (0i32, 0i32, 0i32, 0i32);)*
            let Some((last, panel)) = panel.split_last() else { return [[0; COLS]; 4] };
            // The last row may end before its stride does.
            let last_row = rows.get(panel.len() * stride..).unwrap_or_default();
            macro_rules! add {
                ($factors:expr, $row:expr) => {
                    if let Some(&[$($b),*]) = $row.first_chunk() {
                        let [a0, a1, a2, a3] = $factors.map(i32::from);
                        $(
                            let b = i32::from($b);
                            $s0 = $s0.wrapping_add(a0 * b);
                            $s1 = $s1.wrapping_add(a1 * b);
                            $s2 = $s2.wrapping_add(a2 * b);
                            $s3 = $s3.wrapping_add(a3 * b);
                        )*
                    }
                };
            }
            for (factors, row) in panel.iter().zip(rows.chunks_exact(stride)) {
                add!(factors, row);
            }
            add!(last, last_row);
            [[$($s0),*], [$($s1),*], [$($s2),*], [$($s3),*]]
        }

        /// Columns that lie one after the other, `stride` apart.
        #[inline(never)]
        fn along(panel: &[[Factor; 4]], columns: &[i8], stride: usize) -> [[i32; COLS]; 4] {
            let mut starts = (0..).step_by(stride.max(1));
            $(
                let (mut $s0, mut $s1, mut $s2, mut $s3) = (0i32, 0i32, 0i32, 0i32);
                let from: usize = starts.next().unwrap_or(0);
                let $b = columns.get(from..from + panel.len()).unwrap_or_default();
            )*
            for (k, factors) in panel.iter().enumerate() {
                let [a0, a1, a2, a3] = factors.map(i32::from);
                $(
                    let b = i32::from($b.get(k).copied().unwrap_or(0));
                    $s0 = $s0.wrapping_add(a0 * b);
                    $s1 = $s1.wrapping_add(a1 * b);
                    $s2 = $s2.wrapping_add(a2 * b);
                    $s3 = $s3.wrapping_add(a3 * b);
                )*
            }
            [[$($s0),*], [$($s1),*], [$($s2),*], [$($s3),*]]
        }
    };
}

/// How rows of `a` are copied: as they are, or where a wide number is loaded with its neighbour in
/// one instruction, widened.
#[cfg(target_arch = "arm")]
type Factor = i32;
#[cfg(not(target_arch = "arm"))]
type Factor = i8;

#[cfg(target_arch = "arm")]
block!(b0: s00 s10 s20 s30, b1: s01 s11 s21 s31);
#[cfg(not(target_arch = "arm"))]
block!(
    b0: s00 s10 s20 s30, b1: s01 s11 s21 s31,
    b2: s02 s12 s22 s32, b3: s03 s13 s23 s33
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::{
            Depthwise, Kernel,
            testing::{check_convolutions, check_depthwise, check_products},
        },
        tensor::{Mantissas, Patches, Windows},
    };

    #[test]
    fn products_equal_the_scalar_ones() {
        check_products(Blocked, "blocked");
    }

    #[test]
    fn convolutions_equal_the_scalar_ones() {
        check_convolutions(&Blocked, "blocked");
    }

    #[test]
    fn depthwise_sums_are_those_of_groups() {
        check_depthwise(&Blocked, "blocked");
    }

    #[test]
    fn nothing_is_read_for_channels_that_have_no_weights() {
        let windows = Windows { size: [2, 2], from: [2, 2], ..Windows::POINT };
        let x = Patches::new(Mantissas::I8(&[1; 4]), windows, 1);
        let weight = Mantissas::I8(&[]);
        for (multiplier, back) in [(0, false), (0, true), (1, false), (1, true)] {
            let mut out = [7; 4];
            let sums = Depthwise { x, weight, multiplier, back, drop: 0 };
            Blocked.depthwise(&sums, 0, &mut out);
            assert_eq!(out, [7; 4], "{multiplier} {back}");
        }
    }
}
