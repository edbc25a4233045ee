//! The training task: 64-32-10 on handwritten digits that lie in flash.

use fixgrad::{
    kernel::{Device, Kernel},
    optim::Schedule,
    prelude::*,
    rng::{Key, Permutation},
    trainer::{StepError, Tally},
    uses::{Fitted, Only, Part},
};

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
/// The name of the task in reports.
pub const NAME: &str = "digits-tiny";

/// All memory of the trainer.
pub type DigitsArena = Arena<{ TASK.ram() }>;
/// The arena as it is before training.
pub const ARENA: DigitsArena = Arena::for_plan(TASK.plan());

static PICTURE_BYTES: [u8; PICTURES * PIXELS] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/pixels.bin"));
static LABELS: [u16; PICTURES] = include!(concat!(env!("OUT_DIR"), "/labels.rs"));

/// The trainer of this task. A board uses the kernel that its chip is best at, or the one that takes
/// the least flash.
pub type DigitsTrainer<'a, K = Device> = Trainer<'a, LAYERS, K, (), &'a Task<LAYERS, Uses>>;

/// A trainer at its first step.
///
/// Never inlined, as its two fellows, so that the size of the trainer can be told.
#[inline(never)]
pub fn trainer<K: Kernel>(
    memory: &mut [u8],
    kernel: K,
) -> Result<DigitsTrainer<'_, K>, fixgrad::trainer::SetupError> {
    Trainer::of(&TASK, memory, kernel, ())
}

/// One training step, and nothing else: what is measured, and what must not panic.
///
/// Never inlined, so that the checks of the linked firmware find it by its name.
#[inline(never)]
pub fn train_step<K: Kernel>(
    trainer: &mut DigitsTrainer<'_, K>,
    batch: Batch,
) -> Result<StepRecord, StepError> {
    trainer.step(batch.samples, batch.targets)
}

/// Pictures in flash, and what they show.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub(crate) samples: Samples<'static>,
    pub(crate) targets: Targets<'static>,
}

/// The pictures of step `step`. They lie one after the other in flash, so that they need no RAM;
/// the order of the batches is new in every epoch.
pub fn batch(step: u32) -> Batch {
    let (epoch, index) = (step / STEPS_PER_EPOCH, step % STEPS_PER_EPOCH);
    let order = Permutation::new(Key::new(1).child(epoch), STEPS_PER_EPOCH);
    part(order.at(index) as usize * BATCH, BATCH)
}

/// Right answers on the pictures that were not learned from.
#[inline(never)]
pub fn test<K: Kernel>(trainer: &mut DigitsTrainer<'_, K>) -> Result<Tally, StepError> {
    let Batch { samples, targets } = part(LEARNED, PICTURES - LEARNED);
    trainer.evaluate(samples, targets)
}

/// A picture, with pixels of 0 to 16, and the digit that it shows; none behind the last.
pub fn picture(index: usize) -> Option<(&'static [u8; PIXELS], u16)> {
    let (pictures, _) = PICTURE_BYTES.as_chunks();
    pictures.get(index).zip(LABELS.get(index).copied())
}

fn part(from: usize, len: usize) -> Batch {
    let pixels = PICTURE_BYTES.get(from * PIXELS..(from + len) * PIXELS).unwrap_or_default();
    let labels = LABELS.get(from..from + len).unwrap_or_default();
    Batch {
        samples: Samples { data: SampleData::U8(pixels), exponent: -4 },
        targets: Targets::Classes(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut trainer = trainer(arena.as_mut_slice(), Device::default()).unwrap();
        for step in 0..STEPS {
            train_step(&mut trainer, batch(step)).unwrap();
        }
        let tally = test(&mut trainer).unwrap();
        assert_eq!(tally.samples, 389);
        assert!(tally.correct >= 360, "{tally:?}, {} bytes", TASK.ram());
    }
}
