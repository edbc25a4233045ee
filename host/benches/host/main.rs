//! Training speed of whole networks on this machine: shuffling, gathering, every quantiser and
//! the update included; what convolutions take by themselves, and what gathering does. Medians over
//! random samples, held in memory.
//!
//! `cargo xtask bench host [NETWORK[/THREADS]] [--json] [--quick]`

mod convolutions;
mod networks;

use std::{hint::black_box, time::Instant};

use fixgrad::{
    config::LayerConfig,
    prelude::{Config, Lr, Train, Trainer},
    rng::{Key, Permutation},
    trainer::{StepError, Tally},
};
use fixgrad_host::{
    data::{Augment, Dataset, Draws, Flip, Mantissas, Samples, Split, Targets},
    kernel,
    run::{
        Batch,
        batch::{Loader, Pick},
    },
};

use networks::{LAYERS, Network};

/// One row of the table.
struct Case {
    name: &'static str,
    network: Network,
    batch: u16,
    momentum: u16,
    layer: LayerConfig,
    /// A part of the samples that the others train, where a sample takes long.
    part: u32,
}

fn main() {
    let given = |flag: &str| std::env::args().any(|arg| arg == flag);
    // Cargo adds `--bench`.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    let epochs = if given("--quick") { 3 } else { 15 };
    let samples = if given("--quick") { 12_800 } else { 60_000 };
    let w8 = LayerConfig::new(8);
    let case = |name, network, batch, momentum, layer, part| Case {
        name,
        network,
        batch,
        momentum,
        layer,
        part,
    };
    let (w4, w16, tiny) = (LayerConfig::new(4), LayerConfig::new(16), LayerConfig::tiny());
    let mlp = networks::MLP;
    let cases = [
        case("784-100-10, 8 bits", mlp, 128, 0, w8, 1),
        case("784-100-10, 8 bits, momentum", mlp, 128, 29_491, w8, 1),
        case("784-100-10, smallest memory", mlp, 128, 0, tiny, 1),
        case("784-100-10, 4 bits", mlp, 128, 0, w4, 1),
        case("784-100-10, 16 bits", mlp, 128, 0, w16, 1),
        case("64-32-10, 8 bits", networks::SMALL, 32, 0, w8, 1),
        case("LeNet, 8 bits", networks::LENET, 100, 29_491, w8, 10),
        case("DS-CNN of the digits, 8 bits", networks::DIGITS_DSCNN, 32, 29_491, w8, 4),
        case("DS-CNN-S, 8 bits", networks::DSCNN_S, 100, 29_491, w8, 40),
        case("Conv4Dense2, 8 bits", networks::CONV4, 100, 29_491, w8, 100),
        case("VGG11, 8 bits", networks::VGG11, 100, 29_491, w8, 600),
    ];
    let clock = clock();
    println!("kernel {}, clock {clock:.2} GHz", kernel::Desktop::detect());
    println!(
        "{:<30} {:>7} {:>12} {:>10} {:>12}",
        "network", "threads", "samples/s", "ns/MAC", "peak share"
    );
    let mut rows = Vec::new();
    for case in &cases {
        for threads in [1, 2] {
            if !format!("{}/{threads}", case.name).contains(&wanted) {
                continue;
            }
            let batch = u32::from(case.batch);
            // At least a step.
            let samples = (samples / case.part / batch).max(1) * batch;
            let (rate, macs) = measure(case, threads, samples, epochs);
            let ns = 1e9 / rate / macs as f64;
            // VNNI multiplies and adds 64 bytes a cycle on each core.
            let share = rate * macs as f64 / (64.0 * clock * 1e9 * threads as f64);
            println!(
                "{:<30} {threads:>7} {rate:>12.0} {ns:>10.4} {:>11.1}%",
                case.name,
                100.0 * share
            );
            rows.push(serde_json::json!({
                "network": case.name, "threads": threads, "samples_per_second": rate,
                "ns_per_mac": ns, "share_of_peak": share,
            }));
        }
    }
    rows.extend(convolutions::rows(&wanted, epochs));
    let flip = Some(Flip::Horizontal);
    let gathering = [
        ("3x32x32 pixels, as they are", Augment::default()),
        ("3x32x32 pixels, flip", Augment { flip, ..Augment::default() }),
        ("3x32x32 pixels, flip and crop", Augment { flip, crop: Some(4), cutout: None }),
        ("3x32x32 pixels, and cutout", Augment { flip, crop: Some(4), cutout: Some(16) }),
    ];
    let gathering: Vec<_> =
        gathering.into_iter().filter(|(name, _)| name.contains(&wanted)).collect();
    if !gathering.is_empty() {
        println!("\n{:<30} {:>12} {:>10}", "gathering on one thread", "samples/s", "ns/sample");
        let data = random([3, 32, 32], samples);
        for (name, augment) in gathering {
            let rate = gather(&data, augment, epochs);
            println!("{name:<30} {rate:>12.0} {:>10.0}", 1e9 / rate);
            rows.push(serde_json::json!({ "gathering": name, "samples_per_second": rate }));
        }
    }
    if given("--json") {
        println!("{}", serde_json::json!({ "clock_ghz": clock, "rows": rows }));
    }
}

/// Samples a second (median over the epochs) and multiply-adds of one sample.
fn measure(case: &Case, threads: usize, samples: u32, epochs: u32) -> (f64, usize) {
    let graph = &case.network;
    let shape = graph.view().layers()[0].shape.0;
    let data = random(shape.map(usize::from), samples);
    let train = Train { momentum: case.momentum, ..Train::new(case.batch, Lr::ratio(1, 100)) };
    let config = Config::<LAYERS>::uniform(graph.view(), case.layer, train);
    let kernel = kernel::best(threads).expect("threads start");
    let tile = 1 << 22;
    let plan = Trainer::<LAYERS, &kernel::Threaded<kernel::Desktop>, ()>::plan_for(
        graph,
        &config,
        &(),
        tile,
    );
    let mut memory = vec![0u64; plan.expect("a plan").ram().div_ceil(8)];
    let memory = bytemuck::cast_slice_mut(&mut memory);
    let mut trainer =
        Trainer::with_tile(graph, &config, memory, &kernel, (), tile).expect("a trainer");
    let mut loader = Loader::new(&data);
    let steps = samples / u32::from(case.batch);
    let mut epoch = |epoch: u32| {
        let order = Permutation::new(Key::new(0).child(epoch), samples);
        let start = Instant::now();
        let mut tally = Tally::default();
        let size = u32::from(case.batch);
        let pick = |step: u32| (step * size..(step + 1) * size).map(|place| order.at(place));
        let trained = loader.each(steps, pick, |_, batch| {
            tally += trainer.step(batch.samples(), batch.targets())?.tally;
            Ok::<_, StepError>(())
        });
        trained.expect("steps on whole batches");
        f64::from(tally.samples) / start.elapsed().as_secs_f64()
    };
    kernel.enter(|| epoch(0));
    let mut rates: Vec<f64> = (1..=epochs).map(|e| kernel.enter(|| epoch(e))).collect();
    rates.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], graph.view().training_macs())
}

/// Samples a second that are shuffled, augmented and put into batches of a hundred.
fn gather(data: &Dataset, augment: Augment, epochs: u32) -> f64 {
    let (mut batch, samples, size) = (Batch::new(data), data.len() as u32, 100);
    let mut epoch = |epoch: u32| {
        let key = Key::new(0).child(epoch);
        let (order, draws) =
            (Permutation::new(key, samples), Draws::new(augment, data.shape, key.child(u32::MAX)));
        let start = Instant::now();
        for step in 0..samples / size {
            batch.fill((step * size..(step + 1) * size).map(|place| {
                let index = order.at(place);
                let change = (augment != Augment::default()).then(|| draws.of(index));
                Pick { index, change }
            }));
            black_box(&batch);
        }
        f64::from(samples / size * size) / start.elapsed().as_secs_f64()
    };
    epoch(0);
    let mut rates: Vec<f64> = (1..=epochs).map(&mut epoch).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Random pixels of ten classes. Speed does not depend on what is learned.
fn random(shape: [usize; 3], samples: u32) -> Dataset {
    let key = Key::new(1);
    let numbers = shape.iter().product::<usize>() as u32 * samples;
    Dataset {
        name: "random".into(),
        shape,
        samples: Samples {
            mantissas: Mantissas::U8((0..numbers).map(|i| key.half(i) as u8).collect()),
            exponent: -8,
            rounding_error: 0.0,
        },
        targets: Targets::Classes {
            labels: (0..samples).map(|i| key.child(1).below(i, 10) as u16).collect(),
            names: (0..10).map(|class: u8| class.to_string()).collect(),
        },
        split: Split { train: (0..samples).collect(), validation: Vec::new(), test: Vec::new() },
        augment: None,
    }
}

/// Billions of cycles a second: a multiplication that waits for the one before takes three.
fn clock() -> f64 {
    let rounds = 1_000_000u32;
    let fastest = (0..20).map(|_| {
        let start = Instant::now();
        let mut product = 1u64;
        for i in 0..rounds {
            product = product.wrapping_mul(black_box(3) | u64::from(i));
        }
        black_box(product);
        start.elapsed().as_secs_f64()
    });
    f64::from(rounds) * 3.0 / fastest.fold(f64::INFINITY, f64::min) / 1e9
}
