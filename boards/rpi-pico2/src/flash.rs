//! The flash chip of a Pico 2, changed by a function of the boot ROM.

use core::ptr;

use embedded_storage::nor_flash::NorFlashErrorKind;
use fixgrad_boards::xip::Chip;
use rp235x_hal::rom_data;

/// Flags of `flash_op`: addresses as the program sees them, on behalf of secure code, and what to do.
const RUNTIME_ADDRESS: u32 = 1;
const SECURE: u32 = 1 << 8;
const ERASE: u32 = 0 << 16;
const PROGRAM: u32 = 1 << 16;

/// The boot ROM.
pub(crate) struct Rom;

impl Rom {
    /// The ROM leaves the flash readable, so this code may lie in it.
    fn change(
        what: u32,
        address: usize,
        len: usize,
        bytes: *const u8,
    ) -> Result<(), NorFlashErrorKind> {
        let flags = RUNTIME_ADDRESS | SECURE | what;
        // SAFETY: the ROM checks the range, which lies behind the firmware, and only reads the
        // bytes. Nothing else reads the flash meanwhile: this firmware enables no interrupt, uses
        // no DMA, and leaves the second core asleep.
        let refused =
            unsafe { rom_data::flash_op(flags, address as u32, len as u32, bytes.cast_mut()) };
        // SAFETY: only forgets what was read before.
        unsafe { rom_data::flash_flush_cache() };
        if refused == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }
}

impl Chip for Rom {
    fn erase(&mut self, address: usize, len: usize) -> Result<(), NorFlashErrorKind> {
        Self::change(ERASE, address, len, ptr::null())
    }

    fn program(&mut self, address: usize, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        Self::change(PROGRAM, address, bytes.len(), bytes.as_ptr())
    }
}
