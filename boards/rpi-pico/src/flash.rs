//! The flash chip of a Pico, changed by functions of the boot ROM.

use embedded_storage::nor_flash::NorFlashErrorKind;
use fixgrad_boards::xip::Chip;
use rp2040_flash::flash;

/// Where the chip begins in the address space.
const BASE: usize = 0x1000_0000;

/// The boot ROM.
pub(crate) struct Rom;

impl Chip for Rom {
    fn erase(&mut self, address: usize, len: usize) -> Result<(), NorFlashErrorKind> {
        // SAFETY: whole sectors behind the firmware. Nothing else reads the flash meanwhile: this
        // firmware enables no interrupt, uses no DMA, and leaves the second core asleep.
        unsafe { flash::flash_range_erase((address - BASE) as u32, len as u32, true) };
        Ok(())
    }

    fn program(&mut self, address: usize, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        // SAFETY: as above, whole pages; the bytes are in RAM.
        unsafe { flash::flash_range_program((address - BASE) as u32, bytes, true) };
        Ok(())
    }
}
