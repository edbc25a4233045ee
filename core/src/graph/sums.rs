//! Where the output of a layer lies, and how wide its sums are: what proves that none overflows.

use super::{
    flow::Flow,
    plan::Plan,
    recurrent::hidden_width,
    region::Sum,
    sizes::{HookNeeds, Sizes},
    view::GraphView,
};
use crate::{
    config::LayerConfig,
    layer::{Average, Facts, Kind, Output, Scale},
    tensor::Width,
};

/// Channel bounds may lie this far below the tensor's.
const MAX_SPREAD: u8 = 7;
/// Bits of codes that lie between the grid's.
const OFF_GRID_BITS: u8 = 16;

impl<const N: usize> Plan<N> {
    /// Fails with the number of terms of a mean that leaves no bit for the division.
    pub(super) const fn find_sums(
        &mut self,
        graph: GraphView<'_>,
        i: usize,
        facts: &Facts,
        config: &LayerConfig,
        sizes: Sizes,
        hook: HookNeeds,
    ) -> Result<(), usize> {
        let layer = graph.layers()[i];
        let from = self.layers[layer.input as usize];
        let input_bits = from.output_bits;
        let plan = &mut self.layers[i];
        match config.activation {
            None if matches!(facts.output, Output::Codes) => {
                plan.output = i as u8;
                plan.output_bits = input_bits;
            }
            Some(point) => {
                plan.output = i as u8;
                plan.output_bits =
                    if hook.activation_off_grid { OFF_GRID_BITS } else { point.bits() };
            }
            None => {
                plan.output = from.output;
                plan.output_bits = match layer.kind {
                    Kind::Input(_) => 8,
                    _ => input_bits,
                };
            }
        }
        let Facts { terms, scale, .. } = *facts;
        if i == 0 || matches!(facts.output, Output::InPlace) {
            return Ok(());
        }
        if facts.weights() == 0 {
            // Products with a factor, whose bits are all of its magnitude.
            let Some(forward) = Average::for_scale(scale, terms.forward, input_bits) else {
                return Err(terms.forward);
            };
            plan.forward = match scale {
                // Up to one in units of 2^-15.
                Scale::Curve { .. } => Sum::of(1, 16, 1),
                _ => Sum::of(1, input_bits, terms.forward as u64 * forward.factor as u64),
            };
            // Below all that trains there may be no gradient.
            if let Some(grad) = config.activation_grad {
                let Some(back) = Average::for_scale(scale, terms.backward, grad.bits) else {
                    return Err(terms.backward);
                };
                plan.input_grad = Sum::of(1, grad.bits, terms.backward as u64 * back.factor as u64);
            }
            return Ok(());
        }
        let (rows, input_bits) = match (config.activation, facts.steps) {
            (_, 0) | (None, _) => (layer.shape.0[1] as u64 * layer.shape.0[2] as u64, input_bits),
            // Hidden states are multiplied too.
            (Some(point), steps) => (steps as u64, max(input_bits, hidden_width(point).bits())),
        };
        let weight_bits = if hook.weight_off_grid { OFF_GRID_BITS } else { config.weight.bits() };
        plan.forward = Sum::of(input_bits, weight_bits, terms.forward as u64);
        // Without one where no gradient arrives.
        let grad_bits = match config.activation_grad {
            Some(grad) => grad.bits,
            None => 1,
        };
        let rows = sizes.batch as u64 * rows;
        plan.weight_grad = Sum::of(input_bits, grad_bits, rows);
        // As many products with a one, which has no magnitude bits.
        plan.bias_grad = Sum::of(1, grad_bits, rows);
        if graph.is_norm(i) {
            // Sums on grids that are found in the step: see the trainer.
            (plan.forward, plan.input_grad) = (Sum::WHOLE, Sum::WHOLE);
            plan.weight_grad = plan.bias_grad;
            return Ok(());
        }
        if config.per_channel && facts.steps == 0 {
            let room = Sum::LIMIT - min(plan.forward.bits, Sum::LIMIT);
            plan.spread = min(MAX_SPREAD, min(room, 16 - grad_bits));
        }
        plan.input_grad = Sum::of(weight_bits, grad_bits + plan.spread, terms.backward as u64);
        Ok(())
    }

    /// Bytes for windows of the input and of the gradient.
    pub(super) const fn window_bytes(
        &self,
        flow: Flow<'_>,
        i: usize,
        config: &LayerConfig,
        numbers: usize,
    ) -> usize {
        let below = flow.graph().layers()[i].input as usize;
        let input = self.layers[below].output_bits;
        let grad = match config.activation_grad {
            _ if !flow.trains(below) => 8,
            Some(_) if self.layers[i].spread > 0 => 16,
            Some(grad) => grad.bits,
            None => 8,
        };
        let bits = if input > grad { input } else { grad };
        numbers * Width::for_bits(bits).bytes()
    }
}

const fn max(a: u8, b: u8) -> u8 {
    if a > b { a } else { b }
}

const fn min(a: u8, b: u8) -> u8 {
    if a < b { a } else { b }
}
