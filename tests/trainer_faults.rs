//! Faults that random networks found in the trainer, each with a small network that shows it.

use fixgrad::{
    prelude::*,
    strategy::{Amount, LayerSet, Noise, StrategyConfig, StrategyKind},
    trainer::{RestoreError, StepError, Tensor},
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
    let state = trainer.states().nth(2).unwrap();
    let seen = state.range(Tensor::Activation);
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
    let state = trainer.states().nth(1).unwrap();
    let weight = state.range(Tensor::Weight);
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

const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 4).relu().dense("fc2", 2);

#[test]
fn a_step_within_a_step_says_what_to_call_first() {
    for micro_batch in [4, 2] {
        let train = Train { micro_batch, ..Train::new(4, Lr::ratio(1, 2)) };
        let config = Config::uniform(NET.view(), LayerConfig::new(8), train);
        let mut memory = Memory::bytes(10_000);
        let mut trainer =
            Trainer::new(&NET, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
        let samples = XOR.part(0, 4);
        trainer.accumulate(samples, Targets::Classes(&[0, 1])).expect("a part");
        let before = trainer.digest();
        assert_eq!(trainer.step(XOR, CLASSES), Err(StepError::Pending { samples: 2 }));
        let second = trainer.accumulate(samples, Targets::Classes(&[0, 1]));
        let pending = |samples| Err(StepError::Pending { samples });
        if micro_batch == 2 {
            assert!(second.is_ok());
            assert_eq!(trainer.accumulate(samples, Targets::Classes(&[0, 1])), pending(4));
        } else {
            assert_eq!(second, pending(2));
        }
        assert_eq!(trainer.digest(), before);
        trainer.update().expect("an update");
        trainer.step(XOR, CLASSES).expect("a new step");
    }
}

#[test]
fn outputs_are_those_of_the_last_inference_and_no_others() {
    let config = Config::uniform(NET.view(), LayerConfig::new(8), Train::new(4, Lr::ratio(1, 2)));
    let mut memory = Memory::bytes(10_000);
    let mut trainer =
        Trainer::new(&NET, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    let found = |trainer: &mut Trainer<'_, 4, Scalar, ()>| {
        [0, 1, 3, 4, usize::MAX].map(|index| trainer.outputs(index).codes.len())
    };
    assert_eq!(found(&mut trainer), [0; 5]);
    trainer.infer(XOR).expect("four samples");
    assert_eq!(found(&mut trainer), [2, 2, 2, 0, 0]);
    trainer.infer(XOR.part(0, 2)).expect("one sample");
    assert_eq!(found(&mut trainer), [2, 0, 0, 0, 0]);
    trainer.step(XOR, CLASSES).expect("a step");
    assert_eq!(found(&mut trainer), [0; 5]);
}

/// The samples of this test were once taken, and the state that they left was not.
#[test]
fn a_refused_state_has_its_reason_and_changes_nothing() {
    let config = Config::uniform(NET.view(), LayerConfig::new(8), Train::new(4, Lr::ratio(1, 2)));
    let mut memory = Memory::bytes(10_000);
    let mut trainer =
        Trainer::new(&NET, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    for (exponent, fits) in [(3000, false), (-64, true), (64, true)] {
        let samples = Samples { exponent, ..XOR };
        let stepped = trainer.step(samples, CLASSES).map(|_| ());
        let expected = if fits { Ok(()) } else { Err(StepError::Exponent { exponent }) };
        assert_eq!(stepped, expected);
        let layers: Vec<_> = trainer.states().map(|state| state.memory()).collect();
        let bytes = trainer.persistent().to_vec();
        assert_eq!(trainer.restore(5, &layers, &bytes), Ok(()));
        let before = (trainer.digest(), trainer.steps());
        let short = trainer.restore(9, &layers[1..], &bytes);
        assert_eq!(short, Err(RestoreError::LayerCount { expected: 4, found: 3 }));
        let (expected, found) = (bytes.len(), bytes.len() - 1);
        let short = trainer.restore(9, &layers, &bytes[1..]);
        assert_eq!(short, Err(RestoreError::Length { expected, found }));
        assert_eq!((trainer.digest(), trainer.steps()), before);
    }
}
