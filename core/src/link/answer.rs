//! What is done for a request, and what is answered.

use super::{
    Board, Hello, Line, MAX_NAME, Network, Part, Refusal, Request, Response, State, VERSION,
    frame::chunk, schema, store::Store,
};
use crate::{
    kernel::Kernel,
    strategy::Strategy,
    trainer::{LayerState, Samples, StepError, StepRecord, Tally, Targets, Trainer},
};

impl Request<'_> {
    /// True when doing it again changes nothing.
    pub(super) const fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Hello
                | Self::State
                | Self::Weights { .. }
                | Self::Layer { .. }
                | Self::Range { .. }
        )
    }
}

/// A network that was sent and can be worked on: its bytes are where samples arrive. It must be
/// fetched before anything else is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    len: u32,
    graph: Option<u32>,
}

/// What the link remembers besides the line.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    store: Store<'a>,
    pub(super) running: bool,
    mixed: bool,
    last: Option<StepRecord>,
    total: Tally,
}

impl<'a> Desk<'a> {
    pub(super) fn new(store: Store<'a>) -> Self {
        Self { store, running: false, mixed: false, last: None, total: Tally::default() }
    }

    /// A step on the board's own samples.
    pub(super) fn work<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
        board: &mut impl Board,
    ) {
        match board.work(trainer) {
            Ok(record) => self.note(record),
            Err(_) => self.running = false,
        }
    }

    /// Answers a request that changes nothing.
    pub(super) fn look<'r, const N: usize, K: Kernel, S: Strategy>(
        &self,
        request: Request<'_>,
        trainer: &'r Trainer<'_, N, K, S>,
        board: &'r impl Board,
        frame: usize,
        line: Line,
    ) -> Result<Response<'r>, Refusal> {
        Ok(match request {
            Request::State => Response::State(State {
                step: trainer.steps(),
                pending: trainer.pending(),
                running: self.running,
                mixed: self.mixed,
                parameters: narrow(trainer.persistent().len()),
                digest: trainer.digest(),
                last: self.last,
                total: self.total,
                line,
            }),
            Request::Weights { at, len } => {
                let (all, at) = (trainer.persistent(), at as usize);
                let rest = all
                    .get(at..)
                    .ok_or(Refusal::Outside { needed: narrow(at), found: narrow(all.len()) })?;
                let len = rest.len().min(len as usize).min(chunk(frame));
                Response::Bytes(rest.get(..len).unwrap_or_default())
            }
            Request::Layer { layer } => Response::Layer(state(trainer, layer)?.memory()),
            Request::Range { layer, tensor } => {
                Response::Range(*state(trainer, layer)?.range(tensor))
            }
            _ => Response::Hello(Hello {
                version: VERSION,
                schema: schema(),
                fixgrad: env!("CARGO_PKG_VERSION"),
                board: short(board.name()),
                graph: trainer.graph().hash(),
                any_graph: board.graph().is_none(),
                layers: byte(trainer.graph().layers().len()),
                max_layers: byte(N),
                ram: narrow(trainer.plan().ram()),
                arena: narrow(trainer.arena()),
                store: narrow(self.store.len()),
                frame: narrow(frame),
            }),
        })
    }

    /// The network that was sent, as the desktop says in `sent`.
    #[inline(never)]
    pub(super) fn network<const N: usize>(
        &self,
        Sent { len, graph }: Sent,
    ) -> Result<Network<N>, Refusal> {
        Network::decode(self.store.front(len)?, graph)
    }

    /// Does what is asked for. When a network shall be worked on, `sent` says where it is.
    pub(super) fn act<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        request: Request<'_>,
        trainer: &mut Trainer<'_, N, K, S>,
        board: &mut impl Board,
        sent: &mut Option<Sent>,
    ) -> Result<Response<'static>, Refusal> {
        match request {
            Request::Pause => self.running = false,
            // The line must stay usable while the board trains, and nothing else may interfere.
            _ if self.running => return Err(Refusal::Running),
            Request::Put { at, bytes } => self.store.put(at, bytes)?,
            Request::Load { len } => return self.load(len, trainer, board, sent),
            Request::Reset => {
                trainer.reset();
                self.begin_again();
            }
            Request::Train(part) => return self.train(&part, trainer, board),
            Request::Evaluate(batch) => {
                self.whole()?;
                let (samples, targets) = self.store.batch(&batch, trainer.widths())?;
                return Ok(Response::Tally(trainer.evaluate(samples, targets)?));
            }
            Request::SetWeights { at, bytes } => {
                let end = (at as usize).saturating_add(bytes.len());
                if !trainer.overwrite(at as usize, bytes) {
                    let (needed, found) = (narrow(end), narrow(trainer.persistent().len()));
                    return Err(Refusal::Outside { needed, found });
                }
                self.mixed = true;
            }
            Request::SetLayer { layer, memory } => {
                state(trainer, layer)?;
                if !trainer.overwrite_layer(layer.into(), &memory) {
                    return Err(Refusal::Implausible);
                }
                self.mixed = true;
            }
            Request::SetDone { step, digest } => {
                if trainer.digest() != digest {
                    return Err(Refusal::OtherState);
                }
                trainer.overwrite_steps(step);
                self.begin_again();
            }
            Request::ResetCounters => trainer.reset_counters(),
            Request::Commit => {
                self.whole()?;
                let done = trainer.pending();
                if done > 0 {
                    return Err(Refusal::WrongPart { done, asked: 0 });
                }
                board.commit(trainer)?;
            }
            Request::Start => {
                self.whole()?;
                if !board.has_samples() {
                    return Err(Refusal::NoSamples);
                }
                self.running = true;
            }
            _ => return Err(Refusal::Unknown),
        }
        Ok(Response::Done)
    }

    /// Not inlined: the network would lie on the stack under every step.
    #[inline(never)]
    fn load<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        len: u32,
        trainer: &Trainer<'_, N, K, S>,
        board: &impl Board,
        sent: &mut Option<Sent>,
    ) -> Result<Response<'static>, Refusal> {
        let coming = Sent { len, graph: board.graph() };
        let found = self.network::<N>(coming)?;
        let ram = trainer.fits(&found.graph, &found.config)?;
        let graph = found.graph.view().hash();
        *sent = Some(coming);
        self.begin_again();
        Ok(Response::Loaded { graph, ram: narrow(ram) })
    }

    fn train<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        part: &Part,
        trainer: &mut Trainer<'_, N, K, S>,
        board: &mut impl Board,
    ) -> Result<Response<'static>, Refusal> {
        self.whole()?;
        let (done, asked) = (trainer.steps(), part.step);
        if done != asked {
            return Err(Refusal::WrongStep { done, asked });
        }
        let (done, asked) = (trainer.pending(), part.from.into());
        if done != asked {
            return Err(Refusal::WrongPart { done, asked });
        }
        let (samples, targets) = self.store.batch(&part.batch, trainer.widths())?;
        let batch = trainer.train().batch;
        // Before anything moves: a step is done as a whole or not at all.
        let room = u32::from(batch).saturating_sub(done) as usize;
        let count = trainer.check(samples, targets, room)?;
        let micro_batch = trainer.train().micro_batch;
        if !part.last && (count == room || !count.is_multiple_of(micro_batch.max(1).into())) {
            return Err(Refusal::UnevenPart { samples: narrow(count), micro_batch });
        }
        board.busy(true);
        let done = work(samples, targets, count, part.last, trainer);
        board.busy(false);
        let (tally, record) = done?;
        let Some(record) = record else { return Ok(Response::Tally(tally)) };
        self.note(record);
        Ok(Response::Stepped { record, digest: part.digest.then(|| trainer.digest()) })
    }

    fn note(&mut self, record: StepRecord) {
        self.last = Some(record);
        self.total += record.tally;
    }

    /// A state that is new as a whole: what was counted belongs to another one.
    fn begin_again(&mut self) {
        (self.mixed, self.last, self.total) = (false, None, Tally::default());
    }

    const fn whole(&self) -> Result<(), Refusal> {
        if self.mixed { Err(Refusal::Mixed) } else { Ok(()) }
    }
}

/// A part of a step, micro-batch by micro-batch; the last part moves the weights.
///
/// Never inlined, so that the checks of a linked firmware find it by its name.
#[inline(never)]
fn work<const N: usize, K: Kernel, S: Strategy>(
    samples: Samples<'_>,
    targets: Targets<'_>,
    count: usize,
    last: bool,
    trainer: &mut Trainer<'_, N, K, S>,
) -> Result<(Tally, Option<StepRecord>), StepError> {
    let (sample, outputs) = trainer.widths();
    let size = usize::from(trainer.train().micro_batch).max(1);
    let mut tally = Tally::default();
    for from in (0..count).step_by(size) {
        let len = size.min(count - from);
        let samples = samples.part(from * sample, len * sample);
        tally += trainer.accumulate(samples, targets.part(from, len, outputs))?;
    }
    Ok((tally, if last { Some(trainer.update()?) } else { None }))
}

fn state<const N: usize, K: Kernel, S: Strategy>(
    trainer: &Trainer<'_, N, K, S>,
    layer: u8,
) -> Result<LayerState, Refusal> {
    trainer.states().nth(layer.into()).ok_or(Refusal::NoLayer)
}

/// What fits a greeting.
fn short(name: &str) -> &str {
    // A cut inside a character gives nothing.
    (0..=MAX_NAME.min(name.len())).rev().find_map(|end| name.get(..end)).unwrap_or_default()
}

fn byte(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
