//! A part of a flash as a flash of its own, so that what is kept cannot reach the firmware.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// So many bytes of a flash, from a page on.
#[derive(Debug)]
pub struct Pages<F> {
    flash: F,
    start: u32,
    len: u32,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagesError<E> {
    /// It reaches beyond the pages.
    OutOfBounds,
    /// The flash failed.
    Flash(E),
}

impl<E: NorFlashError> NorFlashError for PagesError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Flash(error) => error.kind(),
        }
    }
}

impl<F> Pages<F> {
    /// The bytes from `start` on. Both numbers are multiples of the flash's page.
    pub const fn new(flash: F, start: u32, len: u32) -> Self {
        Self { flash, start, len }
    }

    /// Where in the flash `offset` is, when so many bytes fit behind it.
    fn place<E>(&self, offset: u32, len: usize) -> Result<u32, PagesError<E>> {
        let room = self.len.checked_sub(offset).ok_or(PagesError::OutOfBounds)?;
        if len > room as usize {
            return Err(PagesError::OutOfBounds);
        }
        Ok(self.start + offset)
    }
}

impl<F: ErrorType> ErrorType for Pages<F> {
    type Error = PagesError<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for Pages<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let place = self.place(offset, bytes.len())?;
        self.flash.read(place, bytes).map_err(PagesError::Flash)
    }

    fn capacity(&self) -> usize {
        self.len as usize
    }
}

impl<F: NorFlash> NorFlash for Pages<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.checked_sub(from).ok_or(PagesError::OutOfBounds)?;
        let from = self.place(from, len as usize)?;
        self.flash.erase(from, from + len).map_err(PagesError::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let place = self.place(offset, bytes.len())?;
        self.flash.write(place, bytes).map_err(PagesError::Flash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NorError, NorInRam};

    #[test]
    fn only_the_own_pages_are_touched() {
        let mut memory = [0; 64];
        let mut pages = Pages::new(NorInRam::<4, 16>::new(&mut memory), 16, 32);
        assert_eq!(pages.capacity(), 32);
        pages.erase(0, 32).unwrap();
        pages.write(28, &[1; 4]).unwrap();
        let mut read = [0; 2];
        pages.read(27, &mut read).unwrap();
        assert_eq!(read, [255, 1]);

        let beyond = Err(PagesError::OutOfBounds);
        assert_eq!(pages.erase(16, 48), beyond);
        assert_eq!(pages.erase(16, 0), beyond);
        assert_eq!(pages.write(32, &[1; 4]), beyond);
        assert_eq!(pages.read(u32::MAX, &mut read), beyond);
        let wrong = Err(PagesError::Flash(NorError::NotAligned));
        assert_eq!(pages.write(2, &[1; 4]), wrong);
        assert!(memory[..16].iter().chain(&memory[48..]).all(|&byte| byte == 0));
        assert!(memory[16..44].iter().all(|&byte| byte == 255));
    }
}
