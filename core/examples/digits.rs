//! Handwritten digits of 8x8 pixels: batches, shuffling, a schedule, and a test at the end.
//!
//! `cargo run -p fixgrad --example digits`

use std::io::Read;

use fixgrad::{optim::Schedule, prelude::*, rng::Key, rng::Permutation};

const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
const BATCH: u32 = 32;
const EPOCHS: u32 = 30;
/// The first pictures are learned from, the others are for the test.
const LEARNED: u32 = 1_408;
const STEPS: u32 = LEARNED / BATCH;
const TRAIN: Train = Train {
    schedule: Schedule::Cosine { steps: EPOCHS * STEPS, floor: 0 },
    ..Train::new(BATCH as u16, Lr::ratio(7, 10))
};
const LAYER: LayerConfig = LayerConfig::new(8);
const PLAN: Plan<4> = NET.plan(&TRAIN, &LAYER);

/// 1,797 records: the label, then 64 pixels of 0 to 16.
static PACKED: &[u8] = include_bytes!("../../host/data/digits.bin.gz");

/// Some records as pixels and labels. A chip would read them from its sensor.
fn gather(records: &[u8], indices: impl Iterator<Item = usize>) -> (Vec<u8>, Vec<u16>) {
    let records: Vec<&[u8]> = indices.map(|i| &records[65 * i..65 * (i + 1)]).collect();
    let labels = records.iter().map(|record| record[0].into()).collect();
    (records.iter().flat_map(|record| &record[1..]).copied().collect(), labels)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut records = Vec::new();
    flate2::read::GzDecoder::new(PACKED).read_to_end(&mut records)?;
    // Neighbours in the file are by the same hand, so the pictures are mixed before they are split.
    let mixed = Permutation::new(Key::new(0), (records.len() / 65) as u32);
    let at = |i: u32| mixed.at(i) as usize;
    let config = Config::uniform(NET.view(), LAYER, TRAIN);
    let mut arena = Arena::<{ PLAN.ram() }>::for_plan(&PLAN);
    let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ())?;

    for epoch in 0..EPOCHS {
        // A keyed permutation shuffles without a table, so it costs a chip no RAM.
        let order = Permutation::new(Key::new(1).child(epoch), LEARNED);
        for first in (0..LEARNED).step_by(BATCH as usize) {
            let batch = (first..first + BATCH).map(|i| at(order.at(i)));
            let (pixels, labels) = gather(&records, batch);
            let samples = Samples { data: SampleData::U8(&pixels), exponent: -4 };
            trainer.step(samples, Targets::Classes(&labels))?;
        }
    }

    let (pixels, labels) = gather(&records, (LEARNED..1_797).map(at));
    let samples = Samples { data: SampleData::U8(&pixels), exponent: -4 };
    let tally = trainer.evaluate(samples, Targets::Classes(&labels))?;
    println!("{} of {} digits right, {} bytes of RAM", tally.correct, tally.samples, PLAN.ram());
    Ok(())
}
