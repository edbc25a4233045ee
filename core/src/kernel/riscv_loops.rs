//! The loops over pairs for 32-bit RISC-V, in assembly: compiled, they compare what a branch can
//! skip. The chip itself compares them with the scalar kernel, up to the limits of [`Loops`]
//! ([`check`](super::check)).

#![expect(unsafe_code, reason = "loops that branch where something is rare")]

use core::arch::asm;

use crate::{
    quant::{
        Counts,
        loops::{Loop, Loops},
    },
    rng::Key,
};

/// The loops of 32-bit RISC-V.
pub(super) struct RiscVLoops;

/// What two elements draw of the random word of index `x`, of the key whose inner half is `inner`:
/// in `x` what is for the first, in `y` what is for the second, both in the upper half.
macro_rules! word {
    ($inner:literal) => {
        concat!(
            "srli {y}, {x}, 16
            xor {x}, {x}, {y}
            mul {x}, {x}, {first}
            srli {y}, {x}, 15
            xor {x}, {x}, {",
            $inner,
            "}
            xor {x}, {x}, {y}
            mul {y}, {x}, {second}
            slli {x}, {y}, 16
            and {y}, {y}, {upper}
            xor {x}, {x}, {y}"
        )
    };
}

/// Branches to `clipped` where a number is no signed byte, to `zero` where it is zero; both come back.
macro_rules! byte {
    ($number:literal, $clipped:literal, $back:literal, $zero:literal, $next:literal) => {
        concat!(
            "addi {z}, {",
            $number,
            "}, 128
            bgeu {z}, {bytes}, ",
            $clipped,
            "f
            ",
            $back,
            ":
            beqz {",
            $number,
            "}, ",
            $zero,
            "f
            ",
            $next,
            ":"
        )
    };
}

/// Clipped sums and those that become zero are counted.
macro_rules! rare {
    ($number:literal, $sum:literal, $clipped:literal, $back:literal, $zero:literal, $next:literal) => {
        concat!(
            $clipped,
            ":
            srai {",
            $number,
            "}, {",
            $number,
            "}, 31
            xori {",
            $number,
            "}, {",
            $number,
            "}, 127
            addi {saturated}, {saturated}, 1
            j ",
            $back,
            "b
            ",
            $zero,
            ":
            snez {z}, {",
            $sum,
            "}
            add {underflowed}, {underflowed}, {z}
            j ",
            $next,
            "b"
        )
    };
}

/// The next two sums become codes of eight bits in `x` and `y`, rounded with random numbers.
macro_rules! codes {
    () => {
        concat!(
            "mv {x}, {index}
            lw {v}, 0({sums})
            lw {w}, 4({sums})
            addi {sums}, {sums}, 8
            ",
            word!("inner"),
            "
            srl {x}, {x}, {unused}
            srl {y}, {y}, {unused}
            add {x}, {x}, {v}
            add {y}, {y}, {w}
            sra {x}, {x}, {k}
            sra {y}, {y}, {k}
            ",
            byte!("x", "30", "31", "32", "33"),
            "
            ",
            byte!("y", "34", "35", "36", "37"),
        )
    };
}

impl Loops for RiscVLoops {
    const OWN: &'static [Loop] = &Loop::ALL;

    #[inline(never)]
    fn codes(
        key: Key,
        index: u32,
        k: u32,
        sums: &[[i32; 2]],
        codes: &mut [[i8; 2]],
    ) -> Option<Counts> {
        let [outer, inner] = key.halves_of_key();
        let mut counts = Counts::default();
        let sums = sums.get(..codes.len()).filter(|sums| !sums.is_empty())?.as_ptr_range();
        // SAFETY: reads all sums, of which there is at least one pair, and writes as many codes.
        unsafe {
            asm!(
                "2:",
                codes!(),
                "sb {x}, 0({codes})",
                "sb {y}, 1({codes})",
                "addi {codes}, {codes}, 2",
                "addi {index}, {index}, 1",
                "bne {sums}, {end}, 2b",
                "j 4f",
                rare!("x", "v", "30", "31", "32", "33"),
                rare!("y", "w", "34", "35", "36", "37"),
                "4:",
                sums = inout(reg) sums.start => _, end = in(reg) sums.end,
                codes = inout(reg) codes.as_mut_ptr() => _,
                index = inout(reg) outer.wrapping_add(index) => _, inner = in(reg) inner,
                first = in(reg) Key::FACTORS[0], second = in(reg) Key::FACTORS[1],
                upper = in(reg) 0xffff_0000u32, bytes = in(reg) 256,
                k = in(reg) k, unused = in(reg) 32 - k,
                saturated = inout(reg) counts.saturated,
                underflowed = inout(reg) counts.underflowed,
                v = out(reg) _, w = out(reg) _, x = out(reg) _, y = out(reg) _, z = out(reg) _,
            );
        }
        Some(counts)
    }

    #[inline(never)]
    fn biased(
        [always, odd]: [i32; 2],
        k: u32,
        sums: &[[i32; 2]],
        codes: &mut [[i8; 2]],
    ) -> Option<Counts> {
        let mut counts = Counts::default();
        let sums = sums.get(..codes.len()).filter(|sums| !sums.is_empty())?.as_ptr_range();
        // SAFETY: as above.
        unsafe {
            asm!(
                "2:",
                "lw {v}, 0({sums})",
                "lw {w}, 4({sums})",
                "addi {sums}, {sums}, 8",
                "sra {x}, {v}, {k}",
                "sra {y}, {w}, {k}",
                "and {x}, {x}, {odd}",
                "and {y}, {y}, {odd}",
                "add {x}, {x}, {always}",
                "add {y}, {y}, {always}",
                "add {x}, {x}, {v}",
                "add {y}, {y}, {w}",
                "sra {x}, {x}, {k}",
                "sra {y}, {y}, {k}",
                byte!("x", "30", "31", "32", "33"),
                byte!("y", "34", "35", "36", "37"),
                "sb {x}, 0({codes})",
                "sb {y}, 1({codes})",
                "addi {codes}, {codes}, 2",
                "bne {sums}, {end}, 2b",
                "j 4f",
                rare!("x", "v", "30", "31", "32", "33"),
                rare!("y", "w", "34", "35", "36", "37"),
                "4:",
                sums = inout(reg) sums.start => _, end = in(reg) sums.end,
                codes = inout(reg) codes.as_mut_ptr() => _,
                always = in(reg) always, odd = in(reg) odd, bytes = in(reg) 256, k = in(reg) k,
                saturated = inout(reg) counts.saturated,
                underflowed = inout(reg) counts.underflowed,
                v = out(reg) _, w = out(reg) _, x = out(reg) _, y = out(reg) _, z = out(reg) _,
            );
        }
        Some(counts)
    }

    #[inline(never)]
    fn descend(
        keys: [Key; 2],
        index: u32,
        [k, shift]: [u32; 2],
        rate: i32,
        sums: &[[i32; 2]],
        weights: &mut [[i8; 2]],
    ) -> Option<Counts> {
        let [[outer, inner], [other, other_inner]] = keys.map(Key::halves_of_key);
        let mut counts = Counts::default();
        let sums = sums.get(..weights.len()).filter(|sums| !sums.is_empty())?.as_ptr_range();
        // SAFETY: as above, with weights for codes.
        unsafe {
            asm!(
                "2:",
                codes!(),
                // What is zero moves nothing.
                "or {z}, {x}, {y}",
                "beqz {z}, 3f",
                "mul {v}, {x}, {rate}",
                "mul {w}, {y}, {rate}",
                "add {x}, {index}, {other}",
                word!("other_inner"),
                "srl {x}, {x}, {unused_too}",
                "srl {y}, {y}, {unused_too}",
                "add {v}, {v}, {x}",
                "add {w}, {w}, {y}",
                "sra {v}, {v}, {shift}",
                "sra {w}, {w}, {shift}",
                "lb {x}, 0({weights})",
                "lb {y}, 1({weights})",
                "sub {x}, {x}, {v}",
                "sub {y}, {y}, {w}",
                "addi {z}, {x}, 128",
                "bgeu {z}, {bytes}, 40f",
                "41:",
                "addi {z}, {y}, 128",
                "bgeu {z}, {bytes}, 42f",
                "43:",
                "sb {x}, 0({weights})",
                "sb {y}, 1({weights})",
                "3:",
                "addi {weights}, {weights}, 2",
                "addi {index}, {index}, 1",
                "bne {sums}, {end}, 2b",
                "j 4f",
                rare!("x", "v", "30", "31", "32", "33"),
                rare!("y", "w", "34", "35", "36", "37"),
                "40:",
                "srai {x}, {x}, 31",
                "xori {x}, {x}, 127",
                "j 41b",
                "42:",
                "srai {y}, {y}, 31",
                "xori {y}, {y}, 127",
                "j 43b",
                "4:",
                sums = inout(reg) sums.start => _, end = in(reg) sums.end,
                weights = inout(reg) weights.as_mut_ptr() => _,
                index = inout(reg) outer.wrapping_add(index) => _, inner = in(reg) inner,
                other = in(reg) other.wrapping_sub(outer), other_inner = in(reg) other_inner,
                first = in(reg) Key::FACTORS[0], second = in(reg) Key::FACTORS[1],
                upper = in(reg) 0xffff_0000u32, bytes = in(reg) 256,
                k = in(reg) k, unused = in(reg) 32 - k,
                shift = in(reg) shift, unused_too = in(reg) 32 - shift, rate = in(reg) rate,
                saturated = inout(reg) counts.saturated,
                underflowed = inout(reg) counts.underflowed,
                v = out(reg) _, w = out(reg) _, x = out(reg) _, y = out(reg) _, z = out(reg) _,
            );
        }
        Some(counts)
    }
}
