//! The program that every emulated board has for a small convolutional network.
#![no_std]
#![no_main]

use fixgrad_boards::{cnn, qemu};

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: cnn::CnnArena = cnn::ARENA;
    qemu::run(&cnn::TRAINING, ARENA.as_mut_slice())
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    use static_cell::ConstStaticCell;
    static ARENA: ConstStaticCell<cnn::CnnArena> = ConstStaticCell::new(cnn::ARENA);
    qemu::run(&cnn::TRAINING, ARENA.take().as_mut_slice())
}
