//! From the trainer's counters to the rows of the log.

use fixgrad::{
    config::{Config, LayerConfig},
    graph::{GraphView, Kind, LayerPlan},
    quant::{Quant, exponent_of},
    trainer::{LayerState, Tensor},
};

use super::{
    probe::Sightings,
    record::{Point, TensorStats},
};
use crate::config::MAX_LAYERS;

const POINTS: [(Point, Tensor); 6] = [
    (Point::Weight, Tensor::Weight),
    (Point::Bias, Tensor::Bias),
    (Point::Activation, Tensor::Activation),
    (Point::ActivationGrad, Tensor::ActivationGrad),
    (Point::WeightGrad, Tensor::WeightGrad),
    (Point::BiasGrad, Tensor::BiasGrad),
];

/// One entry for every tensor that was quantised since the counters were reset.
pub(crate) fn tensors(
    graph: GraphView<'_>,
    config: &Config<MAX_LAYERS>,
    plans: &[LayerPlan],
    states: &[LayerState],
    seen: &Sightings,
) -> Vec<TensorStats> {
    let mut out = Vec::new();
    let layers = graph.layers().iter().zip(&config.layers).zip(states);
    for (i, ((layer, settings), state)) in layers.enumerate() {
        for (point, tensor) in POINTS {
            let (Some(quant), range) = (quant(settings, point), state.range(tensor)) else {
                continue;
            };
            let Some(bound) = range.bound() else { continue };
            if range.lowest > range.highest {
                continue;
            }
            let seen = seen.get(&(i as u8, point));
            out.push(TensorStats {
                layer: layer.name.as_str().to_owned(),
                point,
                bits: quant.bits,
                exponent: exponent_of(bound, quant.bits),
                exponent_min: exponent_of(range.lowest, quant.bits),
                exponent_max: exponent_of(range.highest, quant.bits),
                elements: range.elements.into(),
                saturated: range.saturated.into(),
                underflowed: range.underflowed.into(),
                histogram: seen.map(|seen| seen.histogram()).unwrap_or_default(),
                accumulator_bits: accumulator_bits(graph, plans, i, point),
                accumulator_exponent: seen.map_or(0, |seen| seen.exponent),
            });
        }
    }
    out
}

fn quant(settings: &LayerConfig, point: Point) -> Option<Quant> {
    match point {
        Point::Weight => Some(settings.weight.train),
        Point::Bias => Some(settings.bias.train),
        Point::WeightGrad => Some(settings.weight_grad),
        Point::BiasGrad => Some(settings.bias_grad),
        Point::Activation => settings.activation.map(|point| point.train),
        Point::ActivationGrad => settings.activation_grad,
    }
}

/// Bits that the plan proves for the sums which become this tensor; zero when they are no sums
/// of products.
fn accumulator_bits(graph: GraphView<'_>, plans: &[LayerPlan], i: usize, point: Point) -> u8 {
    let dense = |i: usize| matches!(graph.layers()[i].kind, Kind::Dense { .. });
    let Some(plan) = plans.get(i) else { return 0 };
    match point {
        // The bias may double the sum of products.
        Point::Activation if dense(i) => plan.forward.kept() + plan.spread + 1,
        Point::WeightGrad if dense(i) => plan.weight_grad.kept(),
        Point::ActivationGrad => {
            // The next layer above that has a gradient of its own sends it down.
            let above = (i + 1..plans.len()).find(|&above| plans[above].grad.len > 0);
            above.filter(|&above| dense(above)).map_or(0, |above| plans[above].input_grad.kept())
        }
        _ => 0,
    }
}
