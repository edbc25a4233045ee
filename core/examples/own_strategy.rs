//! A strategy of one's own: an `impl` with the hooks that it needs, and the trainer takes it.
//!
//! `cargo run -p fixgrad --example own_strategy`

use fixgrad::prelude::*;

/// Keeps the gradients of at least half of the largest code and drops the rest, as one does when
/// gradients travel over a slow link. Counts what would travel.
#[derive(Default)]
struct Sparse {
    kept: usize,
    all: usize,
}

impl Strategy for Sparse {
    // Saying where a strategy works is optional; it saves time and memory elsewhere.
    fn active(&self, _layer: u8, place: Place) -> bool {
        place == Place::WeightGrad
    }

    // After the point a hook sees codes, in finer units than the point's step.
    fn post_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        if context.bias {
            return;
        }
        let least = 64 << (tile.unit - tile.exponent);
        for value in tile.values.iter_mut() {
            if value.abs() < least {
                *value = 0;
            }
        }
        self.all += tile.values.len();
        self.kept += tile.values.iter().filter(|value| **value != 0).count();
    }
}

const NET: Graph<4> = Graph::input([2, 1, 1]).dense("hidden", 8).relu().dense("output", 2);
const SAMPLES: Samples<'static> =
    Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
const CLASSES: [u16; 4] = [0, 1, 1, 0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let train = Train::new(4, Lr::ratio(1, 2));
    let config = Config::uniform(NET.view(), LayerConfig::new(8), train);
    let mut sparse = Sparse::default();
    // Hooks may need memory, so the plan asks the strategy.
    let plan = Trainer::<4, Scalar, Sparse>::plan_for(&NET, &config, &sparse, 0)?;
    let mut memory = vec![0u64; plan.ram().div_ceil(8)];
    let memory = bytemuck::cast_slice_mut(&mut memory);
    let mut trainer = Trainer::new(&NET, &config, memory, Scalar, &mut sparse)?;
    for _ in 0..300 {
        trainer.step(SAMPLES, Targets::Classes(&CLASSES))?;
    }
    let correct = trainer.evaluate(SAMPLES, Targets::Classes(&CLASSES))?.correct;
    println!("{correct} of 4 right with {} of {} gradients", sparse.kept, sparse.all);
    Ok(())
}
