//! The first layer in flash, the last one in a trainer.

use core::fmt;

use fixgrad::{
    config::blob::BlobError,
    frozen::{Frozen, FrozenDense, FrozenError},
    kernel::Device,
    prelude::*,
    trainer::{SetupError, StepError},
    uses::{Fitted, Only, Part},
};
use fixgrad_boards::digits::{self, PIXELS};

/// 64-32-10, trained on digits as they are. `README.md` says how it was made.
pub static MODEL: &[u8] = include_bytes!("../model/digits.fxf");

const HIDDEN: usize = 32;
const BATCH: usize = 32;
const LAYERS: usize = 2;
const NET: Graph<LAYERS> = Graph::input([HIDDEN as u16, 1, 1]).dense("fc2", 10);
/// Plain SGD.
pub const TRAIN: Train = Train::new(BATCH as u16, Lr::ratio(1, 4));
const LAYER: LayerConfig = LayerConfig::tiny();
type Uses = Fitted<BOUNDS, Only<{ TRAIN.parts(&LAYER) & !Part::InputPoint.bit() }>>;
const BOUNDS: usize = Task::<LAYERS>::in_place(NET, TRAIN, LAYER).bounds();

/// The training of the last layer.
pub type Head = Task<LAYERS, Uses>;

/// Its settings, with the seed of all random numbers. Make it a `static`, and it is in flash.
pub const fn head(seed: u64) -> Head {
    Task::in_place(NET, Train { seed, ..TRAIN }, LAYER)
}

/// The trainer of the last layer.
pub type HeadTrainer<'a> = Trainer<'a, LAYERS, Device, (), &'a Head>;

/// A trainer at its first step.
// Not inlined, so that it is made where it stays: there would be two of them on the stack.
#[inline(never)]
pub fn trainer<'a>(head: &'a Head, memory: &'a mut [u8]) -> Result<HeadTrainer<'a>, SetupError> {
    Trainer::of(head, memory, Device::default(), ())
}

/// All memory besides the trainer and the stack, for a `static`.
pub struct Room {
    /// What the trainer works in.
    pub arena: Arena<{ head(0).ram() }>,
    /// Pictures that wait for the next step.
    pub waiting: Waiting,
}

impl Room {
    /// Before the first picture.
    pub const fn new() -> Self {
        let (hidden, labels) = ([[0; HIDDEN]; BATCH], [0; BATCH]);
        Self { arena: Arena::new(), waiting: Waiting { hidden, labels, count: 0 } }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// What the first layer made of the pictures that wait for the next step.
pub struct Waiting {
    hidden: [[i8; HIDDEN]; BATCH],
    labels: [u16; BATCH],
    count: usize,
}

/// Why the last layer cannot be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TuneError {
    /// The model in flash.
    Model(BlobError),
    /// The model is not one of 64-32-10.
    Layers {
        /// How many layers it has.
        found: usize,
    },
    /// A layer of the model.
    Layer(FrozenError),
    /// The trainer cannot start.
    Setup(SetupError),
    /// The trainer refused a step.
    Step(StepError),
}

impl fmt::Display for TuneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => write!(f, "the model in flash: {error}"),
            Self::Layers { found } => {
                write!(f, "the model in flash has {found} dense layers; 2 were expected")
            }
            Self::Layer(error) => error.fmt(f),
            Self::Setup(error) => error.fmt(f),
            Self::Step(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TuneError {}

impl From<FrozenError> for TuneError {
    fn from(error: FrozenError) -> Self {
        Self::Layer(error)
    }
}

impl From<StepError> for TuneError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

/// A network of which the last layer learns.
pub struct LastLayer<'a, 't> {
    first: FrozenDense<'a>,
    trainer: &'t mut HeadTrainer<'a>,
    waiting: &'t mut Waiting,
}

impl<'a, 't> LastLayer<'a, 't> {
    /// Begins with the model as it is. Its first layer is read where it lies.
    pub fn new(
        model: &'a [u8],
        trainer: &'t mut HeadTrainer<'a>,
        waiting: &'t mut Waiting,
    ) -> Result<Self, TuneError> {
        let frozen =
            Frozen::<'_, 2>::read(digits::TASK.graph(), model).map_err(TuneError::Model)?;
        let &[first, last] = frozen.layers() else {
            return Err(TuneError::Layers { found: frozen.layers().len() });
        };
        trainer.thaw(1, &last)?;
        waiting.count = 0;
        Ok(Self { first, trainer, waiting })
    }

    /// Learns what a picture shows. Every 32 pictures are a step; the pictures themselves are not
    /// kept.
    pub fn learn(&mut self, picture: &[i8; PIXELS], label: u16) -> Result<(), TuneError> {
        let Waiting { hidden, labels, count } = &mut *self.waiting;
        below(&self.first, picture, &mut hidden[*count])?;
        labels[*count] = label;
        *count += 1;
        if *count == BATCH {
            *count = 0;
            let data = SampleData::I8(hidden.as_flattened());
            let samples = Samples { data, exponent: self.first.exponent() };
            self.trainer.step(samples, Targets::Classes(labels))?;
        }
        Ok(())
    }

    /// What a picture shows.
    pub fn classify(&mut self, picture: &[i8; PIXELS]) -> Result<u16, TuneError> {
        let mut hidden = [0; HIDDEN];
        below(&self.first, picture, &mut hidden)?;
        let data = SampleData::I8(&hidden);
        self.trainer.infer(Samples { data, exponent: self.first.exponent() })?;
        Ok(self.trainer.outputs(0).argmax())
    }

    /// One number for all that was learned: what two machines compare.
    pub fn digest(&self) -> u64 {
        self.trainer.digest()
    }
}

/// The layer that stays in flash. A pixel is in units of 1/16.
fn below(
    first: &FrozenDense<'_>,
    picture: &[i8; PIXELS],
    hidden: &mut [i8; HIDDEN],
) -> Result<(), FrozenError> {
    let mut sums = [0; 2 * HIDDEN];
    first.infer(&Device::default(), picture, -4, &mut sums, hidden).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_damaged_model_is_refused_in_words() {
        let (head, mut room) = (head(0), Room::new());
        let mut trainer = trainer(&head, room.arena.as_mut_slice()).unwrap();
        let mut damaged = MODEL.to_vec();
        damaged[100] ^= 1;
        let refused = LastLayer::new(&damaged, &mut trainer, &mut room.waiting).err().unwrap();
        assert_eq!(refused, TuneError::Model(BlobError::BadChecksum));
        assert!(refused.to_string().starts_with("the model in flash: the checksum"), "{refused}");
    }
}
