//! The serial port of the machines that QEMU names after Arm's MPS boards: the UART of the
//! Cortex-M System Design Kit.

use core::convert::Infallible;
use core::hint::spin_loop;

use cortex_m::{asm, interrupt, interrupt::InterruptNumber, peripheral::NVIC};
use embedded_io::{ErrorType, Read, ReadReady, Write};
use volatile_register::RW;

const TX_FULL: u32 = 1;
const RX_FULL: u32 = 2;
const ENABLE_TX_AND_RX: u32 = 3;
/// Of the control register; the bit of the interrupt register is another.
const RX_INTERRUPT_ENABLE: u32 = 8;
const RX_INTERRUPT: u32 = 2;
/// Clocks of a bit: the fewest that the device takes.
const DIVISOR: u32 = 16;

/// The registers.
#[repr(C)]
struct Registers {
    data: RW<u32>,
    state: RW<u32>,
    control: RW<u32>,
    interrupts: RW<u32>,
    divisor: RW<u32>,
}

/// The interrupt of a byte that has come, of the first port.
#[derive(Clone, Copy)]
struct Received;

// SAFETY: a number of these machines, of which all have more.
unsafe impl InterruptNumber for Received {
    fn number(self) -> u16 {
        0
    }
}

/// The port. No interrupt is ever taken: it only wakes a processor that waits for a byte. One that asks
/// again and again instead keeps QEMU from bringing the byte.
#[expect(missing_debug_implementations, reason = "to look at a register is to change it")]
pub struct Uart(&'static Registers);

impl Uart {
    /// Turns the first port on, whose registers start at `base`, and interrupts off.
    ///
    /// # Safety
    ///
    /// There is such a device at this address, and nobody else uses it or interrupts.
    pub unsafe fn at(base: usize) -> Self {
        // SAFETY: the caller knows that the registers are there; they are only accessed as such.
        let registers: &Registers = unsafe { &*core::ptr::with_exposed_provenance(base) };
        // SAFETY: settings of this device, which is ours.
        unsafe {
            registers.divisor.write(DIVISOR);
            registers.control.write(ENABLE_TX_AND_RX | RX_INTERRUPT_ENABLE);
        }
        interrupt::disable();
        // SAFETY: it is pending at most.
        unsafe { NVIC::unmask(Received) };
        Self(registers)
    }

    fn is(&self, state: u32) -> bool {
        self.0.state.read() & state != 0
    }

    /// Whether a byte is there. Otherwise the next one makes the interrupt pending.
    fn await_byte(&self) -> bool {
        // SAFETY: to write a one is to forget the interrupt.
        unsafe { self.0.interrupts.write(RX_INTERRUPT) };
        NVIC::unpend(Received);
        self.is(RX_FULL)
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.is(RX_FULL))
    }
}

impl Read for Uart {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        while !bytes.is_empty() && !self.await_byte() {
            asm::wfi();
        }
        let mut count = 0;
        for slot in bytes {
            if !self.is(RX_FULL) {
                break;
            }
            *slot = self.0.data.read() as u8;
            count += 1;
        }
        Ok(count)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.is(TX_FULL) {
                spin_loop();
            }
            // SAFETY: to write this register is to send a byte.
            unsafe { self.0.data.write(byte.into()) };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.is(TX_FULL) {
            spin_loop();
        }
        Ok(())
    }
}
