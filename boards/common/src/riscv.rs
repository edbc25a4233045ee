//! RISC-V: the counter, and what happens on a fault.

use riscv::register::{mepc, minstret};

/// The counter of retired instructions, of which the lower half is enough for one step.
pub(crate) struct Counter {
    start: u32,
}

impl Counter {
    /// The counter.
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

#[riscv_rt::exception(riscv::interrupt::Exception::IllegalInstruction)]
fn illegal_instruction() -> ! {
    crate::qemu::fail("fault at", mepc::read() as u32)
}
