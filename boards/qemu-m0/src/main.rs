//! Code for a Cortex-M0 on the emulated Cortex-M3, which runs it instruction by instruction: QEMU
//! has no Cortex-M0 with more than 16 KB of RAM.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{digits, qemu};

#[entry]
fn main() -> ! {
    static mut ARENA: digits::DigitsArena = digits::ARENA;
    qemu::run(&digits::TRAINING, ARENA.as_mut_slice())
}
