//! A small convolutional network on the same digits: two convolutions, each with a ReLU and a pool,
//! and a dense layer. It is the one that AIfES was measured with.

use fixgrad::{
    graph::Conv2d,
    optim::Schedule,
    prelude::*,
    uses::{Fitted, Only, Part},
};

use crate::{
    digits::{self, BATCH, STEPS},
    training::Training,
};

/// Most layers of the network.
pub const LAYERS: usize = 8;
/// The network.
pub const NET: Graph<LAYERS> = Graph::input([1, 8, 8])
    .conv2d("conv1", Conv2d::new(8, 3).same())
    .relu()
    .max_pool(2)
    .conv2d("conv2", Conv2d::new(16, 3).same())
    .relu()
    .max_pool(2)
    .dense("fc", 10);

/// Plain SGD. The pictures of a step go through the network four at a time, and their gradients are
/// added up.
pub const TRAIN: Train = Train {
    schedule: Schedule::Cosine { steps: STEPS, floor: 0 },
    micro_batch: 4,
    ..Train::new(BATCH as u16, Lr::ratio(1, 2))
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
pub type CnnArena = Arena<{ TASK.ram() }>;
/// The arena as it is before training.
pub const ARENA: CnnArena = Arena::for_plan(TASK.plan());

/// What the boards train second.
pub const TRAINING: Training<&Task<LAYERS, Uses>> = Training {
    name: "digits-cnn",
    start: || Ok(&TASK),
    batch_size: BATCH,
    batch: digits::batch,
    test: digits::test,
};

#[cfg(test)]
mod tests {
    use fixgrad::{kernel::Device, tensor::Width};

    use super::*;
    use crate::training;

    /// As small as it gets: pictures one by one, and sums of 16 bits.
    const SMALL: Train = Train { micro_batch: 1, sums: Width::I16, ..TRAIN };
    const SMALL_PARTS: u64 = SMALL.parts(&LAYER) & !Part::InputPoint.bit() | NET.view().kinds();
    type SmallUses = Fitted<BOUNDS, Only<SMALL_PARTS>>;
    static SMALL_TASK: Task<LAYERS, SmallUses> = Task::in_place(NET, SMALL, LAYER);

    #[test]
    fn sums_of_16_bits_learn_as_well_in_8_kilobytes() {
        let mut arena = Arena::<{ SMALL_TASK.ram() }>::for_plan(SMALL_TASK.plan());
        let mut trainer =
            training::trainer(&SMALL_TASK, arena.as_mut_slice(), Device::default()).unwrap();
        assert!(SMALL_TASK.ram() + size_of_val(&trainer) <= 8192, "{}", SMALL_TASK.ram());
        for step in 0..STEPS {
            training::train_step(&mut trainer, digits::batch(step)).unwrap();
        }
        let tally = training::test(&mut trainer, digits::test).unwrap();
        assert!(tally.correct >= 360, "{tally:?}");
    }

    #[test]
    fn the_network_learns_the_digits() {
        let mut arena = ARENA;
        let mut trainer =
            training::trainer(&TASK, arena.as_mut_slice(), Device::default()).unwrap();
        for step in 0..STEPS {
            training::train_step(&mut trainer, digits::batch(step)).unwrap();
        }
        let tally = training::test(&mut trainer, digits::test).unwrap();
        assert_eq!(tally.samples, 389);
        assert!(tally.correct >= 360, "{tally:?}, {} bytes", TASK.ram());
    }
}
