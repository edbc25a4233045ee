//! A watch that its wearer teaches, with recordings in place of the wearer: `examples/gestures` on an
//! emulated Cortex-M4F. Nothing but the chip takes part.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fixgrad_boards::qemu;
use gestures::{Room, Teaching, recorded, session, teaching};

static TEACHING: Teaching = teaching(0);

#[entry]
fn main() -> ! {
    static mut ROOM: Room = Room::new();
    qemu::check(|| {
        let outcome = session::replay(&TEACHING, ROOM, 0, recorded::LEARNED)?;
        Ok::<_, session::SessionError<_>>(outcome == session::KNOWN)
    })
}
