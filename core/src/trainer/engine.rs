//! One step, compiled once for all graphs: everything borrowed, nothing generic over capacity.

use core::marker::PhantomData;

use super::{
    Tally,
    point::{Pass, Setup, Sums},
    state::{LayerState, Tensor},
};
use crate::{
    config::{LayerConfig, LossKind, Train},
    graph::{GraphView, LayerPlan, Region},
    kernel::Kernel,
    optim::Lr,
    quant::Quant,
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
pub(crate) struct Engine<'e, K, S, U> {
    pub(crate) graph: GraphView<'e>,
    pub(crate) layers: &'e [LayerConfig],
    pub(crate) train: &'e Train,
    pub(crate) plan: &'e [LayerPlan],
    pub(crate) scratch: Region,
    pub(crate) row: Region,
    pub(crate) memory: &'e mut [u8],
    /// Codes that are read in place.
    pub(crate) samples: &'e [i8],
    pub(crate) states: &'e mut [LayerState],
    pub(crate) kernel: &'e K,
    pub(crate) strategy: &'e mut S,
    /// Steps finished so far, and the learning rate of this one.
    pub(crate) step: u32,
    pub(crate) lr: Lr,
    /// The rate for a sum over the batch, which is what gradients are.
    pub(crate) sum_lr: Lr,
    pub(crate) mode: Mode,
    /// True for the first micro-batch of a step.
    pub(crate) first_part: bool,
    /// Loss and right answers, counted where the loss is.
    pub(crate) tally: Tally,
    /// The parts that are linked.
    pub(crate) uses: PhantomData<U>,
}

/// The loss, as a constant where only one is linked.
pub(crate) fn linked_loss<U: Uses>(kind: LossKind) -> LossKind {
    match (U::uses(Part::Softmax), U::uses(Part::SquaredError)) {
        (true, false) => LossKind::SoftmaxCrossEntropy,
        (false, true) => LossKind::Mse,
        _ => kind,
    }
}

/// Streams of random numbers beside those of the quantisers.
pub(crate) const HOOK_STREAM: u32 = 1 << 8;
pub(crate) const UPDATE_STREAM: u32 = 2 << 8;
pub(crate) const VELOCITY_STREAM: u32 = 3 << 8;

/// What a pass needs besides what the engine knows.
pub(crate) struct Of {
    pub(crate) layer: usize,
    pub(crate) tensor: Tensor,
    pub(crate) quant: Quant,
    pub(crate) sums: Sums,
    pub(crate) row: usize,
}

impl<K: Kernel, S: Strategy, U: Uses> Engine<'_, K, S, U> {
    /// The stream of one tensor in this step (Architecture: random numbers are a function of
    /// seed, step, tensor and element).
    pub(crate) fn key(&self, layer: usize, tensor: Tensor, stream: u32) -> Key {
        let tag = stream | tensor as u32;
        Key::new(self.train.seed).child(self.step).child((layer as u32) << 16 | tag)
    }

    pub(crate) fn pass(&self, of: Of) -> Pass<U> {
        let Of { layer, tensor, quant, sums, row } = of;
        let place = match tensor {
            Tensor::Weight | Tensor::Bias => Place::Weight,
            Tensor::WeightGrad | Tensor::BiasGrad => Place::WeightGrad,
            Tensor::ActivationGrad => Place::ActivationGrad,
            Tensor::Activation | Tensor::Velocity | Tensor::BiasVelocity => Place::Activation,
        };
        let index = layer as u8;
        let strategies = U::uses(Part::Strategies);
        let hooks = strategies && self.mode == Mode::Train && self.strategy.active(index, place);
        let off_grid = strategies
            && matches!(place, Place::Weight | Place::Activation)
            && self.strategy.off_grid(index, place);
        Pass::new(Setup {
            quant,
            place,
            context: Context {
                step: self.step,
                lr: self.lr,
                layer: index,
                bias: matches!(tensor, Tensor::Bias | Tensor::BiasGrad),
                key: self.key(layer, tensor, HOOK_STREAM),
            },
            key: self.key(layer, tensor, 0),
            sums,
            row,
            hooks,
            off_grid,
            state: self.state(layer).map_or(crate::quant::RangeState::NEW, |s| *s.range(tensor)),
        })
    }

    pub(crate) fn state(&self, layer: usize) -> Option<&LayerState> {
        self.states.get(layer)
    }

    /// Keeps what a pass learned, in training; inference leaves no trace.
    pub(crate) fn keep(&mut self, layer: usize, tensor: Tensor, state: crate::quant::RangeState) {
        if self.mode == Mode::Train
            && let Some(layer) = self.states.get_mut(layer)
        {
            *layer.range_mut(tensor) = state;
        }
    }

    /// The layer whose point takes the gradient that arrives at the output of `from`: `from`
    /// itself, or the next one below a run of layers without a point.
    pub(crate) fn gradient_target(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let plan = self.plan.get(at)?;
            if plan.grad.len > 0 {
                return Some(at);
            }
            if at == 0 || self.graph.layers().get(at)?.kind.accumulates() {
                return None;
            }
            at -= 1;
        }
    }

    /// Ends the step for every range rule.
    pub(crate) fn finish_ranges(&mut self) {
        if !U::uses(Part::Moving) {
            return;
        }
        for (config, state) in self.layers.iter().zip(self.states.iter_mut()) {
            let velocity = super::update::VELOCITY_RANGE;
            let keep = crate::quant::Range::Keep;
            for (tensor, range) in [
                (Tensor::Weight, config.weight.train.range),
                (Tensor::Bias, config.bias.train.range),
                (Tensor::WeightGrad, config.weight_grad.range),
                (Tensor::BiasGrad, config.bias_grad.range),
                (Tensor::Activation, config.activation.map_or(keep, |p| p.train.range)),
                (Tensor::ActivationGrad, config.activation_grad.map_or(keep, |q| q.range)),
                (Tensor::Velocity, velocity),
                (Tensor::BiasVelocity, velocity),
            ] {
                state.range_mut(tensor).finish_step(range);
            }
        }
    }
}
