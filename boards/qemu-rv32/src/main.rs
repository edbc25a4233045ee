//! An emulated RISC-V chip, rv32imac.
#![no_std]
#![no_main]

use fixgrad_boards::{digits, qemu};
use riscv_rt::entry;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<digits::DigitsArena> = ConstStaticCell::new(digits::ARENA);

#[entry]
fn main() -> ! {
    qemu::run(&digits::TRAINING, ARENA.take().as_mut_slice())
}
