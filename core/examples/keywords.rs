//! What the training of a keyword spotter takes: DS-CNN-S (Zhang, Suda, Lai and Chandra 2017, "Hello Edge",
//! table 5), which reads 49 frames of 10 coefficients of a second of sound and knows 12 answers. The plan
//! is made at compile time, for samples that go through the network one by one and whose gradients are
//! added up. Then the same network with batch normalisation, eight samples at a time: with all that the way
//! back needs in memory, and with what can be made again forgotten (`Train::recompute`).
//!
//! `cargo run -p fixgrad --example keywords`

use fixgrad::{
    graph::{Conv2d, DepthwiseConv2d, LayerPlan, ParamPlan, Region},
    prelude::*,
};

const LAYERS: usize = 21;
const NET: Graph<LAYERS> = ds_cnn(false);
const TRAIN: Train = Train { micro_batch: 1, ..Train::new(16, Lr::ratio(1, 10)) };
const LAYER: LayerConfig = LayerConfig::tiny();
const PLAN: Plan<LAYERS> = NET.plan(&TRAIN, &LAYER);
/// The RAM that a part such as the STM32F429 has.
const MOST: usize = 256 * 1024;
const _: () = assert!(PLAN.ram() <= MOST);

const NORMALISED: Graph<30> = ds_cnn(true);
const KEPT: Plan<30> = normalised(false);
const FORGOTTEN: Plan<30> = normalised(true);
const _: () = assert!(FORGOTTEN.ram() < KEPT.ram());

const fn normalised(recompute: bool) -> Plan<30> {
    let train = Train { recompute, ..Train::new(8, Lr::ratio(1, 10)) };
    NORMALISED.plan(&train, &LAYER)
}

const fn ds_cnn<const N: usize>(norm: bool) -> Graph<N> {
    let first = Conv2d { kernel: [10, 4], ..Conv2d::new(64, 1) }.stride(2).same();
    let net = relu(Graph::input([1, 49, 10]).conv2d("conv1", first), norm);
    let net = separable(net, "depthwise1", "pointwise1", norm);
    let net = separable(net, "depthwise2", "pointwise2", norm);
    let net = separable(net, "depthwise3", "pointwise3", norm);
    let net = separable(net, "depthwise4", "pointwise4", norm).expect([64, 25, 5]);
    net.global_avg_pool().dense("fc", 12)
}

/// A depthwise convolution and one of single pixels, each with a ReLU.
const fn separable<const N: usize>(
    net: Graph<N>,
    depthwise: &str,
    pointwise: &str,
    norm: bool,
) -> Graph<N> {
    let net = relu(net.depthwise_conv2d(depthwise, DepthwiseConv2d::new(3).same()), norm);
    relu(net.conv2d(pointwise, Conv2d::new(64, 1)), norm)
}

const fn relu<const N: usize>(net: Graph<N>, norm: bool) -> Graph<N> {
    if norm { net.batch_norm().relu() } else { net.relu() }
}

/// Bytes of some tensors of all layers.
fn bytes(of: impl Fn(&LayerPlan) -> Vec<Region>) -> usize {
    let regions = PLAN.layers().iter().flat_map(of);
    regions.map(|region| region.bytes()).sum()
}

/// Bytes of some tensors of all parameters.
fn of_parameters(of: impl Fn(&ParamPlan) -> Region) -> usize {
    bytes(|layer| [&layer.weight, &layer.bias].map(&of).to_vec())
}

fn main() {
    let shared = &PLAN.shared;
    let parts = [
        ("weights and biases", of_parameters(|param| param.master)),
        ("sums of their gradients", of_parameters(|param| param.sum)),
        ("activations, which the way back needs", bytes(|layer| vec![layer.activation])),
        (
            "sums on their way, and windows",
            [shared.scratch, shared.row, shared.room].iter().map(|r| r.bytes()).sum(),
        ),
    ];
    let view = NET.view();
    println!(
        "{} parameters, {} multiply-adds a training sample",
        view.parameters(),
        view.training_macs()
    );
    let rest = PLAN.ram() - parts.iter().map(|(_, bytes)| bytes).sum::<usize>();
    for (what, bytes) in parts.into_iter().chain([("gradients of activations", rest)]) {
        println!("{bytes:>8} bytes: {what}");
    }
    println!("{} of {MOST} bytes", PLAN.ram());
    println!("{} bytes: normalised, 8 samples at a time", KEPT.ram());
    println!("{} bytes: the same, with what can be made again forgotten", FORGOTTEN.ram());
}
