//! Trains all layers on pictures as they are, and writes them for flash:
//! `cargo run -p last-layer --example pretrain`

use std::fs;
use std::path::Path;

use fixgrad::kernel::Device;
use fixgrad_boards::{digits, training};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arena = digits::ARENA;
    let digits = digits::TRAINING;
    let mut trainer = training::trainer(&digits::TASK, arena.as_mut_slice(), Device::default())?;
    for step in 0..digits::STEPS {
        training::train_step(&mut trainer, (digits.batch)(step))?;
    }
    let tally = training::test(&mut trainer, digits.test)?;
    println!("{} of {} right", tally.correct, tally.samples);

    let mut buffer = [0; 4096];
    let bytes = trainer.freeze()?.write(trainer.graph(), &mut buffer)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/digits.fxf");
    // Whole or not at all.
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, &path)?;
    println!("{} bytes in {}", bytes.len(), path.display());
    Ok(())
}
