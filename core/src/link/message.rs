//! The messages. Their order and fields are the protocol: `docs/link.md` describes it.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{Line, Refusal};
use crate::{
    quant::RangeState,
    trainer::{LayerMemory, StepRecord, Tally, Tensor},
};

/// What the desktop asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Request<'a> {
    /// Who are you? Starts a session: the sequence number counts on from here.
    Hello,
    /// How far are you?
    State,
    /// Keep these bytes in the store.
    Put {
        /// First byte in the store.
        at: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Work with the network and settings whose blob lies in the store.
    Load {
        /// Bytes of the blob.
        len: u32,
    },
    /// Back to the first step with freshly initialised weights.
    Reset,
    /// Forward and backward on the samples in the store.
    Train(Part),
    /// Loss and right answers of the samples in the store. Leaves no trace in training.
    Evaluate(Batch),
    /// Send a part of the parameters.
    Weights {
        /// First byte.
        at: u32,
        /// Bytes; the device may send fewer.
        len: u32,
    },
    /// Send what a layer remembers.
    Layer {
        /// The layer.
        layer: u8,
    },
    /// Overwrite a part of the parameters. From here to [`SetDone`](Self::SetDone) nothing trains.
    SetWeights {
        /// First byte.
        at: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Overwrite what a layer remembers.
    SetLayer {
        /// The layer.
        layer: u8,
        /// What it shall remember.
        memory: LayerMemory,
    },
    /// All parts of the state were sent.
    SetDone {
        /// Steps that are done in it.
        step: u32,
        /// Its [digest](crate::trainer::Trainer::digest).
        digest: u64,
    },
    /// Send bound and counters of a tensor.
    Range {
        /// The layer.
        layer: u8,
        /// The tensor.
        tensor: Tensor,
    },
    /// Forget the counters of all tensors and keep the bounds.
    ResetCounters,
    /// Keep the state where a power cut does not reach it.
    Commit,
    /// Train alone, on what the board has for samples.
    Start,
    /// Stop training alone.
    Pause,
}

/// What the device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Response<'a> {
    /// To [`Request::Hello`].
    #[serde(borrow)]
    Hello(Hello<'a>),
    /// It is done.
    Done,
    /// To [`Request::Load`].
    Loaded {
        /// Hash of the network.
        graph: u32,
        /// Bytes of the arena that the plan needs.
        ram: u32,
    },
    /// To the last part of a step.
    Stepped {
        /// What the step did.
        record: StepRecord,
        /// The state after it, if that was asked for.
        digest: Option<u64>,
    },
    /// To [`Request::Evaluate`], and to every part of a step but the last.
    Tally(Tally),
    /// To [`Request::Weights`].
    Bytes(&'a [u8]),
    /// To [`Request::Layer`].
    Layer(LayerMemory),
    /// To [`Request::Range`].
    Range(RangeState),
    /// To [`Request::State`].
    State(State),
    /// No, and nothing has changed.
    Refused(Refusal),
}

/// Who a device is. The first two fields stay what they are in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello<'a> {
    /// [`VERSION`](super::VERSION) of the link.
    pub version: u16,
    /// [`schema`](super::schema) of its messages.
    pub schema: [u8; 8],
    /// Release of fixgrad.
    pub fixgrad: &'a str,
    /// The board.
    pub board: &'a str,
    /// Hash of the network at work.
    pub graph: u32,
    /// True when the board takes other networks.
    pub any_graph: bool,
    /// Layers of the network at work, the input counted.
    pub layers: u8,
    /// Layers that a network may have.
    pub max_layers: u8,
    /// Bytes of the arena that the plan needs.
    pub ram: u32,
    /// Bytes of the arena.
    pub arena: u32,
    /// Bytes of the store, where samples and settings arrive.
    pub store: u32,
    /// Bytes of the longest frame that the device takes.
    pub frame: u32,
}

/// How far a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct State {
    /// Steps that are done.
    pub step: u32,
    /// Samples of the next one that are in already.
    pub pending: u32,
    /// True while it trains alone.
    pub running: bool,
    /// True between the first part of a state from outside and [`Request::SetDone`].
    pub mixed: bool,
    /// Bytes of the parameters.
    pub parameters: u32,
    /// The [digest](crate::trainer::Trainer::digest).
    pub digest: u64,
    /// The last step.
    pub last: Option<StepRecord>,
    /// All steps since the last reset.
    pub total: Tally,
    /// What happened on the line.
    pub line: Line,
}

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Part {
    /// Steps that are done before this one. Another number is refused: no step is done twice.
    pub step: u32,
    /// Samples of the step that are in already.
    pub from: u16,
    /// True when the step ends with this part.
    pub last: bool,
    /// True when the digest of the state is wanted after the step.
    pub digest: bool,
    /// The samples.
    pub batch: Batch,
}

/// Samples and targets in the store: the samples from byte 0 on, the targets from the next even
/// byte on, all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Batch {
    /// Samples.
    pub count: u16,
    /// Their storage.
    pub storage: Storage,
    /// Exponent of their unit.
    pub exponent: i16,
    /// Storage of the targets.
    pub targets: Wanted,
    /// CRC-32 of all bytes of samples and targets: the store may hold those of another batch.
    pub crc: u32,
}

/// Storage of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Storage {
    /// Pixels.
    U8,
    /// Signed bytes.
    I8,
    /// 16-bit sensor readings.
    I16,
}

/// Storage of targets: 16 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Wanted {
    /// One class a sample.
    Classes,
    /// One value an output.
    Values {
        /// Exponent of their unit.
        exponent: i16,
    },
}
