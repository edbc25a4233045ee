//! How deep the stack was: it is painted before the run, and what lost its paint was in use.

use core::ptr::{addr_of, read_volatile, write_volatile};

/// No address and no small number, so that hardly any stack content looks like it.
const PAINT: u32 = 0xc3a5_5a3c;
/// Left unpainted below the frame that paints, in words: frames of what is inlined and called.
const MARGIN: usize = 32;

// Symbols of the linker scripts of `cortex-m-rt` and `riscv-rt`.
unsafe extern "C" {
    /// The end of static memory, where the stack would meet it.
    static __sheap: u32;
    /// Where the stack begins, growing downwards.
    static _stack_start: u32;
}

/// Paints what is free of the stack. Call it first thing in `main`.
#[inline(never)]
pub(crate) fn paint() {
    let frame = 0_u32;
    let top = addr_of!(frame).wrapping_sub(MARGIN);
    let mut word = addr_of!(__sheap).cast_mut();
    while word.cast_const() < top {
        // SAFETY: between static memory and our own frame nothing lives; there is no heap, one
        // core, and no interrupt uses what it finds below its own frame.
        unsafe { write_volatile(word, PAINT) };
        word = word.wrapping_add(1);
    }
}

/// Bytes of stack that were ever in use.
pub(crate) fn high_water() -> u32 {
    let (mut word, start) = (addr_of!(__sheap), addr_of!(_stack_start));
    // SAFETY: reads words of RAM from the end of static memory to the start of the stack.
    while word < start && unsafe { read_volatile(word) } == PAINT {
        word = word.wrapping_add(1);
    }
    (start.addr() - word.addr()) as u32
}
