//! Both ends of a link in one process.

use std::{
    convert::Infallible,
    net::{TcpListener, TcpStream},
    sync::LazyLock,
    thread,
    time::Duration,
};

use embedded_io::{ErrorType, Read, ReadReady, Write};
use fixgrad::{
    kernel::{Kernel, Scalar},
    link::{Board, Network, Receiver, Request, Response, Server, decode, encode, serve},
};
use fixgrad_host::{
    config::{Compiled, Experiment, MAX_LAYERS},
    data::SearchPath,
    link::{Patience, StandIn},
    run::{Job, Overrides},
};

use crate::run::Memory;

/// Short, because nobody here is far away.
pub const PATIENCE: Patience = Patience {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(40),
    total: Duration::from_secs(20),
};

/// A small network on the digits, with these units, training settings and fixed-point settings,
/// for one epoch.
pub fn job(units: u16, train: &str, fixed: &str) -> Job {
    job_of(1, units, train, fixed)
}

/// As [`job`], for more epochs.
pub fn job_of(epochs: u32, units: u16, train: &str, fixed: &str) -> Job {
    let yaml = format!(
        "model:\n  layers:\n    - dense: {{ name: fc1, units: {units} }}\n    - relu\n    - dense: \
         {{ name: fc2, units: 10 }}\ndata: digits\ntrain: {{ epochs: {epochs}, lr: 0.5, {train} }}\n\
         fixed: {{ default: {{ {fixed} }} }}\n"
    );
    let experiment = Experiment::parse("link.yaml", &yaml).expect("good YAML");
    Job::new(experiment, &SearchPath::new(None, None, None), Overrides::default()).expect("a job")
}

/// The smallest of them.
pub static PLAIN: LazyLock<Job> = LazyLock::new(|| job(8, "batch: 16, momentum: 0.5", ""));

/// Starts a stand-in for a board and gives the desktop's end of a line to it. The board serves
/// until the process ends.
pub fn stand_in(compiled: &Compiled, board: StandIn<'static>) -> TcpStream {
    stand_in_with(compiled, board, Scalar)
}

/// As [`stand_in`], with this kernel.
pub fn stand_in_with(
    compiled: &Compiled,
    board: StandIn<'static>,
    kernel: impl Kernel + Copy + Send + 'static,
) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let compiled = compiled.clone();
    thread::spawn(move || board.serve_with(listener, &compiled, kernel));
    let stream = TcpStream::connect(address).expect("a listener");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(Duration::from_millis(5))).expect("an option");
    stream
}

/// A line whose whole input is known, and whose output is kept.
#[derive(Debug)]
pub struct Script {
    input: Vec<u8>,
    at: usize,
    /// Most bytes of one read.
    piece: usize,
    output: Vec<u8>,
}

impl ErrorType for &mut Script {
    type Error = Infallible;
}

impl Read for &mut Script {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let rest = &self.input[self.at..];
        let len = rest.len().min(bytes.len()).min(self.piece);
        bytes[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }
}

impl ReadReady for &mut Script {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Write for &mut Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A board that can do nothing but the link.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// The one network that it takes, if there is but one.
    pub graph: Option<u32>,
}

impl Board for Plain {
    fn name(&self) -> &str {
        "plain"
    }

    fn graph(&self) -> Option<u32> {
        self.graph
    }
}

/// The bytes of a request.
pub fn frame(sequence: u16, request: &Request<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    encode(sequence, request, &mut buffer).expect("a large buffer").to_vec()
}

/// Payloads of the frames in these bytes.
pub fn payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut receiver, mut buffer) = (Receiver::default(), vec![0; 1 << 16]);
    let found = bytes.iter().filter_map(|&byte| {
        let len = receiver.push(byte, &mut buffer)?;
        Some(buffer[..len].to_vec())
    });
    found.collect()
}

/// What a board with `arena` bytes writes when it reads `input`.
pub fn answers(compiled: &Compiled, board: Plain, arena: usize, input: Vec<u8>) -> Vec<Vec<u8>> {
    answers_in_pieces(compiled, board, arena, input, usize::MAX)
}

/// As [`answers`], of a board whose port gives so many bytes at once.
pub fn answers_in_pieces(
    compiled: &Compiled,
    mut board: impl Board,
    arena: usize,
    input: Vec<u8>,
    piece: usize,
) -> Vec<Vec<u8>> {
    let mut script = Script { input, at: 0, piece, output: Vec::new() };
    let (mut frame, mut store) = (vec![0; 512], vec![0; 4096]);
    let (graph, config) = (compiled.graph, compiled.config.clone());
    let mut network = Network::<MAX_LAYERS> { graph, config };
    let mut memory = Memory::bytes(arena);
    let mut server = Server::new(&mut script, &mut frame, &mut store).expect("enough for a frame");
    serve(&mut server, &mut network, memory.as_mut_slice(), Scalar, (), &mut board);
    payloads(&script.output)
}

/// Reads an answer.
pub fn answer(payload: &[u8]) -> (u16, Response<'_>) {
    decode(payload).expect("an answer")
}
