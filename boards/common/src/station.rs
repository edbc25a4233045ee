//! A board that trains as a desktop says, over a serial line.
//!
//! It starts with the network that was committed last, in the state that was committed; without
//! one, with a network of its own, which also says how much [`Memory`] it has: see [`mlp`](crate::mlp)
//! and [`lenet`](crate::lenet). Besides the link it tells, where its [`Board`] has somewhere to tell it:
//!
//! ```text
//! link NAME
//! damaged COUNT           newer checkpoints that were passed over, if any
//! resumed STEP            or: fresh, or: unreadable
//! work COUNTS STACK       after every part of a step
//! ```

use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::NorFlash;
use fixgrad::{
    kernel::{Device, Kernel},
    link::{self, FrameTooSmall, Network, Refusal, ServeError, Server},
    prelude::*,
    strategy::Strategy,
};

use crate::{Board, Keeper, report::Line};

const FRAME: usize = 1024;

/// All memory of a station but its stack: `RAM` bytes for a trainer, and `STORE` words for the samples of
/// a batch and their targets.
#[derive(Debug)]
pub struct Memory<const RAM: usize, const STORE: usize> {
    arena: Arena<RAM>,
    store: [u32; STORE],
    frame: [u8; FRAME],
}

impl<const RAM: usize, const STORE: usize> Memory<RAM, STORE> {
    /// The memory as it is at the start, enough for this plan.
    pub const fn for_plan<const N: usize>(plan: &Plan<N>) -> Self {
        Self { arena: Arena::for_plan(plan), store: [0; STORE], frame: [0; FRAME] }
    }
}

/// Words of memory for a batch of pictures, a byte a pixel, with their classes.
pub const fn store_for(pictures: usize, pixels: usize) -> usize {
    (pictures * (pixels + size_of::<u16>())).div_ceil(size_of::<u32>())
}

/// Serves the link on `line` until it fails, and keeps checkpoints in `flash`. Returns why. A network has
/// at most `N` layers.
pub fn serve<const N: usize, const RAM: usize, const STORE: usize, T, F>(
    name: &'static str,
    own: fn() -> Network<N>,
    memory: &mut Memory<RAM, STORE>,
    line: T,
    flash: F,
    board: impl Board,
) -> Result<ServeError<T::Error>, FrameTooSmall>
where
    T: Read + ReadReady + Write,
    F: NorFlash,
{
    let mut station = Station { name, keeper: Keeper::new(flash), board };
    station.tell("link", |line| line.text(name));
    let store = bytemuck::cast_slice_mut(&mut memory.store);
    let mut server = Server::new(line, &mut memory.frame, store)?;
    let mut network = own();
    let was_kept = station.keeper.restore(&mut network);
    let arena = memory.arena.as_mut_slice();
    let end = link::serve(&mut server, &mut network, arena, Device::default(), (), &mut station);
    if !(was_kept && matches!(end, ServeError::Setup(_))) {
        return Ok(end);
    }
    // What another firmware kept is too large for this one.
    network = own();
    Ok(link::serve(&mut server, &mut network, arena, Device::default(), (), &mut station))
}

struct Station<F, B> {
    name: &'static str,
    keeper: Keeper<F>,
    board: B,
}

impl<F, B: Board> Station<F, B> {
    /// Training goes on when nobody hears about it.
    fn tell<'b>(
        &'b mut self,
        word: &str,
        rest: impl FnOnce(
            Line<'b, B::Out>,
        )
            -> Result<Line<'b, B::Out>, <B::Out as embedded_io::ErrorType>::Error>,
    ) {
        let _ = Line::new(self.board.out(), word).and_then(rest).and_then(Line::end);
    }
}

impl<F: NorFlash, B: Board> link::Board for Station<F, B> {
    fn name(&self) -> &str {
        self.name
    }

    fn resume<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
    ) {
        match self.keeper.load(trainer) {
            Ok(Some(loaded)) => {
                if loaded.damaged > 0 {
                    self.tell("damaged", |line| line.number(loaded.damaged));
                }
                self.tell("resumed", |line| line.number(loaded.step));
            }
            Ok(None) => self.tell("fresh", Ok),
            Err(_) => self.tell("unreadable", Ok),
        }
    }

    fn busy(&mut self, on: bool) {
        if on {
            self.board.start();
            return;
        }
        let counts = self.board.elapsed();
        let stack = self.board.stack_high_water().unwrap_or_default();
        self.tell("work", |line| line.number(counts)?.number(stack));
    }

    fn commit<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<(), Refusal> {
        self.keeper.save(trainer).map(|_| ()).map_err(|_| Refusal::CommitFailed)
    }
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use embedded_io::{ErrorKind, ErrorType};
    use fixgrad::link::{Receiver, Request, Response, decode, encode};

    use super::*;
    use crate::{NorInRam, mlp};

    /// A line whose whole input is known.
    struct Script<'a> {
        input: &'a [u8],
        output: &'a mut Vec<u8>,
    }

    impl ErrorType for Script<'_> {
        type Error = ErrorKind;
    }

    impl Read for Script<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
            Ok(self.input.read(bytes).unwrap())
        }
    }

    impl ReadReady for Script<'_> {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(true)
        }
    }

    impl Write for Script<'_> {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            self.output.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    struct Desk<'a>(&'a mut Vec<u8>);

    impl Board for Desk<'_> {
        type Out = Vec<u8>;
        fn out(&mut self) -> &mut Vec<u8> {
            self.0
        }
        fn start(&mut self) {}
        fn elapsed(&mut self) -> u32 {
            7
        }
        fn stack_high_water(&self) -> Option<u32> {
            Some(512)
        }
    }

    /// What a station tells, and the answers that it gives from one start to the end of the line.
    fn start(flash: &mut [u8], requests: &[Request<'_>]) -> (String, Vec<u8>) {
        let mut input = Vec::new();
        for (sequence, request) in (1..).zip(requests) {
            let mut frame = [0; FRAME];
            input.extend_from_slice(encode(sequence, request, &mut frame).unwrap());
            // A desktop waits for an answer before it goes on: what is read ahead here is nothing.
            input.extend([0; 32]);
        }
        let (mut output, mut told) = (Vec::new(), Vec::new());
        let line = Script { input: &input, output: &mut output };
        let mut memory = std::boxed::Box::new(mlp::MEMORY);
        let flash = NorInRam::<8, 2048>::new(flash);
        let end = serve("desk", mlp::network, &mut memory, line, flash, Desk(&mut told)).unwrap();
        assert!(matches!(end, ServeError::Closed));
        (String::from_utf8(told).unwrap(), output)
    }

    fn last_step(output: &[u8]) -> Option<u32> {
        let (mut receiver, mut frame) = (Receiver::default(), [0; FRAME]);
        let mut step = None;
        for &byte in output {
            let Some(len) = receiver.push(byte, &mut frame) else { continue };
            if let Some((_, Response::State(state))) = decode(&frame[..len]) {
                step = Some(state.step);
            }
        }
        step
    }

    #[test]
    fn what_was_committed_is_there_after_a_power_cut() {
        let mut flash = std::vec![0; 192 << 10];
        let (told, _) = start(&mut flash, &[Request::Hello]);
        assert_eq!(told, "link desk\nfresh\n");

        let mut bytes = [0; FRAME];
        let Network { graph, config } = mlp::network();
        let bytes = Network::encode(graph.view(), &config, &mut bytes).unwrap();
        let len = bytes.len() as u32;
        let mut arena = mlp::MEMORY.arena;
        let trainer = Trainer::new(&graph, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
        let digest = trainer.digest();
        let requests = [
            Request::Hello,
            Request::Put { at: 0, bytes },
            Request::Load { len },
            // As if seven steps had left these weights.
            Request::SetDone { step: 7, digest },
            Request::Commit,
        ];
        start(&mut flash, &requests);
        let (told, output) = start(&mut flash, &[Request::Hello, Request::State]);
        assert_eq!((told.as_str(), last_step(&output)), ("link desk\nresumed 7\n", Some(7)));
    }
}
