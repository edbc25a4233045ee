//! The digits again, with the kernel that takes the least flash.
#![no_std]
#![no_main]

use fixgrad_boards::{Scalar, digits, qemu};
use riscv_rt::entry;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<digits::DigitsArena> = ConstStaticCell::new(digits::ARENA);

#[entry]
fn main() -> ! {
    qemu::run_with(Scalar, &digits::TRAINING, ARENA.take().as_mut_slice())
}
