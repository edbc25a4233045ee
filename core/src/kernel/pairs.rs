//! Two products of bytes by one multiplication, for 32-bit cores without instructions for it.
//!
//! Numbers of two rows share a word: `low + high * 2^16`. Times a number of `b`, and summed up, this is
//! the sum of the lower row plus that of the upper one times 2^16, from which both are taken apart
//! as long as each fits 16 bits. They surely do while the magnitudes of a row add up to less than 256,
//! or to more where all of `b` is small, as pixels are. A piece of the depth ends where they would not;
//! then the sums go to memory.

#![expect(unsafe_code, reason = "calls of loops in assembly, and loads that were checked before")]

use core::{cell::Cell, mem::MaybeUninit};

use super::blocked::{FourRows, Piece};

/// Most numbers of a row in a piece.
pub(super) const DEPTH: usize = 32;

/// Pieces shorter than this cost more than words of their own for all rows.
const SHORT: usize = 4;

/// What a chip does its own way.
pub(super) trait Pairs {
    /// Columns that are summed at once.
    const COLS: usize;
    /// The loop is unrolled as often.
    const UNROLLED: usize;

    /// Adds the products of a piece to the sums.
    ///
    /// # Safety
    ///
    /// What `strip` says must be so.
    unsafe fn columns(strip: &mut Strip);
}

/// Numbers of four rows or of two, in two words.
pub(super) type Factors = [i32; 2];

/// A piece, in the order of its offsets.
#[repr(C)]
pub(super) struct Strip {
    /// As many factors lie before it as the unrolled loop leaves over.
    pub(super) head: *const Factors,
    /// The end of the factors; and where they begin.
    pub(super) end: *const Factors,
    pub(super) panel: *const Factors,
    /// The first column.
    pub(super) column: *const i8,
    /// Between columns. From each on, a number can be read at every `row_stride`, as many as there
    /// are factors.
    pub(super) col_stride: usize,
    pub(super) row_stride: usize,
    /// Bits of a word that are not of its lower row: 16, or 0 where it has one row only.
    pub(super) shift: usize,
    /// Groups of [`Pairs::COLS`] columns, at least one.
    pub(super) groups: usize,
    /// The first row of sums, which has one for every column.
    pub(super) sums: *const Cell<i32>,
    /// The upper row of the first word, and both of the second, in bytes behind the group that
    /// follows in the first row. A row of zeros may lie on another one.
    pub(super) rows: [usize; 3],
}

/// The block of [`Blocks`](super::blocked::Blocks) for chips with [`Pairs`].
pub(super) fn four_rows<P: Pairs>(a: &FourRows<'_>, b: &Piece<'_>, out: &[Cell<i32>], cols: usize) {
    let mut panel = [const { MaybeUninit::uninit() }; DEPTH];
    let (whole, left) = (cols / P::COLS, cols % P::COLS);
    let end = (a.len.saturating_sub(1) * b.row_stride)
        .saturating_add(cols.saturating_sub(1) * b.col_stride)
        .saturating_add(1);
    let room = 15 - bits(b.numbers.get(..end).unwrap_or_default());
    let (mut from, mut first, mut alone) = (0, 0, false);
    while from < a.len {
        let numbers = b.numbers.get(from * b.row_stride..).unwrap_or_default();
        let sums = out.get(first * cols..).unwrap_or_default();
        let rest = a.part(from, DEPTH.min(a.len - from));
        let rest = FourRows { numbers: rest.row(first), count: rest.count - first, ..rest };
        let mut len = 0;
        // Two rows take no longer alone, and no piece of them is too long.
        alone |= rest.count <= 2;
        if !alone {
            len = pack(&rest, room, &mut panel);
            alone = len < SHORT.min(rest.len);
        }
        if alone {
            len = pack_two(&rest, &mut panel);
        }
        let fits = |cols: usize| {
            let row = len.saturating_sub(1).saturating_mul(b.row_stride);
            let col = cols.saturating_sub(1).saturating_mul(b.col_stride);
            cols > 0 && row.saturating_add(col) < numbers.len()
        };
        let (count, shift) = if alone { (rest.count.min(2), 0) } else { (rest.count, 16) };
        let factors = panel.as_ptr().cast::<Factors>();
        if len == 0 || !fits(cols) || sums.len() < count * cols || cols < P::COLS {
            return;
        }
        let rows = |width: usize| {
            let row = |r: usize| {
                let row = if r < count { 4 * r * width } else { 0 };
                row.wrapping_sub(4 * P::COLS)
            };
            if alone { [row(0), row(1), row(0)] } else { [row(1), row(2), row(3)] }
        };
        let mut strip = Strip {
            head: factors.wrapping_add(len % P::UNROLLED),
            end: factors.wrapping_add(len),
            panel: factors,
            column: numbers.as_ptr(),
            col_stride: b.col_stride,
            row_stride: b.row_stride,
            shift,
            groups: whole,
            sums: sums.as_ptr(),
            rows: rows(cols),
        };
        // SAFETY: the last number of the last column lies in `numbers`, so all others do; and so do
        // the sums of `count` rows of `cols` in `sums`.
        unsafe { P::columns(&mut strip) }
        if left > 0 {
            strip.column = numbers.as_ptr().wrapping_add((cols - P::COLS) * b.col_stride);
            strip.rows = rows(P::COLS);
            // SAFETY: as above.
            unsafe { last_columns::<P>(&mut strip, sums, cols, count) }
        }
        if alone && rest.count > 2 {
            first = 2;
        } else {
            (from, first, alone) = (from + len, 0, false);
        }
    }
}

/// The last columns where they do not fill a group, with others before them.
///
/// # Safety
///
/// As [`Pairs::columns`], for one group of at most 4 rows.
#[inline(never)]
pub(super) unsafe fn last_columns<P: Pairs>(
    strip: &mut Strip,
    sums: &[Cell<i32>],
    cols: usize,
    count: usize,
) {
    let last = [const { Cell::new(0) }; 16];
    (strip.groups, strip.sums) = (1, last.as_ptr());
    // SAFETY: the caller vouches for it; four rows of a group fit into `last`.
    unsafe { P::columns(strip) }
    let known = P::COLS - cols % P::COLS;
    for (row, sums) in sums.chunks_exact(cols.max(1)).zip(last.chunks(P::COLS)).take(count) {
        let slots = row.iter().skip(cols - P::COLS + known);
        for (slot, sum) in slots.zip(sums.iter().skip(known)) {
            slot.set(slot.get().wrapping_add(sum.get()));
        }
    }
}

/// Bits of the largest magnitude, at least one. A look at every number pays only where none is negative.
#[inline(never)]
pub(super) fn bits(numbers: &[i8]) -> u32 {
    const SIGNS: u32 = 0x8080_8080;
    // SAFETY: any four bytes are a word.
    let (head, words, tail) = unsafe { numbers.align_to::<u32>() };
    let mut all = u32::from(head.iter().chain(tail).fold(0, |all, &number| all | number as u8));
    let (fours, rest) = words.as_chunks::<4>();
    for [a, b, c, d] in fours {
        all |= a | b | c | d;
        if all & SIGNS != 0 {
            break;
        }
    }
    all = rest.iter().fold(all, |all, word| all | word);
    let [a, b, c, d] = all.to_le_bytes();
    (8 - (a | b | c | d).leading_zeros()).clamp(1, 7)
}

/// Packs numbers of four rows as long as their magnitudes add up to less than `2^room` in each.
/// How many that are.
#[inline(never)]
fn pack(a: &FourRows<'_>, room: u32, panel: &mut [MaybeUninit<Factors>; DEPTH]) -> usize {
    let last = a.len.saturating_sub(1) * a.stride + a.count.saturating_sub(1) * a.row_stride;
    if last >= a.numbers.len() || a.len > DEPTH {
        return 0;
    }
    let row = |r: usize| if r < a.count { r * a.row_stride } else { 0 };
    let (r1, r2, r3) = (row(1), row(2), row(3));
    let mut at = a.numbers.as_ptr();
    // Magnitudes in halves of a word, where a negative number counts one too little.
    let missing = a.len as i32 * 0x1_0001;
    let (mut low, mut high) = (missing, missing);
    let full = (0xffff << room & 0xffff) * 0x1_0001;
    let start = panel.as_mut_ptr().cast::<Factors>();
    let (mut slot, end) = (start, start.wrapping_add(a.len));
    while slot != end {
        // SAFETY: the last number of the last row lies in `numbers`, so all others do.
        let number = |r| i32::from(unsafe { at.wrapping_add(r).read() });
        let size = |a: i32| a ^ (a >> 31);
        let [a0, a1, a2, a3] = [number(0), number(r1), number(r2), number(r3)];
        low += size(a0) + (size(a1) << 16);
        high += size(a2) + (size(a3) << 16);
        if (low | high).cast_unsigned() & full != 0 {
            break;
        }
        let factors = [a0.wrapping_add(a1 << 16), a2.wrapping_add(a3 << 16)];
        // SAFETY: `end` does not lie behind the panel.
        unsafe { slot.write(factors) };
        slot = slot.wrapping_add(1);
        at = at.wrapping_add(a.stride);
    }
    // SAFETY: all factors before `slot` are written.
    let factors = unsafe {
        let len = slot.offset_from_unsigned(start);
        core::slice::from_raw_parts_mut(start, len)
    };
    if a.count < 4 {
        // Rows that are missing are zeros.
        for [low, high] in &mut *factors {
            let half = |word: i32| i32::from(word as i16);
            [*low, *high] = match a.count {
                1 => [half(*low), 0],
                2 => [*low, 0],
                _ => [*low, half(*high)],
            };
        }
    }
    factors.len()
}

/// Gives each number of two rows a word. How many of a row that are.
#[inline(never)]
fn pack_two(a: &FourRows<'_>, panel: &mut [MaybeUninit<Factors>; DEPTH]) -> usize {
    let (row, mask) = if a.count > 1 { (a.row_stride, -1) } else { (0, 0) };
    let last = a.len.saturating_sub(1) * a.stride + row;
    if last >= a.numbers.len() || a.len > DEPTH {
        return 0;
    }
    let mut at = a.numbers.as_ptr();
    for slot in panel.iter_mut().take(a.len) {
        // SAFETY: the last number of the second row lies in `numbers`, so all others do.
        let [low, high] = unsafe { [at.read(), at.wrapping_add(row).read()] };
        slot.write([low.into(), i32::from(high) & mask]);
        at = at.wrapping_add(a.stride);
    }
    a.len
}

/// What the loops of chips compute, so that all around them is tested on a desktop too.
///
/// # Safety
///
/// As [`Pairs::columns`].
#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
pub(super) unsafe fn columns<P: Pairs>(strip: &mut Strip) {
    // SAFETY: the caller vouches for it.
    let panel = unsafe {
        let len = strip.end.offset_from_unsigned(strip.panel);
        core::slice::from_raw_parts(strip.panel, len)
    };
    assert_eq!(strip.head, panel.as_ptr().wrapping_add(panel.len() % P::UNROLLED));
    for c in 0..strip.groups * P::COLS {
        let mut sums = [0i32; 2];
        for (k, factors) in panel.iter().enumerate() {
            let at = c * strip.col_stride + k * strip.row_stride;
            // SAFETY: the caller vouches for it.
            let number = i32::from(unsafe { strip.column.add(at).read() });
            for (sum, factor) in sums.iter_mut().zip(factors) {
                *sum = sum.wrapping_add(factor.wrapping_mul(number));
            }
        }
        let [r1, r2, r3] = strip.rows.map(|bytes| bytes.wrapping_add(4 * P::COLS) / 4);
        for ((low_row, high_row), sum) in [(0, r1), (r2, r3)].into_iter().zip(sums) {
            let low = sum << strip.shift >> strip.shift;
            for (row, sum) in [(low_row, low), (high_row, sum.wrapping_sub(low) >> 16)] {
                // SAFETY: as above.
                let slot = unsafe { &*strip.sums.add(row + c) };
                slot.set(slot.get().wrapping_add(sum));
            }
        }
    }
}
