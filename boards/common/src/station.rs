//! A board that trains as a desktop says, over a serial line.
//!
//! It starts with the network that was committed last, in the state that was committed; without
//! one, with a network of its own, 784-100-10 for pictures of 28x28 pixels. Besides the link it
//! tells, where its [`Board`] has somewhere to tell it:
//!
//! ```text
//! link NAME
//! resumed STEP            or: fresh, or: unreadable
//! work COUNTS STACK       after every part of a step
//! ```

use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::NorFlash;
use fixgrad::{
    kernel::Kernel,
    link::{self, FrameTooSmall, Network, Refusal, ServeError, Server},
    prelude::*,
    strategy::Strategy,
};

use crate::{Board, Keeper, report::Line};

/// Most layers of a network, the input included.
pub const LAYERS: usize = 5;
const NET: Graph<LAYERS> =
    Graph::input([1, 28, 28]).flatten().dense("fc1", 100).relu().dense("fc2", 10);
const BATCH: u16 = 16;
const TRAIN: Train = Train::new(BATCH, Lr::ratio(1, 4));
const LAYER: LayerConfig = LayerConfig::tiny();
const PLAN: Plan<LAYERS> = NET.plan(&TRAIN, &LAYER);
/// A batch of byte pictures with their classes.
const STORE: usize = BATCH as usize * (28 * 28 + 2);
const FRAME: usize = 1024;

/// All memory of a station but its stack.
#[derive(Debug)]
pub struct Memory {
    arena: Arena<{ PLAN.ram() }>,
    store: [u32; STORE / 4],
    frame: [u8; FRAME],
}

impl Memory {
    /// The memory as it is at the start.
    pub const NEW: Self =
        Self { arena: Arena::for_plan(&PLAN), store: [0; STORE / 4], frame: [0; FRAME] };
}

/// Serves the link on `line` until it fails, and keeps checkpoints in `flash`. Returns why.
pub fn serve<T, F>(
    name: &'static str,
    memory: &mut Memory,
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
    let own = || Network { graph: NET, config: Config::uniform(NET.view(), LAYER, TRAIN) };
    let kept = station.keeper.network();
    let was_kept = kept.is_some();
    let mut network = kept.unwrap_or_else(own);
    let arena = memory.arena.as_mut_slice();
    let end = link::serve(&mut server, &mut network, arena, Scalar, (), &mut station);
    if !(was_kept && matches!(end, ServeError::Setup(_))) {
        return Ok(end);
    }
    // What another firmware kept is too large for this one.
    network = own();
    Ok(link::serve(&mut server, &mut network, arena, Scalar, (), &mut station))
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
            Ok(Some(loaded)) => self.tell("resumed", |line| line.number(loaded.step)),
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
