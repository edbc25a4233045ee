//! The training task: 64-32-10 on handwritten digits that lie in flash.

use fixgrad::{
    kernel::Device,
    optim::Schedule,
    prelude::*,
    rng::{Key, Permutation},
    uses::{Fitted, Only, Part},
};

use crate::training::{Batch, TaskTrainer, Training};

/// Most layers of the network.
pub const LAYERS: usize = 4;
/// The network.
pub const NET: Graph<LAYERS> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
/// Pictures of one step.
pub const BATCH: usize = 32;
/// The first pictures are learned from, the others are for the test.
pub const LEARNED: usize = 1_408;
/// All pictures.
pub const PICTURES: usize = 1_797;
/// Pixels of one picture.
pub const PIXELS: usize = 64;
const STEPS_PER_EPOCH: u32 = (LEARNED / BATCH) as u32;
const EPOCHS: u32 = 30;
/// Steps of the whole training.
pub const STEPS: u32 = EPOCHS * STEPS_PER_EPOCH;

/// Plain SGD. The master weights are the weights that the multiplication sees, and every range
/// rule needs one look: the least memory.
pub const TRAIN: Train = Train {
    schedule: Schedule::Cosine { steps: STEPS, floor: 0 },
    ..Train::new(BATCH as u16, Lr::ratio(1, 2))
};
/// The settings of every layer.
pub const LAYER: LayerConfig = LayerConfig::tiny();
/// The parts of the trainer that these settings use; no others are in the firmware. Pictures are
/// read where they lie.
pub type Uses = Fitted<BOUNDS, Only<{ TRAIN.parts(&LAYER) & !Part::InputPoint.bit() }>>;
const BOUNDS: usize = Task::<LAYERS>::in_place(NET, TRAIN, LAYER).bounds();
/// Network, settings and memory plan.
pub static TASK: Task<LAYERS, Uses> = Task::in_place(NET, TRAIN, LAYER);

/// All memory of the trainer.
pub type DigitsArena = Arena<{ TASK.ram() }>;
/// The arena as it is before training.
pub const ARENA: DigitsArena = Arena::for_plan(TASK.plan());

static PICTURE_BYTES: [u8; PICTURES * PIXELS] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/pixels.bin"));
static LABELS: [u16; PICTURES] = include!(concat!(env!("OUT_DIR"), "/labels.rs"));

/// What the boards train first.
pub const TRAINING: Training<&Task<LAYERS, Uses>> =
    Training { name: "digits-tiny", start: || Ok(&TASK), batch_size: BATCH, batch, test };

/// The trainer of this task.
pub type DigitsTrainer<'a, K = Device> = TaskTrainer<'a, LAYERS, Uses, K>;

/// The pictures of step `step`. They lie one after the other in flash, so that they need no RAM;
/// the order of the batches is new in every epoch.
pub fn batch(step: u32) -> Batch {
    let (epoch, index) = (step / STEPS_PER_EPOCH, step % STEPS_PER_EPOCH);
    let order = Permutation::new(Key::new(1).child(epoch), STEPS_PER_EPOCH);
    part(order.at(index) as usize * BATCH, BATCH)
}

/// The pictures that are not learned from.
pub(crate) fn test() -> Batch {
    part(LEARNED, PICTURES - LEARNED)
}

/// A picture, with pixels of 0 to 16, and the digit that it shows; none behind the last.
pub fn picture(index: usize) -> Option<(&'static [u8; PIXELS], u16)> {
    let (pictures, _) = PICTURE_BYTES.as_chunks();
    pictures.get(index).zip(LABELS.get(index).copied())
}

pub(crate) fn part(from: usize, len: usize) -> Batch {
    drawn(&PICTURE_BYTES, PIXELS, from, len)
}

/// So many of the digits, drawn in `size` bytes each in whatever way.
pub(crate) fn drawn(bytes: &'static [u8], size: usize, from: usize, len: usize) -> Batch {
    let pixels = bytes.get(from * size..(from + len) * size).unwrap_or_default();
    let labels = LABELS.get(from..from + len).unwrap_or_default();
    Batch {
        samples: Samples { data: SampleData::U8(pixels), exponent: -4 },
        targets: Targets::Classes(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{self, train_step, trainer};

    #[test]
    fn the_pictures_are_those_of_the_data_set() {
        assert_eq!(PICTURE_BYTES.iter().max(), Some(&16));
        let mut counts = [0; 10];
        for label in LABELS {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn the_network_learns_them() {
        let mut arena = ARENA;
        let memory = arena.as_mut_slice();
        let mut trainer: DigitsTrainer<'_> = trainer(&TASK, memory, Device::default()).unwrap();
        for step in 0..STEPS {
            train_step(&mut trainer, batch(step)).unwrap();
        }
        let tally = training::test(&mut trainer, test).unwrap();
        assert_eq!(tally.samples, 389);
        assert!(tally.correct >= 360, "{tally:?}, {} bytes", TASK.ram());
    }
}
