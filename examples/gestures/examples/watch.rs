//! Teaches a watch with real recordings: `cargo run -p gestures --example watch`

use gestures::{LearnerTrainer, Room, recorded, session, teaching};

/// Each has other first weights, and other windows first.
const SEEDS: u64 = 5;
const ASKED: f64 = recorded::LEARNED as f64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("presses   right of {ASKED}, by seed   mean");
    for presses in [4, 8, 16, recorded::LEARNED] {
        let mut right = Vec::new();
        for seed in 0..SEEDS {
            // On a chip both would be a `static`.
            let (teaching, mut room) = (teaching(seed), Room::new());
            let outcome = session::replay(&teaching, &mut room, seed, presses)?;
            right.push(outcome.correct);
        }
        let mean = 100.0 * f64::from(right.iter().sum::<u32>()) / ASKED / SEEDS as f64;
        println!("{presses:7}   {right:?}      {mean:5.1} %");
    }
    println!(
        "RAM: {} bytes, {} of them the arena; {} for the trainer",
        size_of::<Room>(),
        teaching(0).ram(),
        size_of::<LearnerTrainer>()
    );
    Ok(())
}
