//! The link: messages between a board and the desktop, over any byte stream.
//!
//! The desktop asks and the device answers; one request is under way at a time. Lost, damaged,
//! doubled and oversized frames are counted and recovered from: the desktop asks again, and what
//! was done already is answered again and not done twice. Whatever arrives, the device goes on
//! with what it had. `docs/link.md` describes the bytes.
//!
//! All memory is the caller's:
//!
//! ```
//! use fixgrad::{link::{self, Board, Network, Server}, prelude::*};
//! # use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
//! # struct Uart;
//! # impl ErrorType for Uart { type Error = ErrorKind; }
//! # impl Read for Uart { fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> { Ok(0) } }
//! # impl ReadReady for Uart { fn read_ready(&mut self) -> Result<bool, ErrorKind> { Ok(true) } }
//! # impl Write for Uart {
//! #     fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> { Ok(bytes.len()) }
//! #     fn flush(&mut self) -> Result<(), ErrorKind> { Ok(()) }
//! # }
//! # let uart = Uart;
//!
//! const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
//! const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
//!
//! struct MyBoard;
//! impl Board for MyBoard {
//!     fn name(&self) -> &str {
//!         "my board"
//!     }
//! }
//!
//! let (mut frame, mut store, mut arena) = ([0; 512], [0; 1024], Arena::<2048>::new());
//! let config = Config::uniform(NET.view(), LayerConfig::new(8), TRAIN);
//! let mut network = Network { graph: NET, config };
//! let mut server = Server::new(uart, &mut frame, &mut store)?;
//! let end = link::serve(&mut server, &mut network, arena.as_mut_slice(), Scalar, (), &mut MyBoard);
//! assert!(matches!(end, link::ServeError::Closed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod board;
mod frame;
mod message;
mod network;
mod refusal;
mod serve;
mod server;
mod store;

use postcard_schema::key::Key;

pub use answer::Sent;
pub use board::Board;
pub use frame::{Line, MIN_FRAME, Receiver, chunk, decode, encode};
pub use message::{Batch, Hello, Part, Request, Response, State, Storage, Wanted};
pub use network::Network;
pub use refusal::Refusal;
pub use serve::{ServeError, serve};
pub use server::{FrameTooSmall, Server};

/// Version of the link in this release.
pub const VERSION: u16 = 1;

/// Bytes of a board's name that are sent.
pub const MAX_NAME: usize = 32;

/// Identifies the messages: a hash of their names, fields and types, made by the compiler. Two
/// sides with different ones do not understand each other, whatever their version says.
pub const fn schema() -> [u8; 8] {
    const REQUESTS: [u8; 8] = Key::for_path::<Request<'static>>("fixgrad/link").to_bytes();
    const RESPONSES: [u8; 8] = Key::for_path::<Response<'static>>("fixgrad/link").to_bytes();
    (u64::from_le_bytes(REQUESTS).rotate_left(1) ^ u64::from_le_bytes(RESPONSES)).to_le_bytes()
}
