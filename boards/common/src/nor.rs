//! RAM that obeys the rules of NOR flash, for machines that have no flash to write to.
//!
//! An erase sets all bits of whole pages; a write clears bits of whole words, once between two
//! erases. Who breaks a rule hears of it, as from a strict chip.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// Memory that can be written in words of `WORD` bytes and erased in pages of `PAGE` bytes.
#[derive(Debug)]
pub struct NorInRam<'a, const WORD: usize, const PAGE: usize> {
    bytes: &'a mut [u8],
}

/// Which rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NorError {
    /// Not whole words, or not whole pages.
    NotAligned,
    /// Beyond the end.
    OutOfBounds,
    /// A word that was not erased.
    NotErased,
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotErased => NorFlashErrorKind::Other,
        }
    }
}

impl<'a, const WORD: usize, const PAGE: usize> NorInRam<'a, WORD, PAGE> {
    /// A flash that holds what the memory holds. A rest that is no whole page is not used.
    pub fn new(memory: &'a mut [u8]) -> Self {
        let whole = memory.len() / PAGE * PAGE;
        Self { bytes: memory.get_mut(..whole).unwrap_or_default() }
    }

    /// The bytes at `offset`, which start and end at multiples of `unit`.
    fn place(&mut self, offset: u32, len: usize, unit: usize) -> Result<&mut [u8], NorError> {
        let offset = offset as usize;
        if !offset.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            return Err(NorError::NotAligned);
        }
        let end = offset.checked_add(len).ok_or(NorError::OutOfBounds)?;
        self.bytes.get_mut(offset..end).ok_or(NorError::OutOfBounds)
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for NorInRam<'_, WORD, PAGE> {
    type Error = NorError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for NorInRam<'_, WORD, PAGE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        bytes.copy_from_slice(self.place(offset, bytes.len(), 1)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for NorInRam<'_, WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        let len = to.checked_sub(from).ok_or(NorError::OutOfBounds)?;
        self.place(from, len as usize, PAGE)?.fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        let place = self.place(offset, bytes.len(), WORD)?;
        if place.iter().any(|&byte| byte != 0xff) {
            return Err(NorError::NotErased);
        }
        place.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_nor_flash_hold() {
        let mut memory = [0; 70];
        let mut flash = NorInRam::<4, 16>::new(&mut memory);
        assert_eq!(flash.capacity(), 64);
        assert_eq!(flash.write(16, &[1; 4]), Err(NorError::NotErased));
        flash.erase(16, 32).unwrap();
        flash.write(20, &[1, 2, 3, 4]).unwrap();
        assert_eq!(flash.write(20, &[0; 4]), Err(NorError::NotErased));
        let mut found = [0; 6];
        flash.read(19, &mut found).unwrap();
        assert_eq!(found, [255, 1, 2, 3, 4, 255]);
        assert_eq!(flash.write(22, &[1; 4]), Err(NorError::NotAligned));
        assert_eq!(flash.write(24, &[1; 3]), Err(NorError::NotAligned));
        assert_eq!(flash.erase(8, 32), Err(NorError::NotAligned));
        assert_eq!(flash.erase(32, 16), Err(NorError::OutOfBounds));
        assert_eq!(flash.write(64, &[1; 4]), Err(NorError::OutOfBounds));
        assert_eq!(flash.read(60, &mut found), Err(NorError::OutOfBounds));
    }
}
