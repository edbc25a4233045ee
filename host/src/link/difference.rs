//! Where two states of a training differ first, in words.

use fixgrad::{
    graph::{LayerPlan, Region},
    tensor::Width,
    trainer::Tensor,
};

use crate::run::Model;

/// The first difference between the state of a board and that of the desktop: layer, tensor and
/// element. Both are of one configuration with these plans.
pub fn difference(board: &Model, desktop: &Model, plans: &[LayerPlan]) -> Option<String> {
    let graph = desktop.compiled.graph.view();
    for (i, (layer, plan)) in graph.layers().iter().zip(plans).enumerate() {
        let LayerPlan { weight, bias, channels, .. } = plan;
        let inputs = graph.input_shape(i).elements().max(1);
        let tensors = [
            ("weight", weight.master, inputs),
            ("bias", bias.master, 1),
            ("momentum of weight", weight.velocity, inputs),
            ("momentum of bias", bias.velocity, 1),
            ("bound of channel", *channels, 1),
        ];
        for (name, region, columns) in tensors {
            if let Some((at, ours, theirs)) = element(board, desktop, region) {
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
    let from = region.offset() as usize;
    let range = from..from + region.bytes();
    let ours = board.parameters.get(range.clone())?;
    let theirs = desktop.parameters.get(range)?;
    let size = region.width().bytes();
    let mut pairs = ours.chunks_exact(size).zip(theirs.chunks_exact(size)).enumerate();
    let (at, (ours, theirs)) = pairs.find(|(_, (ours, theirs))| ours != theirs)?;
    Some((at, number(ours, region.width()), number(theirs, region.width())))
}

fn number(bytes: &[u8], width: Width) -> i64 {
    match (width, bytes) {
        (Width::I8, &[a]) => i8::from_le_bytes([a]).into(),
        (Width::I16, &[a, b]) => i16::from_le_bytes([a, b]).into(),
        (Width::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]).into(),
        _ => 0,
    }
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
