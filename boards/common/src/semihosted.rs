//! A line through two files of the machine that emulates, by semihosting.
//!
//! An emulated serial port hands every byte from one thread to another, and takes some 40 microseconds for it;
//! here a frame is one call. What it is for is to stream more than a few hundred steps.

use core::hint::black_box;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use semihosting::{
    fs::File,
    io::{self, Read as _, Write as _},
};

/// Passes of an empty loop between two looks, so that the emulator gets to do something else.
const PAUSE: u32 = 4_000;

/// The line: the desktop appends to the file `to-board` in the emulator's working folder, the board to
/// `from-board`.
#[derive(Debug)]
pub struct Files {
    input: File,
    output: File,
    /// Bytes that were read.
    at: u64,
}

impl Files {
    /// From the start of one file, to the start of the other.
    pub fn open() -> io::Result<Self> {
        Ok(Self { input: File::open(c"to-board")?, output: File::create(c"from-board")?, at: 0 })
    }
}

impl ErrorType for Files {
    type Error = ErrorKind;
}

impl ReadReady for Files {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let about = self.input.metadata().map_err(|_| ErrorKind::Other)?;
        Ok(about.len() > self.at)
    }
}

impl Read for Files {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        while !bytes.is_empty() {
            let count = self.input.read(bytes).map_err(|_| ErrorKind::Other)?;
            if count > 0 {
                self.at += count as u64;
                return Ok(count);
            }
            for pass in 0..PAUSE {
                black_box(pass);
            }
        }
        Ok(0)
    }
}

impl Write for Files {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self.output.write(bytes).map_err(|_| ErrorKind::Other)? {
            0 if !bytes.is_empty() => Err(ErrorKind::WriteZero),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
