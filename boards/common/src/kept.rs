//! The part of a machine's memory that is the flash behind the firmware, or stands for it. Where it
//! is, `memory.x` of the board says.

use core::ops::Range;
use core::ptr::{addr_of, addr_of_mut};
use core::slice;
use core::sync::atomic::{AtomicBool, Ordering};

// Symbols of `memory.x` of the boards that have such a part.
unsafe extern "C" {
    static mut _kept_start: u8;
    static _kept_end: u8;
}

/// Its addresses.
pub fn addresses() -> Range<usize> {
    addr_of!(_kept_start).addr()..addr_of!(_kept_end).addr()
}

/// The memory, for the first who asks.
pub fn take() -> Option<&'static mut [u8]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // One core and no interrupts: a load and a store need no lock between them, and some chips
    // have no other atomic operations.
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let (start, end) = (addr_of_mut!(_kept_start), addr_of!(_kept_end));
    // SAFETY: the linker gives this memory to nobody else, any content makes bytes, and this is
    // the only reference.
    Some(unsafe { slice::from_raw_parts_mut(start, end.addr() - start.addr()) })
}
