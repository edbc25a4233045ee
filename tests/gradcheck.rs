//! The integer step against 64-bit floats, on random networks with any settings. What is compared
//! and within which bounds: see [`fixgrad_tests::gradcheck`].

use fixgrad::quant::{Overflow, Round};
use fixgrad_tests::{
    coverage::Coverage,
    gradcheck::check,
    net::{ANYTHING, Variety, case},
};
use proptest::test_runner::{Config, TestRunner};

#[test]
fn every_step_equals_its_float_reference() {
    let coverage = Coverage::default();
    let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
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
    coverage.assert_seen(
        [
            "Weight ternary",
            "channels with bounds of their own",
            "dropped bits forward",
            "dropped bits backward",
            "dropped bits weight gradient",
            "blocked outputs",
            "blocked parameters",
            "SoftmaxCrossEntropy of classes",
            "SoftmaxCrossEntropy of values",
            "Mse of classes",
            "Mse of values",
            "SoftmaxCrossEntropy value",
            "Mse value",
        ]
        .map(str::to_owned),
    );
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
        .flat_map(|width| Round::ALL.map(|round| format!("velocity {width} {round:?}")));
    let steps = Round::ALL.map(|round| format!("update {round:?}"));
    let decays = widths.map(|width| format!("decay of {width}"));
    velocities.chain(steps).chain(decays).chain(["a velocity from before".to_owned()])
}
