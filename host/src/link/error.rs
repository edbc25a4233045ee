//! Why the link does not work, in words.

use std::{io, time::Duration};

use fixgrad::link::{Refusal, VERSION};

/// Why a request to a device has no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The stream failed.
    #[error("the line to the board failed: {0}")]
    Io(#[from] io::Error),
    /// The other side closed the stream.
    #[error("the other end of the line was closed: was the board unplugged or its server stopped?")]
    Closed,
    /// Nobody answers.
    #[error(
        "no answer in {} s, asked {tries} times ({damaged} damaged frames came): is the board \
         powered, does it run fixgrad's firmware, and is the baud rate right?",
        .waited.as_secs()
    )]
    NoAnswer {
        /// How often the request was sent.
        tries: u32,
        /// How long that took.
        waited: Duration,
        /// Frames with a wrong checksum since the line was opened.
        damaged: u32,
    },
    /// The device said no.
    #[error("the board refused: {0}")]
    Refused(#[from] Refusal),
    /// Another version of the link.
    #[error(
        "the board speaks version {found} of the link and this program {VERSION}: build both from \
         the same release"
    )]
    Version {
        /// The board's version.
        found: u16,
    },
    /// The same version of the link with other messages.
    #[error(
        "the board's messages have the schema {found} and this program's {expected}: build both \
         from the same sources"
    )]
    Schema {
        /// The board's schema.
        found: String,
        /// This program's.
        expected: String,
    },
    /// An answer that does not belong to the request.
    #[error(
        "the board answered {found} to a request for {asked}: its firmware and this program are \
         not of the same release"
    )]
    Unexpected {
        /// What was asked for.
        asked: &'static str,
        /// The answer, or what stands for it.
        found: String,
    },
    /// A micro-batch does not fit the store.
    #[error(
        "a micro-batch of {samples} samples needs {needed} bytes and the board's store has \
         {found}: use a smaller micro-batch, or a firmware with a larger store"
    )]
    Store {
        /// Samples of a micro-batch.
        samples: usize,
        /// Bytes for them and their targets.
        needed: usize,
        /// Bytes of the store.
        found: usize,
    },
    /// The state that was pulled is not the one that the device has.
    #[error(
        "the board's state changed while it was read: does it train alone? Pause it first with \
         `fixgrad monitor --pause`"
    )]
    Moved,
}
