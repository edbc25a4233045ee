//! An emulated RISC-V chip, rv32imac, that trains as a desktop says.
#![no_std]
#![no_main]

use core::ptr::{self, NonNull};

use fixgrad_boards::{mlp, qemu};
use riscv_rt::entry;
use static_cell::ConstStaticCell;
use uart_16550::{Config, Uart16550};

static MEMORY: ConstStaticCell<mlp::MlpMemory> = ConstStaticCell::new(mlp::MEMORY);

#[entry]
fn main() -> ! {
    let base = NonNull::new(ptr::with_exposed_provenance_mut(0x1000_0000));
    // SAFETY: the UART of this machine, whose registers are bytes in a row, used nowhere else.
    let line = base.and_then(|base| unsafe { Uart16550::new_mmio(base, 1) }.ok());
    let mut line = line.unwrap_or_else(|| panic!("the address is that of a UART"));
    if line.init(Config::DEFAULT).is_err() {
        panic!("there is a UART");
    }
    qemu::serve("qemu-rv32", mlp::network, MEMORY.take(), line, qemu::flash::<4, 4096>())
}
