//! A network of depthwise separable convolutions that was trained on a desktop lies in flash, and where it
//! is used the camera sees half the light, and a glow of its own. The chip trains the last convolution and
//! the dense layer on 120 pictures of that camera, one at a time; all other parameters stay in flash.
//!
//! `configs/digits_dscnn_tune.yaml` has the same settings, and says how the stored parameters are made.

use fixgrad::{
    config::{BlobError, Update},
    graph::{Conv2d, DepthwiseConv2d},
    prelude::*,
    quant::{Overflow, Point, Quant, Range},
    stored::{Aligned, Stored},
    uses::{Fitted, Only},
};

use crate::{
    digits,
    training::{Batch, Training},
};

/// Layers of the network.
pub const LAYERS: usize = 13;
/// The network.
pub const NET: Graph<LAYERS> = Graph::input([1, 8, 8])
    .conv2d("conv1", Conv2d::new(16, 3).same())
    .relu()
    .depthwise_conv2d("depthwise1", DepthwiseConv2d::new(3).same())
    .relu()
    .conv2d("pointwise1", Conv2d::new(32, 1))
    .relu()
    .depthwise_conv2d("depthwise2", DepthwiseConv2d::new(3).same())
    .relu()
    .conv2d("pointwise2", Conv2d::new(64, 1))
    .relu()
    .global_avg_pool()
    .dense("fc", 10);
/// Places of the layers that learn.
const LEARNING: [usize; 2] = [9, 12];

/// Weights move after every picture, so that no sums of gradients are kept.
pub const TRAIN: Train = Train::new(1, Lr::ratio(1, 256));
/// What is read from flash: codes by the bounds that the training on the desktop found.
const STILL: LayerConfig = LayerConfig {
    weight: kept(Quant::new(8).overflow(Overflow::SatSym)),
    bias: kept(Quant::new(16)),
    // What the desktop quantised them from.
    master: LayerConfig::new(8).master,
    update: Update::Nothing,
    stored: true,
    ..LayerConfig::tiny()
};
const fn kept(quant: Quant) -> Point {
    Point::new(quant.range(Range::Keep)).straight()
}
/// The settings of every layer.
pub const SETTINGS: [LayerConfig; LAYERS] = {
    let mut layers = NET.uniform(&STILL);
    let learning = NET.uniform(&LayerConfig::tiny());
    let mut i = 0;
    while i < LEARNING.len() {
        layers[LEARNING[i]] = learning[LEARNING[i]];
        i += 1;
    }
    layers[0] = layers[0].passing();
    layers
};
/// The parts of the trainer that these settings and layers use.
pub type Uses = Fitted<BOUNDS, Only<PARTS>>;
const PARTS: u64 = TRAIN.parts_of(NET.view(), &SETTINGS);
const BOUNDS: usize = Task::<LAYERS>::with_layers(NET, TRAIN, SETTINGS).bounds();
/// Network, settings and memory plan.
pub static TASK: Task<LAYERS, Uses> = Task::with_layers(NET, TRAIN, SETTINGS);

/// All memory of the trainer.
pub type TuneArena = Arena<{ TASK.ram() }>;
/// The arena as it is before training.
pub const ARENA: TuneArena = Arena::for_plan(TASK.plan());

/// What the desktop learned.
static PARAMETERS: Aligned<[u8; include_bytes!("../data/digits_dscnn.fxp").len()]> =
    Aligned(*include_bytes!("../data/digits_dscnn.fxp"));

/// What boards with enough memory tune.
pub const TRAINING: Training<(&Task<LAYERS, Uses>, Stored<'_>)> =
    Training { name: "digits-tune", start, batch_size: 1, batch, test };

/// Pictures for the test: those of the desktop's test.
pub const TESTED: usize = 390;
/// Pictures that are learned from. The desktop did not learn from them.
pub const LEARNED: usize = 120;
/// Steps of the whole training.
pub const STEPS: u32 = 5 * LEARNED as u32;
const PICTURES: usize = TESTED + LEARNED;
const PIXELS: usize = 64;

static PICTURE_BYTES: [u8; PICTURES * PIXELS] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/dim.bin"));

fn start() -> Result<(&'static Task<LAYERS, Uses>, Stored<'static>), BlobError> {
    Ok((&TASK, Stored::read(&PARAMETERS.0)?))
}

/// The picture of step `step`, one after the other.
fn batch(step: u32) -> Batch {
    digits::drawn(&PICTURE_BYTES, PIXELS, TESTED + step as usize % LEARNED, 1)
}

/// The pictures that are not learned from.
fn test() -> Batch {
    digits::drawn(&PICTURE_BYTES, PIXELS, 0, TESTED)
}

#[cfg(test)]
mod tests {
    use fixgrad::kernel::Device;

    use super::*;
    use crate::training;

    #[test]
    fn the_camera_sees_half_the_light_and_a_glow() {
        for (seen, i) in PICTURE_BYTES.as_chunks::<PIXELS>().0.iter().zip(0..) {
            let (picture, _) = digits::picture(i).unwrap();
            assert_eq!(*seen, picture.map(|pixel| pixel / 2 + 4), "picture {i}");
        }
    }

    #[test]
    fn the_last_layers_mend_what_another_camera_does() {
        let mut arena = ARENA;
        let memory = arena.as_mut_slice();
        let start = start().unwrap();
        assert_eq!(start.1.layers(), NET.view().layers().len());
        let mut trainer = training::trainer(start, memory, Device::default()).unwrap();
        let right = |trainer: &mut _, pictures| {
            let tally = training::test(trainer, pictures).unwrap();
            assert_eq!(tally.samples, 390);
            tally.correct
        };
        // The network is the one that the desktop trained.
        let known = right(&mut trainer, || digits::part(0, TESTED));
        assert!(known >= 380, "{known}");
        let before = right(&mut trainer, test);
        assert!(before <= 215, "{before}");
        for step in 0..STEPS {
            training::train_step(&mut trainer, batch(step)).unwrap();
        }
        let after = right(&mut trainer, test);
        assert!(after >= 350, "{after}");
    }
}
