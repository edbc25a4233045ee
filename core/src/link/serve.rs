//! The loop of a board that does nothing else.

use core::fmt;

use embedded_io::{Read, ReadReady, Write};

use super::{Board, Network, Sent, Server};
use crate::{
    kernel::Kernel,
    strategy::Strategy,
    trainer::{SetupError, Trainer},
};

/// Why a board stopped to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServeError<E> {
    /// The stream has an end, and it was reached. A serial line has none.
    Closed,
    /// The stream failed.
    Stream(E),
    /// There is no trainer for the network and settings at hand.
    Setup(SetupError),
}

impl<E: embedded_io::Error> fmt::Display for ServeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the stream has ended"),
            Self::Stream(error) => write!(f, "the stream failed: {:?}", error.kind()),
            Self::Setup(error) => error.fmt(f),
        }
    }
}

impl<E: embedded_io::Error> core::error::Error for ServeError<E> {}

/// Trains as the desktop says, until the stream fails. Returns why.
///
/// A trainer borrows its network, so another network needs another trainer: this is the loop
/// around [`Server::poll`] that makes them. A firmware that does more than the link writes its
/// own in the same way.
pub fn serve<T, const N: usize, K, S>(
    server: &mut Server<'_, T>,
    network: &mut Network<N>,
    arena: &mut [u8],
    kernel: K,
    strategy: S,
    board: &mut impl Board,
) -> ServeError<T::Error>
where
    T: Read + ReadReady + Write,
    K: Kernel + Copy,
    S: Strategy + Copy,
{
    let mut first = true;
    loop {
        let Network { graph, config } = &*network;
        let mut made = Trainer::new(graph, config, arena, kernel, strategy);
        // Borrowed, so that it is not moved: there would be two of them on the stack.
        let trainer = match &mut made {
            Ok(trainer) => trainer,
            Err(error) => return ServeError::Setup(*error),
        };
        if core::mem::take(&mut first) {
            board.resume(trainer);
        }
        let sent = loop {
            match server.poll(trainer, board) {
                Ok(None) => {}
                Ok(Some(sent)) => break sent,
                Err(error) => return error,
            }
        };
        // It was read once already, to be answered; should it be another now, the old one stays.
        fetch(server, sent, network);
    }
}

/// Not inlined: the network on its way would lie on the stack under every step.
#[inline(never)]
fn fetch<T: Read + ReadReady + Write, const N: usize>(
    server: &Server<'_, T>,
    sent: Sent,
    network: &mut Network<N>,
) {
    if let Ok(next) = server.network(sent) {
        *network = next;
    }
}
