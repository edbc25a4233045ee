//! The smallest network that needs a hidden layer: exclusive or, in integers only.
//!
//! `cargo run -p fixgrad --example xor`

use fixgrad::prelude::*;

// The network, its settings and its memory are constants: a shape that does not fit, or an arena
// that is too small, stops the build.
const NET: Graph<4> = Graph::input([2, 1, 1]).dense("hidden", 8).relu().dense("output", 2);
const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
// Eight bits at all four points: weights, activations, and the gradients of both.
const LAYER: LayerConfig = LayerConfig::new(8);
const PLAN: Plan<4> = NET.plan(&TRAIN, &LAYER);

// A sample is integers with a common exponent: 64 * 2^-6 is one.
const SAMPLES: Samples<'static> =
    Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
const CLASSES: [u16; 4] = [0, 1, 1, 0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // On a chip this would be a `static`; nothing here asks for a heap.
    let mut arena = Arena::<{ PLAN.ram() }>::for_plan(&PLAN);
    let config = Config::uniform(NET.view(), LAYER, TRAIN);
    let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ())?;

    for _ in 0..200 {
        let record = trainer.step(SAMPLES, Targets::Classes(&CLASSES))?;
        if record.step % 50 == 0 {
            // Losses are counted in units of 2^-16; a float appears only in print.
            let loss = record.tally.loss as f64 / 65_536.0 / 4.0;
            println!("step {:3}: loss {loss:.3}, {} of 4 right", record.step, record.tally.correct);
        }
    }

    // Inference has settings of its own: the bounds of training stay, and nothing is random.
    trainer.infer(SAMPLES)?;
    for (i, inputs) in ["0 0", "0 1", "1 0", "1 1"].iter().enumerate() {
        println!("{inputs} -> {}", trainer.outputs(i).argmax());
    }
    println!("{} bytes of RAM", PLAN.ram());
    Ok(())
}
