//! Which parts of the trainer the settings of a run use.

use super::{LayerConfig, LossKind, Train, Update};
use crate::{
    graph::GraphView,
    layer::{Facts, Kind, Output, Terms},
    optim::{Optimizer, Schedule},
    quant::{Point, Quant, Range},
    uses::Part,
};

impl Train {
    /// The parts of the trainer that a run uses with the same settings in every layer, one bit a
    /// [`Part`]: for the type of a [`Task`](crate::trainer::Task). One with strategies of the caller
    /// uses [`Part::Strategies`] besides, one that reads its samples in place not
    /// [`Part::InputPoint`].
    pub const fn parts(&self, layer: &LayerConfig) -> u64 {
        of_run(self) | of_layer(layer) | Part::InputPoint.bit() | Kind::PLAIN
    }

    /// As [`parts`](Self::parts), with settings of its own for every layer, and with the kinds of the
    /// layers.
    pub const fn parts_of(&self, graph: GraphView<'_>, layers: &[LayerConfig]) -> u64 {
        let mut parts = of_run(self) | graph.kinds() | Kind::PLAIN;
        let (mut rest, mut i) = (layers, 0);
        while let ([layer, others @ ..], Some(facts)) = (rest, graph.facts(i)) {
            let point = match (i, layer.activation, facts.output) {
                (_, None, _) | (1.., _, Output::Sums) => 0,
                (0, ..) => Part::InputPoint.bit(),
                _ => Part::PassingPoints.bit(),
            };
            // A gradient point in the place of a layer below sends that one's gradient on.
            let own = i > 0 && matches!(facts.output, Output::InPlace);
            let passing = own && layer.activation_grad.is_some();
            // Bytes have sums of 31 bits then, of which products drop some.
            let Facts { terms: Terms { forward, backward }, steps, .. } = facts;
            let long = max(max(forward, backward), steps.saturating_mul(self.batch as usize));
            parts |= of_layer(layer)
                | point
                | on(passing, Part::PassingPoints)
                | on(facts.weights() > 0 && long > 1 << 16, Part::WideCodes);
            (rest, i) = (others, i + 1);
        }
        parts
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn on(is: bool, part: Part) -> u64 {
    if is { part.bit() } else { 0 }
}

const fn of_run(train: &Train) -> u64 {
    let schedule = match train.schedule {
        Schedule::Constant => 0,
        Schedule::Step { .. } => Part::StepSchedule.bit(),
        Schedule::Cosine { .. } => Part::CosineSchedule.bit(),
    };
    let loss = match train.loss {
        LossKind::SoftmaxCrossEntropy => Part::Softmax.bit(),
        LossKind::Mse => Part::SquaredError.bit(),
        LossKind::BceWithLogits => Part::BinaryCrossEntropy.bit(),
    };
    let momentum = train.has_velocity();
    schedule
        | loss
        | on(train.warmup > 0, Part::Warmup)
        // The bound of a velocity follows the steps before.
        | on(momentum, Part::Momentum)
        | on(momentum, Part::Moving)
        | on(!matches!(train.optimizer, Optimizer::Sgd), Part::StepRules)
        | on(train.label_smoothing > 0, Part::LabelSmoothing)
        | on(train.weight_decay.mantissa > 0, Part::WeightDecay)
        | on(train.accumulates(), Part::MicroBatches)
        | on(train.has_short_sums(), Part::ShortSums)
        | on(train.recompute, Part::Recompute)
}

const fn of_layer(layer: &LayerConfig) -> u64 {
    let mut parts = of_point(&layer.weight) | of_point(&layer.bias);
    parts |= of_range(&layer.weight_grad) | of_range(&layer.bias_grad);
    if let Some(point) = &layer.activation {
        parts |= of_point(point) | on(point.clip, Part::Clipping) | on_wide(point.bits());
    }
    if let Some(grad) = &layer.activation_grad {
        parts |= of_range(grad) | on_wide(grad.bits);
    }
    let own_codes = !layer.weight_is_master() || !layer.bias_is_master();
    let clips = layer.weight.clip || layer.bias.clip;
    parts
        | on_wide(layer.weight.bits())
        | on(layer.per_channel, Part::Channels)
        // Gradients on the grid of the finest channel.
        | on(layer.per_channel, Part::WideCodes)
        | on(!matches!(layer.update, Update::All), Part::Partial)
        | on(layer.stored, Part::Stored)
        | on(own_codes, Part::Codes)
        | on(own_codes && clips, Part::Clipping)
}

const fn on_wide(bits: u8) -> u64 {
    on(bits > 8, Part::WideCodes)
}

const fn of_point(point: &Point) -> u64 {
    of_range(&point.train) | of_range(&point.infer)
}

const fn of_range(quant: &Quant) -> u64 {
    let rule = match quant.range {
        Range::Fixed(_) | Range::Keep => 0,
        Range::Max => Part::Peak.bit(),
        Range::ThreeSigma => Part::Statistics.bit(),
        Range::Percentile(_) => Part::Statistics.bit(),
        Range::Sweep => Part::Sweep.bit() | Part::Peak.bit(),
        Range::Moving { percentile: 10_000.., .. } => Part::Moving.bit() | Part::Peak.bit(),
        Range::Moving { .. } => Part::Moving.bit() | Part::Statistics.bit(),
    };
    rule | on(quant.range.needs_whole_tensor(), Part::WholeTensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{optim::Lr, tensor::Width};

    const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));

    fn parts(layer: LayerConfig, train: Train) -> u64 {
        train.parts(&layer)
    }

    #[test]
    fn the_smallest_settings_use_four_parts() {
        let tiny = parts(LayerConfig::tiny(), TRAIN);
        let used = [Part::Softmax, Part::Moving, Part::Peak, Part::InputPoint];
        assert_eq!(tiny, used.into_iter().fold(Kind::PLAIN, |set, part| set | part.bit()));
    }

    #[test]
    fn every_setting_brings_its_part() {
        let tiny = LayerConfig::tiny();
        let base = parts(tiny, TRAIN);
        let rate = Lr::ratio(1, 4);
        for (train, part) in [
            (Train { momentum: 5, ..TRAIN }, Part::Momentum),
            (Train { weight_decay: rate, ..TRAIN }, Part::WeightDecay),
            (Train { warmup: 1, ..TRAIN }, Part::Warmup),
            (Train { micro_batch: 2, ..TRAIN }, Part::MicroBatches),
            (Train { micro_batch: 2, sums: Width::I16, ..TRAIN }, Part::ShortSums),
            (Train { recompute: true, ..TRAIN }, Part::Recompute),
            (Train { loss: LossKind::Mse, ..TRAIN }, Part::SquaredError),
            (Train { loss: LossKind::BceWithLogits, ..TRAIN }, Part::BinaryCrossEntropy),
            (Train { label_smoothing: 1, ..TRAIN }, Part::LabelSmoothing),
            (Train { optimizer: Optimizer::LION, ..TRAIN }, Part::Momentum),
            (Train { optimizer: Optimizer::LION, ..TRAIN }, Part::StepRules),
            (Train { optimizer: Optimizer::Nesterov, ..TRAIN }, Part::StepRules),
            (
                Train { schedule: Schedule::Step { every: 1, factor: 1 }, ..TRAIN },
                Part::StepSchedule,
            ),
            (
                Train { schedule: Schedule::Cosine { steps: 1, floor: 1 }, ..TRAIN },
                Part::CosineSchedule,
            ),
        ] {
            assert_ne!(parts(tiny, train) & part.bit(), 0, "{part:?}");
            assert_eq!(base & part.bit(), 0, "{part:?}");
        }
        let wide = Quant::new(9).range(Range::Fixed(0));
        let ranged = |range| LayerConfig { weight_grad: tiny.weight_grad.range(range), ..tiny };
        for (layer, part) in [
            (LayerConfig { weight: Point::new(wide), ..tiny }, Part::WideCodes),
            (LayerConfig { weight: Point::new(wide), ..tiny }, Part::Codes),
            (LayerConfig { activation_grad: Some(wide), ..tiny }, Part::WideCodes),
            (LayerConfig { activation: Some(Point::new(Quant::new(8))), ..tiny }, Part::Clipping),
            (LayerConfig { per_channel: true, ..tiny }, Part::Channels),
            (LayerConfig { update: Update::Bias, ..tiny }, Part::Partial),
            (LayerConfig { stored: true, ..tiny }, Part::Stored),
            (ranged(Range::Max), Part::WholeTensor),
            (ranged(Range::Sweep), Part::Sweep),
            (ranged(Range::ThreeSigma), Part::Statistics),
            (ranged(Range::Percentile(9_000)), Part::Statistics),
            (ranged(Range::Moving { window: 1, percentile: 9_000 }), Part::Statistics),
        ] {
            assert_ne!(parts(layer, TRAIN) & part.bit(), 0, "{part:?}");
            assert_eq!(base & part.bit(), 0, "{part:?}");
        }
    }
}
