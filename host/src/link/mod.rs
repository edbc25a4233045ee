//! The desktop's side of the link to a board.
//!
//! [`Client`] asks, asks again when no answer comes, and gives up with a sentence. [`open()`] makes
//! the stream that it works on. `docs/link.md` describes what goes over it.

mod client;
mod difference;
mod error;
mod model;
mod on_board;
mod open;
mod pack;
#[cfg(feature = "rtt")]
mod rtt;
mod stand_in;
mod steps;
mod verify;
mod watching;

pub use client::{Client, Device, Patience, Stream};
pub use difference::difference;
pub use error::LinkError;
pub use on_board::OnBoard;
pub use open::{Address, open};
pub use pack::pack;
pub use stand_in::StandIn;
pub use steps::Cut;
pub use verify::{Verdict, verify};
pub use watching::{Watching, since};
