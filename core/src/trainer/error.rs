//! Why a trainer refuses.

use core::fmt;

use crate::{
    config::ConfigError,
    graph::{PlanError, too_small},
};

/// Why a trainer could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::ArenaTooSmall { needed, found } => too_small(*needed, *found).fmt(f),
            Self::Misaligned => f.write_str("the memory must start at a multiple of four bytes"),
            Self::Unplanned => f.write_str(
                "the strategy works on weights or activations, for which the plan of a task has \
                 no room; `Trainer::new` plans for it",
            ),
        }
    }
}

impl core::error::Error for SetupError {}

/// Why a call was refused. The trainer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            Self::Class { class, outputs } => {
                write!(f, "class {class}; the network has {outputs} outputs, counted from 0")
            }
            Self::TooMany { samples, room } => {
                write!(f, "{samples} samples; there is room for {room}")
            }
            Self::Empty => f.write_str("no samples since the last update"),
        }
    }
}

impl core::error::Error for StepError {}
