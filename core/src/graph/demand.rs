//! How many 32-bit sums must be in memory at once.

use super::{
    flow::Flow,
    plan::max,
    sizes::{HookNeeds, Sizes},
    view::GraphView,
};
use crate::{
    config::LayerConfig,
    layer::{Kind, Output},
    quant::{Point, Range},
};

/// 32-bit sums that a layer needs in memory at once.
pub(super) struct Demand {
    /// Because a range rule looks at the whole tensor.
    pub(super) whole: usize,
    /// Because work goes row by row.
    pub(super) row: usize,
    pub(super) biases: usize,
    /// Parameters, not sums: what the layer multiplies with.
    pub(super) weights: usize,
    /// Codes of windows, not sums.
    pub(super) room: usize,
}

impl Demand {
    pub(super) const fn of(
        (graph, flow): (GraphView<'_>, Flow<'_>),
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
        hook: HookNeeds,
    ) -> Self {
        let layer = graph.layers()[i];
        let outputs = layer.shape.elements();
        let Some(facts) = graph.facts(i) else {
            return Self { whole: 0, row: 0, biases: 0, weights: 0, room: 0 };
        };
        let (weights, biases) = (facts.weights(), facts.biases);
        let samples = sizes.micro_batch as usize;
        let mut whole = 0;
        let passed_on = matches!(layer.kind, Kind::Input(_) | Kind::Flatten(_));
        let summed = match config.activation {
            Some(point) => !(passed_on && !hook.activation && !sweeps(point)),
            None => false,
        };
        if let Some(point) = config.activation
            && summed
            && (point.train.range.needs_whole_tensor() || point.infer.range.needs_whole_tensor())
        {
            whole = samples.saturating_mul(outputs);
        }
        if let Some(grad) = config.activation_grad
            && grad.range.needs_whole_tensor()
            && flow.trains(i)
        {
            whole = max(whole, samples.saturating_mul(outputs) * flow.tiles(i));
        }
        let accumulate = sizes.micro_batch < sizes.batch;
        let [(_, moving), _] = flow.moving(i);
        if config.weight_grad.range.needs_whole_tensor() && !accumulate {
            whole = max(whole, moving);
        }
        if (sweeps(config.weight) || hook.weight && config.weight.train.range.needs_whole_tensor())
            && !config.per_channel
        {
            whole = max(whole, weights);
        }
        if sweeps(config.bias) || hook.weight && config.bias.train.range.needs_whole_tensor() {
            whole = max(whole, biases);
        }
        let channels = layer.shape.0[0] as usize;
        let makes = match (layer.kind, facts.output) {
            (Kind::Input(_), _) | (_, Output::InPlace) => false,
            // A copy without a point comes by sums.
            (Kind::Flatten(_), _) => config.activation.is_none(),
            _ => true,
        };
        let mut row = if makes || summed { channels } else { 0 };
        // Gradients go row by row, and the loss and a dense layer make whole samples of them. So does what
        // goes through time, of its output.
        if i + 1 == graph.layers().len() || facts.steps > 0 {
            row = max(row, outputs);
        }
        let (inputs, mut k) = (layer.inputs(), 0);
        while k < inputs.len() {
            if flow.trains(inputs[k]) {
                let from = graph.layers()[inputs[k]].shape;
                let vector = graph.takes_inputs_whole(i);
                let numbers = if vector { from.elements() } else { from.0[0] as usize };
                row = max(row, numbers);
                whole = max(whole, (flow.tiles(inputs[k]) - 1) * 2 * numbers);
            }
            k += 1;
        }
        // So do weights: with a bound for every channel they must, and else they are the faster for it.
        row = max(row, facts.weights[1]);
        // Gradients look through windows too, where they go on.
        let [input, _] = inputs;
        let forward = if facts.patch < facts.weights[1] { facts.patch } else { facts.weights[1] };
        // A row of taps at a time where memory is short.
        let [down, _] = facts.windows.size;
        let line = facts.patch / max(down as usize, 1);
        let back = if sizes.is_short() { max(forward, line) } else { facts.patch };
        let room = WINDOWS * if flow.trains(input) { back } else { forward };
        Self { whole, row, biases, weights, room }
    }
}

/// Windows gathered at a time: kernels take four rows at once.
const WINDOWS: usize = 4;

const fn sweeps(point: Point) -> bool {
    matches!(point.train.range, Range::Sweep) || matches!(point.infer.range, Range::Sweep)
}

pub(super) const fn largest_tensor(graph: GraphView<'_>, sizes: Sizes) -> usize {
    let (mut largest, mut i) = (0, 0);
    while i < graph.layers().len() {
        let (weights, _) = graph.layer_parameters(i);
        let numbers = graph.layers()[i].shape.elements();
        let numbers = numbers.saturating_mul(sizes.micro_batch as usize);
        largest = max(largest, max(weights, numbers));
        i += 1;
    }
    largest
}
