//! A blocked product of 8-bit matrices, generic over the vector unit.
//!
//! Both operands are packed into panels: `LANES` rows of `a` or columns of `b` side by side, with
//! neighbours along the depth joined into groups of four bytes. The micro-kernel multiplies one
//! group of a panel of `b` with a broadcast group of `a` per instruction and keeps a block of
//! results in registers over the whole depth.

use core::mem::MaybeUninit;

use crate::tensor::Matrix;

/// A vector unit. Callers of its functions vouch that the processor has it, and that pointers
/// are good for the lengths stated.
pub(super) trait Isa {
    /// A register of `LANES` sums.
    type Vector: Copy;
    /// 32-bit sums in a register.
    const LANES: usize;
    /// Neighbours along the depth in one group of four bytes.
    const GROUP: usize;
    /// Rows of a full block of results; divides `LANES`.
    const ROWS: usize;

    /// Packs up to `LANES` lanes into `side.depth.div_ceil(GROUP) * LANES` groups at `panel`.
    /// What lies outside `side` is zero before `role` is applied.
    unsafe fn pack(side: Side<'_>, role: Role, panel: *mut i32);
    /// Where the sums of each lane of a packed panel of `a` start.
    unsafe fn bias(panel: *const i32, groups: usize) -> Self::Vector;
    /// `LANES` numbers from `from`.
    unsafe fn load(from: *const i32) -> Self::Vector;
    /// `LANES` numbers to `to`.
    unsafe fn store(to: *mut i32, vector: Self::Vector);
    /// The same number in every lane.
    unsafe fn splat(value: i32) -> Self::Vector;
    /// Adds to each lane the product of its groups of `b` and `a`, modulo 2^32.
    unsafe fn dot(sum: Self::Vector, b: Self::Vector, a: Self::Vector) -> Self::Vector;
}

/// Which operand a panel belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    A,
    B,
}

/// One operand as the micro-kernel sees it: `lanes` (rows of `a`, columns of `b`) by `depth`.
/// Every element lies inside `data`.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    data: &'a [i8],
    pub(super) lanes: usize,
    pub(super) depth: usize,
    pub(super) lane_stride: usize,
    pub(super) depth_stride: usize,
}

impl<'a> Side<'a> {
    /// `lanes` by `depth` elements of `data`, which it holds, with the distances of lanes and depths.
    pub(super) fn new(data: &'a [i8], lanes: usize, depth: usize, strides: [usize; 2]) -> Self {
        let [lane_stride, depth_stride] = strides;
        debug_assert!((lanes - 1) * lane_stride + (depth - 1) * depth_stride < data.len());
        Self { data, lanes, depth, lane_stride, depth_stride }
    }

    /// The rows of a matrix that is whole ([`Matrix::is_whole`]).
    pub(super) fn rows_of(matrix: &Matrix<'_>, data: &'a [i8]) -> Self {
        debug_assert!(matrix.is_whole());
        Self {
            data,
            lanes: matrix.rows,
            depth: matrix.cols,
            lane_stride: matrix.row_stride,
            depth_stride: matrix.col_stride,
        }
    }

    pub(super) fn lanes(self, from: usize, most: usize) -> Self {
        let data = &self.data[from * self.lane_stride..];
        Self { data, lanes: most.min(self.lanes - from), ..self }
    }

    pub(super) fn depths(self, from: usize, most: usize) -> Self {
        let data = &self.data[from * self.depth_stride..];
        Self { data, depth: most.min(self.depth - from), ..self }
    }

    /// Where element `(lane, depth)` lies.
    #[inline(always)]
    pub(super) fn at(&self, lane: usize, depth: usize) -> *const i8 {
        debug_assert!(lane < self.lanes && depth < self.depth);
        self.data.as_ptr().wrapping_add(lane * self.lane_stride + depth * self.depth_stride)
    }

    /// The element, or zero outside.
    #[inline(always)]
    pub(super) fn get(&self, lane: usize, depth: usize) -> i8 {
        if lane < self.lanes && depth < self.depth {
            self.data[lane * self.lane_stride + depth * self.depth_stride]
        } else {
            0
        }
    }
}

/// Depth packed at a time; a panel of it fills the first-level cache of most processors.
pub(super) const DEPTH: usize = 2048;
/// Bytes of packed columns, a part of any second-level cache.
const COLUMNS: usize = 64 << 10;
/// Side of the square tiles of products that are deep and added to.
const TILE: usize = 64;
/// Columns of a block of results, in registers.
pub(super) const WIDE: usize = 2;

/// Uninitialised memory, aligned to a register.
#[repr(align(64))]
struct Buffer<const BYTES: usize>(MaybeUninit<[u8; BYTES]>);

impl<const BYTES: usize> Buffer<BYTES> {
    const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    const fn start(&mut self) -> *mut i32 {
        self.0.as_mut_ptr().cast()
    }
}

/// What is done with a block of sums.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Store,
    /// Adds modulo 2^32: a further part of the depth.
    Wrap,
    /// Adds with saturation: the last word of a product that is added to its output.
    Saturate,
}

/// `out = a * b`, or with `add` saturating `out += a * b`, row-major.
///
/// # Safety
/// The processor must have the unit `I`.
#[inline(always)]
pub(super) unsafe fn gemm<I: Isa>(a: Side<'_>, b: Side<'_>, add: bool, out: &mut [i32]) {
    let width = b.lanes;
    if !add || a.depth <= DEPTH {
        // SAFETY: passed on.
        return unsafe { blocks::<I>(a, b, add, out, width) };
    }
    // Parts of a deep sum wrap, and only the whole sum saturates: it needs a place of its own.
    let mut tile = [0i32; TILE * TILE];
    let rows = a.lanes.min(out.len() / width);
    for row in (0..rows).step_by(TILE) {
        for col in (0..width).step_by(TILE) {
            let (a, b) = (a.lanes(row, TILE.min(rows - row)), b.lanes(col, TILE));
            // SAFETY: passed on.
            unsafe { blocks::<I>(a, b, false, &mut tile[..a.lanes * b.lanes], b.lanes) };
            for (r, sums) in tile.chunks_exact(b.lanes).take(a.lanes).enumerate() {
                let start = (row + r) * width + col;
                finish(&mut out[start..start + b.lanes], sums, Then::Saturate);
            }
        }
    }
}

/// The product block by block. Sums of more than `DEPTH` products are not added to `out`.
#[inline(always)]
unsafe fn blocks<I: Isa>(a: Side<'_>, b: Side<'_>, add: bool, out: &mut [i32], width: usize) {
    let mut columns = Buffer::<COLUMNS>::new();
    let mut rows = Buffer::<{ DEPTH * 16 }>::new();
    let (columns, rows) = (columns.start(), rows.start());
    let a = a.lanes(0, out.len() / width);
    let deep = a.depth.div_ceil(a.depth.div_ceil(DEPTH)).next_multiple_of(I::GROUP);
    let groups = deep / I::GROUP;
    let panel = groups * I::LANES;
    let panels = COLUMNS / (4 * panel);
    for col in (0..b.lanes).step_by(panels * I::LANES) {
        let b = b.lanes(col, panels * I::LANES);
        for from in (0..b.depth).step_by(deep) {
            let (a, b) = (a.depths(from, deep), b.depths(from, deep));
            let groups = b.depth.div_ceil(I::GROUP);
            let then = match (from, add) {
                (0, false) => Then::Store,
                (0, true) => Then::Saturate,
                _ => Then::Wrap,
            };
            for (i, lane) in (0..b.lanes).step_by(I::LANES).enumerate() {
                // SAFETY: `panels` panels fit the buffer; the feature is the caller's word.
                unsafe { I::pack(b.lanes(lane, I::LANES), Role::B, columns.add(i * panel)) };
            }
            for row in (0..a.lanes).step_by(I::LANES) {
                let a = a.lanes(row, I::LANES);
                let mut bias = [0i32; 16];
                // SAFETY: a panel fits the buffer, `LANES` is at most 16, and both panels hold
                // `groups` groups a lane.
                unsafe {
                    I::pack(a, Role::A, rows);
                    I::store(bias.as_mut_ptr(), I::bias(rows, groups));
                }
                for lane in (0..b.lanes).step_by(WIDE * I::LANES) {
                    let block = Block {
                        groups,
                        panel,
                        cols: (b.lanes - lane).min(WIDE * I::LANES),
                        then,
                        width,
                    };
                    for r in (0..a.lanes).step_by(I::ROWS) {
                        let start = (row + r) * width + col + lane;
                        // SAFETY: as above; `panel * lane / LANES` is where the panel of `lane`
                        // was packed.
                        unsafe {
                            block.run::<I>(
                                (a.lanes - r).min(I::ROWS),
                                rows.add(r),
                                &bias[r..],
                                columns.add(panel * (lane / I::LANES)),
                                &mut out[start..],
                            );
                        }
                    }
                }
            }
        }
    }
}

/// A block of results: up to `ROWS` rows by `WIDE` registers.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) groups: usize,
    /// Distance between panels of `b`, in groups.
    pub(super) panel: usize,
    pub(super) cols: usize,
    pub(super) then: Then,
    /// Distance between rows of the output.
    pub(super) width: usize,
}

impl Block {
    /// Finds the variant compiled for this number of rows and registers.
    #[inline(always)]
    pub(super) unsafe fn run<I: Isa>(
        self,
        rows: usize,
        a: *const i32,
        bias: &[i32],
        b: *const i32,
        out: &mut [i32],
    ) {
        macro_rules! variants {
            ($($rows:literal)*) => {
                match (rows, self.cols > I::LANES) {
                    // SAFETY: passed on.
                    $(($rows, true) if $rows <= I::ROWS => unsafe {
                        self.fixed::<I, $rows, 2>(a, bias, b, out)
                    },
                    // SAFETY: passed on.
                    ($rows, false) if $rows <= I::ROWS => unsafe {
                        self.fixed::<I, $rows, 1>(a, bias, b, out)
                    },)*
                    _ => debug_assert!(false, "{rows} rows"),
                }
            };
        }
        variants!(1 2 3 4 5 6 7 8);
    }

    /// `R` rows by `C` registers, over the whole depth.
    #[inline(always)]
    unsafe fn fixed<I: Isa, const R: usize, const C: usize>(
        self,
        a: *const i32,
        bias: &[i32],
        b: *const i32,
        out: &mut [i32],
    ) {
        // SAFETY: the panels hold `groups` groups for each of `LANES` lanes, so do the `C` panels
        // of `b`, `panel` apart. Stores are to memory of `LANES` numbers, checked as a slice.
        unsafe {
            // Loops, since a closure would not have the unit's features, and would be called.
            let mut sums = [[I::splat(0); C]; R];
            for (sums, &bias) in sums.iter_mut().zip(bias) {
                *sums = [I::splat(bias); C];
            }
            let (mut a, mut b) = (a, b);
            for _ in 0..self.groups {
                let mut column = [I::splat(0); C];
                for (c, column) in column.iter_mut().enumerate() {
                    *column = I::load(b.add(c * self.panel));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let row = I::splat(a.add(r).read());
                    for (sum, column) in sums.iter_mut().zip(column) {
                        *sum = I::dot(*sum, column, row);
                    }
                }
                a = a.add(I::LANES);
                b = b.add(I::LANES);
            }
            if self.then == Then::Store && self.cols == C * I::LANES {
                for (r, sums) in sums.iter().enumerate() {
                    for (slots, &sum) in
                        out[r * self.width..][..self.cols].chunks_exact_mut(I::LANES).zip(sums)
                    {
                        I::store(slots.as_mut_ptr(), sum);
                    }
                }
            } else {
                let mut row = [0i32; 16 * WIDE];
                for (r, sums) in sums.iter().enumerate() {
                    for (slots, &sum) in row.chunks_exact_mut(I::LANES).zip(sums) {
                        I::store(slots.as_mut_ptr(), sum);
                    }
                    finish(&mut out[r * self.width..][..self.cols], &row, self.then);
                }
            }
        }
    }
}

#[inline(always)]
fn finish(out: &mut [i32], sums: &[i32], then: Then) {
    let each = out.iter_mut().zip(sums);
    match then {
        Then::Store => each.for_each(|(slot, &sum)| *slot = sum),
        Then::Wrap => each.for_each(|(slot, &sum)| *slot = slot.wrapping_add(sum)),
        Then::Saturate => each.for_each(|(slot, &sum)| *slot = slot.saturating_add(sum)),
    }
}
