//! The device's side of the line: from bytes to requests, and answers back.

use core::fmt;

use embedded_io::{Read, ReadReady, Write};

use super::{
    Board, MIN_FRAME, Network, Receiver, Refusal, Request, Response, ServeError,
    answer::{Desk, Sent},
    frame::{decode, encode},
    store::Store,
};
use crate::{kernel::Kernel, strategy::Strategy, trainer::Trainer};

/// The device's side of the link, in memory that the caller gives.
#[derive(Debug)]
pub struct Server<'a, T> {
    stream: T,
    frame: &'a mut [u8],
    receiver: Receiver,
    inbox: Inbox,
    /// None until somebody greets: what was asked before a reset is not what is meant after it.
    last: Option<Last>,
    desk: Desk<'a>,
}

/// Bytes that were read and not looked at yet.
#[derive(Debug, Default)]
struct Inbox {
    bytes: [u8; 16],
    at: usize,
    end: usize,
}

impl Inbox {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at..self.end)?.first().copied()?;
        self.at += 1;
        Some(byte)
    }
}

/// The newest request that was answered.
#[derive(Debug)]
struct Last {
    sequence: u16,
    /// The answer to a request that must not be done twice.
    answer: Option<Response<'static>>,
}

/// The buffer for frames is too small for the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooSmall {
    /// Bytes that were given; [`MIN_FRAME`] are needed.
    pub found: usize,
}

impl fmt::Display for FrameTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the buffer for frames has {} bytes; the link needs {MIN_FRAME}", self.found)
    }
}

impl core::error::Error for FrameTooSmall {}

impl<'a, T: Read + ReadReady + Write> Server<'a, T> {
    /// A server on this stream. `frame` bounds the length of a frame, and is at least
    /// [`MIN_FRAME`]; `store` is where samples and configurations arrive, and bounds how many
    /// samples can be sent at once.
    pub fn new(stream: T, frame: &'a mut [u8], store: &'a mut [u8]) -> Result<Self, FrameTooSmall> {
        if frame.len() < MIN_FRAME {
            return Err(FrameTooSmall { found: frame.len() });
        }
        Ok(Self {
            stream,
            frame,
            receiver: Receiver::default(),
            inbox: Inbox::default(),
            last: None,
            desk: Desk::new(Store::new(store)),
        })
    }

    /// True while the board trains alone.
    pub const fn running(&self) -> bool {
        self.desk.running
    }

    /// Starts or ends training alone, as [`Request::Start`] and [`Request::Pause`] do.
    pub const fn run(&mut self, running: bool) {
        self.desk.running = running;
    }

    /// Waits for bytes, unless the board trains alone and none are there; answers a request when
    /// one is complete; then does a step, if the board trains alone.
    ///
    /// Says so when the desktop sent a network that shall be worked on from now on: let go of the
    /// trainer, [fetch](Self::network) the network, and make another trainer.
    pub fn poll<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
        board: &mut impl Board,
    ) -> Result<Option<Sent>, ServeError<T::Error>> {
        // All that has arrived, or whoever speaks to a board that trains alone waits a step for a byte;
        // but not more than a frame, or noise would keep it from training.
        for i in 0..self.frame.len() {
            let waits = i == 0 && !self.desk.running;
            if !waits && !self.stream.read_ready().map_err(ServeError::Stream)? {
                break;
            }
            let end = self.stream.read(&mut self.inbox.bytes).map_err(ServeError::Stream)?;
            if end == 0 {
                return Err(ServeError::Closed);
            }
            (self.inbox.at, self.inbox.end) = (0, end);
            while let Some(byte) = self.inbox.next() {
                let Some(len) = self.receiver.push(byte, self.frame) else { continue };
                if let Some(sent) = self.answer(len, trainer, board)? {
                    // What is left in the inbox is at most the start of a repetition.
                    return Ok(Some(sent));
                }
            }
        }
        if self.desk.running {
            self.desk.work(trainer, board);
        }
        Ok(None)
    }

    /// The network that [`poll`](Self::poll) spoke of.
    pub fn network<const N: usize>(&self, sent: Sent) -> Result<Network<N>, Refusal> {
        self.desk.network(sent)
    }

    fn answer<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        len: usize,
        trainer: &mut Trainer<'_, N, K, S>,
        board: &mut impl Board,
    ) -> Result<Option<Sent>, ServeError<T::Error>> {
        let payload = self.frame.get(..len).unwrap_or_default();
        let Some((sequence, request)) = decode::<Request<'_>>(payload) else {
            let sequence = postcard::take_from_bytes(payload).map_or(0, |(sequence, _)| sequence);
            return self.send(sequence, &Response::Refused(Refusal::Unknown)).map(|()| None);
        };
        let line = &mut self.receiver.line;
        match (&self.last, request) {
            // A greeting begins a new count, so it is always new.
            (_, Request::Hello) => {}
            (None, _) => {
                let refusal = Response::Refused(Refusal::NotGreeted);
                return self.send(sequence, &refusal).map(|()| None);
            }
            (Some(last), _) if last.sequence == sequence => {
                line.repeated = line.repeated.saturating_add(1);
                if let Some(answer) = last.answer {
                    return self.send(sequence, &answer).map(|()| None);
                }
            }
            (Some(last), _) if sequence.wrapping_sub(last.sequence) < 0x8000 => {}
            _ => {
                line.stale = line.stale.saturating_add(1);
                return Ok(None);
            }
        }
        if request.only_looks() {
            self.last = Some(Last { sequence, answer: None });
            let (size, line) = (self.frame.len(), self.receiver.line);
            let answer = self.desk.look(request, trainer, board, size, line);
            let answer = answer.unwrap_or_else(Response::Refused);
            return send(&mut self.stream, self.frame, sequence, &answer).map(|()| None);
        }
        let mut sent = None;
        let answer = self.desk.act(request, trainer, board, &mut sent);
        let answer = answer.unwrap_or_else(Response::Refused);
        self.last = Some(Last { sequence, answer: Some(answer) });
        self.send(sequence, &answer)?;
        Ok(sent)
    }

    fn send(&mut self, sequence: u16, answer: &Response<'_>) -> Result<(), ServeError<T::Error>> {
        send(&mut self.stream, self.frame, sequence, answer)
    }
}

fn send<T: Write>(
    stream: &mut T,
    frame: &mut [u8],
    sequence: u16,
    answer: &Response<'_>,
) -> Result<(), ServeError<T::Error>> {
    // Every answer fits: the smallest frame is made for it.
    let Some(bytes) = encode(sequence, answer, frame) else { return Ok(()) };
    stream.write_all(bytes).map_err(ServeError::Stream)?;
    stream.flush().map_err(ServeError::Stream)
}
