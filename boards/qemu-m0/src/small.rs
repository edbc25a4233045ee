//! The digits again, with the kernel that takes the least flash.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{Scalar, digits, qemu};

#[entry]
fn main() -> ! {
    static mut ARENA: digits::DigitsArena = digits::ARENA;
    qemu::run_with(Scalar, &digits::TRAINING, ARENA.as_mut_slice())
}
