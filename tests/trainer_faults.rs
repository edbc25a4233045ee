//! Faults that random networks found in the trainer, each with a small network that shows it.

use fixgrad::{
    prelude::*,
    strategy::{Amount, LayerSet, Noise, StrategyConfig, StrategyKind},
    trainer::Tensor,
};
use fixgrad_tests::{
    net::large,
    run::{Memory, Way, train},
};

const XOR: Samples<'static> =
    Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
const CLASSES: Targets<'static> = Targets::Classes(&[0, 1, 1, 0]);

#[test]
fn a_network_without_any_bias_runs_forward() {
    let graph: Graph<3> =
        Graph::input([2, 1, 1]).dense_without_bias("fc1", 4).dense_without_bias("fc2", 2);
    let config = Config::uniform(graph.view(), LayerConfig::new(8), Train::new(4, Lr::ratio(1, 2)));
    let mut memory = Memory::bytes(10_000);
    let mut trainer =
        Trainer::new(&graph, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    trainer.step(XOR, CLASSES).expect("a step");
    let seen = trainer.states()[2].range(Tensor::Activation);
    assert_eq!(seen.elements, 8, "four samples of two outputs went through the point");
}

#[test]
fn a_percentile_of_moving_does_not_depend_on_the_tile_size() {
    let moving = Range::Moving { window: 4, percentile: 5_000 };
    let layer = LayerConfig::new(8);
    let case = large(LayerConfig { weight_grad: layer.weight_grad.range(moving), ..layer });
    let tiles =
        [0, 1 << 20].map(|tile| train(&case, &Scalar, Way { tile, ..<_>::default() }, || ()));
    assert_eq!(tiles[0], tiles[1]);
}

#[test]
fn hooks_know_a_fixed_bound_before_the_first_tile() {
    let layer = LayerConfig::new(8);
    let fixed = layer.weight_grad.range(Range::Fixed(-3));
    let mut case = large(LayerConfig { weight_grad: fixed, ..layer });
    let steps = Amount::UniformSteps { low: -128, high: 128 };
    let noise = Noise { pre: steps, post: Amount::None, requantize: true };
    let kind = StrategyKind::Noise(Place::WeightGrad, noise);
    case.config.strategies.push(StrategyConfig { layers: LayerSet::ALL, kind }).expect("room");
    let tiles =
        [0, 1 << 20].map(|tile| train(&case, &Scalar, Way { tile, ..<_>::default() }, || ()));
    assert_eq!(tiles[0], tiles[1]);
}

#[test]
fn bounds_of_channels_are_counted_and_survive_an_evaluation() {
    let layer = LayerConfig::new(8);
    let own_bound =
        Point { infer: layer.weight.train.range(Range::Percentile(5_000)), ..layer.weight };
    let config = LayerConfig { per_channel: true, weight: own_bound, ..layer };
    let graph: Graph<2> = Graph::input([2, 1, 1]).dense("fc1", 2);
    let config = Config::uniform(graph.view(), config, Train::new(4, Lr::ratio(1, 2)));
    let mut memory = Memory::bytes(10_000);
    let mut trainer =
        Trainer::new(&graph, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    for _ in 0..5 {
        trainer.step(XOR, CLASSES).expect("a step");
        let before = trainer.persistent().to_vec();
        trainer.evaluate(XOR, CLASSES).expect("an evaluation");
        assert_eq!(before, trainer.persistent());
    }
    let weight = trainer.states()[1].range(Tensor::Weight);
    assert!(weight.bounds().is_some(), "{weight:?}");
}

#[test]
fn a_loss_beyond_all_numbers_saturates() {
    let graph: Graph<2> = Graph::input([1, 1, 1]).dense("fc1", 1);
    let train = Train { loss: LossKind::Mse, ..Train::new(2, Lr::ratio(1, 2)) };
    let config = Config::uniform(graph.view(), LayerConfig::new(16), train);
    let mut memory = Memory::bytes(10_000);
    let mut trainer =
        Trainer::new(&graph, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    let samples = Samples { data: SampleData::I16(&[1, 1]), exponent: 0 };
    let targets = Targets::Values { mantissas: &[i16::MAX; 2], exponent: 60 };
    assert_eq!(trainer.step(samples, targets).expect("a step").tally.loss, u64::MAX);
}

#[test]
fn a_point_without_a_gradient_point_blocks_what_it_clipped() {
    // The ReLU's own point reaches 2^-20: every positive output is clipped.
    let graph: Graph<3> = Graph::input([2, 1, 1]).dense("fc1", 2).relu();
    let layer = LayerConfig::new(8);
    let mut config = Config::uniform(graph.view(), layer, Train::new(4, Lr::ratio(1, 2)));
    let narrow = Point::new(Quant::new(8).range(Range::Fixed(-20)));
    for (clip, moves) in [(true, false), (false, true)] {
        config.layers[2].activation = Some(Point { clip, ..narrow });
        let mut memory = Memory::bytes(10_000);
        let mut trainer =
            Trainer::new(&graph, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
        let before = trainer.persistent().to_vec();
        trainer.step(XOR, CLASSES).expect("a step");
        assert_eq!(before != trainer.persistent(), moves, "clip: {clip}");
    }
}
