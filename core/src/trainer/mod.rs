//! The trainer: one step is weights, forward, loss, backward, update.

mod backward;
mod check;
mod digest;
mod engine;
mod error;
mod evaluate;
mod forward;
mod freeze;
mod gradients;
mod init;
mod joins;
mod mask;
mod norm;
mod params;
mod parts;
mod point;
mod recompute;
mod record;
mod recurrent;
mod samples;
mod state;
mod store;
mod stored;
mod sums;
mod targets;
#[expect(clippy::panic, reason = "in a `const`, a task that cannot be trained is a build error")]
mod task;
mod update;

use core::marker::PhantomData;

use crate::{
    config::{Config, LayerConfig, Train},
    graph::{Graph, GraphView, HookNeeds, Plan, Sizes},
    kernel::Kernel,
    layer::Tag,
    optim::Lr,
    quant::RangeState,
    rng::Key,
    strategy::{Configured, Place, Strategy},
    uses::{Part, Ranges, Uses},
};

use engine::{Engine, Mode, finish_ranges};
pub use error::{RestoreError, SetupError, StepError};
use forward::pieces;
pub use record::{StepRecord, Tally};
use samples::linked_samples;
pub use samples::{SampleData, Samples};
pub(crate) use state::States;
use state::{Exponents, Purpose};
pub use state::{LayerMemory, LayerState, Tensor};
pub use store::StoreError;
pub use stored::Backed;
pub use targets::Targets;
pub use task::{Planned, Task};

/// Trains a network in the memory that the caller gives.
///
/// ```
/// use fixgrad::prelude::*;
///
/// const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
/// const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
/// const PLAN: Plan<4> = NET.plan(&TRAIN, &LayerConfig::new(8));
///
/// let config = Config::uniform(NET.view(), LayerConfig::new(8), TRAIN);
/// let mut arena = Arena::<{ PLAN.ram() }>::for_plan(&PLAN);
/// let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ())?;
///
/// let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
/// for _ in 0..200 {
///     trainer.step(samples, Targets::Classes(&[0, 1, 1, 0]))?;
/// }
/// assert_eq!(trainer.evaluate(samples, Targets::Classes(&[0, 1, 1, 0]))?.correct, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The trainer of a [`Task`] borrows its plan, which then lies in flash.
#[derive(Debug)]
pub struct Trainer<'a, const N: usize, K, S, P: Planned<N> = Plan<N>> {
    graph: GraphView<'a>,
    /// None for a task, which has none.
    config: Option<&'a Config<N>>,
    train: &'a Train,
    layers: &'a [LayerConfig],
    plan: P,
    memory: &'a mut [u8],
    exponents: [Exponents; N],
    /// Bounds and counters of all layers, as the plan lays them out.
    ranges: <P::Uses as Uses>::Ranges<N>,
    kernel: K,
    /// The caller's strategies outermost, then those of the configuration.
    strategy: (S, Configured<'a>),
    step: u32,
    /// Samples of the step at hand that were accumulated.
    pending: u32,
    /// Loss and right answers of the step at hand.
    tally: Tally,
    prepared: Option<Mode>,
    /// Samples of the last inference whose outputs are still in memory.
    shown: u16,
}

impl<'a, const N: usize, K: Kernel, S: Strategy> Trainer<'a, N, K, S> {
    /// A trainer with freshly initialised weights and the smallest tiles.
    pub fn new(
        graph: &'a Graph<N>,
        config: &'a Config<N>,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
    ) -> Result<Self, SetupError> {
        Self::with_tile(graph, config, memory, kernel, strategy, 0)
    }

    /// As [`new`](Self::new), with room for `tile` sums at a time. Results do not depend on it.
    // Not inlined: the plan on its way would lie on the stack under every step.
    #[inline(never)]
    pub fn with_tile(
        graph: &'a Graph<N>,
        config: &'a Config<N>,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
        tile: usize,
    ) -> Result<Self, SetupError> {
        let plan = Self::plan_for(graph, config, &strategy, tile)?;
        let (train, layers) = (&config.train, config.layers.as_slice());
        let purpose = (graph.view(), train, layers, config.strategies.as_slice());
        Self::begin(purpose, Some(config), plan, memory, kernel, strategy)
    }

    /// The plan that a trainer with this configuration and strategy works by.
    pub fn plan_for(
        graph: &Graph<N>,
        config: &Config<N>,
        strategy: &S,
        tile: usize,
    ) -> Result<Plan<N>, SetupError> {
        config.validate(graph.view()).map_err(SetupError::Config)?;
        let configured = Configured(&config.strategies);
        let mut hooks = [HookNeeds::default(); N];
        for (layer, needs) in (0u8..).zip(hooks.iter_mut()) {
            let active = |place| strategy.active(layer, place) || configured.active(layer, place);
            let off = |place| strategy.off_grid(layer, place) || configured.off_grid(layer, place);
            *needs = HookNeeds {
                weight: active(Place::Weight),
                weight_off_grid: off(Place::Weight),
                activation: active(Place::Activation),
                activation_off_grid: off(Place::Activation),
            };
        }
        let sizes = Sizes::of(&config.train).tile(tile);
        Plan::new(graph.view(), &config.layers, sizes, &hooks).map_err(SetupError::Plan)
    }
}

impl<'a, const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'a, N, K, S, P> {
    /// A trainer at its first step, in memory that is checked.
    #[inline(always)]
    fn begin(
        (graph, train, layers, strategies): Purpose<'a>,
        config: Option<&'a Config<N>>,
        plan: P,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
    ) -> Result<Self, SetupError> {
        let (needed, found) = (plan.plan().ram(), memory.len());
        if found < needed {
            return Err(SetupError::ArenaTooSmall { needed, found });
        }
        if !memory.as_ptr().addr().is_multiple_of(4) {
            return Err(SetupError::Misaligned);
        }
        if P::Uses::uses(Part::Stored) {
            stored::check(graph, &plan, layers).map_err(SetupError::Stored)?;
        }
        let mut trainer = Self {
            graph,
            config,
            train,
            layers,
            plan,
            memory,
            exponents: [Exponents::NEW; N],
            ranges: Ranges::NEW,
            kernel,
            strategy: (strategy, Configured(strategies)),
            step: 0,
            pending: 0,
            tally: Tally::default(),
            prepared: None,
            shown: 0,
        };
        trainer.init();
        Ok(trainer)
    }

    fn init(&mut self) {
        let plan = self.plan.plan().layers();
        init::init::<P::Uses>(plan, self.train.seed, self.memory);
        self.begin_with_stored();
    }

    /// Back to the first step with freshly initialised weights, or with those that were stored.
    pub fn reset(&mut self) {
        self.exponents.fill(Exponents::NEW);
        self.ranges.all_mut().fill(RangeState::NEW);
        self.init();
        self.step = 0;
        self.forget_the_step();
    }

    /// One training step on up to a batch of samples. Fewer weigh as a part of a batch.
    pub fn step(
        &mut self,
        samples: Samples<'_>,
        targets: Targets<'_>,
    ) -> Result<StepRecord, StepError> {
        if self.pending > 0 {
            return Err(StepError::Pending { samples: self.pending });
        }
        let count = self.rows().pairs(samples, targets, self.train.batch.into())?;
        self.tally = self.passes(Mode::Train, samples, targets, count);
        self.update()
    }

    /// Forward and backward on up to a micro-batch of samples. When the micro-batch is the batch,
    /// weights move at once and [`update`](Self::update) only ends the step.
    pub fn accumulate(
        &mut self,
        samples: Samples<'_>,
        targets: Targets<'_>,
    ) -> Result<Tally, StepError> {
        let train = self.train;
        let room = usize::from(train.batch).saturating_sub(self.pending as usize);
        if room == 0 || (self.pending > 0 && !self.accumulates()) {
            return Err(StepError::Pending { samples: self.pending });
        }
        let room = room.min(train.micro_batch.into());
        let count = self.rows().pairs(samples, targets, room)?;
        let mut tally = Tally::default();
        self.pass(Mode::Train, samples, Some((targets, 0)), count, &mut tally);
        self.tally += tally;
        Ok(tally)
    }

    /// Ends the step: moves the weights, if they have not moved yet.
    #[inline(never)]
    pub fn update(&mut self) -> Result<StepRecord, StepError> {
        if self.pending == 0 {
            return Err(StepError::Empty);
        }
        let lr = self.lr();
        if self.accumulates() {
            self.engine(Mode::Train, &mut Tally::default()).apply_sums();
        }
        if P::Uses::links(Tag::Lstm) {
            self.engine(Mode::Train, &mut Tally::default()).finish_gates();
        }
        if P::Uses::uses(Part::Moving) {
            finish_ranges(self.plan.plan().layers(), self.ranges.all_mut());
        }
        self.prepared = None;
        self.pending = 0;
        self.step = self.step.saturating_add(1);
        Ok(StepRecord { step: self.step, lr, tally: core::mem::take(&mut self.tally) })
    }

    /// Steps finished so far.
    pub const fn steps(&self) -> u32 {
        self.step
    }

    /// The learning rate of the next step.
    pub fn lr(&self) -> Lr {
        self.train.lr_at::<P::Uses>(self.step)
    }

    /// True when gradients are summed over several micro-batches.
    fn accumulates(&self) -> bool {
        P::Uses::uses(Part::MicroBatches) && self.train.accumulates()
    }

    /// The memory plan.
    pub fn plan(&self) -> &Plan<N> {
        self.plan.plan()
    }

    /// Forgets the counters of all layers and keeps the bounds.
    pub fn reset_counters(&mut self) {
        self.ranges.all_mut().iter_mut().for_each(RangeState::reset_counters);
    }

    /// Master weights and momentum: with [`states`](Self::states) and [`steps`](Self::steps) all
    /// that decides later steps. Little-endian as in memory on every supported machine.
    pub fn persistent(&self) -> &[u8] {
        self.memory.get(..self.plan().persistent).unwrap_or_default()
    }

    fn engine<'e>(
        &'e mut self,
        mode: Mode,
        tally: &'e mut Tally,
    ) -> Engine<'e, K, (S, Configured<'a>), P::Uses> {
        let (lr, plan) = (self.lr(), self.plan.plan());
        let sum_lr = match mode {
            Mode::Train => lr.times(plan.share),
            Mode::Infer => Lr::ZERO,
        };
        Engine {
            layers: self.layers,
            train: self.train,
            plan: plan.layers(),
            shared: &plan.shared,
            memory: self.memory,
            stored: self.plan.stored(),
            samples: &[],
            exponents: &mut self.exponents,
            ranges: self.ranges.all_mut(),
            kernel: &self.kernel,
            strategy: &mut self.strategy,
            step: self.step,
            key: Key::new(self.train.seed).stream(self.step),
            lr,
            sum_lr,
            mode,
            first_part: self.pending == 0,
            base: 0,
            from: 0,
            tally,
            uses: PhantomData,
        }
    }

    /// Passes over `count` samples with their targets, at most a micro-batch at a time. Not inlined:
    /// it has an engine on the stack.
    #[inline(never)]
    fn passes(
        &mut self,
        mode: Mode,
        samples: Samples<'_>,
        targets: Targets<'_>,
        count: usize,
    ) -> Tally {
        let sample = self.rows().sample;
        let samples = linked_samples::<P::Uses>(samples);
        let mut tally = Tally::default();
        for (from, len) in pieces(count, self.plan.plan().micro_batch.into()) {
            let samples = samples.part(from * sample, len * sample);
            self.pass(mode, samples, Some((targets, from)), len, &mut tally);
        }
        tally
    }

    /// Forward, then backward in training, or else a comparison where there are targets: those from
    /// a number on.
    fn pass(
        &mut self,
        mode: Mode,
        samples: Samples<'_>,
        targets: Option<(Targets<'_>, usize)>,
        count: usize,
        tally: &mut Tally,
    ) {
        let ready = self.prepared == Some(mode);
        let base = if mode == Mode::Train { self.pending } else { 0 };
        let accumulates = self.accumulates();
        self.prepared = Some(mode);
        // Outputs stay in memory until gradients take it; there are at most a micro-batch.
        self.shown = if mode == Mode::Infer { count as u16 } else { 0 };
        let mut engine = self.engine(mode, tally);
        if !ready {
            engine.prepare();
        }
        if mode == Mode::Train && accumulates && base == 0 {
            engine.clear_sums();
        }
        if P::Uses::links(Tag::Dropout) {
            engine.base = base;
        }
        engine.forward(samples, count, base);
        if let Some((targets, from)) = targets {
            engine.from = from;
            match mode {
                Mode::Train => engine.backward(targets, count, base),
                Mode::Infer => engine.judge(targets, count),
            }
        }
        if mode == Mode::Train {
            self.pending = self.pending.saturating_add(count as u32);
        }
    }
}
