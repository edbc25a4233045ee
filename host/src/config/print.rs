//! A compiled configuration as YAML: every key is written, nothing is left to defaults.

use fixgrad::{
    config::{LayerConfig, Master},
    graph::Kind,
    optim::{Optimizer, Schedule},
    quant::{Point, Quant},
    strategy::{Amount, LayerSet, StrategyConfig, StrategyKind},
    tensor::Width,
};

use super::{
    at::At,
    compile::Compiled,
    file::Sections,
    fixed::{ByName, Fixed, LayerKeys, MasterKeys},
    layers::{LayerMapping, Row},
    model::{LayerEntry, Model},
    number::{ends, rate, rate_value, share, share_value, shortest},
    point::{Bits, Entry, GradEntry, PointEntry, PointKeys, QuantKeys},
    range::RangeRule,
    strategies::{AmountKeys, AmountMapping, BufferKeys, NoiseKeys, Patterns, StrategyKeys},
    train::{
        CosineKeys, LionKeys, OptimizerKeys, OptimizerMapping, ScheduleKeys, ScheduleMapping,
        StepKeys, TrainKeys,
    },
    training::Length,
    update::UpdateRule,
};

impl Compiled {
    /// The sections that compile to this.
    pub fn sections(&self) -> Sections {
        Sections {
            name: Some(self.host.name.clone()),
            model: self.model(),
            data: self.host.data.clone().into(),
            train: self.train(),
            fixed: self.fixed(),
            strategies: self.config.strategies.iter().map(|s| self.strategy(s).into()).collect(),
        }
    }

    /// The YAML that compiles to this.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        serde_saphyr::to_string(&self.sections())
    }

    fn model(&self) -> Model {
        let rows = self.graph.view().layers();
        let input = rows.first().map(|row| row.shape.0.to_vec().into());
        let name = |i: u8| rows.get(usize::from(i)).map_or("", |row| row.name.as_str());
        let layers = (0..).zip(rows).zip(&self.config.layers).skip(1);
        let layers = layers.filter_map(|((place, row), config)| {
            let row_above = row.input + 1 == place;
            let mapping = LayerMapping::of(
                row.kind,
                &Row {
                    name: row.name.as_str(),
                    from: (!row_above).then(|| name(row.input)),
                    other: name(row.other),
                    inits: [config.master.init, config.bias_master.init],
                },
            );
            mapping.map(|mapping| LayerEntry(mapping).into())
        });
        Model { input, defaults: None, layers: layers.collect() }
    }

    fn train(&self) -> TrainKeys {
        let train = self.config.train;
        let (epochs, steps) = match self.host.length {
            Length::Epochs(epochs) => (Some(i64::from(epochs).into()), None),
            Length::Steps(steps) => (None, Some(i64::from(steps).into())),
        };
        let short_rate = |lr| shortest(rate_value(lr), rate).into();
        TrainKeys {
            epochs,
            steps,
            batch: i64::from(train.batch).into(),
            micro_batch: Some(i64::from(train.micro_batch).into()),
            sums: (train.sums != Width::I32).then(|| i64::from(train.sums.bits()).into()),
            recompute: train.recompute.then_some(true),
            lr: short_rate(train.lr),
            schedule: Some(schedule(train.schedule).into()),
            warmup_epochs: None,
            warmup_steps: Some(i64::from(train.warmup).into()),
            optimizer: Some(optimizer(train.optimizer).into()),
            momentum: Some(short_share(train.momentum)),
            nesterov: Some((train.optimizer == Optimizer::Nesterov).into()),
            weight_decay: Some(short_rate(train.weight_decay)),
            loss: Some(train.loss.into()),
            label_smoothing: Some(short_share(train.label_smoothing)),
            update_round: Some(train.round.into()),
            seed: Some(train.seed),
            velocity: Some(i64::from(train.velocity.bits()).into()),
        }
    }

    fn fixed(&self) -> Fixed {
        let view = self.graph.view();
        let rows = view.layers().iter().zip(&self.config.layers).enumerate();
        let by_name = rows.map(|(i, (row, config))| {
            let keys = match row.kind {
                Kind::Input(_) => {
                    LayerKeys { activation: point(config.activation), ..Default::default() }
                }
                _ if view.layer_parameters(i).0 > 0 => weighted(config),
                _ => passing(config),
            };
            (row.name.as_str().to_owned().into(), keys)
        });
        Fixed { default: None, by_kind: None, by_name: ByName(by_name.collect()) }
    }

    fn strategy(&self, strategy: &StrategyConfig) -> StrategyKeys {
        let rows = (0u8..).zip(self.graph.view().layers());
        let layers = if strategy.layers == LayerSet::ALL {
            Patterns::default()
        } else {
            let held = rows.filter(|(index, _)| strategy.layers.holds(*index));
            Patterns(held.map(|(_, row)| row.name.as_str().to_owned().into()).collect())
        };
        match strategy.kind {
            StrategyKind::Noise(place, noise) => StrategyKeys::Noise(NoiseKeys {
                layers,
                place,
                pre: amount(noise.pre).into(),
                post: amount(noise.post).into(),
                requantize: noise.requantize,
            }),
            StrategyKind::GradientBuffer(buffer) => StrategyKeys::GradientBuffer(BufferKeys {
                layers,
                bound: i64::from(buffer.bound).into(),
                bits: i64::from(buffer.bits).into(),
            }),
        }
    }
}

fn short_share(code: u16) -> At<f64> {
    shortest(share_value(code), share).into()
}

fn optimizer(optimizer: Optimizer) -> OptimizerKeys {
    match optimizer {
        Optimizer::Sgd | Optimizer::Nesterov => OptimizerKeys::Sgd,
        Optimizer::Lion { betas } => {
            let betas = betas.map(|beta| short_share(beta).value);
            OptimizerKeys::Other(OptimizerMapping::Lion(LionKeys { betas: Some(betas.into()) }))
        }
    }
}

fn schedule(schedule: Schedule) -> ScheduleKeys {
    match schedule {
        Schedule::Constant => ScheduleKeys::Constant,
        Schedule::Cosine { steps, floor } => {
            ScheduleKeys::Changing(ScheduleMapping::Cosine(CosineKeys {
                floor: Some(short_share(floor)),
                steps: Some(i64::from(steps).into()),
            }))
        }
        Schedule::Step { every, factor } => {
            ScheduleKeys::Changing(ScheduleMapping::Step(StepKeys {
                every_epochs: None,
                every_steps: Some(i64::from(every).into()),
                factor: short_share(factor),
            }))
        }
    }
}

fn amount(amount: Amount) -> AmountKeys {
    match (amount, ends(amount)) {
        (Amount::Uniform { .. }, Some(ends)) => AmountKeys::Some(AmountMapping::Uniform(ends)),
        (Amount::UniformSteps { .. }, Some(ends)) => {
            AmountKeys::Some(AmountMapping::UniformSteps(ends))
        }
        _ => AmountKeys::None,
    }
}

fn weighted(config: &LayerConfig) -> LayerKeys {
    let weight = point_keys(config.weight);
    let weight = PointKeys { per_channel: Some(config.per_channel.into()), ..weight };
    LayerKeys {
        weight: Some(Entry::Keys(weight).into()),
        bias: point(Some(config.bias)),
        activation: point(config.activation),
        weight_grad: grad(Some(config.weight_grad)),
        bias_grad: grad(Some(config.bias_grad)),
        activation_grad: grad(config.activation_grad),
        master: Some(master(config.master).into()),
        bias_master: Some(master(config.bias_master).into()),
        update: Some(UpdateRule(config.update).into()),
        stored: Some(config.stored.into()),
    }
}

fn passing(config: &LayerConfig) -> LayerKeys {
    LayerKeys {
        activation: point(config.activation),
        activation_grad: grad(config.activation_grad),
        ..Default::default()
    }
}

fn point(point: Option<Point>) -> Option<At<PointEntry>> {
    Some(point.map_or(Entry::None, |point| Entry::Keys(point_keys(point))).into())
}

fn grad(quant: Option<Quant>) -> Option<At<GradEntry>> {
    Some(quant.map_or(Entry::None, |quant| Entry::Keys(quant_keys(quant))).into())
}

fn point_keys(point: Point) -> PointKeys {
    let QuantKeys { bits, range, round, overflow } = quant_keys(point.train);
    PointKeys {
        bits,
        range,
        round,
        overflow,
        clip: Some(point.clip.into()),
        per_channel: None,
        infer: Some(quant_keys(point.infer).into()),
    }
}

fn quant_keys(quant: Quant) -> QuantKeys {
    QuantKeys {
        bits: Some(Bits::Number(i64::from(quant.bits)).into()),
        range: Some(RangeRule(quant.range).into()),
        round: Some(quant.round.into()),
        overflow: Some(quant.overflow.into()),
    }
}

fn master(master: Master) -> MasterKeys {
    MasterKeys {
        bits: Some(i64::from(master.width.bits()).into()),
        bound: Some(i64::from(master.bound).into()),
    }
}
