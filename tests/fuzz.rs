//! Every decoder takes any bytes: wrong ones are an error, and what is accepted can be used.
//!
//! Damage comes from seeds, so a failure is repeated by running the test again. Where a checksum
//! guards a format, half of the damaged files get a right one, so that damage goes deeper.

use std::{panic, path::Path};

use fixgrad::{
    graph::Graph,
    kernel::Scalar,
    trainer::{SampleData, Samples, Targets, Trainer},
};
use fixgrad_host::{
    config::{Compiled, DatasetFacts, Experiment, MAX_LAYERS},
    data::IdxArray,
    run::Model,
};
use fixgrad_tests::{
    mutate::{Mutator, reseal},
    run::Memory,
};

const FACTS: DatasetFacts =
    DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 1_000 };

const YAML: &str = "\
model:
  layers: [flatten, {dense: {name: fc1, units: 6}}, relu, {dense: {name: fc2, units: 10}}]
data: digits
train: {epochs: 3, batch: 4, micro_batch: 2, lr: 0.5, schedule: cosine, momentum: 0.9}
fixed:
  default:
    weight: {bits: 8}
    activation: {bits: 8, range: three_sigma}
    weight_grad: {bits: 8, round: stochastic}
    activation_grad: {bits: 8, round: stochastic}
    master: {bits: 16, bound: 1}
strategies:
  - noise: {layers: 'fc*', place: weight, pre: {uniform: {min: -0.4, max: 0.4}}}
";

/// Calls `check` with damaged copies of `good`; says the seed when one panics.
fn fuzz(good: &[u8], rounds: u64, check: impl Fn(Mutator, Vec<u8>) + panic::RefUnwindSafe) {
    for seed in 0..rounds {
        let mut mutator = Mutator::new(seed);
        let damaged = mutator.damage(good);
        let result = panic::catch_unwind(|| check(mutator, damaged.clone()));
        assert!(result.is_ok(), "seed {seed}: {damaged:02x?}");
    }
}

fn compiled() -> Compiled {
    let experiment = Experiment::parse("fuzz.yaml", YAML).expect("good YAML");
    experiment.compile(&FACTS).expect("a good configuration").0
}

/// Trains one sample when the network is small enough, from a model when there is one.
fn use_it(compiled: &Compiled, model: Option<&Model>) {
    let Ok(plan) = compiled.plan() else { return };
    if plan.ram() > 1 << 22 {
        return;
    }
    let mut memory = Memory::bytes(plan.ram());
    let memory = memory.as_mut_slice();
    let mut trainer = Trainer::new(&compiled.graph, &compiled.config, memory, Scalar, ())
        .expect("a plan and memory for it");
    if let Some(model) = model
        && model.restore(&mut trainer).is_err()
    {
        return;
    }
    let features = compiled.graph.view().layers()[0].shape.elements();
    let pixels: Vec<u8> = (0..features).map(|i| i as u8).collect();
    let samples = Samples { data: SampleData::U8(&pixels), exponent: -8 };
    trainer.evaluate(samples, Targets::Classes(&[0])).expect("one sample");
    trainer.step(samples, Targets::Classes(&[0])).expect("one sample");
    trainer.step(samples, Targets::Classes(&[0])).expect("one sample");
}

fn fuzz_blob(good: &[u8], rounds: u64, check: impl Fn(&[u8]) + panic::RefUnwindSafe) {
    fuzz(good, rounds, |mut mutator, mut bytes| {
        if mutator.below(8) > 0 {
            reseal(&mut bytes);
        }
        check(&bytes);
    });
}

#[test]
fn compiled_configurations() {
    let good = compiled().encode().expect("bytes");
    use_it(&Compiled::decode(&good).expect("what was encoded"), None);
    fuzz_blob(&good, 20_000, |bytes| {
        if let Ok(compiled) = Compiled::decode(bytes) {
            use_it(&compiled, None);
        }
    });
}

#[test]
fn models() {
    let compiled = compiled();
    let plan = compiled.plan().expect("a plan");
    let mut memory = Memory::bytes(plan.ram());
    let memory = memory.as_mut_slice();
    let trainer = Trainer::new(&compiled.graph, &compiled.config, memory, Scalar, ());
    let trainer = trainer.expect("a trainer");
    let good = Model {
        compiled: compiled.clone(),
        step: 3,
        layers: trainer.states().iter().map(|state| state.memory()).collect(),
        parameters: trainer.persistent().to_vec(),
    };
    let good = good.encode().expect("bytes");
    fuzz_blob(&good, 10_000, |bytes| {
        if let Ok(model) = Model::decode(bytes) {
            use_it(&model.compiled, Some(&model));
        }
    });
}

#[test]
fn graphs() {
    let good = postcard::to_stdvec(&compiled().graph).expect("bytes");
    fuzz(&good, 20_000, |_, bytes| {
        if let Ok(graph) = postcard::from_bytes::<Graph<MAX_LAYERS>>(&bytes) {
            let view = graph.view();
            let (_, _) = (view.hash(), view.parameters());
        }
    });
}

#[test]
fn idx_arrays() {
    let name = Path::new("images.idx");
    let mut good = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2];
    good.extend(0..12u8);
    assert_eq!(IdxArray::from_bytes(name, good.clone()).expect("an array").shape, [2, 3, 2]);
    fuzz(&good, 20_000, |_, bytes| {
        if let Ok(array) = IdxArray::from_bytes(name, bytes) {
            assert_eq!(array.shape.iter().product::<usize>(), array.elements.len());
        }
    });
}

#[test]
fn yaml() {
    fuzz(YAML.as_bytes(), 5_000, |_, bytes| {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(experiment) = Experiment::parse("fuzz.yaml", &text)
            && let Ok((compiled, _)) = experiment.compile(&FACTS)
        {
            let bytes = compiled.encode().expect("bytes of what was compiled");
            assert_eq!(Compiled::decode(&bytes).expect("what was encoded"), compiled);
        }
    });
}
