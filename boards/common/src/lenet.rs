//! LeNet-5, as it is for MNIST, on the digits three times as large: MNIST's own pictures are not in
//! the repository, and what is compared and counted does not depend on what they show.

use fixgrad::{
    graph::Conv2d,
    link::Network,
    optim::Schedule,
    prelude::*,
    uses::{Fitted, Only, Part},
};

use crate::{
    digits,
    station::{self, Memory},
    training::{Batch, Training},
};

/// Most layers of the network.
pub const LAYERS: usize = 12;
/// The network.
pub const NET: Graph<LAYERS> = Graph::input([1, 28, 28])
    .conv2d("conv1", Conv2d::new(6, 5))
    .relu()
    .max_pool(2)
    .conv2d("conv2", Conv2d::new(16, 5))
    .relu()
    .max_pool(2)
    .dense("fc1", 120)
    .relu()
    .dense("fc2", 84)
    .relu()
    .dense("fc3", 10);

/// Pictures of one step.
pub const BATCH: usize = 8;
/// The first pictures are learned from, the others are for the test.
const LEARNED: usize = 192;
const PICTURES: usize = 256;
const PIXELS: usize = 28 * 28;
const STEPS_PER_EPOCH: u32 = (LEARNED / BATCH) as u32;

/// Plain SGD, with the whole batch in memory.
pub const TRAIN: Train = Train {
    schedule: Schedule::Cosine { steps: 20 * STEPS_PER_EPOCH, floor: 0 },
    ..Train::new(BATCH as u16, Lr::ratio(1, 32))
};
/// The settings of every layer.
pub const LAYER: LayerConfig = LayerConfig::tiny();
/// The parts of the trainer that these settings and layers use.
pub type Uses = Fitted<BOUNDS, Only<PARTS>>;
const PARTS: u64 = TRAIN.parts(&LAYER) & !Part::InputPoint.bit() | NET.view().kinds();
const BOUNDS: usize = Task::<LAYERS>::in_place(NET, TRAIN, LAYER).bounds();
/// Network, settings and memory plan.
pub static TASK: Task<LAYERS, Uses> = Task::in_place(NET, TRAIN, LAYER);

/// All memory of the trainer.
pub type LenetArena = Arena<{ TASK.ram() }>;
/// The arena as it is before training.
pub const ARENA: LenetArena = Arena::for_plan(TASK.plan());

/// What boards with enough memory train besides.
pub const TRAINING: Training<&Task<LAYERS, Uses>> =
    Training { name: "digits28-lenet", start: || Ok(&TASK), batch_size: BATCH, batch, test };

/// Memory for the trainer of a station: more than LeNet needs, as the chips that it is for have more.
const RAM: usize = 256 << 10;
/// Words for the samples of a batch: ten pictures of 3x32x32 bytes, or 39 of these.
const STORE: usize = station::store_for(10, 3 * 32 * 32);
const PLAN: Plan<LAYERS> = NET.plan(&TRAIN, &LAYER);

/// All memory of a station that begins with this network.
pub type LenetMemory = Memory<RAM, STORE>;
/// The memory as it is at the start.
pub const MEMORY: LenetMemory = Memory::for_plan(&PLAN);

/// The network, untrained, for a station.
#[inline(never)]
pub fn network() -> Network<LAYERS> {
    Network { graph: NET, config: Config::uniform(NET.view(), LAYER, TRAIN) }
}

static PICTURE_BYTES: [u8; PICTURES * PIXELS] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/large.bin"));

/// The pictures of step `step`, one batch after the other.
fn batch(step: u32) -> Batch {
    digits::drawn(&PICTURE_BYTES, PIXELS, (step % STEPS_PER_EPOCH) as usize * BATCH, BATCH)
}

fn test() -> Batch {
    digits::drawn(&PICTURE_BYTES, PIXELS, LEARNED, PICTURES - LEARNED)
}

#[cfg(test)]
mod tests {
    use fixgrad::kernel::Device;

    use super::*;
    use crate::training;

    #[test]
    fn pixels_are_three_by_three_within_a_border() {
        for (large, i) in PICTURE_BYTES.as_chunks::<PIXELS>().0.iter().zip(0..) {
            let (small, _) = digits::picture(i).unwrap();
            for (at, &pixel) in large.iter().enumerate() {
                let [y, x] = [at / 28, at % 28];
                let inside = (2..26).contains(&y) && (2..26).contains(&x);
                let expected = if inside { small[(y - 2) / 3 * 8 + (x - 2) / 3] } else { 0 };
                assert_eq!(pixel, expected, "picture {i}, row {y}, column {x}");
            }
        }
    }

    #[test]
    fn it_fits_into_96_kilobytes_and_trains() {
        assert!(TASK.ram() <= 92_000, "{}", TASK.ram());
        let mut arena = ARENA;
        let memory = arena.as_mut_slice();
        let mut trainer = training::trainer(&TASK, memory, Device::default()).unwrap();
        let mut loss = |step| training::train_step(&mut trainer, batch(step)).unwrap().tally.loss;
        let losses: std::vec::Vec<_> = (0..48).map(|_| loss(0)).collect();
        assert!(losses[47] < losses[0] / 4, "{losses:?}");
    }
}
