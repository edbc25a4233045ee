//! The integer step against 64-bit floats, on random networks with any settings. What is compared
//! and within which bounds: see [`fixgrad_tests::gradcheck`].

use fixgrad::{
    config::{LayerConfig, LossKind},
    graph::{Conv2d, Graph, Kind, Lstm, Returns},
    quant::{Overflow, Round},
};
use fixgrad_tests::{
    coverage::Coverage,
    gradcheck::{check, lstm_floats},
    net::{ANYTHING, Case, LAYERS, STEPS, Variety, Wanted, case, noise},
};
use proptest::test_runner::{Config, TestRunner};

#[test]
fn every_step_equals_its_float_reference() {
    let coverage = Coverage::default();
    let config = Config { cases: 3000, failure_persistence: None, ..Config::default() };
    let cases = case(Variety { strategies: false, ..ANYTHING });
    let result = TestRunner::new(config).run(&cases, |case| {
        check(&case, &coverage);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    coverage.assert_no_drift();
    coverage.assert_seen(points());
    coverage.assert_seen(updates());
    coverage.assert_seen(layers());
    coverage.assert_seen(
        [
            "Weight ternary",
            "blocked outputs",
            "blocked parameters",
            "SoftmaxCrossEntropy of classes",
            "SoftmaxCrossEntropy of values",
            "Mse of classes",
            "Mse of values",
            "BceWithLogits of classes",
            "BceWithLogits of values",
            "BceWithLogits value",
            "smooth classes",
            "smooth values",
            "Lion weighs velocity against gradient",
            "SoftmaxCrossEntropy value",
            "Mse value",
            "parameters that stay",
            "some channels that move",
            "an activation that is made again",
        ]
        .map(str::to_owned),
    );
}

#[test]
fn a_window_over_a_flattened_picture_gets_gradients_of_whole_pictures() {
    let picture = Graph::input([1, 13, 13]).conv2d("conv", Conv2d::new(3, 1)).flatten();
    for graph in [
        picture.global_avg_pool().dense("fc", 10),
        picture.conv2d("conv2", Conv2d::new(5, 1)).dense("fc", 10),
        picture.max_pool(1).dense("fc", 10),
    ] {
        check(&noise(graph, LayerConfig::tiny(), 8), &Coverage::default());
    }
}

#[test]
fn a_flat_copy_of_a_picture_has_room_for_its_sums() {
    let graph = Graph::input([2, 7, 11]).flatten().split(7, 3).from_layer("data");
    let graph = graph.conv2d("conv", Conv2d::new(3, 1)).global_avg_pool().add("split2");
    check(&one_class(graph, LayerConfig::tiny(), 2), &Coverage::default());
}

#[test]
fn above_what_blocks_gradients_outputs_may_be_gone() {
    let cells = Lstm { units: 4, returns: Returns::Last, truncate: 0 };
    let graph = Graph::input([1, 8, 1]).lstm("lstm", cells).relu().split(2, 2).dense("fc", 3);
    // The sums that the split sends down lie where its output was.
    check(&one_class(graph, LayerConfig::tiny(), 4), &Coverage::default());
}

fn one_class(graph: Graph<LAYERS>, layer: LayerConfig, batch: u16) -> Case {
    let targets = Wanted::Classes(vec![1; usize::from(batch) * STEPS]);
    Case { targets, ..noise(graph, layer, batch) }
}

#[test]
fn bias_gradients_of_more_pixels_than_32_bits_hold_drop_bits() {
    let graph = Graph::input([1, 64, 64]).conv2d("conv", Conv2d::new(1, 1)).avg_pool(32);
    let mut case = noise(graph, LayerConfig::new(16), 32);
    // All outputs are far below their targets, so that all gradients have one sign.
    case.config.train.loss = LossKind::Mse;
    case.targets = Wanted::Values(vec![i16::MAX; 4 * 32 * STEPS], 0);
    let coverage = Coverage::default();
    check(&case, &coverage);
    coverage.assert_seen(["dropped bits bias gradient of conv2d".to_owned()]);
}

#[test]
fn cells_have_the_outputs_and_gradients_of_floats() {
    for truncate in [0, 1, 3, 5] {
        for returns in [Returns::Last, Returns::Sequence] {
            lstm_floats::check(Lstm { units: 4, returns, truncate });
        }
    }
}

/// Every layer in every role that it has, and windows of every kind.
fn layers() -> impl Iterator<Item = String> {
    const WINDOWS: [&str; 3] = ["conv2d", "max_pool2d", "avg_pool2d"];
    let kinds = || Kind::WORDS.iter().filter(|&&kind| kind != "data");
    let roles = kinds().flat_map(|kind| {
        let roles = ["", " with a point", " with a mask", " of samples in their place"];
        roles.map(|role| format!("{kind}{role}"))
    });
    let flattened = ["dense", "conv2d"].into_iter();
    let flattened = flattened.map(|kind| format!("{kind} of flattened pictures"));
    let windows = WINDOWS.into_iter().flat_map(|kind| {
        [
            "several windows",
            "oblong windows",
            "two strides",
            "strides",
            "overlapping windows",
            "windows apart",
            "uneven padding",
            "even padding",
            "explicit padding",
        ]
        .map(|what| format!("{kind} with {what}"))
    });
    let products = ["dense", "conv2d"].into_iter().flat_map(|kind| {
        let dropped = ["forward", "backward", "weight gradient"]
            .map(|what| format!("dropped bits {what} of {kind}"));
        dropped.into_iter().chain([format!("channels of {kind} with bounds of their own")])
    });
    let others = [
        "groups",
        "depthwise",
        "conv2d without a bias",
        "equal numbers in a max pool",
        "a winner of two windows",
        "means that are no shift",
        "an output with several readers",
        "a relu that makes a copy",
        "a max pool above a relu that keeps nothing",
        "numbers that are left out",
        "outputs too far apart for one unit",
        "gradients too far apart for one unit",
        "weight gradients too far apart for one unit",
        "a sum of a gate at its end",
        "a gradient that stops",
    ];
    let others = others.into_iter().map(str::to_owned);
    roles.chain(flattened).chain(windows).chain(products).chain(others)
}

/// Every rounding and every overflow rule at every point, the latter with values that overflow.
fn points() -> impl Iterator<Item = String> {
    ["Weight", "Bias", "Activation", "ActivationGrad", "WeightGrad", "BiasGrad"]
        .into_iter()
        .flat_map(|point| {
            let rounds = Round::ALL.iter().map(|rule| format!("{rule:?}"));
            let overflows = Overflow::ALL.iter().map(|rule| format!("{rule:?}"));
            let rules = rounds.chain(overflows).chain(["binary".to_owned()]);
            rules.map(move |rule| format!("{point} {rule}"))
        })
}

fn updates() -> impl Iterator<Item = String> {
    let widths = ["I8", "I16", "I32"];
    let velocities = widths
        .into_iter()
        .flat_map(|width| ["velocity", "Nesterov", "Lion"].map(|rule| format!("{rule} {width}")))
        .flat_map(|rule| Round::ALL.map(|round| format!("{rule} {round:?}")));
    let steps = Round::ALL.map(|round| format!("update {round:?}"));
    let decays = widths.map(|width| format!("decay of {width}"));
    velocities.chain(steps).chain(decays).chain(["a velocity from before".to_owned()])
}
