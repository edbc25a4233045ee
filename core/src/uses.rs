//! Which parts of the trainer a run uses, known at compile time, so that the rest is not linked.
//!
//! A trainer that takes its settings at run time, from a file or over a line, must be able to do
//! everything. The settings of a [`Task`](crate::trainer::Task) are a constant: the compiler knows
//! that there is no momentum, or that no bound needs a histogram. [`Train::parts`] finds out which
//! [`Part`]s they use, and a task carries that in its type:
//!
//! ```
//! use fixgrad::{prelude::*, uses::Only};
//!
//! const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
//! const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
//! const LAYER: LayerConfig = LayerConfig::tiny();
//! static TASK: Task<4, Only<{ TRAIN.parts(&LAYER) }>> = Task::new(NET, TRAIN, LAYER);
//! ```
//!
//! The code of a step asks `U::uses(Part::Momentum)` where such a part begins. The answer is a
//! constant, so that one of the two ways is compiled, and numbers stay the same: a part that is left
//! out is one that would have done nothing. [`Task::new`](crate::trainer::Task::new) stops the
//! build when the type leaves out what the settings use.
//!
//! [`Train::parts`]: crate::config::Train::parts

use core::marker::PhantomData;

use crate::{
    layer::{Kind, Tag},
    quant::{Observe, Observer, PeakObserver, RangeState},
    stored::Stored,
    tensor::{Mantissas, MantissasMut},
};

/// A part of the trainer that not every run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A velocity.
    Momentum,
    /// Weights shrink by themselves.
    WeightDecay,
    /// Batches that come in parts, with sums of gradients.
    MicroBatches,
    /// Weights with a bound for every output channel.
    Channels,
    /// Hooks around the points.
    Strategies,
    /// A point for the samples. Without, they are the codes.
    InputPoint,
    /// Points of layers that only pass numbers on, which no task has.
    PassingPoints,
    /// Parameters that are multiplied as other codes than the master copy's.
    Codes,
    /// Codes of more than 8 bits in products, whose sums may drop bits.
    WideCodes,
    /// Gradients that stop where a value was clipped.
    Clipping,
    /// Bounds that need the whole tensor before its first code.
    WholeTensor,
    /// Bounds from the largest magnitude.
    Peak,
    /// Bounds from a percentile, or from mean and deviation.
    Statistics,
    /// Bounds from trials.
    Sweep,
    /// Bounds from the steps before.
    Moving,
    /// The loss of classes.
    Softmax,
    /// The loss of values.
    SquaredError,
    /// A rate that falls in steps.
    StepSchedule,
    /// A rate that falls as a cosine.
    CosineSchedule,
    /// A rate that rises first.
    Warmup,
    /// Parameters that do not move.
    Partial,
    /// Convolutions in which every channel has weights of its own, which
    /// [`GraphView::kinds`](crate::graph::GraphView::kinds) finds.
    Depthwise,
    /// The loss of outputs that each say yes or no.
    BinaryCrossEntropy,
    /// A part of the target for all classes.
    LabelSmoothing,
    /// Steps that are not the velocity: Nesterov's and Lion's.
    StepRules,
    /// Parameters that are read where they are [stored](crate::stored).
    Stored,
    /// Sums of micro-batches in 16 bits.
    ShortSums,
    /// Activations that are worked out again for the backward pass.
    Recompute,
}

impl Part {
    /// The part as a set of one.
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }

    /// Bits below those of kinds of layers.
    pub(crate) const COUNT: u32 = 32;
}

/// The parts of the trainer that are linked.
pub trait Uses {
    /// One bit a [`Part`], and above them one a [`Kind`] of layer.
    const PARTS: u64;
    /// What looks at tensors.
    type Observer: Observe;
    /// What remembers the bounds of `N` layers.
    type Ranges<const N: usize>: Ranges;
    /// Parameters that are read where they are stored.
    type Stock<'s>: Stock<'s>;

    /// Whether a part is linked.
    #[inline(always)]
    fn uses(part: Part) -> bool {
        Self::PARTS & part.bit() != 0
    }

    /// Whether a kind of layer is linked.
    #[inline(always)]
    fn links(kind: Tag) -> bool {
        Self::PARTS & kind.bit() != 0
    }

    /// Whether layers are linked that see their input through windows.
    #[inline(always)]
    fn links_windows() -> bool {
        (Self::PARTS & !Kind::PLAIN) >> Part::COUNT != 0
    }

    /// Whether layers are linked that read two outputs. Without, networks are chains.
    #[inline(always)]
    fn links_joins() -> bool {
        Self::PARTS & Kind::JOINS != 0
    }

    /// Whether layers are linked whose outputs or gradients are multiplied by a factor.
    #[inline(always)]
    fn links_scales() -> bool {
        Self::PARTS & Kind::SCALED != 0
    }

    /// Whether layers that could change codes in their place may have to leave them.
    #[inline(always)]
    fn links_copies() -> bool {
        Self::links_joins() || Self::uses(Part::PassingPoints) || Self::PARTS & Kind::KEEPERS != 0
    }

    /// Whether layers are linked whose outputs are parts of one.
    #[inline(always)]
    fn links_curves() -> bool {
        Self::PARTS & Kind::CURVES != 0
    }

    /// Codes that layers work on. Without [`Part::WideCodes`] they are bytes, and the compiler
    /// learns that here.
    #[inline(always)]
    fn codes(codes: Mantissas<'_>) -> Mantissas<'_> {
        match codes {
            Mantissas::I8(_) => codes,
            _ if Self::uses(Part::WideCodes) => codes,
            _ => Mantissas::I8(&[]),
        }
    }

    /// As [`codes`](Self::codes), writable.
    #[inline(always)]
    fn codes_mut(codes: MantissasMut<'_>) -> MantissasMut<'_> {
        match codes {
            MantissasMut::I8(_) => codes,
            _ if Self::uses(Part::WideCodes) => codes,
            _ => MantissasMut::I8(&mut []),
        }
    }
}

/// Where a trainer finds [stored](crate::stored) parameters, if there are any.
pub trait Stock<'s>: Copy {
    /// False where there are never any, which the compiler knows.
    const IS_LINKED: bool;
    /// None.
    const NONE: Self;
    /// The parameters.
    fn stored(self) -> Option<&'s Stored<'s>>;
}

impl<'s> Stock<'s> for () {
    const IS_LINKED: bool = false;
    const NONE: Self = ();
    fn stored(self) -> Option<&'s Stored<'s>> {
        None
    }
}

impl<'s> Stock<'s> for Option<&'s Stored<'s>> {
    const IS_LINKED: bool = true;
    const NONE: Self = None;
    fn stored(self) -> Option<&'s Stored<'s>> {
        self
    }
}

/// Room for the bounds of tensors, which a trainer has in itself.
pub trait Ranges: core::fmt::Debug {
    /// Room without bounds.
    const NEW: Self;
    /// How many there is room for.
    const LEN: usize;
    /// All of them.
    fn all(&self) -> &[RangeState];
    /// As [`all`](Self::all), writable.
    fn all_mut(&mut self) -> &mut [RangeState];
}

/// Room for all that layers can have.
impl<const N: usize> Ranges for [[RangeState; 8]; N] {
    const NEW: Self = [[RangeState::NEW; 8]; N];
    const LEN: usize = 8 * N;
    fn all(&self) -> &[RangeState] {
        self.as_flattened()
    }
    fn all_mut(&mut self) -> &mut [RangeState] {
        self.as_flattened_mut()
    }
}

/// Room for what they have.
impl<const LEN: usize> Ranges for [RangeState; LEN] {
    const NEW: Self = [RangeState::NEW; LEN];
    const LEN: usize = LEN;
    fn all(&self) -> &[RangeState] {
        self
    }
    fn all_mut(&mut self) -> &mut [RangeState] {
        self
    }
}

/// All parts: for settings that are not known at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Everything;

/// The parts in a set of bits, without [`Part::Statistics`].
#[derive(Clone, Copy, Debug)]
pub struct Only<const PARTS: u64>;

/// As [`Only`], with [`Part::Statistics`], which takes memory.
#[derive(Clone, Copy, Debug)]
pub struct OnlyAndStatistics<const PARTS: u64>;

/// The parts `U`, in a trainer with room for no more bounds than the network has, which
/// [`Task::bounds`](crate::trainer::Task::bounds) counts. Every one takes 28 bytes, and room for all
/// that any layer can have is eight a layer.
///
/// ```
/// use fixgrad::{prelude::*, uses::{Fitted, Only}};
///
/// const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
/// const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
/// const LAYER: LayerConfig = LayerConfig::tiny();
/// const BOUNDS: usize = Task::<4>::new(NET, TRAIN, LAYER).bounds();
/// static TASK: Task<4, Fitted<BOUNDS, Only<{ TRAIN.parts(&LAYER) }>>> =
///     Task::new(NET, TRAIN, LAYER);
/// ```
///
/// Too little room is a build error:
///
/// ```compile_fail
/// # use fixgrad::{prelude::*, uses::{Everything, Fitted}};
/// # const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
/// static TASK: Task<4, Fitted<12, Everything>> =
///     Task::new(NET, Train::new(4, Lr::ratio(1, 2)), LayerConfig::tiny());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fitted<const BOUNDS: usize, U>(PhantomData<U>);

/// The parts `U` in a trainer with [stored](crate::stored) parameters, which
/// [`Trainer::of_stored`](crate::trainer::Trainer::of_stored) and
/// [`Trainer::with_stored`](crate::trainer::Trainer::with_stored) make. Others link nothing of it.
#[derive(Clone, Copy, Debug)]
pub struct Stocked<U>(PhantomData<U>);

impl Uses for Everything {
    const PARTS: u64 = u64::MAX;
    type Observer = Observer;
    type Ranges<const N: usize> = [[RangeState; 8]; N];
    type Stock<'s> = ();
}

impl<const PARTS: u64> Uses for Only<PARTS> {
    const PARTS: u64 = PARTS & !Part::Statistics.bit();
    type Observer = PeakObserver;
    type Ranges<const N: usize> = [[RangeState; 8]; N];
    type Stock<'s> = ();
}

impl<const PARTS: u64> Uses for OnlyAndStatistics<PARTS> {
    const PARTS: u64 = PARTS | Part::Statistics.bit();
    type Observer = Observer;
    type Ranges<const N: usize> = [[RangeState; 8]; N];
    type Stock<'s> = ();
}

impl<const BOUNDS: usize, U: Uses> Uses for Fitted<BOUNDS, U> {
    const PARTS: u64 = U::PARTS;
    type Observer = U::Observer;
    type Ranges<const N: usize> = [RangeState; BOUNDS];
    type Stock<'s> = U::Stock<'s>;
}

impl<U: Uses> Uses for Stocked<U> {
    const PARTS: u64 = U::PARTS | Part::Stored.bit();
    type Observer = U::Observer;
    type Ranges<const N: usize> = U::Ranges<N>;
    type Stock<'s> = Option<&'s Stored<'s>>;
}
