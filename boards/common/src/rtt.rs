//! The debug probe as the line, for boards without a serial port to spare: RTT, ring buffers in
//! memory that the probe reads and writes while the chip runs (SEGGER, "Real Time Transfer").

use core::convert::Infallible;

use embedded_hal_nb::serial::{self, ErrorKind};
use embedded_io::{ErrorType, Write};
use rtt_target::{DownChannel, UpChannel};

use crate::serial::{Line, Nb};

/// The half that receives.
pub struct From(DownChannel);

/// The half that sends. It waits while nobody reads.
pub struct To(UpChannel);

/// The line over a pair of channels. A board sets them up itself, since there can be one set of
/// channels in a program: `fixgrad` is the name that the desktop looks for, in both directions.
pub const fn line(up: UpChannel, down: DownChannel) -> Line<Nb<From>, To> {
    Line::new(Nb::new(From(down)), To(up))
}

impl serial::ErrorType for From {
    type Error = ErrorKind;
}

impl serial::Read<u8> for From {
    fn read(&mut self) -> nb::Result<u8, ErrorKind> {
        let mut byte = [0];
        match self.0.read(&mut byte) {
            0 => Err(nb::Error::WouldBlock),
            _ => Ok(byte[0]),
        }
    }
}

impl ErrorType for To {
    type Error = Infallible;
}

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.0.write(bytes))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
