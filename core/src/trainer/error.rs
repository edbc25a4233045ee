//! Why a trainer refuses.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    config::ConfigError,
    graph::{PlanError, too_small},
    stored::StoredError,
};

/// Why a trainer could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SetupError {
    /// The configuration does not go with the graph.
    Config(ConfigError),
    /// There is no memory plan.
    Plan(PlanError),
    /// The memory is too small.
    ArenaTooSmall {
        /// Bytes that the plan needs.
        needed: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// The memory does not start at a multiple of four bytes; [`Arena`](crate::graph::Arena) does.
    Misaligned,
    /// A strategy works on weights or activations, for which a task's plan has no room.
    Unplanned,
    /// Stored parameters are missing, or of another network.
    Stored(StoredError),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::ArenaTooSmall { needed, found } => write!(
                f,
                "{}; a plan for strategies is that of `Graph::plan_with_hooks`",
                too_small(*needed, *found)
            ),
            Self::Misaligned => f.write_str("the memory must start at a multiple of four bytes"),
            Self::Unplanned => f.write_str(
                "the strategy works on weights or activations, for which the plan of a task has \
                 no room; `Trainer::new` plans for it",
            ),
            Self::Stored(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SetupError {}

/// Why a call was refused. The trainer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StepError {
    /// The samples are not a whole number of samples, or none.
    SampleLength {
        /// Elements of one sample.
        sample: usize,
        /// Elements that were given.
        found: usize,
    },
    /// Not one target a sample.
    TargetCount {
        /// Samples.
        samples: usize,
        /// Targets.
        targets: usize,
    },
    /// A class that the network has no output for.
    Class {
        /// The class.
        class: u16,
        /// Outputs of the network.
        outputs: usize,
    },
    /// More samples than memory or step have room for.
    TooMany {
        /// Samples.
        samples: usize,
        /// Room.
        room: usize,
    },
    /// An update without a single sample.
    Empty,
    /// Not one target value for each output of each sample.
    TargetLength {
        /// Values that the samples need.
        expected: usize,
        /// Values that were given.
        found: usize,
    },
    /// Samples of the step at hand are in, and this call needs a new step.
    Pending {
        /// How many.
        samples: u32,
    },
    /// The exponent of samples or targets lies outside -64..=64.
    Exponent {
        /// The exponent.
        exponent: i16,
    },
    /// Samples of more than 8 bits, for a network that reads them in place.
    NoCodes,
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleLength { sample, found } => {
                write!(
                    f,
                    "{found} numbers; a positive multiple of {sample}, one sample, was expected"
                )
            }
            Self::TargetCount { samples, targets } => {
                write!(f, "{samples} samples and {targets} targets")
            }
            Self::TargetLength { expected, found } => {
                write!(
                    f,
                    "{found} target values; {expected}, one for each output of each sample, \
                           were expected"
                )
            }
            Self::Class { class, outputs } => {
                write!(f, "class {class}; the network has {outputs} outputs, counted from 0")
            }
            Self::TooMany { samples, room } => {
                write!(f, "{samples} samples; there is room for {room}")
            }
            Self::NoCodes => f.write_str(
                "the network reads its samples in place, so they are signed bytes, or pixels below \
                 128",
            ),
            Self::Empty => f.write_str("no samples since the last update"),
            Self::Pending { samples } => {
                write!(f, "{samples} samples of a step are in: call `update` first")
            }
            Self::Exponent { exponent } => write!(
                f,
                "samples or targets in units of 2^{exponent}; the exponent must lie in -64..=64, \
                 so scale the numbers"
            ),
        }
    }
}

impl core::error::Error for StepError {}

/// Why a state was not taken. The trainer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RestoreError {
    /// Not as many layers as the network has.
    LayerCount {
        /// Layers of the network.
        expected: usize,
        /// Layers of the state.
        found: usize,
    },
    /// Parameters of another length: another network, or other widths.
    Length {
        /// Bytes that the plan has for parameters.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// A bound outside 2^-256 .. 2^256.
    Bounds {
        /// The layer's place in the graph.
        layer: usize,
    },
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LayerCount { expected, found } => write!(
                f,
                "a state of {found} layers, the network has {expected}: use the state of this \
                 network"
            ),
            Self::Length { expected, found } => write!(
                f,
                "{found} bytes of parameters, the plan has {expected}: use the graph, storage \
                 widths and momentum that the state was made with"
            ),
            Self::Bounds { layer } => write!(
                f,
                "layer {layer}: a bound outside 2^-256 .. 2^256; the state is damaged, or a \
                 strategy moved exponents too far"
            ),
        }
    }
}

impl core::error::Error for RestoreError {}
