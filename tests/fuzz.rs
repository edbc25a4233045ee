//! Every decoder takes any bytes: wrong ones are an error, and what is accepted can be used.
//!
//! Damage comes from seeds, so a failure is repeated by running the test again. Where a checksum
//! guards a format, half of the damaged files get a right one, so that damage goes deeper.

use std::{fs, io::Write, panic, path::Path};

use fixgrad::{
    frozen::Frozen,
    graph::GraphView,
    prelude::*,
    trainer::{LayerMemory, Tensor},
};
use fixgrad_host::{
    config::{Compiled, DatasetFacts, Experiment, MAX_LAYERS},
    data::{DataConfig, IdxArray, SearchPath},
    import::nics_fix,
    run::Model,
};
use fixgrad_tests::{
    documents::{NICS_FIX, PICTURES, SERIES, VECTORS},
    forged::forged,
    mutate::{Mutator, reseal},
    run::Memory,
};

const FACTS: DatasetFacts =
    DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 1_000 };

/// Calls `check` with damaged copies of `good`; says the seed when one panics.
fn fuzz(good: &[u8], rounds: u64, check: impl Fn(Mutator, Vec<u8>) + panic::RefUnwindSafe) {
    for seed in 0..rounds {
        let mut mutator = Mutator::new(seed);
        let damaged = mutator.damage(good);
        let result = panic::catch_unwind(|| check(mutator, damaged.clone()));
        assert!(result.is_ok(), "seed {seed}: {damaged:02x?}");
    }
}

fn compiled(yaml: &str) -> Compiled {
    let experiment = Experiment::parse("fuzz.yaml", yaml).expect("good YAML");
    experiment.compile(&FACTS).expect("a good configuration").0
}

/// Steps, bounds and parameters.
fn state(trainer: &Trainer<'_, MAX_LAYERS, Scalar, ()>) -> (u32, Vec<LayerMemory>, Vec<u8>) {
    let layers = trainer.states().map(|state| state.memory()).collect();
    (trainer.steps(), layers, trainer.persistent().to_vec())
}

/// Trains one sample when the network is small enough, from a model when there is one.
fn use_it(compiled: &Compiled, model: Option<&Model>) {
    let Ok(plan) = compiled.plan() else { return };
    if plan.ram() > 1 << 22 || work(compiled.graph.view()) > 1 << 24 {
        return;
    }
    let mut memory = Memory::bytes(plan.ram());
    let memory = memory.as_mut_slice();
    let mut trainer = Trainer::new(&compiled.graph, &compiled.config, memory, Scalar, ())
        .expect("a plan and memory for it");
    if let Some(model) = model {
        let before = state(&trainer);
        if model.restore(&mut trainer).is_err() {
            assert_eq!(state(&trainer), before, "a refused state leaves the old one");
            return;
        }
        let (step, layers, parameters) = state(&trainer);
        assert_eq!((step, &parameters), (model.step, &model.parameters));
        // Tensors that a layer does not have get no bound by a forged state.
        for ((plan, kept), given) in trainer.plan().layers().iter().zip(&layers).zip(&model.layers)
        {
            for tensor in Tensor::ALL {
                let place = (tensor as u8).checked_sub(plan.bounds.from);
                let has_it = place.is_some_and(|place| place < plan.bounds.len);
                assert_eq!(kept.bound(tensor), given.bound(tensor).filter(|_| has_it));
            }
        }
    }
    let features = compiled.graph.view().layers()[0].shape.elements();
    let pixels: Vec<u8> = (0..features).map(|i| i as u8).collect();
    let samples = Samples { data: SampleData::U8(&pixels), exponent: -8 };
    trainer.evaluate(samples, Targets::Classes(&[0])).expect("one sample");
    trainer.step(samples, Targets::Classes(&[0])).expect("one sample");
    trainer.step(samples, Targets::Classes(&[0])).expect("one sample");
}

/// Numbers that one sample reads: pools have no weights, but windows.
fn work(view: GraphView<'_>) -> usize {
    let of = |i| {
        let (facts, from) = (view.facts(i)?, view.input_shape(i).0[0]);
        let read = facts.windows.taps().saturating_mul(from.into()).max(facts.weights[1]);
        Some(facts.shape.elements().saturating_mul(read))
    };
    (0..view.layers().len()).filter_map(of).fold(0, usize::saturating_add)
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
    for yaml in [VECTORS, PICTURES, SERIES] {
        let good = compiled(yaml).encode().expect("bytes");
        use_it(&Compiled::decode(&good).expect("what was encoded"), None);
        fuzz_blob(&good, 20_000, |bytes| {
            if let Ok(compiled) = Compiled::decode(bytes) {
                use_it(&compiled, None);
            }
        });
    }
}

#[test]
fn models() {
    for compiled in [VECTORS, SERIES].map(compiled) {
        let plan = compiled.plan().expect("a plan");
        let mut memory = Memory::bytes(plan.ram());
        let memory = memory.as_mut_slice();
        let trainer = Trainer::new(&compiled.graph, &compiled.config, memory, Scalar, ());
        let trainer = trainer.expect("a trainer");
        let good = Model {
            compiled: compiled.clone(),
            step: 3,
            layers: trainer.states().map(|state| state.memory()).collect(),
            parameters: trainer.persistent().to_vec(),
        };
        let good = good.encode().expect("bytes");
        fuzz_blob(&good, 10_000, |bytes| {
            if let Ok(model) = Model::decode(bytes) {
                use_it(&model.compiled, Some(&model));
            }
        });
    }
}

#[test]
fn frozen_layers() {
    const NET: Graph<4> = Graph::input([6, 1, 1]).dense("fc1", 4).relu().dense("fc2", 3);
    static TASK: Task<4> = Task::in_place(NET, Train::new(1, Lr::ratio(1, 2)), LayerConfig::tiny());
    let mut memory = Memory::bytes(TASK.ram());
    let mut trainer = Trainer::of(&TASK, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    let codes = [9, -8, 7, -128, 127, 0];
    let samples = Samples { data: SampleData::I8(&codes), exponent: -7 };
    trainer.step(samples, Targets::Classes(&[2])).expect("a step");
    let mut buffer = [0; 256];
    let frozen = trainer.freeze().expect("a tiny network");
    let good = frozen.write(NET.view(), &mut buffer).expect("room").to_vec();
    fuzz_blob(&good, 20_000, |bytes| {
        let Ok(frozen) = Frozen::<4>::read(NET.view(), bytes) else { return };
        for layer in frozen.layers().iter().filter(|layer| layer.units() < 1000) {
            let (mut sums, mut outputs) = (vec![0; layer.room()], vec![0; layer.units()]);
            let codes = vec![-128; layer.inputs()];
            layer.infer(&Scalar, &codes, 64, &mut sums, &mut outputs).expect("one sample");
        }
    });
}

/// Damage inside the frame: lengths, bounds and bytes that do not belong to this network.
#[test]
fn states() {
    let compiled = compiled(VECTORS);
    let plan = compiled.plan().expect("a plan");
    let mut memory = Memory::bytes(plan.ram());
    let trainer =
        Trainer::new(&compiled.graph, &compiled.config, memory.as_mut_slice(), Scalar, ());
    let (step, layers, parameters) = state(&trainer.expect("a trainer"));
    let good = postcard::to_stdvec(&(step, layers, parameters)).expect("bytes");
    fuzz(&good, 20_000, |_, bytes| {
        if let Ok((step, layers, parameters)) = postcard::from_bytes(&bytes) {
            let model = Model { compiled: compiled.clone(), step, layers, parameters };
            use_it(&compiled, Some(&model));
        }
    });
}

#[test]
fn graphs() {
    for yaml in [VECTORS, PICTURES, SERIES] {
        let good = postcard::to_stdvec(&compiled(yaml).graph).expect("bytes");
        fuzz(&good, 20_000, |_, bytes| {
            if let Ok(graph) = postcard::from_bytes::<Graph<MAX_LAYERS>>(&bytes) {
                look_at(&graph);
            }
        });
    }
}

/// All that is asked of a graph before there is memory for it; a step where it is small.
fn look_at(graph: &Graph<MAX_LAYERS>) {
    let view = graph.view();
    let (_, _, _) = (view.hash(), view.parameters(), view.training_macs());
    for batch in [1, u16::MAX] {
        for layer in [LayerConfig::tiny(), LayerConfig::new(16)] {
            let train = Train::new(batch, Lr::ratio(1, 2));
            let config = Config::uniform(view, layer, train);
            // A plan, or a sentence that says why there is none.
            match Trainer::<MAX_LAYERS, Scalar, ()>::plan_for(graph, &config, &(), 0) {
                Ok(plan) if batch == 1 && plan.ram() < 1 << 18 && work(view) < 1 << 16 => {
                    let mut memory = Memory::bytes(plan.ram());
                    let memory = memory.as_mut_slice();
                    let mut trainer =
                        Trainer::new(graph, &config, memory, Scalar, ()).expect("memory");
                    let data = vec![77; view.layers()[0].shape.elements()];
                    let samples = Samples { data: SampleData::I8(&data), exponent: -7 };
                    trainer.step(samples, Targets::Classes(&[0])).expect("a step");
                }
                Ok(plan) => assert!(plan.ram() > 0),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn forged_layers() {
    let (mut refused, mut taken) = (0, 0);
    for seed in 0..100_000 {
        let layers = forged(&mut Mutator::new(seed));
        let bytes = postcard::to_stdvec(&layers).expect("bytes");
        // A graph has the byte form of its rows.
        match panic::catch_unwind(|| {
            postcard::from_bytes::<Graph<MAX_LAYERS>>(&bytes).map(|graph| look_at(&graph))
        }) {
            Ok(Ok(())) => taken += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("seed {seed}: {layers:?}"),
        }
    }
    assert!(refused > 10_000 && taken > 10_000, "{refused} refused, {taken} taken");
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

/// Loads a data set whose files are damaged copies of these.
fn fuzz_data(name: &str, files: &[(&str, Vec<u8>)], config: &str) {
    let config: DataConfig = serde_json::from_str(config).expect("a good configuration");
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(name);
    fs::create_dir_all(&root).expect("a folder");
    let load = || config.load(&SearchPath::new(Some(&root), None, None));
    for (file, good) in files {
        fs::write(root.join(file), good).expect("a file");
    }
    load().expect("good files");
    for (file, good) in files {
        fuzz(good, 300, |_, bytes| {
            fs::write(root.join(file), bytes).expect("a file");
            if let Ok(set) = load() {
                let mut sample = vec![0; set.sample_len()];
                (0..set.len() as u32).for_each(|i| set.copy_sample(i, &mut sample));
            }
        });
        fs::write(root.join(file), good).expect("a file");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn npy(description: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{description:<117}\n").as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn csv_tables_and_gzip() {
    let table = b"a,b,class\n0.5,-1,x\n2,\"3\",y\n1e-3,4,x\n7,8,y\n9,1,x\n".to_vec();
    let config = r#"{"csv": {"file": "t.csv", "validation": 1, "test": 1}}"#;
    fuzz_data("csv-gz", &[("t.csv", gzip(&table))], config);
    fuzz_data("csv", &[("t.csv", table)], config);
}

#[test]
fn numpy_arrays() {
    let x = npy("{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2), }", &[7; 12]);
    let y = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", &[0, 1, 0]);
    let config = r#"{"npy": {"samples": "x.npy", "labels": "y.npy", "validation": 1, "test": 1}}"#;
    fuzz_data("npy", &[("x.npy", x), ("y.npy", y)], config);
}

#[test]
fn cifar_batches() {
    let batch = |label| [vec![label], vec![label * 25; 3072]].concat();
    let mut files: Vec<_> = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin"]
        .into_iter()
        .chain(["data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"])
        .map(|name| (name, batch(3)))
        .collect();
    files[4].1.extend(batch(9));
    fuzz_data("cifar10", &files, r#"{"cifar10": {"dir": "cifar10", "validation": 1}}"#);
}

#[test]
fn files_of_nics_fix() {
    let good = NICS_FIX.as_bytes();
    nics_fix("fuzz.yaml", NICS_FIX).expect("a good file");
    fuzz(good, 5_000, |_, bytes| {
        // Any text is an error with its place, or an experiment.
        let _ = nics_fix("fuzz.yaml", &String::from_utf8_lossy(&bytes));
    });
}

#[test]
fn yaml() {
    for good in [VECTORS, PICTURES, SERIES] {
        fuzz(good.as_bytes(), 5_000, |_, bytes| {
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(experiment) = Experiment::parse("fuzz.yaml", &text)
                && let Ok((compiled, _)) = experiment.compile(&FACTS)
            {
                let bytes = compiled.encode().expect("bytes of what was compiled");
                assert_eq!(Compiled::decode(&bytes).expect("what was encoded"), compiled);
            }
        });
    }
}
