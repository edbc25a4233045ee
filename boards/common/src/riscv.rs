//! RISC-V: the counter, and what happens on a fault.

use riscv::register::{mepc, minstret};

/// The counter of retired instructions, of which the lower half is enough for one step.
pub(crate) struct Counter {
    start: u32,
}

impl Counter {
    /// The counter; every chip of this kind has it.
    pub(crate) fn take() -> Option<Self> {
        Some(Self { start: 0 })
    }

    pub(crate) fn start(&mut self) {
        self.start = minstret::read() as u32;
    }

    pub(crate) fn elapsed(&self) -> u32 {
        (minstret::read() as u32).wrapping_sub(self.start)
    }
}

/// Stands in for the handler of `riscv-rt`, which would wait for ever.
// SAFETY: the runtime calls a function of this name and signature, and only one is linked.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception_handler(_: &riscv_rt::TrapFrame) -> ! {
    crate::qemu::fail("fault at", mepc::read() as u32)
}
