//! Why a device refuses, in a form that travels.

use core::fmt;

use postcard_schema::{
    Schema,
    schema::{DataModelType, NamedType},
};
use serde::{Deserialize, Serialize};

use crate::{
    config::BlobError,
    trainer::{SetupError, StepError},
};

/// Why a device refused. It goes on with what it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The frame was whole and the message in it is none that this release knows.
    Unknown,
    /// The blob in the store is not what it should be.
    Blob(BlobError),
    /// The network or its settings do not work here.
    Setup(SetupError),
    /// The samples do not go with the network.
    Step(StepError),
    /// The step is not the next one.
    WrongStep {
        /// Steps that are done.
        done: u32,
        /// Steps that the desktop believes are done.
        asked: u32,
    },
    /// The part is not the next one of its step.
    WrongPart {
        /// Samples that are in.
        done: u32,
        /// Samples that the desktop believes are in.
        asked: u32,
    },
    /// Bytes beyond the end of the place that they are for.
    Outside {
        /// Bytes that would be needed.
        needed: u32,
        /// Bytes that there are.
        found: u32,
    },
    /// The samples in the store are not those that were announced.
    OtherSamples,
    /// The parts of the state do not make the state that was announced.
    OtherState,
    /// Parts of a state from outside are in, and not all of them.
    Mixed,
    /// The device trains alone.
    Running,
    /// There is no such layer.
    NoLayer,
    /// The state holds bounds that cannot be trained on.
    Implausible,
    /// The board has no place for checkpoints.
    NoCheckpoint,
    /// The checkpoint could not be written.
    CommitFailed,
    /// The board has no samples of its own.
    NoSamples,
    /// A part that is not the last of its step would end it, or cut a micro-batch in two.
    UnevenPart {
        /// Samples in the part.
        samples: u32,
        /// Samples of a micro-batch.
        micro_batch: u16,
    },
    /// The device has been greeted by nobody since it started.
    NotGreeted,
}

/// A refusal ends in words, so its form is not part of what two sides must agree on.
impl Schema for Refusal {
    const SCHEMA: &'static NamedType =
        &NamedType { name: "Refusal", ty: &DataModelType::ByteArray };
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "the device does not know this request: build its firmware and this program from \
                 the same release",
            ),
            Self::Blob(error) => write!(f, "the configuration was refused: {error}"),
            Self::Setup(error) => write!(f, "the configuration was refused: {error}"),
            Self::Step(error) => write!(f, "the samples were refused: {error}"),
            Self::WrongStep { done, asked } => write!(
                f,
                "the device has done {done} steps and not {asked}: it was reset, or somebody else \
                 trains it; start again"
            ),
            Self::WrongPart { done, asked } => write!(
                f,
                "{done} samples of the step are in, and not {asked}: reset the device, or load \
                 its configuration again"
            ),
            Self::Outside { needed, found } => write!(
                f,
                "{needed} bytes are needed and the device has room for {found}: use a smaller \
                 micro-batch, or a firmware with a larger store"
            ),
            Self::OtherSamples => f.write_str(
                "the samples in the device are not those that were sent: it was reset, or somebody \
                 else talks to it",
            ),
            Self::OtherState => {
                f.write_str("the state in the device is not the one that was sent: send it again")
            }
            Self::Mixed => f.write_str(
                "only a part of a state has arrived: send all of it, or reset the device",
            ),
            Self::Running => f.write_str("the device trains alone: pause it first"),
            Self::NoLayer => f.write_str("the network in the device has no such layer"),
            Self::Implausible => f.write_str(
                "the state holds bounds outside 2^-256 .. 2^256, which cannot be trained on: send another",
            ),
            Self::NoCheckpoint => f.write_str("the board keeps no checkpoints"),
            Self::CommitFailed => f.write_str("the board could not write its checkpoint"),
            Self::NotGreeted => f.write_str(
                "the device has started anew, by a reset or without power, and holds what was committed \
                 last: begin again",
            ),
            Self::NoSamples => f.write_str("the board has no samples of its own to train on"),
            Self::UnevenPart { samples, micro_batch } => write!(
                f,
                "{samples} samples came as a part of a step: every part but the last holds whole \
                 micro-batches of {micro_batch}, and the part that completes the batch is the last"
            ),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl From<SetupError> for Refusal {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<StepError> for Refusal {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}
