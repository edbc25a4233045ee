//! Flash from which the firmware runs, and which lies in the chip's address space to be read.

use core::ptr;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::kept;

/// Bytes that are erased at once: those of the serial flash chips that such boards have.
const SECTOR: usize = 4096;
/// Bytes that are programmed at once.
const PAGE: usize = 256;

/// How a chip changes its flash while it runs from it.
pub trait Chip {
    /// Erases whole sectors.
    fn erase(&mut self, address: usize, len: usize) -> Result<(), NorFlashErrorKind>;
    /// Programs whole pages. The bytes are in RAM.
    fn program(&mut self, address: usize, bytes: &[u8]) -> Result<(), NorFlashErrorKind>;
}

/// The part of the flash that `memory.x` sets aside.
#[derive(Debug)]
pub struct Xip<C> {
    chip: C,
    start: *const u8,
    len: usize,
}

impl<C: Chip> Xip<C> {
    /// The flash, for the first who asks.
    pub fn take(chip: C) -> Option<Self> {
        kept::take().map(|kept| Self { chip, start: kept.as_ptr(), len: kept.len() })
    }

    fn address(&self, offset: u32) -> usize {
        self.start.addr() + offset as usize
    }
}

impl<C> ErrorType for Xip<C> {
    type Error = NorFlashErrorKind;
}

impl<C: Chip> ReadNorFlash for Xip<C> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        let start = self.start.wrapping_add(offset as usize);
        for (i, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: within what was taken, as was just checked. Volatile, because the chip
            // changes these bytes behind the compiler's back.
            *byte = unsafe { ptr::read_volatile(start.wrapping_add(i)) };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl<C: Chip> NorFlash for Xip<C> {
    const WRITE_SIZE: usize = PAGE;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        self.chip.erase(self.address(from), (to - from) as usize)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        self.chip.program(self.address(offset), bytes)
    }
}
