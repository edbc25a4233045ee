//! Cortex-M: the counter, and what happens on a fault.

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::{ExceptionFrame, exception};

const RELOAD: u32 = 0x00ff_ffff;

/// SysTick, counting 24 bits down.
pub(crate) struct Counter(SYST);

impl Counter {
    /// The counter, or nothing for a second one.
    pub(crate) fn take() -> Option<Self> {
        let mut systick = cortex_m::Peripherals::take()?.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(RELOAD);
        systick.clear_current();
        systick.enable_counter();
        Some(Self(systick))
    }

    pub(crate) fn start(&mut self) {
        self.0.clear_current();
    }

    pub(crate) fn elapsed(&self) -> u32 {
        RELOAD.wrapping_sub(SYST::get_current()) & RELOAD
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    crate::qemu::fail("fault at", frame.pc())
}
