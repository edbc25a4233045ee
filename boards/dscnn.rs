//! The program of emulated boards with memory enough for DS-CNN-S.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{dscnn, qemu};

#[entry]
fn main() -> ! {
    static mut ARENA: dscnn::DscnnArena = dscnn::ARENA;
    qemu::run(&dscnn::TRAINING, ARENA.as_mut_slice())
}
