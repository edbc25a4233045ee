//! One step, compiled once for all graphs: everything borrowed, nothing generic over capacity.

use core::marker::PhantomData;

use super::{
    Tally,
    point::{Hooks, Pass, Passed, Sums},
    recurrent::lstm_of,
    state::{Exponents, Tensor},
    update::Which,
};
use crate::{
    config::{LayerConfig, LossKind, Train},
    graph::{LayerPlan, Shared},
    kernel::Kernel,
    layer::{Average, Draws, Facts, Kind, Lstm, Tag},
    loss::Loss,
    optim::Lr,
    quant::{Quant, RangeState},
    rng::Key,
    strategy::{Context, Place, Strategy},
    uses::{Part, Uses},
};

/// Training or inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Train,
    Infer,
}

/// All that a step works on.
pub(crate) struct Engine<'e, K, S, U: Uses> {
    pub(crate) layers: &'e [LayerConfig],
    pub(crate) train: &'e Train,
    pub(crate) plan: &'e [LayerPlan],
    pub(crate) shared: &'e Shared,
    pub(crate) memory: &'e mut [u8],
    pub(crate) stored: U::Stock<'e>,
    /// Codes that are read in place.
    pub(crate) samples: &'e [i8],
    pub(crate) exponents: &'e mut [Exponents],
    pub(crate) ranges: &'e mut [RangeState],
    pub(crate) kernel: &'e K,
    pub(crate) strategy: &'e mut S,
    /// Steps finished so far, the random numbers of this one, and its learning rate.
    pub(crate) step: u32,
    pub(crate) key: Key,
    pub(crate) lr: Lr,
    /// The rate for a sum over the batch, which is what gradients are.
    pub(crate) sum_lr: Lr,
    pub(crate) mode: Mode,
    /// True for the first micro-batch of a step.
    pub(crate) first_part: bool,
    /// The first sample in memory, of those of the step.
    pub(crate) base: u32,
    /// The target of the first sample.
    pub(crate) from: usize,
    /// Loss and right answers, counted where the loss is.
    pub(crate) tally: &'e mut Tally,
    /// The parts that are linked.
    pub(crate) uses: PhantomData<U>,
}

/// A layer, with all that is fixed about it.
#[derive(Clone, Copy)]
pub(crate) struct At<'e> {
    pub(crate) i: usize,
    pub(crate) plan: &'e LayerPlan,
    pub(crate) config: &'e LayerConfig,
}

impl At<'_> {
    /// Numbers in one output.
    pub(crate) const fn outputs(&self) -> usize {
        self.plan.way.outputs as usize
    }

    /// What sums of codes are multiplied by: forward, or else backward.
    pub(crate) fn average<U: Uses>(&self, forward: bool, mode: Mode) -> Average {
        if !U::links_scales() {
            return Average::NONE;
        }
        let way = &self.plan.way;
        let facts = way.kind.facts(way.from, way.from).ok();
        if U::links(Tag::Dropout) && mode == Mode::Infer && matches!(way.kind, Kind::Dropout(_)) {
            return Average::NONE;
        }
        let average = facts.and_then(|Facts { scale, terms, .. }| match forward {
            true => Average::for_scale(scale, terms.forward, way.input_bits),
            false => Average::for_scale(scale, terms.backward, self.config.activation_grad?.bits),
        });
        average.unwrap_or(Average::NONE)
    }

    /// Channels of the output.
    pub(crate) const fn units(&self) -> usize {
        self.plan.way.channels as usize
    }

    /// Rows of the weight: one for every channel of the output, or for every gate.
    #[inline(always)]
    pub(crate) fn weight_rows<U: Uses>(&self) -> usize {
        let gates = if lstm_of::<U>(&self.plan.way).is_some() { 4 } else { 1 };
        gates * self.units()
    }

    /// Rows of the gradient that is multiplied with weights, of one sample: pixels, or steps.
    #[inline(always)]
    pub(crate) fn grad_rows<U: Uses>(&self) -> usize {
        let way = &self.plan.way;
        if lstm_of::<U>(way).is_some() { Lstm::line(way.from).1 } else { way.rows as usize }
    }

    /// Rows of the weight, or numbers of the bias, that move in a layer with weights: the first and how
    /// many.
    #[inline(always)]
    pub(crate) fn moving<U: Uses>(&self, which: Which) -> (usize, usize) {
        let all = match which {
            Which::Weight => self.weight_rows::<U>(),
            Which::Bias => self.plan.bias.master.len as usize,
        };
        if !U::uses(Part::Partial) {
            return (0, all);
        }
        let update = self.config.update;
        let moving = which.choose([update.rows(all), update.biases(all)]);
        (moving.start, moving.len())
    }
}

/// The loss, as a constant where only one is linked.
pub(crate) fn linked_loss<U: Uses>(train: &Train) -> Loss {
    let (softmax, squares) = (U::uses(Part::Softmax), U::uses(Part::SquaredError));
    let kind = match (softmax, squares, U::uses(Part::BinaryCrossEntropy)) {
        (true, false, false) => LossKind::SoftmaxCrossEntropy,
        (false, true, false) => LossKind::Mse,
        (false, false, true) => LossKind::BceWithLogits,
        _ => train.loss,
    };
    let smooth = U::uses(Part::LabelSmoothing);
    Loss { kind, label_smoothing: if smooth { train.label_smoothing } else { 0 } }
}

/// Streams of random numbers beside those of the quantisers.
pub(crate) const HOOK_STREAM: u32 = 1 << 8;
pub(crate) const UPDATE_STREAM: u32 = 2 << 8;
pub(crate) const VELOCITY_STREAM: u32 = 3 << 8;
const DROPOUT_STREAM: u32 = 4 << 8;
pub(crate) const GATES_STREAM: u32 = 5 << 8;

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Layer `i`.
    pub(crate) fn at(&self, i: usize) -> Option<At<'e>> {
        Some(At { i, plan: self.plan.get(i)?, config: self.layers.get(i)? })
    }

    /// The stream of one tensor in this step (Architecture: random numbers are a function of
    /// seed, step, tensor and element).
    pub(crate) fn key(&self, layer: usize, tensor: Tensor, stream: u32) -> Key {
        self.key.stream((layer as u32) << 16 | stream | tensor as u32)
    }

    /// Random numbers of what a layer leaves out.
    #[inline(always)]
    pub(crate) fn draws(&self, at: At<'_>) -> Draws {
        if !U::links(Tag::Dropout) {
            return Draws { key: self.key, first: 0 };
        }
        let key = self.key(at.i, Tensor::Activation, DROPOUT_STREAM);
        Draws { key, first: self.base.wrapping_mul(at.plan.way.outputs) }
    }

    /// A pass of a tensor with rows of `row` elements.
    #[inline(never)]
    pub(crate) fn pass(
        &self,
        layer: usize,
        tensor: Tensor,
        quant: &'e Quant,
        sums: Sums,
        row: usize,
    ) -> Pass<'e, U> {
        let key = self.key(layer, tensor, 0);
        let place = self.plan.get(layer).and_then(|plan| plan.bounds.place(tensor));
        let previous = place.and_then(|at| self.ranges.get(at)?.bound());
        Pass::new(quant, key, sums, row, previous, self.hooks(layer, tensor, sums.exponent))
    }

    /// What strategies that work on a tensor need to know; none where there are no such.
    #[inline(always)]
    fn hooks(&self, layer: usize, tensor: Tensor, source: i16) -> Option<Hooks> {
        let place = match tensor {
            Tensor::Weight | Tensor::Bias => Place::Weight,
            Tensor::WeightGrad | Tensor::BiasGrad => Place::WeightGrad,
            Tensor::ActivationGrad => Place::ActivationGrad,
            Tensor::Activation | Tensor::Velocity | Tensor::BiasVelocity => Place::Activation,
        };
        let index = layer as u8;
        if !U::uses(Part::Strategies)
            || self.mode == Mode::Infer
            || !self.strategy.active(index, place)
        {
            return None;
        }
        let off_grid = matches!(place, Place::Weight | Place::Activation)
            && self.strategy.off_grid(index, place);
        let context = Context {
            step: self.step,
            lr: self.lr,
            layer: index,
            bias: matches!(tensor, Tensor::Bias | Tensor::BiasGrad),
            key: self.key(layer, tensor, HOOK_STREAM),
        };
        Some(Hooks { place, context, source, off_grid })
    }

    /// Bound and counters of a tensor.
    pub(crate) fn range_mut(&mut self, layer: usize, tensor: Tensor) -> Option<&mut RangeState> {
        self.ranges.get_mut(self.plan.get(layer)?.bounds.place(tensor)?)
    }

    /// Keeps what a pass learned, in training; inference leaves no trace.
    #[inline(never)]
    pub(crate) fn keep(&mut self, layer: usize, tensor: Tensor, passed: &Passed) {
        if self.mode == Mode::Train
            && let Some(range) = self.range_mut(layer, tensor)
        {
            range.settle(passed.bound);
            range.count(passed.counts, passed.elements);
            if U::uses(Part::Moving)
                && let Some(seen) = passed.seen
            {
                range.note_seen(seen);
            }
        }
    }
}

/// Ends the step for every range rule.
pub(crate) fn finish_ranges(plan: &[LayerPlan], ranges: &mut [RangeState]) {
    for plan in plan {
        let bounds = &plan.bounds;
        let ranges = ranges.get_mut(bounds.first.into()..bounds.end()).unwrap_or_default();
        for (range, &window) in ranges.iter_mut().zip(&bounds.windows) {
            range.finish_step(window);
        }
    }
}
