//! Why there is no journal, no load, or no save.

use core::fmt;

use crate::graph::Message;

/// Why a region of flash cannot hold a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegionError {
    /// An end of the region is not at a page's end.
    Misaligned {
        /// First byte.
        start: u32,
        /// The byte behind the last.
        end: u32,
        /// Bytes of a page, which is the least that can be erased.
        page: u32,
    },
    /// The flash ends before the region does, or the region before it starts.
    OutOfBounds {
        /// First byte.
        start: u32,
        /// The byte behind the last.
        end: u32,
        /// Bytes of the flash.
        capacity: usize,
    },
    /// Not enough room for two slots.
    TooSmall {
        /// Bytes of the smallest region.
        needed: u32,
        /// Bytes of this one.
        found: u32,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned { start, end, page } => write!(
                f,
                "the region {start:#x}..{end:#x} must start and end at a multiple of {page:#x}, \
                 which is one page"
            ),
            Self::OutOfBounds { start, end, capacity } => {
                write!(
                    f,
                    "the region {start:#x}..{end:#x} is not inside a flash of {capacity:#x} bytes"
                )
            }
            Self::TooSmall { needed, found } => Message::new()
                .text("two slots of this network need ")
                .number(needed as usize)
                .text(" bytes, the region has ")
                .number(found as usize)
                .fmt(f),
        }
    }
}

impl core::error::Error for RegionError {}

/// Why a checkpoint was not loaded or saved. `E` is the error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CheckpointError<E> {
    /// The flash failed.
    Flash(E),
    /// The journal was laid out for a plan with other sizes than this trainer's.
    OtherPlan {
        /// Bytes of the state that the journal was laid out for.
        expected: u32,
        /// Bytes of this trainer's state.
        found: u32,
    },
    /// Samples were accumulated since the last update.
    WithinStep,
    /// A bound of the trainer lies where no load would take it.
    Bounds,
    /// Only checkpoints of another release are there.
    WrongVersion {
        /// What this release reads.
        expected: u16,
        /// What was found.
        found: u16,
    },
    /// Only checkpoints of other networks are there.
    WrongGraph {
        /// Hash of the graph at hand.
        expected: u32,
        /// Hash in the newest checkpoint.
        found: u32,
    },
    /// The same network with parameters in other places, widths or units.
    WrongStorage {
        /// Hash of the storage at hand.
        expected: u32,
        /// Hash in the newest checkpoint.
        found: u32,
    },
    /// The same network and storage under other settings.
    WrongConfig {
        /// Hash of the settings at hand.
        expected: u32,
        /// Hash in the newest checkpoint.
        found: u32,
    },
    /// Nothing but committed checkpoints whose checksum is wrong, or that hold numbers which
    /// cannot be trained on.
    Damaged {
        /// How many.
        slots: u32,
    },
    /// The flash gave other bytes, or an error, after the checksum had been right. The trainer
    /// was overwritten in part and is reset to its first step.
    Unsteady,
    /// What was written does not read back. The state of the last save is still there.
    NotKept {
        /// First byte of the slot.
        offset: u32,
    },
    /// The newest checkpoint has the last sequence number there is.
    SequenceSpent,
}

impl<E: fmt::Debug> fmt::Display for CheckpointError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
            Self::OtherPlan { expected, found } => write!(
                f,
                "the journal was laid out for a state of {expected} bytes, this trainer has \
                 {found}: make the journal with the plan of this trainer"
            ),
            Self::WithinStep => f.write_str(
                "a step is half done: call `update` first, a checkpoint is taken between steps",
            ),
            Self::Bounds => f.write_str(
                "the trainer holds a bound outside 2^-256 .. 2^256, which no load would take \
                 back: `reset` it, or load an older state",
            ),
            Self::WrongVersion { expected, found } => write!(
                f,
                "the checkpoint has format version {found}; this release reads version \
                 {expected}: load it with the release that wrote it, or start afresh with `clear`"
            ),
            Self::WrongGraph { expected, found } => write!(
                f,
                "the checkpoint was made for graph {found:08x}, this one is {expected:08x}: start \
                 afresh with `clear`, or use the network that it was made for"
            ),
            Self::WrongStorage { expected, found } => write!(
                f,
                "the checkpoint stores parameters as {found:08x}, this trainer as {expected:08x}: \
                 widths or bounds of master weights, momentum or channels differ; start afresh \
                 with `clear`, or use the settings that it was made with"
            ),
            Self::WrongConfig { expected, found } => write!(
                f,
                "the checkpoint was made under settings {found:08x}, these are {expected:08x}: \
                 load it with `adopt` to go on under the new ones, or start afresh with `clear`"
            ),
            Self::Damaged { slots } => write!(
                f,
                "none of {slots} checkpoints is whole: they were committed and damaged later; \
                 start afresh with `clear`, and suspect the flash"
            ),
            Self::Unsteady => f.write_str(
                "the flash failed while its checkpoint was copied, after its checksum had been \
                 right: the trainer is reset to its first step; load again",
            ),
            Self::NotKept { offset } => write!(
                f,
                "the slot at {offset:#x} does not keep what was written: its pages may be worn \
                 out; the last checkpoint is still there, and the next save takes the next slot"
            ),
            Self::SequenceSpent => f.write_str(
                "the newest checkpoint has the last sequence number, which no flash lives to see: \
                 it was forged; start afresh with `clear`",
            ),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for CheckpointError<E> {}
