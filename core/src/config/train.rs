//! The settings of the whole run.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::layer::LayerConfig;
use crate::{
    graph::{GraphView, Kind, Name},
    optim::{Lr, Schedule},
    quant::{Quant, Range, Round},
    strategy::{GradientBuffer, StrategyConfig, StrategyKind},
    tensor::Width,
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
    /// What is minimised.
    pub loss: LossKind,
    /// Learning rate for the mean of the batch.
    pub lr: Lr,
    /// How it changes.
    pub schedule: Schedule,
    /// Momentum in units of 2^-15; zero is none.
    pub momentum: u16,
    /// Storage of the velocity.
    pub velocity: Width,
    /// Decoupled weight decay: after the step, weights shrink by this share times the learning
    /// rate, past momentum and gradient quantisation (Loshchilov and Hutter 2019, algorithm 1).
    /// With plain SGD that is an L2 penalty, taken at the weights that the step left. Zero is
    /// none.
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
            loss: LossKind::SoftmaxCrossEntropy,
            lr,
            schedule: Schedule::Constant,
            momentum: 0,
            velocity: Width::I16,
            weight_decay: Lr::ZERO,
            round: Round::Stochastic,
        }
    }

    /// True when gradients are summed over several micro-batches.
    pub const fn accumulates(&self) -> bool {
        self.micro_batch < self.batch
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
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LayerCount { layers, entries } => {
                write!(f, "the graph has {layers} layers and the configuration {entries}")
            }
            Self::Bits { layer, bits } => {
                write!(f, "layer {layer}: {bits} bits; a point has 1 to 16")
            }
            Self::Range { layer } => {
                write!(f, "layer {layer}: a percentile is at most 100 and a window at least 1")
            }
            Self::Exponent { layer, exponent } => {
                write!(f, "layer {layer}: exponent {exponent}; it must lie in -64..=64")
            }
            Self::MissingPoint { layer } => write!(
                f,
                "layer {layer}: its output is a sum on a new grid, so it needs an activation point \
                 and an activation gradient point"
            ),
            Self::Batch { batch, micro_batch } => write!(
                f,
                "batch {batch} and micro-batch {micro_batch}: both are at least 1, and the batch \
                 is a multiple of the micro-batch"
            ),
            Self::Rate => f.write_str(
                "learning rate and weight decay have a mantissa below 2^15 and an exponent in \
                 -64..=64, and momentum is below 1",
            ),
            Self::Schedule => f.write_str(
                "a schedule has at least one step, and a factor or floor of at most 2^15, which \
                 is one",
            ),
            Self::ChannelRange { layer } => write!(
                f,
                "layer {layer}: a bound for every channel is found from the weights of the step, \
                 so `moving` has none; use `max` or `percentile`"
            ),
            Self::Buffer(GradientBuffer { bound, bits }) => write!(
                f,
                "a gradient buffer of {bits} bits under 2^{bound}; it has 2 to 30 bits and an \
                 exponent in -64..=64"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

impl<const N: usize> Config<N> {
    /// The same settings for every layer; layers that only pass numbers on get no points.
    pub fn uniform(graph: GraphView<'_>, layer: LayerConfig, train: Train) -> Self {
        let entry = |row: &crate::graph::Layer| {
            if row.kind.accumulates() { layer } else { layer.passing() }
        };
        let layers = graph.layers().iter().take(N).map(entry).collect();
        Self { train, layers, strategies: heapless::Vec::new() }
    }

    /// Checks everything that arithmetic later relies on.
    pub fn validate(&self, graph: GraphView<'_>) -> Result<(), ConfigError> {
        validate(graph, &self.train, &self.layers)?;
        for strategy in &self.strategies {
            if let StrategyKind::GradientBuffer(buffer) = strategy.kind
                && !(EXPONENTS.contains(&buffer.bound) && (2..=30).contains(&buffer.bits))
            {
                return Err(ConfigError::Buffer(buffer));
            }
        }
        Ok(())
    }
}

/// Checks everything that arithmetic later relies on.
pub(crate) fn validate(
    graph: GraphView<'_>,
    train: &Train,
    configs: &[LayerConfig],
) -> Result<(), ConfigError> {
    let (layers, entries) = (graph.layers().len(), configs.len());
    if layers != entries {
        return Err(ConfigError::LayerCount { layers, entries });
    }
    let Train { batch, micro_batch, lr, schedule, weight_decay, momentum, .. } = *train;
    if batch == 0 || micro_batch == 0 || !batch.is_multiple_of(micro_batch) {
        return Err(ConfigError::Batch { batch, micro_batch });
    }
    let near = |rate: Lr| EXPONENTS.contains(&rate.exponent);
    if (lr.mantissa | weight_decay.mantissa | momentum) >= 1 << 15
        || !near(lr)
        || !near(weight_decay)
    {
        return Err(ConfigError::Rate);
    }
    if !schedule.is_valid() {
        return Err(ConfigError::Schedule);
    }
    for (layer, config) in graph.layers().iter().zip(configs) {
        let name = layer.name;
        let points = [Some(config.weight), Some(config.bias), config.activation];
        for point in points.into_iter().flatten() {
            check(name, point.train)?;
            check(name, point.infer)?;
        }
        check(name, config.weight_grad)?;
        check(name, config.bias_grad)?;
        if let Some(grad) = config.activation_grad {
            check(name, grad)?;
        }
        let moving = |quant: Quant| matches!(quant.range, Range::Moving { .. });
        if config.per_channel
            && matches!(layer.kind, Kind::Dense { .. })
            && (moving(config.weight.train) || moving(config.weight.infer))
        {
            return Err(ConfigError::ChannelRange { layer: name });
        }
        for master in [config.master, config.bias_master] {
            check_exponent(name, master.bound)?;
        }
        let input = matches!(layer.kind, Kind::Input);
        let complete = config.activation.is_some() && (input || config.activation_grad.is_some());
        if layer.kind.accumulates() && !complete {
            return Err(ConfigError::MissingPoint { layer: name });
        }
    }
    Ok(())
}

/// Far from the ends of an `i16`, so that sums of several exponents stay inside.
pub(crate) const EXPONENTS: core::ops::RangeInclusive<i16> = -64..=64;

fn check(layer: Name, quant: Quant) -> Result<(), ConfigError> {
    if !(1..=16).contains(&quant.bits) {
        return Err(ConfigError::Bits { layer, bits: quant.bits });
    }
    match quant.range {
        Range::Fixed(bound) => check_exponent(layer, bound),
        Range::Percentile(share) if share > 10_000 => Err(ConfigError::Range { layer }),
        Range::Moving { window, percentile } if window == 0 || percentile > 10_000 => {
            Err(ConfigError::Range { layer })
        }
        _ => Ok(()),
    }
}

fn check_exponent(layer: Name, exponent: i16) -> Result<(), ConfigError> {
    if !EXPONENTS.contains(&exponent) {
        return Err(ConfigError::Exponent { layer, exponent });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::Graph, strategy::LayerSet};

    const NET: Graph<3> = Graph::input([4, 1, 1]).dense("fc1", 2);
    const TRAIN: Train = Train::new(4, Lr::ratio(1, 10));

    fn validate(layer: LayerConfig, train: Train) -> Result<(), ConfigError> {
        Config::<3>::uniform(NET.view(), layer, train).validate(NET.view())
    }

    #[test]
    fn rates_and_schedules_that_arithmetic_cannot_take_are_refused() {
        let check = |train| validate(LayerConfig::new(8), train);
        assert_eq!(check(TRAIN), Ok(()));
        for bad in [
            Lr { mantissa: 1 << 15, exponent: 0 },
            Lr { mantissa: 1 << 14, exponent: 65 },
            Lr { mantissa: 1 << 14, exponent: i16::MIN },
        ] {
            assert_eq!(check(Train { lr: bad, ..TRAIN }), Err(ConfigError::Rate), "{bad:?}");
            let train = Train { weight_decay: bad, ..TRAIN };
            assert_eq!(check(train), Err(ConfigError::Rate), "{bad:?}");
        }
        for schedule in [
            Schedule::Step { every: 0, factor: 1 },
            Schedule::Step { every: 1, factor: (1 << 15) + 1 },
            Schedule::Cosine { steps: 0, floor: 0 },
            Schedule::Cosine { steps: 1, floor: (1 << 15) + 1 },
        ] {
            let train = Train { schedule, ..TRAIN };
            assert_eq!(check(train), Err(ConfigError::Schedule), "{schedule:?}");
        }
    }

    #[test]
    fn a_gradient_buffer_is_checked_as_points_are() {
        let mut config = Config::<3>::uniform(NET.view(), LayerConfig::new(8), TRAIN);
        let mut check = |bound, bits| {
            let kind = StrategyKind::GradientBuffer(GradientBuffer { bound, bits });
            config.strategies =
                core::iter::once(StrategyConfig { layers: LayerSet::ALL, kind }).collect();
            let found = config.validate(NET.view());
            assert!(matches!(found, Ok(()) | Err(ConfigError::Buffer(_))), "{found:?}");
            found.is_ok()
        };
        assert!(check(64, 30) && check(-64, 2));
        assert!(!check(3000, 24) && !check(-65, 24) && !check(0, 1) && !check(0, 31));
    }

    #[test]
    fn channels_do_not_move() {
        let mut layer = LayerConfig { per_channel: true, ..LayerConfig::new(8) };
        assert_eq!(validate(layer, TRAIN), Ok(()));
        layer.weight.train.range = Range::Moving { window: 4, percentile: 10_000 };
        let error = validate(layer, TRAIN).unwrap_err();
        assert!(std::format!("{error}").starts_with("layer fc1: "), "{error}");
        layer.per_channel = false;
        assert_eq!(validate(layer, TRAIN), Ok(()));
    }
}
