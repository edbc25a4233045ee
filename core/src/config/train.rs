//! The settings of the whole run.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{
    layer::LayerConfig,
    validate::{is_near, validate},
};
use crate::{
    graph::{GraphView, Message, Name},
    optim::{Lr, Optimizer, Schedule},
    quant::Round,
    strategy::{GradientBuffer, StrategyConfig, StrategyKind},
    tensor::Width,
    uses::{Part, Uses},
};

/// What the network's output is compared with, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Cross-entropy of the softmax of the outputs against one class.
    SoftmaxCrossEntropy,
    /// Half the squared distance to a target vector; against a class, to its one-hot vector.
    Mse,
    /// Cross-entropy of the sigmoid of every output for itself, against values from 0 to 1;
    /// against a class, its one-hot vector.
    BceWithLogits,
}

/// Optimiser, batch, loss and seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Train {
    /// Names every random number of the run.
    pub seed: u64,
    /// Samples of one step.
    pub batch: u16,
    /// Samples in memory at once; divides `batch`. Smaller than `batch`, gradients are
    /// accumulated.
    pub micro_batch: u16,
    /// Storage of gradient sums, where gradients are accumulated: 32 bits, or 16 under range rules that
    /// know the bound of a gradient before the step.
    pub sums: Width,
    /// Memory for time: what layers that normalise put out is forgotten once it was read, and made again
    /// from their inputs when the backward pass asks for it (as Chen et al. 2016, "Training deep nets
    /// with sublinear memory cost", and Rota Bulo et al. 2018, "In-place activated BatchNorm"). It
    /// changes no bit. Places are found one by one, so that a network with little to forget may take a few
    /// bytes more.
    pub recompute: bool,
    /// What is minimised.
    pub loss: LossKind,
    /// The share of the target that all classes get alike, in units of 2^-15, for softmax
    /// cross-entropy; zero is none.
    pub label_smoothing: u16,
    /// What becomes of gradients.
    pub optimizer: Optimizer,
    /// Learning rate for the mean of the batch.
    pub lr: Lr,
    /// How it changes.
    pub schedule: Schedule,
    /// Steps over which it first [rises](Lr::warm_up) to what the schedule says; zero is none.
    pub warmup: u32,
    /// Momentum in units of 2^-15; zero is none. Lion has factors of its own.
    pub momentum: u16,
    /// Storage of the velocity.
    pub velocity: Width,
    /// Decoupled weight decay: after the step, weights shrink by this share times the learning
    /// rate, past momentum and gradient quantisation (Loshchilov and Hutter 2019, algorithm 1).
    /// With plain SGD that is an L2 penalty, taken at the weights that the step left; with momentum
    /// `m` it is one of this times `1 - m`, since a gradient counts `1 / (1 - m)` times in all. Zero
    /// is none.
    pub weight_decay: Lr,
    /// How updates are rounded to units of the master weights.
    pub round: Round,
}

impl Train {
    /// Plain SGD on softmax cross-entropy.
    pub const fn new(batch: u16, lr: Lr) -> Self {
        Self {
            seed: 0,
            batch,
            micro_batch: batch,
            sums: Width::I32,
            recompute: false,
            loss: LossKind::SoftmaxCrossEntropy,
            label_smoothing: 0,
            optimizer: Optimizer::Sgd,
            lr,
            schedule: Schedule::Constant,
            warmup: 0,
            momentum: 0,
            velocity: Width::I16,
            weight_decay: Lr::ZERO,
            round: Round::Stochastic,
        }
    }

    /// The learning rate at `step`, counted from 0, in a run that links `U`.
    pub(crate) fn lr_at<U: Uses>(&self, step: u32) -> Lr {
        let lr = match self.schedule {
            Schedule::Step { .. } if !U::uses(Part::StepSchedule) => self.lr,
            Schedule::Cosine { .. } if !U::uses(Part::CosineSchedule) => self.lr,
            schedule => schedule.at(self.lr, step),
        };
        if U::uses(Part::Warmup) { lr.warm_up(step, self.warmup) } else { lr }
    }

    /// True when every parameter has a velocity.
    pub const fn has_velocity(&self) -> bool {
        self.momentum > 0 || matches!(self.optimizer, Optimizer::Lion { .. })
    }

    /// True when gradients are summed over several micro-batches.
    pub const fn accumulates(&self) -> bool {
        self.micro_batch < self.batch
    }

    /// True when they are summed in 16 bits.
    pub const fn has_short_sums(&self) -> bool {
        self.accumulates() && matches!(self.sums, Width::I16)
    }
}

/// The configuration of a graph of at most `N` layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config<const N: usize> {
    /// Optimiser, batch, loss and seed.
    pub train: Train,
    /// One entry a layer, the input included.
    pub layers: heapless::Vec<LayerConfig, N>,
    /// Ready-made strategies, the outermost first.
    pub strategies: heapless::Vec<StrategyConfig, 8>,
}

/// Why a configuration does not go with a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// Not as many entries as layers.
    LayerCount {
        /// Layers of the graph.
        layers: usize,
        /// Entries of the configuration.
        entries: usize,
    },
    /// A bit width outside 1..=16.
    Bits {
        /// The layer.
        layer: Name,
        /// The width.
        bits: u8,
    },
    /// A share above 100 % or a window of zero steps.
    Range {
        /// The layer.
        layer: Name,
    },
    /// An exponent outside -64..=64.
    Exponent {
        /// The layer.
        layer: Name,
        /// The exponent.
        exponent: i16,
    },
    /// A layer that makes new numbers has no activation or activation gradient point.
    MissingPoint {
        /// The layer.
        layer: Name,
    },
    /// The batch is zero or not a multiple of the micro-batch.
    Batch {
        /// Samples of one step.
        batch: u16,
        /// Samples in memory at once.
        micro_batch: u16,
    },
    /// A learning rate or weight decay whose mantissa has more than 15 bits or whose exponent lies
    /// outside -64..=64, or a momentum of one and more.
    Rate,
    /// Nesterov's momentum without momentum, or Lion with it or with a factor of one and more.
    Optimizer,
    /// A share of one and more for all classes, or one with another loss than softmax
    /// cross-entropy.
    LabelSmoothing,
    /// Softmax cross-entropy over more outputs than there are numbers of classes.
    Classes {
        /// The outputs.
        outputs: usize,
    },
    /// A schedule of zero steps or with a factor above one.
    Schedule,
    /// A bound for every channel under a range rule that has none.
    ChannelRange {
        /// The layer.
        layer: Name,
    },
    /// A gradient buffer whose bound has an exponent outside -64..=64, or whose width is outside
    /// 2..=30 bits.
    Buffer(GradientBuffer),
    /// No layer has weights.
    NothingToTrain,
    /// Channels that should move and that the layer does not have.
    Update {
        /// The layer.
        layer: Name,
        /// The channels that it has.
        channels: u16,
    },
    /// No parameter moves.
    NothingMoves,
    /// Parameters that are read where they are stored would be quantised anew in every step, or in another
    /// way in inference.
    Stored {
        /// The layer.
        layer: Name,
    },
    /// A layer of gates with bounds for channels, or with some channels that move.
    Gates {
        /// The layer.
        layer: Name,
    },
    /// Gradient sums of 8 bits.
    SumsWidth,
    /// Gradient sums of 16 bits under a range rule that finds the bound of a gradient in the step itself.
    Sums {
        /// The layer.
        layer: Name,
    },
}

impl ConfigError {
    /// The error in words, also inside a `const`.
    pub const fn message(&self) -> Message {
        let m = Message::new();
        match self {
            Self::LayerCount { layers, entries } => m
                .text("the graph has ")
                .number(*layers)
                .text(" layers and the configuration ")
                .number(*entries),
            Self::Bits { layer, bits } => {
                of(layer).number(*bits as usize).text(" bits; a point has 1 to 16")
            }
            Self::Range { layer } => {
                of(layer).text("a percentile is at most 100 and a window at least 1")
            }
            Self::Exponent { layer, exponent } => of(layer)
                .text("exponent ")
                .signed(*exponent as i32)
                .text("; it must lie in -64..=64"),
            Self::MissingPoint { layer } => of(layer)
                .text("its output is a sum on a new grid, so it needs an activation point and an activation gradient point"),
            Self::Batch { batch, micro_batch } => m
                .text("batch ")
                .number(*batch as usize)
                .text(" and micro-batch ")
                .number(*micro_batch as usize)
                .text(": both are at least 1, and the batch is a multiple of the micro-batch"),
            Self::SumsWidth => m.text("gradient sums have 16 or 32 bits"),
            Self::Sums { layer } => of(layer).text("sums of micro-batches in 16 bits need the bounds of weight and bias gradients before the step; give both the range `moving`, `fixed` or `keep`, or take sums of 32 bits"),
            Self::Rate => m
                .text("learning rate and weight decay have a mantissa below 2^15 and an exponent ")
                .text("in -64..=64, and momentum is below 1"),
            Self::Optimizer => m
                .text("Nesterov's momentum is above 0; Lion has two factors below 1, ")
                .text("and no momentum"),
            Self::LabelSmoothing => {
                m.text("label smoothing is below 1, and of softmax cross-entropy only")
            }
            Self::Classes { outputs } => m
                .text("softmax cross-entropy is of at most 65536 outputs, the last layer has ")
                .number(*outputs)
                .text(": take another loss, or a layer with fewer"),
            Self::Schedule => m
                .text("a schedule has at least one step, and a factor or floor of at most 2^15, ")
                .text("which is one"),
            Self::ChannelRange { layer } => of(layer)
                .text("a bound for every channel is found from the weights of the step, so ")
                .text("`moving` has none; use `max` or `percentile`"),
            Self::Buffer(GradientBuffer { bound, bits }) => m
                .text("a gradient buffer of ")
                .number(*bits as usize)
                .text(" bits under 2^")
                .signed(*bound as i32)
                .text("; it has 2 to 30 bits and an exponent in -64..=64"),
            Self::NothingToTrain => {
                m.text("no layer has weights, so there is nothing to train: add a dense layer or a convolution")
            }
            Self::Update { layer, channels } => of(layer)
                .text("channels to update must be among its ")
                .number(*channels as usize)
                .text(", and at least one; the first is channel 0"),
            Self::Gates { layer } => of(layer).text("every channel of an lstm has four gates, whose weights share one bound and move together; turn per_channel off, and update all, biases or nothing"),
            Self::NothingMoves => m.text("no layer updates a parameter, so there is nothing to train: let one update all, or its biases"),
            Self::Stored { layer } => of(layer).text("parameters that are read where they are stored are quantised once: give weights and biases the same bits, rounding (not stochastic), overflow and range in training and inference, and no moving range, or keep them in RAM"),
        }
    }
}

/// The beginning of a sentence about a layer.
const fn of(layer: &Name) -> Message {
    Message::new().text("layer ").text(layer.as_str()).text(": ")
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().as_str())
    }
}

impl core::error::Error for ConfigError {}

impl<const N: usize> Config<N> {
    /// The same settings for every layer; layers that only pass numbers on get no points.
    pub fn uniform(graph: GraphView<'_>, layer: LayerConfig, train: Train) -> Self {
        let entry = |i| graph.facts(i).map(|facts| layer.suited(facts.output));
        let layers = (0..N).map_while(entry).collect();
        Self { train, layers, strategies: heapless::Vec::new() }
    }

    /// Checks everything that arithmetic later relies on.
    pub fn validate(&self, graph: GraphView<'_>) -> Result<(), ConfigError> {
        validate(graph, &self.train, &self.layers)?;
        for strategy in &self.strategies {
            if let StrategyKind::GradientBuffer(buffer) = strategy.kind
                && !(is_near(buffer.bound) && (2..=30).contains(&buffer.bits))
            {
                return Err(ConfigError::Buffer(buffer));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uses::{Everything, Only};

    const TRAIN: Train = Train {
        warmup: 4,
        schedule: Schedule::Cosine { steps: 100, floor: 0 },
        ..Train::new(4, Lr::ratio(1, 2))
    };

    #[test]
    fn a_rate_warms_up_to_its_schedule_whatever_else_is_linked() {
        type Needed = Only<{ TRAIN.parts(&LayerConfig::tiny()) }>;
        for step in [0, 1, 3, 4, 50, 100] {
            let expected = TRAIN.schedule.at(TRAIN.lr, step).warm_up(step, TRAIN.warmup);
            assert_eq!(TRAIN.lr_at::<Everything>(step), expected, "{step}");
            assert_eq!(TRAIN.lr_at::<Needed>(step), expected, "{step}");
        }
        assert_eq!(TRAIN.lr_at::<Everything>(0), Lr::ratio(1, 8));
    }
}
