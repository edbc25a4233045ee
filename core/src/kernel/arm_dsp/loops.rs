//! The inner loops, column after column.

use core::cell::Cell;

/// What [`along`] works on, in the order of its offsets.
#[repr(C)]
pub(super) struct Along {
    pub(super) out: [*const Cell<i32>; 4],
    pub(super) panel: *const u32,
    /// One where the panel has an odd number of fours.
    pub(super) odd: usize,
    /// From the end of a column to the next.
    pub(super) next: usize,
    pub(super) columns: usize,
    pub(super) end: *const u32,
    pub(super) column: *const i8,
}

/// What [`across`] works on, in the order of its offsets.
#[repr(C)]
pub(super) struct Across {
    pub(super) out: [*const Cell<i32>; 4],
    /// One where the panel has an odd number of pairs.
    pub(super) odd: usize,
    pub(super) column: *const i8,
    pub(super) panel: *const [u32; super::WORDS],
    pub(super) end: *const [u32; super::WORDS],
    /// Where the columns end.
    pub(super) last: *const i8,
}

/// What [`pack`] works on, in the order of its offsets.
#[repr(C)]
pub(super) struct Groups {
    /// The two numbers of the first row in the first group.
    pub(super) at: *const i8,
    pub(super) other: *const i8,
    /// How far the other rows are from the first.
    pub(super) rows: [usize; 3],
    pub(super) words: *mut u32,
    pub(super) count: usize,
    /// From group to group, and between their words.
    pub(super) step: usize,
    pub(super) bytes: usize,
}

/// Packs two numbers of each of four rows into four words, group by group.
///
/// # Safety
///
/// There must be one group at least, all of them readable, and a place for each behind `words`.
#[cfg(target_arch = "arm")]
#[inline(never)]
pub(super) unsafe fn pack(groups: &Groups) {
    // SAFETY: reads and writes what the caller vouches for, and changes what is listed.
    unsafe {
        core::arch::asm!(
            "ldr r9, [r0, #28]",
            "ldr lr, [r0, #32]",
            "ldr r8, [r0, #24]",
            "ldm r0, {{r0, r1, r2, r3, r4, r5}}",
            "2:",
            "ldrsb r10, [r0]",
            "ldrsb r11, [r1]",
            "pkhbt r10, r10, r11, lsl #16",
            "ldrsb r11, [r0, r2]",
            "ldrsb r12, [r1, r2]",
            "pkhbt r11, r11, r12, lsl #16",
            "strd r10, r11, [r5]",
            "ldrsb r10, [r0, r3]",
            "ldrsb r11, [r1, r3]",
            "pkhbt r10, r10, r11, lsl #16",
            "ldrsb r11, [r0, r4]",
            "ldrsb r12, [r1, r4]",
            "pkhbt r11, r11, r12, lsl #16",
            "strd r10, r11, [r5, #8]",
            "add r0, r9",
            "add r1, r9",
            "add r5, lr",
            "subs r8, #1",
            "bne 2b",
            inout("r0") groups => _,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}

/// Four numbers of a column by four rows.
#[cfg(target_arch = "arm")]
macro_rules! four {
    () => {
        "ldr r11, [r10], #4
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        ldm lr!, {{r4, r5, r8, r9}}
        smlad r0, r4, r12, r0
        smlad r1, r5, r12, r1
        smlad r2, r8, r12, r2
        smlad r3, r9, r12, r3
        ldm lr!, {{r4, r5, r8, r9}}
        smlad r0, r4, r11, r0
        smlad r1, r5, r11, r1
        smlad r2, r8, r11, r2
        smlad r3, r9, r11, r3"
    };
}

/// Adds four packed rows by columns along which the depth is contiguous.
///
/// # Safety
///
/// There must be one column at least, all of them readable for half as many numbers as the
/// panel has words, and a place for each in the rows of `out`.
#[cfg(target_arch = "arm")]
#[inline(never)]
pub(super) unsafe fn along(mut work: Along) {
    // SAFETY: reads and writes what the caller vouches for, numbers at any alignment. What it
    // changes is listed, or put back: r6 and r7, which Rust does not lend.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "mov r7, r0",
            "ldrd r6, r10, [r7, #32]",
            // A column: four sums.
            "2:",
            "ldm r7, {{r4, r5, r8, r9, lr}}",
            "ldr r11, [r7, #20]",
            "ldr r0, [r4]",
            "ldr r1, [r5]",
            "ldr r2, [r8]",
            "ldr r3, [r9]",
            "cmp r11, #0",
            "beq 3f",
            four!(),
            "cmp lr, r6",
            "beq 4f",
            "3:",
            four!(),
            four!(),
            "cmp lr, r6",
            "bne 3b",
            "4:",
            "ldm r7, {{r4, r5, r8, r9}}",
            "str r3, [r9], #4",
            "str r2, [r8], #4",
            "str r1, [r5], #4",
            "str r0, [r4], #4",
            "stm r7, {{r4, r5, r8, r9}}",
            "ldrd r11, r12, [r7, #24]",
            "add r10, r11",
            "subs r12, #1",
            "str r12, [r7, #28]",
            "bne 2b",
            "pop {{r6, r7}}",
            inout("r0") &raw mut work => _,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}

/// Two numbers of two columns by four rows.
#[cfg(target_arch = "arm")]
macro_rules! two {
    () => {
        "ldm lr!, {{r6, r7, r10, r11}}
        ldrh r6, [r12, r6]
        ldrh r7, [r12, r7]
        pkhbt r6, r6, r7, lsl #16
        sxtb16 r7, r6, ror #8
        sxtb16 r6, r6
        smlad r0, r10, r6, r0
        smlad r1, r10, r7, r1
        smlad r2, r11, r6, r2
        smlad r3, r11, r7, r3
        ldm lr!, {{r10, r11}}
        smlad r4, r10, r6, r4
        smlad r5, r10, r7, r5
        smlad r8, r11, r6, r8
        smlad r9, r11, r7, r9"
    };
}

/// Adds four packed rows by columns that lie side by side, two at a time.
///
/// # Safety
///
/// From `column` on there must be two columns at least and an even number of them, readable as
/// far behind it as the first two of every six words of the panel say, which is not empty, and
/// a place for each in the rows of `out`.
#[cfg(target_arch = "arm")]
#[inline(never)]
pub(super) unsafe fn across(mut work: Across) {
    let end = work.end;
    // SAFETY: reads and writes what the caller vouches for, numbers at any alignment. What it
    // changes is listed, or put back: r6 and r7, which Rust does not lend, go to the stack with
    // what no register is left for.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "push {{r10, r11}}",
            // Two columns: eight sums.
            "2:",
            "ldm r11, {{r6, r7, r8, r9, r10, r12, lr}}",
            "ldrd r0, r1, [r6]",
            "ldrd r2, r3, [r7]",
            "ldrd r4, r5, [r8]",
            "ldrd r8, r9, [r9]",
            "cmp r10, #0",
            "beq 3f",
            two!(),
            "ldr r6, [sp]",
            "cmp lr, r6",
            "beq 4f",
            "3:",
            two!(),
            two!(),
            "ldr r6, [sp]",
            "cmp lr, r6",
            "bne 3b",
            "4:",
            "ldr r11, [sp, #4]",
            "ldm r11, {{r6, r7, r10, lr}}",
            "strd r8, r9, [lr], #8",
            "strd r4, r5, [r10], #8",
            "strd r2, r3, [r7], #8",
            "strd r0, r1, [r6], #8",
            "stm r11, {{r6, r7, r10, lr}}",
            "ldr r6, [r11, #32]",
            "add r12, #2",
            "str r12, [r11, #20]",
            "cmp r12, r6",
            "bne 2b",
            "add sp, #8",
            "pop {{r6, r7}}",
            inout("r10") end => _, inout("r11") &raw mut work => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r12") _, out("lr") _,
        );
    }
}

#[cfg(not(target_arch = "arm"))]
pub(super) unsafe fn pack(groups: &Groups) {
    let [r1, r2, r3] = groups.rows;
    for group in 0..groups.count {
        for (r, row) in [0, r1, r2, r3].into_iter().enumerate() {
            let at = group * groups.step + row;
            // SAFETY: the caller vouches for it.
            unsafe {
                let [low, high] = [groups.at, groups.other].map(|p| i32::from(p.add(at).read()));
                let word = (low & 0xffff | high << 16).cast_unsigned();
                groups.words.byte_add(group * groups.bytes).add(r).write(word);
            }
        }
    }
}

/// What the loops compute, so that all around them is tested on a desktop too.
#[cfg(not(target_arch = "arm"))]
fn add(out: *const Cell<i32>, products: impl Iterator<Item = (u32, i8, i8)>) {
    // SAFETY: the caller vouches for it.
    let slot = unsafe { &*out };
    slot.set(products.fold(slot.get(), |sum, (a, low, high)| {
        // `SMLAD`.
        let (x, y) = (i32::from(a as i16), i32::from((a >> 16) as i16));
        sum.wrapping_add(x * i32::from(low)).wrapping_add(y * i32::from(high))
    }));
}

#[cfg(not(target_arch = "arm"))]
pub(super) unsafe fn along(work: Along) {
    // SAFETY: the caller vouches for it.
    let words = unsafe { work.end.offset_from_unsigned(work.panel) };
    assert_eq!(work.odd, words / 8 % 2);
    for c in 0..work.columns {
        let column = work.column.wrapping_add(c * (work.next.wrapping_add(words / 2)));
        for r in (0..4).rev() {
            // SAFETY: the caller vouches for it.
            let word = |i| unsafe { work.panel.add(i).read() };
            // SAFETY: as above.
            let number = |k| unsafe { column.add(k).read() };
            add(
                work.out[r].wrapping_add(c),
                (0..words / 4).map(|i| {
                    let k = i / 2 * 4 + i % 2;
                    (word(4 * i + r), number(k), number(k + 2))
                }),
            );
        }
    }
}

#[cfg(not(target_arch = "arm"))]
pub(super) unsafe fn across(work: Across) {
    // SAFETY: the caller vouches for it.
    let panel = unsafe {
        core::slice::from_raw_parts(work.panel, work.end.offset_from_unsigned(work.panel))
    };
    assert_eq!(work.odd, panel.len() % 2);
    // SAFETY: as above.
    let columns = unsafe { work.last.offset_from_unsigned(work.column) };
    assert_eq!(columns % 2, 0);
    for c in 0..columns {
        for r in (0..4).rev() {
            // SAFETY: as above.
            let number = |at| unsafe { work.column.add(at as usize + c).read() };
            let products = panel.iter().map(|w| (w[2 + r], number(w[0]), number(w[1])));
            add(work.out[r].wrapping_add(c), products);
        }
    }
}
