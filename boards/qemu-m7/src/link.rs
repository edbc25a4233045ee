//! An emulated Cortex-M7 that trains as a desktop says, with memory enough for LeNet-5.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::{lenet, qemu};

#[entry]
fn main() -> ! {
    static mut MEMORY: lenet::LenetMemory = lenet::MEMORY;
    qemu::serve("qemu-m7", lenet::network, MEMORY, qemu::files(), qemu::flash::<16, 8192>())
}
