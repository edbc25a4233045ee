//! A network meets pictures that look otherwise, and its last layer is trained again:
//! `cargo run -p last-layer --example recover`

use std::error::Error;

use fixgrad::{
    frozen::Frozen,
    prelude::*,
    rng::{Key, Permutation},
};
use fixgrad_boards::digits;
use last_layer::{EPOCHS, HeadTrainer, MODEL, Room, TRAIN, World, head, recovery};

/// Each has the pictures in another order, and other random numbers in its rounding.
const SEEDS: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    println!("pictures   before     last layer: mean of {SEEDS}       all layers: mean of {SEEDS}");
    for world in World::ALL {
        let mut before = 0.0;
        let (mut last, mut all) = (Vec::new(), Vec::new());
        for seed in 0..SEEDS {
            // On a chip both would be a `static`.
            let (head, mut room) = (head(seed), Room::new());
            let found = recovery(&head, &mut room, world, seed)?;
            before = share(found.before, found.pictures);
            last.push(share(found.after, found.pictures));
            all.push(train_all(world, seed)?);
        }
        let name = format!("{world:?}");
        println!("{name:9} {before:6.2} %   {}   {}", summary(last), summary(all));
    }
    let model = Frozen::<2>::read(digits::TASK.graph(), MODEL)?;
    println!(
        "RAM, last layer: {} bytes for parameters, gradients and the waiting batch, {} for the trainer",
        size_of::<Room>(),
        size_of::<HeadTrainer>()
    );
    println!(
        "RAM, all layers: {} bytes, besides a batch of pictures, {} for the trainer",
        digits::TASK.ram(),
        size_of::<digits::DigitsTrainer>()
    );
    println!("first layer in flash: {} bytes", model.layers()[0].bytes());
    Ok(())
}

/// What training of both layers reaches from the same model by the same recipe.
fn train_all(world: World, seed: u64) -> Result<f64, Box<dyn Error>> {
    let task = Task::<{ digits::LAYERS }>::in_place(
        digits::NET,
        Train { seed, ..TRAIN },
        LayerConfig::tiny(),
    );
    let mut arena = digits::ARENA;
    let mut trainer = Trainer::of(&task, arena.as_mut_slice(), Scalar, ())?;
    let model = Frozen::<2>::read(digits::TASK.graph(), MODEL)?;
    for (layer, frozen) in [1, 3].into_iter().zip(model.layers()) {
        trainer.thaw(layer, frozen)?;
    }
    for epoch in 0..EPOCHS {
        let order = Permutation::new(Key::new(seed).child(epoch), digits::LEARNED as u32);
        let order: Vec<_> = (0..digits::LEARNED as u32).map(|i| order.at(i) as usize).collect();
        for batch in order.chunks(TRAIN.batch.into()) {
            let (data, labels) = seen(world, batch.iter().copied());
            let samples = Samples { data: SampleData::I8(&data), exponent: -4 };
            trainer.step(samples, Targets::Classes(&labels))?;
        }
    }
    let (data, labels) = seen(world, digits::LEARNED..digits::PICTURES);
    let samples = Samples { data: SampleData::I8(&data), exponent: -4 };
    let tally = trainer.evaluate(samples, Targets::Classes(&labels))?;
    Ok(share(tally.correct, tally.samples))
}

fn seen(world: World, indices: impl Iterator<Item = usize>) -> (Vec<i8>, Vec<u16>) {
    let pictures = indices.filter_map(digits::picture);
    let (data, labels): (Vec<_>, _) =
        pictures.map(|(picture, label)| (world.look(picture), label)).unzip();
    (data.concat(), labels)
}

fn share(part: u32, whole: u32) -> f64 {
    100.0 * f64::from(part) / f64::from(whole)
}

fn summary(mut found: Vec<f64>) -> String {
    found.sort_by(f64::total_cmp);
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    let (low, high) = (found[0], found[found.len() - 1]);
    format!("{mean:5.2} % ({low:.2} to {high:.2})")
}
