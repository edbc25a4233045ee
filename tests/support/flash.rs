//! A NOR flash in RAM that behaves as badly as its contract allows.
//!
//! Bits only become zero; a word is written once between two erases; addresses, lengths and
//! buffers are aligned: whoever breaks a rule of [`NorFlash`] panics here, as no journal may. Power
//! fails after a number of bytes that the test chooses, and then everything fails until
//! [`reboot`](Flash::reboot).

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use fixgrad::rng::Key;

/// What a power cut leaves of the words or the page at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Whole bytes up to the cut, in order; of the byte at the cut some bits.
    Clean,
    /// All words of the write hold anything, and so does the page of an erase.
    Garbage(u64),
    /// As if the write or the erase had just ended, while the caller never hears of it.
    Late,
    /// As if it had never begun.
    Early,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Power is off.
    Power,
    /// The test wanted this read to fail.
    Read,
}

impl NorFlashError for Fault {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// A flash with these sizes of a read, of a write, and of a page.
#[derive(Clone, Debug)]
pub struct Flash<const READ: usize, const WRITE: usize, const PAGE: usize> {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Words that were written since their page was erased.
    written: Vec<bool>,
    /// Erases of every page that were begun.
    pub erases: Vec<u32>,
    /// Bytes written or erased since the start.
    pub worked: usize,
    /// Power fails before the byte that makes `worked` exceed this.
    fuel: usize,
    /// What that leaves.
    cut: Cut,
    on: bool,
    /// Reads until one fails.
    pub reads: Option<u32>,
    /// A bit that no write can clear: its byte and its mask.
    pub stuck: Option<(usize, u8)>,
}

impl<const READ: usize, const WRITE: usize, const PAGE: usize> Flash<READ, WRITE, PAGE> {
    /// An erased flash.
    pub fn new(pages: usize) -> Self {
        Self {
            bytes: vec![0xff; pages * PAGE],
            written: vec![false; pages * PAGE / WRITE],
            erases: vec![0; pages],
            worked: 0,
            fuel: usize::MAX,
            cut: Cut::Clean,
            on: true,
            reads: None,
            stuck: None,
        }
    }

    /// A flash in which somebody wrote these bytes.
    pub fn with_image(image: &[u8]) -> Self {
        let mut flash = Self::new(image.len().div_ceil(PAGE));
        flash.bytes[..image.len()].copy_from_slice(image);
        flash.written.fill(true);
        flash
    }

    /// Lets power fail after so many more bytes written or erased.
    #[must_use]
    pub fn cut_after(self, bytes: usize, cut: Cut) -> Self {
        Self { fuel: self.worked + bytes, cut, ..self }
    }

    /// Turns power on, for good.
    #[must_use]
    pub fn reboot(self) -> Self {
        Self { fuel: usize::MAX, on: true, ..self }
    }

    /// Uses power for up to `bytes`; how many there was power for.
    fn spend(&mut self, bytes: usize) -> usize {
        let done = bytes.min(self.fuel.saturating_sub(self.worked));
        self.worked += done;
        self.on = done == bytes;
        done
    }

    fn check_power(&self) -> Result<(), Fault> {
        if self.on { Ok(()) } else { Err(Fault::Power) }
    }

    fn check_access(&self, offset: u32, bytes: &[u8], word: usize) {
        let offset = offset as usize;
        assert!(offset.is_multiple_of(word) && bytes.len().is_multiple_of(word), "whole words");
        assert!(offset + bytes.len() <= self.bytes.len(), "inside the flash");
        assert!(bytes.as_ptr().addr().is_multiple_of(4), "an aligned buffer");
    }

    /// Clears bits as a write of `bytes` does.
    fn program(&mut self, offset: usize, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            let stuck = self.stuck.filter(|stuck| stuck.0 == at).map_or(0, |stuck| stuck.1);
            self.bytes[at] &= byte | stuck;
        }
    }
}

impl<const READ: usize, const WRITE: usize, const PAGE: usize> ErrorType
    for Flash<READ, WRITE, PAGE>
{
    type Error = Fault;
}

impl<const READ: usize, const WRITE: usize, const PAGE: usize> ReadNorFlash
    for Flash<READ, WRITE, PAGE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Fault> {
        self.check_access(offset, bytes, READ);
        self.check_power()?;
        if let Some(left) = &mut self.reads {
            *left = left.checked_sub(1).ok_or(Fault::Read)?;
        }
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WRITE: usize, const PAGE: usize> NorFlash
    for Flash<READ, WRITE, PAGE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Fault> {
        let (from, to) = (from as usize, to as usize);
        assert!(from <= to && to <= self.bytes.len(), "inside the flash");
        assert!(from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE), "whole pages");
        self.check_power()?;
        for start in (from..to).step_by(PAGE) {
            self.erases[start / PAGE] += 1;
            let done = self.spend(PAGE);
            let page = &mut self.bytes[start..start + PAGE];
            // Until an erase has ended, nothing may be written.
            let words = &mut self.written[start / WRITE..(start + PAGE) / WRITE];
            words.fill(!self.on);
            match self.cut {
                _ if self.on => page.fill(0xff),
                Cut::Clean => page[..done].fill(0xff),
                Cut::Garbage(seed) => anything(page, seed),
                Cut::Late => page.fill(0xff),
                Cut::Early => {}
            }
            self.check_power()?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.check_access(offset, bytes, WRITE);
        self.check_power()?;
        let offset = offset as usize;
        for word in &mut self.written[offset / WRITE..(offset + bytes.len()) / WRITE] {
            assert!(!*word, "a word is written once between two erases");
            *word = true;
        }
        let done = self.spend(bytes.len());
        match self.cut {
            _ if self.on => self.program(offset, bytes),
            Cut::Clean => {
                self.program(offset, &bytes[..done]);
                let half = bytes[done] | 0x55;
                self.program(offset + done, &[half]);
            }
            Cut::Garbage(seed) => anything(&mut self.bytes[offset..offset + bytes.len()], seed),
            Cut::Late => self.program(offset, bytes),
            Cut::Early => {}
        }
        self.check_power()
    }
}

fn anything(bytes: &mut [u8], seed: u64) {
    let key = Key::new(seed);
    (0u32..).zip(bytes).for_each(|(i, byte)| *byte = key.half(i) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Flash<1, 4, 16>;

    #[repr(align(4))]
    struct Aligned<const N: usize>([u8; N]);

    #[test]
    fn power_fails_after_as_many_bytes_as_it_was_told() {
        for fuel in 0..8 {
            let mut flash = Small::new(1).cut_after(fuel, Cut::Clean);
            assert_eq!(flash.write(4, &Aligned([0; 8]).0), Err(Fault::Power));
            assert_eq!(flash.read(0, &mut Aligned([0; 4]).0), Err(Fault::Power));
            let flash = flash.reboot();
            let done = flash.bytes.iter().filter(|&&byte| byte == 0).count();
            assert_eq!((done, flash.bytes[4 + fuel]), (fuel, 0x55));
        }
        let mut flash = Small::new(1).cut_after(8, Cut::Clean);
        assert_eq!(flash.write(4, &Aligned([0; 8]).0), Ok(()));
        assert_eq!(flash.erase(0, 16), Err(Fault::Power));
    }

    #[test]
    #[should_panic(expected = "a word is written once")]
    fn a_word_is_written_once() {
        let mut flash = Small::new(1);
        for _ in 0..2 {
            flash.write(0, &Aligned([0xff; 4]).0).expect("power");
        }
    }

    #[test]
    #[should_panic(expected = "a word is written once")]
    fn a_page_whose_erase_was_cut_takes_no_write() {
        let mut flash = Small::new(1).cut_after(10, Cut::Late);
        assert_eq!(flash.erase(0, 16), Err(Fault::Power));
        let _ = flash.reboot().write(0, &Aligned([0; 4]).0);
    }
}
