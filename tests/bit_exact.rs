//! The order in which work is done never changes a result: kernels, tile sizes, resumed runs,
//! evaluations in between, activations that are made again, and micro-batches all leave the same bits.

use std::cell::Cell;

use fixgrad::{
    config::LayerConfig,
    kernel::Scalar,
    quant::{Point, Quant, Range},
    strategy::{Context, Strategy as Hooks, Tile},
    trainer::Trainer,
};
use fixgrad_tests::{
    kernels,
    net::{ANYTHING, Case, LAYERS, Variety, case, large, large_pictures},
    run::{Snapshot, Way, difference, train},
};
use proptest::{prelude::*, test_runner::TestRunner};

const TILES: [usize; 4] = [0, 64, 1000, 1 << 20];

fn scalar(case: &Case, way: Way) -> Vec<Snapshot> {
    train(case, &Scalar, way, || ())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn every_kernel_and_tile_size_leaves_the_same_bits(case in case(ANYTHING)) {
        let wanted = scalar(&case, Way::default());
        for (name, kernel) in kernels::all() {
            for tile in TILES {
                let found = train(&case, &&*kernel, Way { tile, ..Way::default() }, || ());
                let difference = difference(&wanted, &found);
                prop_assert_eq!(difference, None, "{} with tiles of {}", name, tile);
            }
        }
    }

    #[test]
    fn a_resumed_run_leaves_the_same_bits(case in case(ANYTHING)) {
        let resumed = scalar(&case, Way { resume: true, ..Way::default() });
        prop_assert_eq!(difference(&scalar(&case, Way::default()), &resumed), None);
    }

    #[test]
    fn an_evaluation_leaves_no_trace(case in case(ANYTHING)) {
        let evaluated = scalar(&case, Way { evaluate: true, ..Way::default() });
        prop_assert_eq!(difference(&scalar(&case, Way::default()), &evaluated), None);
    }

    #[test]
    fn micro_batches_leave_the_same_bits_where_no_rule_looks_at_the_whole_batch(
        (case, parts) in (2..=4u16).prop_flat_map(|parts| {
            (case(Variety { whole_batch_ranges: false, parts, ..ANYTHING }), Just(parts))
        }),
    ) {
        let plan = Trainer::<LAYERS, Scalar, ()>::plan_for(&case.graph, &case.config, &(), 0);
        // Sums that do not fit 32 bits lose low bits before they are added up.
        prop_assume!(plan.expect("a valid case").exact_micro_batches());
        let mut parted = case.clone();
        parted.config.train.micro_batch = case.config.train.batch / parts;
        let parted = scalar(&parted, Way::default());
        prop_assert_eq!(difference(&scalar(&case, Way::default()), &parted), None);
    }
}

#[test]
fn activations_that_are_made_again_leave_the_same_bits() {
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..<_>::default() };
    let forgot = Cell::new(0);
    let result = TestRunner::new(config).run(&case(ANYTHING), |case| {
        let [kept, again] = [false, true].map(|recompute| {
            let mut case = case.clone();
            case.config.train.recompute = recompute;
            case
        });
        let plan = Trainer::<LAYERS, Scalar, ()>::plan_for(&again.graph, &again.config, &(), 0);
        let plan = plan.expect("a valid case");
        if plan.layers().iter().any(|layer| layer.left.is_recomputed()) {
            forgot.set(forgot.get() + 1);
            let [kept, again] = [kept, again].map(|case| scalar(&case, Way::default()));
            prop_assert_eq!(difference(&kept, &again), None);
        }
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
    assert!(forgot.get() > 0, "no network had anything to forget");
}

/// Says the same numbers in units half as large.
struct Finer;

impl Finer {
    fn halve(tile: &mut Tile<'_>) {
        tile.values.iter_mut().for_each(|value| *value *= 2);
        tile.exponent -= 1;
    }
}

impl Hooks for Finer {
    fn pre_activation(&mut self, _: &Context, tile: &mut Tile<'_>) {
        Self::halve(tile);
    }
    fn post_activation(&mut self, _: &Context, tile: &mut Tile<'_>) {
        Self::halve(tile);
    }
    fn pre_activation_grad(&mut self, _: &Context, tile: &mut Tile<'_>) {
        Self::halve(tile);
    }
    fn pre_weight_grad(&mut self, _: &Context, tile: &mut Tile<'_>) {
        Self::halve(tile);
    }
}

#[test]
fn hooks_that_only_change_the_unit_change_nothing_whatever_the_tiles() {
    // Rounding with random numbers reads the bits below the unit, and those differ.
    let quant = Quant::new(8).range(Range::Moving { window: 2, percentile: 9_990 });
    let point = Point::new(quant);
    let case = large(LayerConfig {
        activation: Some(point),
        weight_grad: quant,
        bias_grad: quant,
        activation_grad: Some(quant),
        ..LayerConfig::new(8)
    });
    let plain = scalar(&case, Way::default());
    for tile in TILES {
        let finer = train(&case, &Scalar, Way { tile, ..Way::default() }, || Finer);
        assert_eq!(difference(&plain, &finer), None, "tiles of {tile}");
    }
}

#[test]
fn threads_and_vectors_leave_the_same_bits_on_work_that_is_cut() {
    let layers = [LayerConfig::new(8), LayerConfig::new(16), LayerConfig::tiny()];
    for case in layers.into_iter().flat_map(|layer| [large(layer), large_pictures(layer)]) {
        let wanted = scalar(&case, Way::default());
        for (name, kernel) in kernels::all() {
            for tile in [0, 1 << 20] {
                let found = train(&case, &&*kernel, Way { tile, ..Way::default() }, || ());
                assert_eq!(difference(&wanted, &found), None, "{name} with tiles of {tile}");
            }
        }
    }
}

#[test]
fn micro_batches_may_differ_where_a_rule_looks_at_the_whole_batch() {
    let case = large(LayerConfig::new(8));
    let mut parted = case.clone();
    parted.config.train.micro_batch = 1;
    let (whole, parts) = (scalar(&case, Way::default()), scalar(&parted, Way::default()));
    assert!(difference(&whole, &parts).is_some(), "one sample's largest value is not the batch's");
}
