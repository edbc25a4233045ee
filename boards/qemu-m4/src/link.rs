//! An emulated Cortex-M4F that trains as a desktop says.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{cmsdk::Uart, mlp, qemu};

#[entry]
fn main() -> ! {
    static mut MEMORY: mlp::MlpMemory = mlp::MEMORY;
    // SAFETY: the first UART of this machine, used nowhere else.
    let line = unsafe { Uart::at(0x4000_4000) };
    qemu::serve("qemu-m4", mlp::network, MEMORY, line, qemu::flash::<8, 2048>())
}
