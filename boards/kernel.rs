//! The program that every emulated board has for its kernel: compares it with the scalar one. It is
//! one of its own, because code that a check calls besides is compiled otherwise in the trainer.
#![no_std]
#![no_main]

use fixgrad_boards::qemu;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    qemu::check_kernel()
}
