//! What arithmetic relies on in the settings of a run, checked against a graph.

use super::{
    layer::LayerConfig,
    train::{ConfigError, LossKind, Train},
};
use crate::{
    graph::{GraphView, Kind, Layer, Name, attempt},
    quant::{Point, Quant, Range, Round},
    tensor::Width,
};

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
    if matches!(train.sums, Width::I8) {
        return Err(ConfigError::SumsWidth);
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
    if let (LossKind::SoftmaxCrossEntropy, [.., last]) = (train.loss, graph.layers()) {
        let outputs = last.shape.elements();
        // Classes are counted in 16 bits, and sums of so many exponentials in 32.
        if outputs > 1 << 16 {
            return Err(ConfigError::Classes { outputs });
        }
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
        let looks = [config.weight_grad, config.bias_grad];
        if train.has_short_sums()
            && flow.moves(i)
            && (looks[0].range.needs_whole_tensor() || looks[1].range.needs_whole_tensor())
        {
            return Err(ConfigError::Sums { layer: layer.name });
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
        config::{Config, Update},
        graph::{Conv2d, Graph, Lstm},
        optim::{Lr, Optimizer, Schedule},
        quant::Overflow,
        strategy::{GradientBuffer, LayerSet, StrategyConfig, StrategyKind},
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
    fn a_class_has_a_number_of_16_bits() {
        let check = |outputs, loss| {
            let net = Graph::<3>::input([1, outputs, 1]).conv2d("conv", Conv2d::new(2, 1));
            let train = Train { loss, ..TRAIN };
            Config::<3>::uniform(net.view(), LayerConfig::new(8), train).validate(net.view())
        };
        assert_eq!(check(1 << 15, LossKind::SoftmaxCrossEntropy), Ok(()));
        assert_eq!(check((1 << 15) + 1, LossKind::Mse), Ok(()));
        let error = check((1 << 15) + 1, LossKind::SoftmaxCrossEntropy).unwrap_err();
        assert_eq!(error, ConfigError::Classes { outputs: (1 << 16) + 2 });
        assert!(error.message().as_str().contains("65,538: take another loss"));
    }

    #[test]
    fn short_sums_need_bounds_that_are_known_before_the_step() {
        let short = Train { micro_batch: 2, sums: Width::I16, ..TRAIN };
        let layer = NET.view().layers()[1].name;
        let moving = Range::Moving { window: 4, percentile: 9_000 };
        for range in [Range::Fixed(0), Range::Keep, moving, Range::Max, Range::ThreeSigma] {
            let all = LayerConfig::new(8);
            let ranged = LayerConfig {
                weight_grad: all.weight_grad.range(range),
                bias_grad: all.bias_grad.range(range),
                ..all
            };
            let known = !range.needs_whole_tensor();
            let found = validate(ranged, short);
            assert_eq!(found, if known { Ok(()) } else { Err(ConfigError::Sums { layer }) });
            let half = LayerConfig { bias_grad: all.bias_grad, ..ranged };
            assert_eq!(validate(half, short), Err(ConfigError::Sums { layer }));
            // Without sums of 16 bits all go.
            assert_eq!(validate(ranged, Train { sums: Width::I32, ..short }), Ok(()));
            assert_eq!(validate(ranged, Train { micro_batch: 4, ..short }), Ok(()));
        }
        let error = validate(LayerConfig::new(8), Train { sums: Width::I8, ..TRAIN });
        assert_eq!(error, Err(ConfigError::SumsWidth));
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
