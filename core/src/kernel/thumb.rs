//! The loops over random carries for Cortex-M3 and up, in assembly: compiled, they keep half of
//! what they need in memory. The chip itself compares them with the scalar kernel, up to the limits
//! of [`Loops`] ([`check`](super::check)).

#![expect(unsafe_code, reason = "loops that use every register")]

use core::arch::asm;

use crate::{
    quant::{
        Counts,
        loops::{Loop, Loops},
    },
    rng::Key,
};

/// What a loop reads and counts besides its registers, in the order of its offsets.
#[repr(C)]
struct Work {
    inner: u32,
    saturated: u32,
    underflowed: u32,
    /// From the first key to the second, and the second's inner half.
    other: u32,
    other_inner: u32,
    /// Bits of a word that the second rounding does not draw, and those that it drops.
    unused: u32,
    shift: u32,
    rate: i32,
}

impl Work {
    const fn counts(&self) -> Counts {
        Counts { saturated: self.saturated, underflowed: self.underflowed }
    }
}

/// The random word of the index in r11, of the key whose inner half is in r12.
macro_rules! word {
    () => {
        "eor r11, r11, r11, lsr #16
        mul r11, r11, r3
        eor r12, r12, r11, lsr #15
        eor r11, r11, r12
        mul r11, r11, r4
        eor r11, r11, r11, lsr #16"
    };
}

/// The next two sums become codes of eight bits, in lr and r12. What is rare is done elsewhere.
macro_rules! codes {
    () => {
        concat!(
            "ldrd r9, r10, [r0], #8
            ldr r12, [r6]
            mov r11, r5
            ",
            word!(),
            "
            lsl r12, r11, #16
            lsr r12, r12, r8
            add r12, r12, r9
            asr r12, r12, r7
            bfc r11, #0, #16
            lsr r11, r11, r8
            add r11, r11, r10
            asr r11, r11, r7
            ssat lr, #8, r12
            cmp lr, r12
            bne 30f
            31:
            cmp lr, #0
            beq 32f
            33:
            ssat r12, #8, r11
            cmp r12, r11
            bne 34f
            35:
            cmp r12, #0
            beq 36f
            37:"
        )
    };
}

/// Clipped sums and those that become zero are counted.
macro_rules! rare {
    () => {
        "30:
        ldr r12, [r6, #4]
        add r12, #1
        str r12, [r6, #4]
        b 31b
        32:
        cmp r9, #0
        beq 33b
        ldr r12, [r6, #8]
        add r12, #1
        str r12, [r6, #8]
        b 33b
        34:
        ldr r11, [r6, #4]
        add r11, #1
        str r11, [r6, #4]
        b 35b
        36:
        cmp r10, #0
        beq 37b
        ldr r11, [r6, #8]
        add r11, #1
        str r11, [r6, #8]
        b 37b"
    };
}

/// The loops of Cortex-M3 and up.
pub(super) struct Thumb;

impl Loops for Thumb {
    const OWN: &'static [Loop] = &Loop::ALL;

    fn codes(
        key: Key,
        index: u32,
        k: u32,
        sums: &[[i32; 2]],
        codes: &mut [[i8; 2]],
    ) -> Option<Counts> {
        Some(quantize(key, index, k, sums, codes))
    }

    fn biased(
        [always, odd]: [i32; 2],
        k: u32,
        sums: &[[i32; 2]],
        codes: &mut [[i8; 2]],
    ) -> Option<Counts> {
        Some(biased(always, odd, k, sums, codes))
    }

    fn descend(
        keys: [Key; 2],
        index: u32,
        k_and_shift: [u32; 2],
        rate: i32,
        sums: &[[i32; 2]],
        weights: &mut [[i8; 2]],
    ) -> Option<Counts> {
        Some(descend(keys, index, k_and_shift, rate, sums, weights))
    }
}

/// [`Loops::biased`].
#[inline(never)]
fn biased(always: i32, odd: i32, k: u32, sums: &[[i32; 2]], codes: &mut [[i8; 2]]) -> Counts {
    let sums = sums.get(..codes.len()).unwrap_or(sums);
    if sums.is_empty() {
        return Counts::default();
    }
    let range = sums.as_ptr_range();
    let mut counts = Counts::default();
    /// The code of a sum. Those that become zero are looked at elsewhere.
    macro_rules! code {
        ($sum:literal, $zero:literal, $back:literal) => {
            concat!(
                "asr r10, ",
                $sum,
                ", r5
                and r10, r10, r4
                add r10, r10, r3
                add r10, r10, ",
                $sum,
                "
                asr r10, r10, r5
                ssat r11, #8, r10
                cmp r11, r10
                it ne
                addne r12, r12, #1
                cmp r11, #0
                beq ",
                $zero,
                "f
                ",
                $back,
                ":
                strb r11, [r1], #1"
            )
        };
    }
    // SAFETY: reads all sums, of which there is at least one pair, and writes as many codes.
    unsafe {
        asm!(
            "2:",
            "ldrd r8, r9, [r0], #8",
            code!("r8", "30", "31"),
            code!("r9", "32", "33"),
            "cmp r0, r2",
            "bne 2b",
            "b 4f",
            "30:",
            "cmp r8, #0",
            "it ne",
            "addne lr, lr, #1",
            "b 31b",
            "32:",
            "cmp r9, #0",
            "it ne",
            "addne lr, lr, #1",
            "b 33b",
            "4:",
            inout("r0") range.start => _, inout("r1") codes.as_mut_ptr() => _,
            in("r2") range.end, in("r3") always, in("r4") odd, in("r5") k,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            inout("r12") 0 => counts.saturated, inout("lr") 0 => counts.underflowed,
        );
    }
    counts
}

/// [`Loops::codes`].
#[inline(never)]
fn quantize(key: Key, index: u32, k: u32, sums: &[[i32; 2]], codes: &mut [[i8; 2]]) -> Counts {
    let [outer, inner] = key.halves_of_key();
    let mut work = Work {
        inner,
        saturated: 0,
        underflowed: 0,
        other: 0,
        other_inner: 0,
        unused: 0,
        shift: 0,
        rate: 0,
    };
    let sums = sums.get(..codes.len()).unwrap_or(sums);
    if sums.is_empty() {
        return Counts::default();
    }
    let range = sums.as_ptr_range();
    // SAFETY: reads all sums, of which there is at least one pair, and writes as many codes and
    // `work`. What it changes is listed, or put back: r6 and r7, which Rust does not lend.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "mov r6, r9",
            "mov r7, r10",
            "2:",
            codes!(),
            "strb lr, [r1], #1",
            "strb r12, [r1], #1",
            "add r5, #1",
            "cmp r0, r2",
            "bne 2b",
            "b 4f",
            rare!(),
            "4:",
            "pop {{r6, r7}}",
            inout("r0") range.start => _, inout("r1") codes.as_mut_ptr() => _,
            in("r2") range.end, in("r3") Key::FACTORS[0], in("r4") Key::FACTORS[1],
            inout("r5") outer.wrapping_add(index) => _, in("r8") 32 - k,
            inout("r9") &raw mut work => _, inout("r10") k => _,
            out("r11") _, out("r12") _, out("lr") _,
        );
    }
    work.counts()
}

/// [`Loops::descend`].
#[inline(never)]
fn descend(
    keys: [Key; 2],
    index: u32,
    [k, shift]: [u32; 2],
    rate: i32,
    sums: &[[i32; 2]],
    weights: &mut [[i8; 2]],
) -> Counts {
    let [[outer, inner], [other, other_inner]] = keys.map(Key::halves_of_key);
    let mut work = Work {
        inner,
        saturated: 0,
        underflowed: 0,
        other: other.wrapping_sub(outer),
        other_inner,
        unused: 32 - shift,
        shift,
        rate,
    };
    let sums = sums.get(..weights.len()).unwrap_or(sums);
    if sums.is_empty() {
        return Counts::default();
    }
    let range = sums.as_ptr_range();
    // SAFETY: reads all sums, of which there is at least one pair, and writes as many weights and
    // `work`. What it changes is listed, or put back: r6 and r7, which Rust does not lend.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "mov r6, r9",
            "mov r7, r10",
            "2:",
            codes!(),
            // What is zero moves nothing.
            "orrs r9, lr, r12",
            "beq 6f",
            "mov r9, r12",
            "ldrd r11, r12, [r6, #12]",
            "add r11, r5",
            word!(),
            "ldr r10, [r6, #20]",
            // The draws, in r12 and r11; then the products.
            "lsl r12, r11, #16",
            "lsr r12, r12, r10",
            "bfc r11, #0, #16",
            "lsr r11, r11, r10",
            "ldr r10, [r6, #28]",
            "mla r12, lr, r10, r12",
            "mla r11, r9, r10, r11",
            "ldr r10, [r6, #24]",
            "asr r12, r12, r10",
            "asr r11, r11, r10",
            "ldrsb r9, [r1]",
            "ldrsb r10, [r1, #1]",
            "sub r9, r9, r12",
            "sub r10, r10, r11",
            "ssat r9, #8, r9",
            "ssat r10, #8, r10",
            "strb r9, [r1], #1",
            "strb r10, [r1], #1",
            "5:",
            "add r5, #1",
            "cmp r0, r2",
            "bne 2b",
            "b 4f",
            rare!(),
            "6:",
            "add r1, #2",
            "b 5b",
            "4:",
            "pop {{r6, r7}}",
            inout("r0") range.start => _, inout("r1") weights.as_mut_ptr() => _,
            in("r2") range.end, in("r3") Key::FACTORS[0], in("r4") Key::FACTORS[1],
            inout("r5") outer.wrapping_add(index) => _, in("r8") 32 - k,
            inout("r9") &raw mut work => _, inout("r10") k => _,
            out("r11") _, out("r12") _, out("lr") _,
        );
    }
    work.counts()
}
