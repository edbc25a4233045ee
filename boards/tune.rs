//! The program of emulated boards that tunes the last layers of a network in flash.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{qemu, tune};

#[entry]
fn main() -> ! {
    static mut ARENA: tune::TuneArena = tune::ARENA;
    qemu::run(&tune::TRAINING, ARENA.as_mut_slice())
}
