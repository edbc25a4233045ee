//! The loops over pairs for Cortex-M0 and M0+, in assembly: compiled, they keep most of what they need
//! in memory, because few instructions reach the upper half of the registers. The chip
//! itself compares them with the scalar kernel, up to the limits of [`Loops`]
//! ([`check`](super::check)).

#![expect(unsafe_code, reason = "loops that use every register")]

use core::arch::asm;

use crate::{
    quant::{
        Counts,
        loops::{Loop, Loops},
    },
    rng::Key,
};

/// The loops of Cortex-M0 and M0+.
pub(super) struct ThumbBase;

/// What a loop works on, in the order of its offsets.
#[repr(C)]
struct Work {
    sums: *const [i32; 2],
    codes: *mut [i8; 2],
    end: *const [i32; 2],
    /// For the upper registers: the index and the key, or the two biases; then factors.
    upper: [u32; 4],
    /// Bits that are dropped, and the others of a word.
    k: u32,
    unused: u32,
    saturated: u32,
    underflowed: u32,
}

impl Work {
    /// For as many sums as there are codes; `None` where there are none.
    fn new(k: u32, sums: &[[i32; 2]], codes: &mut [[i8; 2]], upper: [u32; 4]) -> Option<Self> {
        let sums = sums.get(..codes.len())?;
        let range = sums.as_ptr_range();
        let (codes, unused) = (codes.as_mut_ptr(), 32 - k);
        let (saturated, underflowed) = (0, 0);
        let work = Self {
            sums: range.start,
            codes,
            end: range.end,
            upper,
            k,
            unused,
            saturated,
            underflowed,
        };
        (!sums.is_empty()).then_some(work)
    }

    const fn counts(&self) -> Counts {
        Counts { saturated: self.saturated, underflowed: self.underflowed }
    }
}

/// The sum in r3 becomes a code of the value in r4. What is rare is done elsewhere.
macro_rules! code {
    ($clipped:literal, $back:literal, $zero:literal, $store:literal, $at:literal) => {
        concat!(
            "asrs r3, r7
            sxtb r5, r3
            cmp r5, r3
            bne ",
            $clipped,
            "f
            ",
            $back,
            ":
            cmp r5, #0
            beq ",
            $zero,
            "f
            ",
            $store,
            ":
            strb r5, [r1, #",
            $at,
            "]"
        )
    };
}

/// Clipped sums, and those that become zero.
macro_rules! rare {
    ($clipped:literal, $back:literal, $zero:literal, $store:literal) => {
        concat!(
            $clipped,
            ":
            asrs r5, r3, #31
            movs r3, #127
            eors r5, r3
            ldr r3, [sp]
            ldr r4, [r3, #36]
            adds r4, r4, #1
            str r4, [r3, #36]
            b ",
            $back,
            "b
            ",
            $zero,
            ":
            cmp r4, #0
            beq ",
            $store,
            "b
            ldr r3, [sp]
            ldr r4, [r3, #40]
            adds r4, r4, #1
            str r4, [r3, #40]
            b ",
            $store,
            "b"
        )
    };
}

/// A loop over pairs: sums at r0, codes at r1, the bits in r7 and r6, `upper` from r8 on.
macro_rules! pairs {
    ($work:ident, $($body:expr),*) => {
        asm!(
            "push {{r6, r7}}",
            "mov r1, r8",
            "mov r2, r9",
            "mov r3, r10",
            "mov r4, r11",
            "mov r5, r12",
            "push {{r0, r1, r2, r3, r4, r5}}",
            "ldr r2, [r0, #8]",
            "mov r12, r2",
            "ldr r2, [r0, #12]",
            "mov r8, r2",
            "ldr r2, [r0, #16]",
            "mov r9, r2",
            "ldr r2, [r0, #20]",
            "mov r10, r2",
            "ldr r2, [r0, #24]",
            "mov r11, r2",
            "ldr r7, [r0, #28]",
            "ldr r6, [r0, #32]",
            "ldr r1, [r0, #4]",
            "ldr r0, [r0]",
            "2:",
            $($body,)*
            "adds r1, r1, #2",
            "cmp r0, r12",
            "bne 2b",
            "b 4f",
            rare!("30", "31", "32", "33"),
            rare!("34", "35", "36", "37"),
            "4:",
            "pop {{r0, r1, r2, r3, r4, r5}}",
            "mov r8, r1",
            "mov r9, r2",
            "mov r10, r3",
            "mov r11, r4",
            "mov r12, r5",
            "pop {{r6, r7}}",
            inout("r0") &raw mut $work => _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
        )
    };
}

impl Loops for ThumbBase {
    const OWN: &'static [Loop] = &[Loop::Codes, Loop::Biased];

    #[inline(never)]
    fn codes(
        key: Key,
        index: u32,
        k: u32,
        sums: &[[i32; 2]],
        codes: &mut [[i8; 2]],
    ) -> Option<Counts> {
        let ([outer, inner], [first, second]) = (key.halves_of_key(), Key::FACTORS);
        let upper = [outer.wrapping_add(index), inner, first, second];
        let mut work = Work::new(k, sums, codes, upper)?;
        // SAFETY: reads all sums, of which there is at least one pair, and writes as many codes and
        // `work`. Puts back the registers that Rust does not lend: all above r5.
        unsafe {
            pairs!(
                work,
                "mov r2, r8",
                "lsrs r3, r2, #16",
                "eors r2, r3",
                "mov r3, r10",
                "muls r2, r3, r2",
                "lsrs r3, r2, #15",
                "eors r2, r3",
                "mov r3, r9",
                "eors r2, r3",
                "mov r3, r11",
                "muls r2, r3, r2",
                "lsrs r3, r2, #16",
                "eors r2, r3",
                "lsls r3, r2, #16",
                "lsrs r3, r6",
                "ldm r0!, {{r4}}",
                "adds r3, r3, r4",
                code!("30", "31", "32", "33", "0"),
                "lsrs r3, r2, #16",
                "lsls r3, r3, #16",
                "lsrs r3, r6",
                "ldm r0!, {{r4}}",
                "adds r3, r3, r4",
                code!("34", "35", "36", "37", "1"),
                "movs r3, #1",
                "add r8, r3"
            );
        }
        Some(work.counts())
    }

    #[inline(never)]
    fn biased(bias: [i32; 2], k: u32, sums: &[[i32; 2]], codes: &mut [[i8; 2]]) -> Option<Counts> {
        let [always, odd] = bias.map(i32::cast_unsigned);
        let mut work = Work::new(k, sums, codes, [always, odd, 0, 0])?;
        // SAFETY: as above.
        unsafe {
            pairs!(
                work,
                "ldm r0!, {{r4}}",
                "movs r3, r4",
                "asrs r3, r7",
                "mov r2, r9",
                "ands r3, r2",
                "add r3, r8",
                "adds r3, r3, r4",
                code!("30", "31", "32", "33", "0"),
                "ldm r0!, {{r4}}",
                "movs r3, r4",
                "asrs r3, r7",
                "ands r3, r2",
                "add r3, r8",
                "adds r3, r3, r4",
                code!("34", "35", "36", "37", "1")
            );
        }
        Some(work.counts())
    }
}
