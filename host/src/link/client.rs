//! Requests and answers: each request is sent until its answer comes, or patience ends.

use std::{
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use fixgrad::link::{Hello, Receiver, Request, Response, VERSION, chunk, decode, encode, schema};

use super::error::LinkError;

/// Longest frame that a board may send.
const FRAME: usize = 1 << 16;

/// What the link works on. Reads must return after some ten milliseconds without a byte, with
/// [`ErrorKind::TimedOut`] or [`ErrorKind::WouldBlock`].
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Before the request is sent again for the first time; then twice as long each time.
    pub first: Duration,
    /// Longest pause between two repetitions.
    pub longest: Duration,
    /// In all.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: Duration::from_millis(500), longest: seconds(5), total: seconds(60) }
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The board.
    pub board: String,
    /// Its release of fixgrad.
    pub fixgrad: String,
    /// Hash of the network that it works on.
    pub graph: u32,
    /// True when it takes other networks.
    pub any_graph: bool,
    /// Layers of the network at work, the input counted.
    pub layers: u8,
    /// Layers that a network may have.
    pub max_layers: u8,
    /// Bytes of the arena that the plan needs.
    pub ram: u32,
    /// Bytes of the arena.
    pub arena: u32,
    /// Bytes of the store.
    pub store: u32,
    /// Bytes of the longest frame that it takes.
    pub frame: u32,
}

impl From<Hello<'_>> for Device {
    fn from(hello: Hello<'_>) -> Self {
        Self {
            board: hello.board.to_owned(),
            fixgrad: hello.fixgrad.to_owned(),
            graph: hello.graph,
            any_graph: hello.any_graph,
            layers: hello.layers,
            max_layers: hello.max_layers,
            ram: hello.ram,
            arena: hello.arena,
            store: hello.store,
            frame: hello.frame,
        }
    }
}

/// The desktop's side of the link.
pub struct Client<S = Box<dyn Stream>> {
    stream: S,
    patience: Patience,
    sequence: u16,
    receiver: Receiver,
    /// Bytes that were read, and where the next one is that was not looked at.
    inbox: Vec<u8>,
    at: usize,
    frame: Vec<u8>,
    out: Vec<u8>,
    device: Device,
    traffic: u64,
}

impl<S: Stream> Client<S> {
    /// Greets the device, which must speak the same language.
    pub fn connect(stream: S, patience: Patience) -> Result<Self, LinkError> {
        // An answer to an earlier program may still be on the line: another one must not begin
        // to count at the same number.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let sequence = now.map_or(0, |now| (now.as_micros() / 7) as u16);
        let mut client = Self {
            stream,
            patience,
            sequence,
            receiver: Receiver::default(),
            inbox: Vec::new(),
            at: 0,
            frame: vec![0; FRAME],
            out: vec![0; FRAME],
            device: Device::default(),
            traffic: 0,
        };
        client.greet()?;
        Ok(client)
    }

    /// Who is at the other end, as it was last asked.
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes that went over the line so far, in both directions, repetitions included.
    pub const fn traffic(&self) -> u64 {
        self.traffic
    }

    /// Asks again who is at the other end.
    pub fn greet(&mut self) -> Result<&Device, LinkError> {
        let len = self.exchange(&Request::Hello)?;
        let payload = &self.frame[..len];
        // These fields stay what they are in every version.
        type Prefix = (u16, u8, u16, [u8; 8]);
        if let Ok(((_, 0, version, hash), _)) = postcard::take_from_bytes::<Prefix>(payload) {
            if version != VERSION {
                return Err(LinkError::Version { found: version });
            }
            if hash != schema() {
                let text = |hash| format!("{:016x}", u64::from_be_bytes(hash));
                return Err(LinkError::Schema { found: text(hash), expected: text(schema()) });
            }
        }
        match self.answer(len)? {
            Response::Hello(hello) => self.device = hello.into(),
            other => return Err(unexpected("its name", &other)),
        }
        Ok(&self.device)
    }

    /// Sends a request and gives its answer; a refusal is an error.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Response<'_>, LinkError> {
        let len = self.exchange(request)?;
        self.answer(len)
    }

    /// As [`ask`](Self::ask), for requests that have nothing to tell.
    pub fn tell(&mut self, request: &Request<'_>) -> Result<(), LinkError> {
        match self.ask(request)? {
            Response::Done => Ok(()),
            other => Err(unexpected("nothing but success", &other)),
        }
    }

    /// Bytes that a request can carry.
    pub fn chunk(&self) -> usize {
        chunk((self.device.frame as usize).min(FRAME)).max(1)
    }

    fn answer(&self, len: usize) -> Result<Response<'_>, LinkError> {
        match decode::<Response<'_>>(&self.frame[..len]) {
            Some((_, Response::Refused(refusal))) => Err(refusal.into()),
            Some((_, response)) => Ok(response),
            None => Err(LinkError::Unexpected {
                asked: "anything",
                found: "a message that this program does not know".to_owned(),
            }),
        }
    }

    /// Sends a request until its answer is there: its payload is then in `frame`, and this is its
    /// length.
    fn exchange(&mut self, request: &Request<'_>) -> Result<usize, LinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let encoded = encode(self.sequence, request, &mut self.out).map(<[u8]>::len);
        let len =
            encoded.ok_or_else(|| std::io::Error::other("a request is longer than a frame"))?;
        let (begin, mut pause, mut tries) = (Instant::now(), self.patience.first, 0);
        loop {
            self.stream.write_all(&self.out[..len])?;
            self.stream.flush()?;
            self.traffic += len as u64;
            tries += 1;
            if let Some(len) = self.listen(Instant::now() + pause)? {
                return Ok(len);
            }
            let waited = begin.elapsed();
            if waited >= self.patience.total {
                let damaged = self.receiver.line.damaged;
                return Err(LinkError::NoAnswer { tries, waited, damaged });
            }
            pause = (pause * 2).min(self.patience.longest);
        }
    }

    /// Waits for the answer to the newest request; answers to older ones are repetitions.
    fn listen(&mut self, until: Instant) -> Result<Option<usize>, LinkError> {
        loop {
            while let Some(&byte) = self.inbox.get(self.at) {
                self.at += 1;
                let Some(len) = self.receiver.push(byte, &mut self.frame) else { continue };
                let sequence = postcard::take_from_bytes::<u16>(&self.frame[..len]);
                if sequence.is_ok_and(|(sequence, _)| sequence == self.sequence) {
                    return Ok(Some(len));
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            self.at = 0;
            self.inbox.resize(4096, 0);
            let read = self.stream.read(&mut self.inbox);
            self.inbox.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(LinkError::Closed),
                Ok(len) => self.traffic += len as u64,
                Err(error) => match error.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }
}

/// The error for an answer that belongs to another request.
pub(super) fn unexpected(asked: &'static str, found: &Response<'_>) -> LinkError {
    LinkError::Unexpected { asked, found: format!("{found:?}") }
}
