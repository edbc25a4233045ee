//! Why a graph or a plan could not be made, in words that also work inside a `const`.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::layer::Name;
use crate::{layer::Misfit, message::Message, tensor::Shape};

/// Why a layer could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GraphError {
    /// The table is full.
    Full {
        /// The layer that found no place.
        layer: Name,
        /// How many layers the table holds.
        capacity: usize,
    },
    /// Not 1 to 15 of the allowed characters.
    BadName,
    /// Another layer has this name.
    NameTaken {
        /// The name.
        layer: Name,
    },
    /// The layer would have no output, or one too large.
    BadSize {
        /// The layer.
        layer: Name,
        /// The shape it would have.
        shape: Shape,
    },
    /// The layer cannot read an input of this shape.
    Misfit {
        /// The layer.
        layer: Name,
        /// The shape that it would read.
        shape: Shape,
        /// What does not fit.
        misfit: Misfit,
    },
    /// The shape at this layer is not the one that was expected.
    Mismatch {
        /// The layer.
        layer: Name,
        /// Its shape.
        shape: Shape,
        /// The shape that was expected.
        expected: Shape,
    },
    /// A second input, or a first layer that is none.
    NotAnInput {
        /// The layer.
        layer: Name,
    },
    /// The layer reads one that does not come before it, or not as many as its kind does.
    BadInput {
        /// The layer.
        layer: Name,
    },
    /// There is no layer of the name that the next one would read.
    NoSuchLayer {
        /// The name.
        layer: Name,
    },
    /// A graph without layers has no output.
    Empty,
}

impl GraphError {
    /// The error in words, also inside a `const`.
    pub const fn message(&self) -> Message {
        let m = Message::new();
        match self {
            Self::Full { layer, capacity } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": the graph holds ")
                .number(*capacity)
                .text(" layers, the input counted; make it Graph<")
                .number(*capacity + 1)
                .text("> or more"),
            Self::BadName => {
                m.text("a layer name is 1 to 15 letters, digits, '_', '-', '.' or '/'")
            }
            Self::NameTaken { layer } => {
                m.text("layer ").text(layer.as_str()).text(": another layer has this name")
            }
            Self::BadSize { layer, shape } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": an output of ")
                .shape(*shape)
                .text(" must hold 1 to 16,777,215 numbers"),
            Self::Misfit { layer, shape, misfit } => {
                let m = m.text("layer ").text(layer.as_str()).text(": an input of ").shape(*shape);
                misfit.explain(m)
            }
            Self::Mismatch { layer, shape, expected } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": its output is ")
                .shape(*shape)
                .text(" and the next part expects ")
                .shape(*expected),
            Self::NotAnInput { layer } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": the input is the first layer, and only the first"),
            Self::BadInput { layer } => m
                .text("layer ")
                .text(layer.as_str())
                .text(
                    ": it must read layers that come before it: two different ones to join them, ",
                )
                .text("and else one"),
            Self::NoSuchLayer { layer } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": the next layer is to read it, and no layer above has this name"),
            Self::Empty => m.text("the graph has no layers yet: begin with its input"),
        }
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().as_str())
    }
}

impl core::error::Error for GraphError {}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PlanError {
    /// Not as many settings as layers, or none.
    LayerCount,
    /// A batch of zero samples.
    Batch,
    /// A layer that sums, or that would change samples in their place, has no activation point.
    MissingPoint {
        /// The layer.
        layer: Name,
    },
    /// Sums or gradients so wide that bounds of channels cannot differ.
    NoSpread {
        /// The layer.
        layer: Name,
        /// Bits of its sums, and of the gradient of its output.
        bits: [u8; 2],
    },
    /// Means over so many wide numbers that no bit is left for the division.
    NoMean {
        /// The layer.
        layer: Name,
        /// Numbers in a mean.
        terms: u32,
    },
    /// No layer reads the output, and it is not the network's.
    Unread {
        /// The layer.
        layer: Name,
    },
    /// A strategy works on parameters that are read where they are stored.
    StoredHook {
        /// The layer.
        layer: Name,
    },
    /// More bytes than 31 bits can count.
    TooLarge {
        /// The layer at which that happens.
        layer: Name,
    },
}

impl PlanError {
    /// The error in words, also inside a `const`.
    pub const fn message(&self) -> Message {
        let m = Message::new();
        match self {
            Self::LayerCount => m.text("the graph and the configuration differ in their layers"),
            Self::Batch => m.text("a batch and a micro-batch hold at least one sample"),
            Self::MissingPoint { layer } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": it makes new numbers, so it needs an activation point and an activation ")
                .text("gradient point"),
            Self::NoSpread { layer, bits: [sums, grad] } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": sums of ")
                .number(*sums as usize)
                .text(" bits (at most 29) or gradients of ")
                .number(*grad as usize)
                .text(" (at most 15) leave none for a bound of every channel; give activation ")
                .text("gradients, inputs or weights fewer bits, or turn per_channel off"),
            Self::NoMean { layer, terms } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": sums of ")
                .number(*terms as usize)
                .text(" numbers leave no bit of 30 for the division by their number; give its ")
                .text("input or its gradient fewer bits, or make its windows smaller"),
            Self::Unread { layer } => m.text("layer ").text(layer.as_str()).text(
                ": no layer reads its output; add or concatenate it to another, or remove it",
            ),
            Self::StoredHook { layer } => m
                .text("layer ")
                .text(layer.as_str())
                .text(
                    ": a strategy works on weights or biases that are read where they are stored; ",
                )
                .text("keep them in RAM, or leave the layer out of the strategy"),
            Self::TooLarge { layer } => {
                m.text("layer ").text(layer.as_str()).text(
                    ": the arena would exceed 2 GiB; take a smaller micro-batch, or fewer or smaller layers",
                )
            }
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().as_str())
    }
}

impl core::error::Error for PlanError {}
