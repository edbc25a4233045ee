//! A network in flash, of which only the last layer is trained again: `examples/last-layer` on an
//! emulated Cortex-M0. Nothing but the chip takes part.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::qemu;
use last_layer::{Head, KNOWN, Room, TuneError, World, head, recovery};

static HEAD: Head = head(0);

#[entry]
fn main() -> ! {
    static mut ROOM: Room = Room::new();
    qemu::check(|| {
        let found = recovery(&HEAD, ROOM, World::Mirrored, 0)?;
        Ok::<_, TuneError>(found == KNOWN)
    })
}
