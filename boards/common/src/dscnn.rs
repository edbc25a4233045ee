//! DS-CNN-S, a keyword spotter (Zhang, Suda, Lai and Chandra 2017, "Hello Edge", table 5), on the digits
//! stretched to its 49 frames of 10 coefficients: speech is not in the repository, and what is compared and
//! counted does not depend on what samples show. Batch normalisation is left out.

use fixgrad::{
    graph::{Conv2d, DepthwiseConv2d},
    prelude::*,
    uses::{Fitted, Only, Part},
};

use crate::{
    digits,
    training::{Batch, Training},
};

/// Layers of the network.
pub const LAYERS: usize = 21;
/// The network.
pub const NET: Graph<LAYERS> = {
    let first = Conv2d { kernel: [10, 4], ..Conv2d::new(64, 1) }.stride(2).same();
    let net = Graph::input([1, 49, 10]).conv2d("conv1", first).relu();
    let net = separable(net, "depthwise1", "pointwise1");
    let net = separable(net, "depthwise2", "pointwise2");
    let net = separable(net, "depthwise3", "pointwise3");
    let net = separable(net, "depthwise4", "pointwise4").expect([64, 25, 5]);
    net.global_avg_pool().dense("fc", 12)
};

/// A depthwise convolution and one of single pixels, each with a ReLU.
const fn separable(net: Graph<LAYERS>, depthwise: &str, pointwise: &str) -> Graph<LAYERS> {
    net.depthwise_conv2d(depthwise, DepthwiseConv2d::new(3).same())
        .relu()
        .conv2d(pointwise, Conv2d::new(64, 1))
        .relu()
}

/// Samples of one step.
pub const BATCH: usize = 4;
/// The first samples are learned from, the others are for the test.
const LEARNED: usize = 64;
const SAMPLES: usize = 80;
const NUMBERS: usize = 49 * 10;
const STEPS_PER_EPOCH: u32 = (LEARNED / BATCH) as u32;

/// Plain SGD. Samples go through the network one at a time, and their gradients are added up.
pub const TRAIN: Train = Train { micro_batch: 1, ..Train::new(BATCH as u16, Lr::ratio(1, 8)) };
/// The settings of every layer.
pub const LAYER: LayerConfig = LayerConfig::tiny();
/// The parts of the trainer that these settings and layers use.
pub type Uses = Fitted<BOUNDS, Only<PARTS>>;
const PARTS: u64 = TRAIN.parts(&LAYER) & !Part::InputPoint.bit() | NET.view().kinds();
const BOUNDS: usize = Task::<LAYERS>::in_place(NET, TRAIN, LAYER).bounds();
/// Network, settings and memory plan.
pub static TASK: Task<LAYERS, Uses> = Task::in_place(NET, TRAIN, LAYER);

/// All memory of the trainer.
pub type DscnnArena = Arena<{ TASK.ram() }>;
/// The arena as it is before training.
pub const ARENA: DscnnArena = Arena::for_plan(TASK.plan());

/// What boards with 256 KB train besides.
pub const TRAINING: Training<&Task<LAYERS, Uses>> =
    Training { name: "digits49x10-dscnn", start: || Ok(&TASK), batch_size: BATCH, batch, test };

static PICTURE_BYTES: [u8; SAMPLES * NUMBERS] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/tall.bin"));

/// The samples of step `step`, one batch after the other.
fn batch(step: u32) -> Batch {
    digits::drawn(&PICTURE_BYTES, NUMBERS, (step % STEPS_PER_EPOCH) as usize * BATCH, BATCH)
}

fn test() -> Batch {
    digits::drawn(&PICTURE_BYTES, NUMBERS, LEARNED, SAMPLES - LEARNED)
}

#[cfg(test)]
mod tests {
    use fixgrad::kernel::Device;

    use super::*;
    use crate::training;

    #[test]
    fn pixels_are_six_high_within_a_border() {
        for (tall, i) in PICTURE_BYTES.as_chunks::<NUMBERS>().0.iter().zip(0..) {
            let (small, _) = digits::picture(i).unwrap();
            for (at, &pixel) in tall.iter().enumerate() {
                let [y, x] = [at / 10, at % 10];
                let inside = y < 48 && (1..9).contains(&x);
                let expected = if inside { small[y / 6 * 8 + x - 1] } else { 0 };
                assert_eq!(pixel, expected, "picture {i}, row {y}, column {x}");
            }
        }
    }

    #[test]
    fn it_fits_into_a_quarter_of_a_megabyte_and_trains() {
        assert!(TASK.ram() <= 250_000, "{}", TASK.ram());
        let mut arena = ARENA;
        let memory = arena.as_mut_slice();
        let mut trainer = training::trainer(&TASK, memory, Device::default()).unwrap();
        let mut loss = |step| training::train_step(&mut trainer, batch(step)).unwrap().tally.loss;
        // Layer by layer, bounds find their place: nine steps.
        let losses: std::vec::Vec<_> = (0..20).map(|_| loss(0)).collect();
        assert!(losses[19] < losses[0] / 4 * 3, "{losses:?}");
    }
}
