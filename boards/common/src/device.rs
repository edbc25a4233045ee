//! The real boards: a station on a serial line, a log for people, and a lamp.
//!
//! The log goes wherever the board's `defmt` logger sends it: through the debug probe, or on the
//! chip's own USB.

use core::panic::PanicInfo;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::NorFlash;
use fixgrad::link::ServeError;

use crate::{Board, mlp, stack, station};

/// Bits a second of the serial line: what `fixgrad --link serial:PORT` takes for granted.
pub const BAUD: u32 = 115_200;

/// The longest line of the log; the rest of a longer one is lost.
const LOGGED: usize = 64;

/// Serves the link on `line` for ever, and keeps checkpoints in `flash`. The lamp is lit while the
/// board computes, and `now` tells the time in whatever unit the board likes.
pub fn serve<F: NorFlash>(
    name: &'static str,
    memory: &mut mlp::MlpMemory,
    line: impl Read + ReadReady + Write,
    flash: F,
    now: impl FnMut() -> u32,
    lamp: impl OutputPin,
) -> ! {
    stack::paint();
    let device = Device { log: Log::new(), now, started: 0, lamp };
    match station::serve(name, mlp::network, memory, line, flash, device) {
        Ok(ServeError::Setup(_)) => defmt::panic!("the network does not fit"),
        Ok(_) => defmt::panic!("the serial line failed"),
        Err(_) => defmt::panic!("the buffer for frames is too small"),
    }
}

struct Device<N, P> {
    log: Log,
    now: N,
    started: u32,
    lamp: P,
}

impl<N: FnMut() -> u32, P: OutputPin> Board for Device<N, P> {
    type Out = Log;

    fn out(&mut self) -> &mut Log {
        &mut self.log
    }

    fn start(&mut self) {
        // A lamp that fails is no reason not to train.
        let _ = self.lamp.set_high();
        self.started = (self.now)();
    }

    fn elapsed(&mut self) -> u32 {
        let _ = self.lamp.set_low();
        (self.now)().wrapping_sub(self.started)
    }

    fn stack_high_water(&self) -> Option<u32> {
        Some(stack::high_water())
    }
}

/// Gathers what is told and logs it line by line.
struct Log {
    line: [u8; LOGGED],
    len: usize,
}

impl Log {
    const fn new() -> Self {
        Self { line: [0; LOGGED], len: 0 }
    }
}

impl embedded_io::ErrorType for Log {
    type Error = core::convert::Infallible;
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        for &byte in bytes {
            if byte == b'\n' {
                let line = self.line.get(..self.len).unwrap_or_default();
                defmt::println!("{=str}", core::str::from_utf8(line).unwrap_or_default());
                self.len = 0;
            } else if let Some(place) = self.line.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Logs the place of the panic without its message: that would need `core::fmt`.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
    defmt::println!("panicked at {=str}:{=u32}", file, line);
    loop {
        core::hint::spin_loop();
    }
}
