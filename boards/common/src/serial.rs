//! Serial lines of real chips as the byte stream that the link takes.

use core::convert::Infallible;

use embedded_hal_nb::serial;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use nb::block;

/// Both directions of a line, on which an error of the port is a zero.
///
/// Ports report overruns and noise as errors, and a station ends when its stream fails. A zero ends a
/// frame, so that what was damaged is thrown away and repeated. Nothing at all would be no answer for a
/// station that trains and has heard that there is something: it would wait.
#[derive(Debug)]
pub struct Line<R, W> {
    from: R,
    to: W,
}

impl<R: Read + ReadReady, W: Write> Line<R, W> {
    /// The line that is received with `from` and sent on with `to`.
    pub const fn new(from: R, to: W) -> Self {
        Self { from, to }
    }
}

impl<R, W: ErrorType> ErrorType for Line<R, W> {
    type Error = W::Error;
}

impl<R: Read + ReadReady, W: Write> ReadReady for Line<R, W> {
    fn read_ready(&mut self) -> Result<bool, W::Error> {
        Ok(self.from.read_ready().unwrap_or(false))
    }
}

impl<R: Read + ReadReady, W: Write> Read for Line<R, W> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, W::Error> {
        loop {
            match self.from.read(bytes) {
                // A serial line has no end: nothing is nothing yet.
                Ok(0) if !bytes.is_empty() => {}
                Ok(read) => return Ok(read),
                Err(_) => {
                    let first = bytes.first_mut();
                    return Ok(first.map_or(0, |byte| {
                        *byte = 0;
                        1
                    }));
                }
            }
        }
    }
}

impl<R: Read + ReadReady, W: Write> Write for Line<R, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, W::Error> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> Result<(), W::Error> {
        self.to.flush()
    }
}

/// A half of a port, for drivers with the traits of `embedded-hal-nb` only.
#[derive(Debug)]
pub struct Nb<T> {
    port: T,
    /// Was read to find out whether there is one.
    ahead: Option<u8>,
}

impl<T> Nb<T> {
    /// The half of the port.
    pub const fn new(port: T) -> Self {
        Self { port, ahead: None }
    }
}

impl<T> ErrorType for Nb<T> {
    type Error = Infallible;
}

impl<T: serial::Read<u8>> ReadReady for Nb<T> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        self.ahead = self.ahead.or_else(|| self.port.read().ok());
        Ok(self.ahead.is_some())
    }
}

impl<T: serial::Read<u8>> Read for Nb<T> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = bytes.first_mut() else { return Ok(0) };
        *first = loop {
            // After an error the driver has thrown the damaged byte away.
            if let Ok(byte) = self.ahead.take().map_or_else(|| block!(self.port.read()), Ok) {
                break byte;
            }
        };
        Ok(1)
    }
}

impl<T: serial::Write<u8>> Write for Nb<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            // To send fails in no port that is known; the link would notice.
            let _ = block!(self.port.write(byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        let _ = block!(self.port.flush());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, vec::Vec};

    use embedded_hal_nb::serial::ErrorKind;

    use super::*;

    /// A port that receives what is queued, and sends to a list.
    #[derive(Default)]
    struct Port {
        received: VecDeque<nb::Result<u8, ErrorKind>>,
        sent: Vec<u8>,
    }

    impl serial::ErrorType for Port {
        type Error = ErrorKind;
    }

    impl serial::Read<u8> for Port {
        fn read(&mut self) -> nb::Result<u8, ErrorKind> {
            self.received.pop_front().unwrap_or(Err(nb::Error::WouldBlock))
        }
    }

    impl serial::Write<u8> for Port {
        fn write(&mut self, byte: u8) -> nb::Result<(), ErrorKind> {
            self.sent.push(byte);
            Ok(())
        }

        fn flush(&mut self) -> nb::Result<(), ErrorKind> {
            Ok(())
        }
    }

    #[test]
    fn bytes_arrive_in_order_and_damaged_ones_are_lost() {
        let wait = Err(nb::Error::WouldBlock);
        let damaged = Err(nb::Error::Other(ErrorKind::Overrun));
        let received = [Ok(1), damaged, wait, Ok(2), Ok(3)].into();
        let port = Port { received, ..Port::default() };
        let mut line = Line::new(Nb::new(port), Nb::new(Port::default()));
        let mut read = || {
            let mut byte = [0];
            assert_eq!(line.read(&mut byte), Ok(1));
            byte[0]
        };
        assert_eq!([read(), read()], [1, 2]);
        assert_eq!(line.read(&mut []), Ok(0));
        assert_eq!(line.read_ready(), Ok(true));
        let mut byte = [0];
        assert_eq!((line.read(&mut byte), byte), (Ok(1), [3]));
        assert_eq!(line.read_ready(), Ok(false));

        line.write_all(&[7, 8]).unwrap();
        line.flush().unwrap();
        assert_eq!(line.to.port.sent, [7, 8]);
    }

    /// A driver with the traits of `embedded-io` of whose reads one in three fails.
    struct Noisy(u8);

    impl ErrorType for Noisy {
        type Error = embedded_io::ErrorKind;
    }

    impl ReadReady for Noisy {
        fn read_ready(&mut self) -> Result<bool, Self::Error> {
            Err(embedded_io::ErrorKind::Other)
        }
    }

    impl Read for Noisy {
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Self::Error> {
            self.0 += 1;
            match self.0 % 3 {
                0 if !bytes.is_empty() => {
                    bytes[0] = self.0;
                    Ok(1)
                }
                1 => Err(embedded_io::ErrorKind::Other),
                _ => Ok(0),
            }
        }
    }

    #[test]
    fn an_error_of_the_port_is_no_end_of_the_line() {
        let mut line = Line::new(Noisy(0), Nb::new(Port::default()));
        for expected in [0, 3, 0, 6] {
            let mut byte = [9];
            assert_eq!((line.read(&mut byte), byte), (Ok(1), [expected]));
        }
        assert_eq!(line.read(&mut []), Ok(0));
        assert_eq!(line.read_ready(), Ok(false));
    }
}
