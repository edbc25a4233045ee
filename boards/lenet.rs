//! The program of emulated boards with memory enough for LeNet-5.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{lenet, qemu};

#[entry]
fn main() -> ! {
    static mut ARENA: lenet::LenetArena = lenet::ARENA;
    qemu::run(&lenet::TRAINING, ARENA.as_mut_slice())
}
