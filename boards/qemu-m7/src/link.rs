//! An emulated Cortex-M7 that trains as a desktop says, with memory enough for LeNet-5.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{cmsdk::Uart, lenet, qemu};

#[entry]
fn main() -> ! {
    static mut MEMORY: lenet::LenetMemory = lenet::MEMORY;
    // SAFETY: the first UART of this machine, used nowhere else.
    let line = unsafe { Uart::at(0x4000_4000) };
    qemu::serve("qemu-m7", lenet::network, MEMORY, line, qemu::flash::<16, 8192>())
}
