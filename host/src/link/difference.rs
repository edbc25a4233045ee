//! Where two states of a training differ first, in words.

use fixgrad::{
    config::Update,
    graph::{Kind, LayerPlan, Region},
    trainer::Tensor,
};

use crate::run::{Model, mantissas};

/// The first difference between the state of a board and that of the desktop: layer, tensor and
/// element. Both are of one configuration with these plans.
pub fn difference(board: &Model, desktop: &Model, plans: &[LayerPlan]) -> Option<String> {
    let graph = desktop.compiled.graph.view();
    for (i, (layer, plan)) in graph.layers().iter().zip(plans).enumerate() {
        let LayerPlan { weight, bias, channels, .. } = plan;
        let inputs = (plan.way.depth as usize).max(1);
        // Only what moves has momentum.
        let first = match desktop.compiled.config.layers.get(i).map(|config| config.update) {
            Some(Update::Channels { first, .. }) => usize::from(first),
            _ => 0,
        };
        let of_channels = match plan.way.kind {
            Kind::BatchNorm(_) => "running statistics",
            Kind::Lstm(_) => "bound of gate gradients",
            _ => "bound of channel",
        };
        let tensors = [
            ("weight", weight.master, inputs, 0),
            ("bias", bias.master, 1, 0),
            ("momentum of weight", weight.velocity, inputs, first),
            ("momentum of bias", bias.velocity, 1, first),
            (of_channels, *channels, 1, 0),
        ];
        for (name, region, columns, first) in tensors {
            if let Some((at, ours, theirs)) = element(board, desktop, region) {
                let at = first * columns + at;
                let place = if columns > 1 {
                    format!("[{}, {}]", at / columns, at % columns)
                } else {
                    format!("[{at}]")
                };
                return Some(format!(
                    "layer {}, {name}{place}: {ours} on the board, {theirs} on the desktop",
                    layer.name
                ));
            }
        }
        let (Some(ours), Some(theirs)) = (board.layers.get(i), desktop.layers.get(i)) else {
            continue;
        };
        if ours == theirs {
            continue;
        }
        let tensor = Tensor::ALL.into_iter().find(|&t| ours.bound(t) != theirs.bound(t));
        let bound = |bound: Option<i16>| bound.map_or("none".to_owned(), |b| format!("2^{b}"));
        return Some(match tensor {
            Some(tensor) => format!(
                "layer {}, bound of {}: {} on the board, {} on the desktop",
                layer.name,
                word(tensor),
                bound(ours.bound(tensor)),
                bound(theirs.bound(tensor))
            ),
            None => format!("layer {}, what its bounds remember of earlier steps", layer.name),
        });
    }
    None
}

/// The first element of a tensor that differs.
fn element(board: &Model, desktop: &Model, region: Region) -> Option<(usize, i64, i64)> {
    let [ours, theirs] = [board, desktop].map(|model| mantissas(&model.parameters, region));
    let mut pairs = ours.into_iter().zip(theirs).enumerate();
    pairs.find(|(_, (ours, theirs))| ours != theirs).map(|(at, (ours, theirs))| (at, ours, theirs))
}

const fn word(tensor: Tensor) -> &'static str {
    match tensor {
        Tensor::Weight => "weight",
        Tensor::Bias => "bias",
        Tensor::WeightGrad => "weight gradient",
        Tensor::BiasGrad => "bias gradient",
        Tensor::Activation => "activation",
        Tensor::ActivationGrad => "activation gradient",
        Tensor::Velocity => "momentum of weight",
        Tensor::BiasVelocity => "momentum of bias",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DatasetFacts, Experiment};

    #[test]
    fn places_are_those_in_the_whole_tensor() {
        let yaml = "\
model:
  layers:
    - conv2d: { name: conv1, channels: 6, kernel: 3 }
    - global_avg_pool
    - dense: { name: fc, units: 10 }
data: digits
train: { epochs: 1, batch: 4, lr: 0.5, momentum: 0.9 }
fixed: { by_name: { conv1: { update: channels=2..5 } } }
";
        let experiment = Experiment::parse("a.yaml", yaml).unwrap();
        let facts = DatasetFacts { shape: [2, 8, 8], outputs: 10, classes: true, train_samples: 9 };
        let compiled = experiment.compile(&facts).unwrap().0;
        let plan = compiled.plan_in_ram().unwrap();
        let parameters = vec![0; plan.persistent];
        let desktop = Model { compiled, step: 0, layers: Vec::new(), parameters };
        let conv = plan.layers()[1];
        // A row of the kernel has two channels of nine pixels.
        for (region, at, place) in [
            (conv.weight.master, 18 + 5, "layer conv1, weight[1, 5]: 1 on"),
            (conv.weight.velocity, 18 + 5, "layer conv1, momentum of weight[3, 5]: 1 on"),
            (conv.bias.velocity, 1, "layer conv1, momentum of bias[3]: 1 on"),
        ] {
            let mut board = desktop.clone();
            board.parameters[region.offset() as usize + at * region.width().bytes()] = 1;
            let text = difference(&board, &desktop, plan.layers()).unwrap();
            assert!(text.starts_with(place), "{text}");
        }
        assert_eq!(difference(&desktop, &desktop, plan.layers()), None);
    }
}
