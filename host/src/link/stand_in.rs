//! A desktop that stands in for a board: it serves the link on a socket with the firmware's code.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::{Result, bail};
use embedded_io::{ErrorType, Read, ReadReady, Write};
use fixgrad::{
    kernel::Kernel,
    link::{Board, Network, Refusal, Server, serve},
    strategy::Strategy,
    trainer::{StepRecord, Trainer},
};

use crate::{
    config::Compiled,
    data::Dataset,
    kernel,
    run::{Batch, Order},
};

/// A desktop that stands in for a board.
#[derive(Clone, Copy, Debug)]
pub struct StandIn<'d> {
    /// Samples that it trains on when it trains alone.
    pub data: Option<&'d Dataset>,
    /// True when it works with no other network than its first one.
    pub fixed: bool,
    /// Bytes of the arena; 0 for as many as its first configuration needs.
    pub arena: usize,
    /// Bytes of the store.
    pub store: usize,
    /// Bytes of the longest frame.
    pub frame: usize,
}

impl StandIn<'_> {
    /// Serves one desktop after the other, beginning with this configuration. Returns only when
    /// that cannot go on.
    pub fn serve(&self, listener: TcpListener, compiled: &Compiled) -> Result<()> {
        self.serve_with(listener, compiled, &kernel::best(1)?)
    }

    /// As [`serve`](Self::serve), with this kernel.
    pub fn serve_with(
        &self,
        listener: TcpListener,
        compiled: &Compiled,
        kernel: impl Kernel + Copy,
    ) -> Result<()> {
        let (graph, config) = (compiled.graph, compiled.config.clone());
        let mut network = Network { graph, config };
        let arena = if self.arena == 0 { compiled.plan()?.ram() } else { self.arena };
        let mut arena = vec![0u64; arena.div_ceil(8)];
        let (mut frame, mut store) = (vec![0; self.frame], vec![0; self.store]);
        let socket = Socket { listener, stream: None };
        let mut server = Server::new(socket, &mut frame, &mut store)?;
        let mut board = Desk {
            data: self.data,
            graph: self.fixed.then(|| graph.view().hash()),
            batch: self.data.map(Batch::new),
        };
        let arena = bytemuck::cast_slice_mut(&mut arena);
        bail!(serve(&mut server, &mut network, arena, kernel, (), &mut board))
    }
}

struct Desk<'d> {
    data: Option<&'d Dataset>,
    graph: Option<u32>,
    batch: Option<Batch<'d>>,
}

impl Board for Desk<'_> {
    fn name(&self) -> &str {
        "desktop"
    }

    fn graph(&self) -> Option<u32> {
        self.graph
    }

    fn has_samples(&self) -> bool {
        self.data.is_some()
    }

    fn work<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
    ) -> Result<StepRecord, Refusal> {
        let (Some(data), Some(batch)) = (self.data, &mut self.batch) else {
            return Err(Refusal::NoSamples);
        };
        let train = *trainer.train();
        let (samples, size) = (&data.split.train, u32::from(train.batch));
        let steps = (samples.len() as u32 / size.max(1)).max(1);
        let (epoch, step) = (trainer.steps() / steps, trainer.steps() % steps);
        batch.fill(Order::new(data, train.seed, train.batch, epoch).step(step));
        Ok(trainer.step(batch.samples(), batch.targets())?)
    }
}

/// A line that outlives its desktops: when one leaves, the next one is waited for.
struct Socket {
    listener: TcpListener,
    stream: Option<TcpStream>,
}

impl Socket {
    fn stream(&mut self) -> io::Result<&mut TcpStream> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => {
                let (stream, _) = self.listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(none.insert(stream))
            }
        }
    }
}

impl ErrorType for Socket {
    type Error = io::Error;
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream()?.read(bytes) {
                Ok(0) => self.stream = None,
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.stream = None,
            }
        }
    }
}

impl ReadReady for Socket {
    fn read_ready(&mut self) -> io::Result<bool> {
        let ready = match &mut self.stream {
            Some(stream) => stream.set_nonblocking(true).and_then(|()| {
                let peeked = stream.peek(&mut [0]);
                stream.set_nonblocking(false)?;
                peeked.map(|_| ())
            }),
            none => self.listener.set_nonblocking(true).and_then(|()| {
                let accepted = self.listener.accept();
                self.listener.set_nonblocking(false)?;
                let (stream, _) = accepted?;
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                *none = Some(stream);
                Err(ErrorKind::WouldBlock.into())
            }),
        };
        match ready.map_err(|error| error.kind()) {
            Err(ErrorKind::WouldBlock) => Ok(false),
            // Reading finds out what is wrong.
            _ => Ok(self.stream.is_some()),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A desktop that has left hears nothing.
        if let Some(stream) = &mut self.stream
            && stream.write_all(bytes).is_err()
        {
            self.stream = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
