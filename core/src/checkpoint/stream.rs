//! Bytes to and from flash in pieces that it takes: aligned, and a whole number of words.

use embedded_storage::nor_flash::NorFlash;

use super::header::{CRC, sum};

/// Bytes that are read or written at once, and the largest word that fits.
pub(super) const PIECE: usize = 256;

/// Some controllers copy by words, so the buffer starts at a word.
#[repr(C, align(8))]
struct Piece([u8; PIECE]);

/// The next multiple of `unit`, or the largest there is.
pub(super) const fn align_up(bytes: u32, unit: u32) -> u32 {
    bytes.saturating_add(unit - 1) / unit * unit
}

/// Bytes that can be both read and written at once.
pub(super) const fn unit<F: NorFlash>() -> u32 {
    const {
        let unit = if F::READ_SIZE > F::WRITE_SIZE { F::READ_SIZE } else { F::WRITE_SIZE };
        assert!(
            unit > 0
                && F::ERASE_SIZE > 0
                && PIECE.is_multiple_of(unit)
                && F::ERASE_SIZE.is_multiple_of(unit)
                && unit.is_multiple_of(F::READ_SIZE)
                && unit.is_multiple_of(F::WRITE_SIZE),
            "a checkpoint needs a flash whose read and write sizes divide 256 and its page size"
        );
        unit as u32
    }
}

/// Writes bytes one after the other and sums them up.
pub(super) struct Writer<'f, F> {
    flash: &'f mut F,
    at: u32,
    piece: Piece,
    filled: usize,
    digest: crc::Digest<'static, u32>,
}

impl<'f, F: NorFlash> Writer<'f, F> {
    pub(super) fn new(flash: &'f mut F, at: u32) -> Self {
        Self { flash, at, piece: Piece([0; PIECE]), filled: 0, digest: CRC.digest() }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), F::Error> {
        sum(&mut self.digest, bytes);
        while !bytes.is_empty() {
            let room = self.piece.0.get_mut(self.filled..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
            bytes = bytes.get(count..).unwrap_or_default();
            self.filled += count;
            if self.filled == PIECE {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, filled up to a whole word as if it were erased.
    pub(super) fn flush(&mut self) -> Result<(), F::Error> {
        let end = align_up(self.filled as u32, unit::<F>());
        let bytes = self.piece.0.get_mut(..end as usize).unwrap_or_default();
        bytes.iter_mut().skip(self.filled).for_each(|byte| *byte = 0xff);
        if !bytes.is_empty() {
            self.flash.write(self.at, bytes)?;
        }
        self.at = self.at.saturating_add(end);
        self.filled = 0;
        Ok(())
    }

    /// The checksum of what was pushed so far.
    pub(super) fn checksum(&self) -> u32 {
        self.digest.clone().finalize()
    }
}

/// Reads bytes one after the other and sums them up.
pub(super) struct Reader<'f, F> {
    flash: &'f mut F,
    at: u32,
    /// Bytes that are still in flash.
    left: u32,
    piece: Piece,
    taken: usize,
    filled: usize,
    digest: crc::Digest<'static, u32>,
}

impl<'f, F: NorFlash> Reader<'f, F> {
    /// Reads up to `bytes` from `at` on. `seed` belongs to the sum and comes from elsewhere.
    pub(super) fn new(flash: &'f mut F, at: u32, bytes: u32, seed: &[u8]) -> Self {
        let mut digest = CRC.digest();
        sum(&mut digest, seed);
        Self { flash, at, left: bytes, piece: Piece([0; PIECE]), taken: 0, filled: 0, digest }
    }

    /// Fills `bytes`.
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Result<(), F::Error> {
        let mut places = bytes.iter_mut();
        let count = places.len();
        self.each(count, |part| {
            // The part comes first: `zip` takes one more from whatever stands there.
            part.iter().zip(&mut places).for_each(|(byte, place)| *place = *byte);
        })
    }

    /// Sums up all that is left.
    pub(super) fn finish(mut self) -> Result<u32, F::Error> {
        self.each(usize::MAX, |_| ())?;
        Ok(self.digest.finalize())
    }

    fn each(&mut self, mut count: usize, mut visit: impl FnMut(&[u8])) -> Result<(), F::Error> {
        while count > 0 {
            if self.taken == self.filled {
                self.refill()?;
            }
            let end = self.taken.saturating_add(count).min(self.filled);
            let part = self.piece.0.get(self.taken..end).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            sum(&mut self.digest, part);
            visit(part);
            count -= part.len();
            self.taken = end;
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<(), F::Error> {
        let count = self.left.min(PIECE as u32);
        let words = align_up(count, unit::<F>());
        let bytes = self.piece.0.get_mut(..words as usize).unwrap_or_default();
        if !bytes.is_empty() {
            self.flash.read(self.at, bytes)?;
        }
        self.at = self.at.saturating_add(words);
        self.left -= count;
        (self.taken, self.filled) = (0, count as usize);
        Ok(())
    }
}
