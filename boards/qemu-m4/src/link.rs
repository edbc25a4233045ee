//! An emulated Cortex-M4F that trains as a desktop says.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{cmsdk::Uart, qemu, station};

#[entry]
fn main() -> ! {
    static mut MEMORY: station::Memory = station::Memory::NEW;
    // SAFETY: the first UART of this machine, used nowhere else.
    let line = unsafe { Uart::at(0x4000_4000) };
    qemu::serve::<8, 2048>("qemu-m4", MEMORY, line)
}
