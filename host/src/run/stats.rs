//! From the trainer's counters to the rows of the log.

use fixgrad::{
    config::{Config, LayerConfig},
    graph::{GraphView, LayerPlan},
    quant::{Quant, exponent_of},
    trainer::LayerState,
};

use super::{
    probe::{Sightings, tensor},
    record::{Point, TensorStats},
};
use crate::config::MAX_LAYERS;

/// In the order of a step.
const POINTS: [Point; 6] = [
    Point::Weight,
    Point::Bias,
    Point::Activation,
    Point::ActivationGrad,
    Point::WeightGrad,
    Point::BiasGrad,
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
        for point in POINTS {
            let (Some(quant), range) = (quant(settings, point), state.range(tensor(point))) else {
                continue;
            };
            let seen = seen.get(&(i as u8, point));
            // Histogram and band are of the same step.
            let bound = seen.and_then(|seen| seen.bound).or(range.bound());
            let Some(bound) = bound else { continue };
            let Some((lowest, highest)) = range.bounds() else { continue };
            out.push(TensorStats {
                layer: layer.name.as_str().to_owned(),
                point,
                bits: quant.bits,
                exponent: exponent_of(bound, quant.bits),
                exponent_min: exponent_of(lowest, quant.bits),
                exponent_max: exponent_of(highest, quant.bits),
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
    let dense = |i: usize| graph.layer_parameters(i).0 > 0;
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

#[cfg(test)]
mod tests {
    use fixgrad::kernel::Scalar;

    use super::*;
    use crate::{
        config::Experiment,
        data::SearchPath,
        run::{Job, Overrides, Session, Workspace},
    };

    const YAML: &str = "\
model:
  layers:
    - flatten
    - dense: { name: fc1, units: 12 }
    - relu
    - dense: { name: fc2, units: 10 }
data: digits
train: { epochs: 1, batch: 32, lr: 0.5 }
fixed: { by_name: { fc2: { weight_grad: { bits: 4 } } } }
";

    #[test]
    fn every_quantised_tensor_has_a_row_and_its_sums_keep_their_proof() {
        let experiment = Experiment::parse("tiny.yaml", YAML).unwrap();
        let places = SearchPath::new(None, None, None);
        let job = Job::new(experiment, &places, Overrides::default()).unwrap();
        let mut workspace = Workspace::new(&job.compiled).unwrap();
        let mut session = Session::new(&job.compiled, &job.data, Scalar, &mut workspace).unwrap();
        session.epoch(|_| ()).unwrap();
        let seen = session.observe().unwrap();
        let trainer = &session.trainer;
        let (graph, plans) = (job.compiled.graph.view(), trainer.plan().layers());
        let rows = tensors(graph, &job.compiled.config, plans, &session.states(), &seen);

        let names: Vec<(&str, Point)> =
            rows.iter().map(|row| (row.layer.as_str(), row.point)).collect();
        let all = |layer| POINTS.map(|point| (layer, point));
        let expected = [("data", Point::Activation)].into_iter().chain(all("fc1"));
        assert_eq!(names, expected.chain(all("fc2")).collect::<Vec<_>>());
        for row in &rows {
            let samples = 40 * 32;
            let elements = match (row.layer.as_str(), row.point) {
                ("data", _) => samples * 64,
                ("fc1", Point::Activation | Point::ActivationGrad) => samples * 12,
                ("fc2", Point::Activation | Point::ActivationGrad) => samples * 10,
                ("fc1", Point::Weight | Point::WeightGrad) => 40 * 64 * 12,
                ("fc2", Point::Weight | Point::WeightGrad) => 40 * 12 * 10,
                ("fc1", _) => 40 * 12,
                _ => 40 * 10,
            };
            assert_eq!(row.elements, elements, "{row:?}");
            assert!(row.exponent_min <= row.exponent_max, "{row:?}");
            let narrow = matches!(row.point, Point::WeightGrad | Point::BiasGrad);
            assert_eq!(row.bits, if row.layer == "fc2" && narrow { 4 } else { 8 }, "{row:?}");
            let bound = i64::from(row.accumulator_exponent) + i64::from(row.accumulator_bits);
            let highest = row.histogram.iter().map(|bin| bin[0]).max().unwrap();
            assert!(row.accumulator_bits == 0 || highest <= bound, "{row:?}");
            // With the rule `max` the bound is that of the largest magnitude.
            assert_eq!(highest, row.bound_exponent(), "{row:?}");
        }
        let sums: Vec<&TensorStats> = rows.iter().filter(|r| r.accumulator_bits > 0).collect();
        assert_eq!(sums.len(), 5, "two outputs, two weight gradients, one gradient sent down");
    }
}
