//! The settings of the whole run.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::layer::LayerConfig;
use crate::{
    graph::{GraphView, Kind, Layer, Message, Name, attempt},
    optim::{Lr, Optimizer, Schedule},
    quant::{Point, Quant, Range, Round},
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
    /// Momentum in units of 2^-15; zero is none. Lion has factors of its own.
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
            label_smoothing: 0,
            optimizer: Optimizer::Sgd,
            lr,
            schedule: Schedule::Constant,
            momentum: 0,
            velocity: Width::I16,
            weight_decay: Lr::ZERO,
            round: Round::Stochastic,
        }
    }

    /// True when every parameter has a velocity.
    pub const fn has_velocity(&self) -> bool {
        self.momentum > 0 || matches!(self.optimizer, Optimizer::Lion { .. })
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
    /// Nesterov's momentum without momentum, or Lion with it or with a factor of one and more.
    Optimizer,
    /// A share of one and more for all classes, or one with another loss than softmax
    /// cross-entropy.
    LabelSmoothing,
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
            Self::Rate => m
                .text("learning rate and weight decay have a mantissa below 2^15 and an exponent ")
                .text("in -64..=64, and momentum is below 1"),
            Self::Optimizer => m
                .text("Nesterov's momentum is above 0; Lion has two factors below 1, ")
                .text("and no momentum"),
            Self::LabelSmoothing => {
                m.text("label smoothing is below 1, and of softmax cross-entropy only")
            }
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

/// Checks everything that arithmetic later relies on.
pub(crate) const fn validate(
    graph: GraphView<'_>,
    train: &Train,
    configs: &[LayerConfig],
) -> Result<(), ConfigError> {
    let (layers, entries) = (graph.layers().len(), configs.len());
    if layers != entries {
        return Err(ConfigError::LayerCount { layers, entries });
    }
    if graph.parameters() == 0 {
        return Err(ConfigError::NothingToTrain);
    }
    let Train { batch, micro_batch, lr, schedule, weight_decay, momentum, .. } = *train;
    if batch == 0 || micro_batch == 0 || !batch.is_multiple_of(micro_batch) {
        return Err(ConfigError::Batch { batch, micro_batch });
    }
    if (lr.mantissa | weight_decay.mantissa | momentum) >= 1 << 15
        || !is_near(lr.exponent)
        || !is_near(weight_decay.exponent)
    {
        return Err(ConfigError::Rate);
    }
    if !train.optimizer.goes_with(momentum) {
        return Err(ConfigError::Optimizer);
    }
    let smooth = train.label_smoothing > 0;
    if train.label_smoothing >= 1 << 15
        || smooth && !matches!(train.loss, LossKind::SoftmaxCrossEntropy)
    {
        return Err(ConfigError::LabelSmoothing);
    }
    if !schedule.is_valid() {
        return Err(ConfigError::Schedule);
    }
    let (flow, mut moves) = (graph.flow(configs), false);
    let (mut layers, mut configs) = (graph.layers(), configs);
    let mut i = 0;
    while let ([layer, next @ ..], [config, others @ ..]) = (layers, configs) {
        let (weights, _) = graph.layer_parameters(i);
        attempt!(check_layer(layer, config, weights > 0, flow.trains(i)));
        let [channels, ..] = layer.shape.0;
        if matches!(layer.kind, Kind::Lstm(_)) && config.tells_channels_apart() {
            return Err(ConfigError::Gates { layer: layer.name });
        }
        if weights > 0 && !config.update.fits(channels as usize) {
            return Err(ConfigError::Update { layer: layer.name, channels });
        }
        let [weights_stored, biases_stored] = flow.stored(i);
        if weights_stored && !is_once(config.weight) || biases_stored && !is_once(config.bias) {
            return Err(ConfigError::Stored { layer: layer.name });
        }
        moves = moves || flow.moves(i);
        (layers, configs) = (next, others);
        i += 1;
    }
    if moves { Ok(()) } else { Err(ConfigError::NothingMoves) }
}

const fn check_layer(
    layer: &Layer,
    config: &LayerConfig,
    has_weights: bool,
    trains: bool,
) -> Result<(), ConfigError> {
    let name = layer.name;
    attempt!(check_point(name, config.weight));
    attempt!(check_point(name, config.bias));
    if let Some(activation) = config.activation {
        attempt!(check_point(name, activation));
    }
    attempt!(check(name, config.weight_grad));
    attempt!(check(name, config.bias_grad));
    if let Some(grad) = config.activation_grad {
        attempt!(check(name, grad));
    }
    if config.per_channel
        && has_weights
        && (moves(config.weight.train) || moves(config.weight.infer))
    {
        return Err(ConfigError::ChannelRange { layer: name });
    }
    attempt!(check_exponent(name, config.master.bound));
    attempt!(check_exponent(name, config.bias_master.bound));
    let complete = config.activation.is_some() && (config.activation_grad.is_some() || !trains);
    if has_weights && !complete {
        return Err(ConfigError::MissingPoint { layer: name });
    }
    Ok(())
}

/// Whether parameters that do not move have the same codes in every step, and in inference.
const fn is_once(point: Point) -> bool {
    let (train, infer) = (point.train, point.infer);
    let range = match (train.range, infer.range) {
        (Range::Moving { .. }, _) => false,
        (Range::Fixed(a), Range::Fixed(b)) => a == b,
        (Range::Percentile(a), Range::Percentile(b)) => a == b,
        (_, Range::Keep)
        | (Range::Max, Range::Max)
        | (Range::ThreeSigma, Range::ThreeSigma)
        | (Range::Sweep, Range::Sweep) => true,
        _ => false,
    };
    range
        && train.bits == infer.bits
        && train.round as u8 == infer.round as u8
        && train.overflow as u8 == infer.overflow as u8
        && !matches!(train.round, Round::Stochastic)
}

/// Exponents far from the ends of an `i16`, so that sums of several stay inside.
pub(crate) const fn is_near(exponent: i16) -> bool {
    exponent.unsigned_abs() <= 64
}

const fn moves(quant: Quant) -> bool {
    matches!(quant.range, Range::Moving { .. })
}

const fn check_point(layer: Name, point: Point) -> Result<(), ConfigError> {
    attempt!(check(layer, point.train));
    check(layer, point.infer)
}

const fn check(layer: Name, quant: Quant) -> Result<(), ConfigError> {
    if quant.bits < 1 || quant.bits > 16 {
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

const fn check_exponent(layer: Name, exponent: i16) -> Result<(), ConfigError> {
    if is_near(exponent) { Ok(()) } else { Err(ConfigError::Exponent { layer, exponent }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Update,
        graph::{Graph, Lstm},
        quant::Overflow,
        strategy::LayerSet,
    };

    const NET: Graph<3> = Graph::input([4, 1, 1]).dense("fc1", 2);
    const TRAIN: Train = Train::new(4, Lr::ratio(1, 10));

    fn validate(layer: LayerConfig, train: Train) -> Result<(), ConfigError> {
        Config::<3>::uniform(NET.view(), layer, train).validate(NET.view())
    }

    #[test]
    fn a_network_without_weights_is_refused() {
        let net = Graph::<3>::input([2, 1, 1]).relu();
        let config = Config::<3>::uniform(net.view(), LayerConfig::new(8), TRAIN);
        let error = config.validate(net.view()).unwrap_err();
        assert_eq!(error, ConfigError::NothingToTrain);
        assert!(error.message().as_str().contains("add a dense layer"));
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
    fn optimisers_and_losses_have_the_settings_that_are_theirs() {
        let check = |train| validate(LayerConfig::new(8), train);
        let lion = |a, b| Train { optimizer: Optimizer::Lion { betas: [a, b] }, ..TRAIN };
        let nesterov = Train { optimizer: Optimizer::Nesterov, ..TRAIN };
        assert_eq!(check(lion(0, 32_767)), Ok(()));
        assert_eq!(check(Train { momentum: 1, ..nesterov }), Ok(()));
        for bad in
            [nesterov, lion(1 << 15, 0), lion(0, 1 << 15), Train { momentum: 1, ..lion(0, 0) }]
        {
            assert_eq!(check(bad), Err(ConfigError::Optimizer), "{bad:?}");
        }
        let smooth = |label_smoothing, loss| Train { label_smoothing, loss, ..TRAIN };
        let softmax = LossKind::SoftmaxCrossEntropy;
        assert_eq!(check(smooth(32_767, softmax)), Ok(()));
        for bad in
            [smooth(1 << 15, softmax), smooth(1, LossKind::Mse), smooth(1, LossKind::BceWithLogits)]
        {
            assert_eq!(check(bad), Err(ConfigError::LabelSmoothing), "{bad:?}");
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
    fn what_is_stored_is_quantised_once() {
        let net = Graph::<4>::input([4, 1, 1]).dense("fc1", 2).dense("fc2", 2);
        let check = |weight: Point, update| {
            let mut layer = LayerConfig { weight, stored: true, ..LayerConfig::new(8) };
            layer.bias.train.range = Range::Fixed(0);
            let mut config = Config::<4>::uniform(net.view(), layer, TRAIN);
            config.layers[1].update = update;
            // Biases that move may be quantised in any way.
            config.layers[2].stored = false;
            config.validate(net.view())
        };
        let good = LayerConfig::new(8).weight;
        let quant = good.train;
        let stored = Err(ConfigError::Stored { layer: net.view().layers()[1].name });
        assert_eq!(check(good, Update::Bias), Ok(()));
        for bad in [
            Point { train: quant.range(Range::Moving { window: 4, percentile: 10_000 }), ..good },
            Point {
                train: quant.round(Round::Stochastic),
                infer: quant.round(Round::Stochastic),
                ..good
            },
            Point { train: quant.overflow(Overflow::Wrap), ..good },
            Point { infer: quant.range(Range::Fixed(0)), ..good },
            Point { train: Quant { bits: 4, ..quant }, ..good },
        ] {
            assert_eq!(check(bad, Update::Bias), stored, "{bad:?}");
            assert_eq!(check(bad, Update::All), Ok(()));
        }
    }

    #[test]
    fn gates_have_one_bound_and_move_together() {
        let net = Graph::<3>::input([2, 1, 4]).lstm("lstm1", Lstm::new(3));
        let check = |layer| Config::<3>::uniform(net.view(), layer, TRAIN).validate(net.view());
        let layer = LayerConfig::new(8);
        for update in [Update::All, Update::Bias] {
            assert_eq!(check(LayerConfig { update, ..layer }), Ok(()));
        }
        let some = Update::Channels { first: 0, count: 1 };
        for bad in
            [LayerConfig { per_channel: true, ..layer }, LayerConfig { update: some, ..layer }]
        {
            let error = check(bad).unwrap_err();
            assert!(std::format!("{error}").starts_with("layer lstm1: every channel"), "{error}");
        }
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
