//! An emulated Cortex-M4 with a floating-point unit, which training does not use.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{digits, qemu};

#[entry]
fn main() -> ! {
    static mut ARENA: digits::DigitsArena = digits::ARENA;
    qemu::run(&digits::TRAINING, ARENA.as_mut_slice())
}
