//! What parameters take: master copies and velocities, which a checkpoint holds, the bounds of all
//! tensors, and what the multiplication sees.

use super::{
    cursor::Cursor,
    flow::Flow,
    plan::{Plan, storage},
    recurrent::{BOUND_WORDS, step_words},
    region::{Bounds, Region},
    sizes::{HookNeeds, Sizes},
};
use crate::{config::LayerConfig, quant::Range, tensor::Width, trainer::Tensor};

/// Words of a channel that is normalised, kept for ever: a running mean and variance.
const RUNNING_WORDS: usize = 4;
/// Words of every such channel in a step, and of the layer.
pub(crate) const NORM_WORDS: [usize; 2] = [9, 3];

impl<const N: usize> Plan<N> {
    pub(super) const fn place_masters(
        &mut self,
        (cursor, image): (&mut Cursor, &mut Cursor),
        flow: Flow<'_>,
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
    ) {
        let Some(facts) = flow.graph().facts(i) else { return };
        let (weights, biases) = (facts.weights(), facts.biases);
        let [weights_stored, biases_stored] = flow.stored(i);
        let layer = &mut self.layers[i];
        layer.weight.master = match weights_stored {
            true => image.take(weights, storage(config.weight.bits(), false)).stored(),
            false => place(cursor, image, weights, config.master.width),
        };
        layer.bias.master = match biases_stored {
            true => image.take(biases, storage(config.bias.bits(), false)).stored(),
            false => place(cursor, image, biases, config.bias_master.width),
        };
        // Numbers that come together in one, and those that one goes to.
        let [units, inputs] = facts.weights;
        let outputs = units * facts.windows.taps();
        layer.weight.limit = config.master.limit(inputs, outputs);
        layer.bias.limit = config.bias_master.limit(inputs, outputs);
        let [(_, moving), (_, moving_biases)] = flow.moving(i);
        if let Some(width) = sizes.velocity {
            layer.weight.velocity = cursor.take(moving, width);
            layer.bias.velocity = cursor.take(moving_biases, width);
        }
        if flow.graph().lstm(i).is_some() {
            // That of the forget gate; the others begin at zero.
            layer.bias.limit = config.bias_master.one(config.bias.train.bits);
            let words = if flow.trains(i) { BOUND_WORDS } else { 0 };
            layer.channels = place(cursor, image, words, Width::I32);
            return;
        }
        // The spread of the channels decides inference too, so it belongs to a checkpoint.
        if flow.graph().is_norm(i) {
            // Weights begin at one, or rather at the code below it: one itself would be clipped where
            // the bound is the largest magnitude.
            layer.weight.limit = config.master.one(config.weight.train.bits);
            layer.bias.limit = 0;
            layer.channels = place(cursor, image, RUNNING_WORDS * units, Width::I32);
        } else if config.per_channel && weights_stored {
            layer.channels = image.take(units, Width::I8).stored();
        } else if config.per_channel && weights > 0 {
            layer.channels = place(cursor, image, units, Width::I8);
        }
    }

    /// Behind the bounds of the layers below. Layers that only pass numbers on need none, and neither do
    /// stored parameters, or gradients that nothing asks for.
    pub(super) const fn place_bounds(&mut self, flow: Flow<'_>, i: usize, config: &LayerConfig) {
        let first = if i == 0 { 0 } else { self.layers[i - 1].bounds.end() as u16 };
        let plan = &self.layers[i];
        let velocities = plan.weight.velocity.len + plan.bias.velocity.len;
        let [weights, biases] = [plan.weight.master, plan.bias.master];
        let stored = weights.is_stored() && (biases.len == 0 || biases.is_stored());
        let tensors = match (weights.len, velocities) {
            (0, _) if config.activation.is_none() && config.activation_grad.is_none() => 0..0,
            (len, _) if (len == 0 || stored) && !flow.trains(i) => {
                Tensor::Activation as u8..Tensor::ActivationGrad as u8
            }
            (0, _) => Tensor::Activation as u8..Tensor::Velocity as u8,
            (_, 0) => 0..Tensor::Velocity as u8,
            _ => 0..Tensor::ALL.len() as u8,
        };
        let len = tensors.end - tensors.start;
        let rules = [
            config.weight.train.range,
            config.bias.train.range,
            config.weight_grad.range,
            config.bias_grad.range,
            match config.activation {
                Some(point) => point.train.range,
                None => Range::Keep,
            },
            match config.activation_grad {
                Some(quant) => quant.range,
                None => Range::Keep,
            },
            Range::VELOCITY,
            Range::VELOCITY,
        ];
        let mut windows = [0; Tensor::ALL.len()];
        let mut k = 0;
        while k < len as usize {
            windows[k] = rules[tensors.start as usize + k].window();
            k += 1;
        }
        self.layers[i].bounds = Bounds { first, from: tensors.start, len, windows };
    }

    pub(super) const fn place_params(
        &mut self,
        cursor: &mut Cursor,
        flow: Flow<'_>,
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
        hook: HookNeeds,
    ) {
        let (weights, biases) = flow.graph().layer_parameters(i);
        let [(_, moving), (_, moving_biases)] = flow.moving(i);
        let layer = &mut self.layers[i];
        let off = hook.weight_off_grid;
        let weight_width = storage(config.weight.bits(), off);
        let bias_width = storage(config.bias.bits(), off);
        let accumulate = sizes.micro_batch < sizes.batch;
        layer.weight.codes = layer.weight.master;
        layer.bias.codes = layer.bias.master;
        let [weights_stored, biases_stored] = flow.stored(i);
        if !weights_stored && (!config.weight_is_master() || hook.weight) {
            layer.weight.codes = cursor.take(weights, weight_width);
            layer.weight.pass = cursor.mask(weights, config.weight.clip && moving > 0);
        }
        if !biases_stored && (!config.bias_is_master() || hook.weight) {
            layer.bias.codes = cursor.take(biases, bias_width);
            layer.bias.pass = cursor.mask(biases, config.bias.clip && moving_biases > 0);
        }
        layer.channels_now = if let Some((lstm, from)) = flow.graph().lstm(i) {
            let samples = sizes.micro_batch as usize;
            cursor.take(step_words(lstm, from, samples, sizes.tile), Width::I32)
        } else if flow.graph().is_norm(i) {
            cursor.take(NORM_WORDS[0] * weights + NORM_WORDS[1], Width::I32)
        } else if weights_stored {
            layer.channels
        } else {
            cursor.take(layer.channels.len as usize, Width::I8)
        };
        if accumulate {
            layer.weight.sum = cursor.take(moving, sizes.sums);
            layer.bias.sum = cursor.take(moving_biases, sizes.sums);
        }
    }
}

/// A place in the arena, and as much in the image of stored parameters, with which it begins.
const fn place(cursor: &mut Cursor, image: &mut Cursor, len: usize, width: Width) -> Region {
    image.take(len, width);
    cursor.take(len, width)
}
